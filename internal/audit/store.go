package audit

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var entries = db.NewTable("audit", func(e *Entry) []db.Column {
	return []db.Column{
		db.Col("id", &e.ID), db.Col("account_id", &e.Account), db.Col("created_at", &e.At),
		db.Col("actor_kind", &e.Actor.Kind), db.Col("actor_id", &e.Actor.ID), db.Col("actor_name", &e.Actor.Name),
		db.Col("action", &e.Action), db.Col("subject", &e.Subject), db.Col("subject_name", &e.SubjectName),
		db.Col("address", &e.Address),
		db.Col("request_id", &e.RequestID), db.Col("detail", &e.Detail),
	}
})

func insert(ctx context.Context, tx *db.Tx, all []Entry) error {
	return entries.Insert(ctx, tx, all...)
}

// forget deletes a few of the oldest only, because it is called for each new one.
func forget(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM audit WHERE created_at < $1 AND id IN
		(SELECT id FROM audit WHERE account_id = '' ORDER BY created_at, id LIMIT 10)`, before)
	if err != nil {
		return fmt.Errorf("delete old audit entries: %w", err)
	}
	return nil
}

// oldest returns the IDs of up to limit entries of accounts between both, oldest first.
func oldest(ctx context.Context, r db.Reader, after, before id.ID, limit int) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID],
		`SELECT id FROM audit WHERE id > $1 AND id < $2 AND account_id <> '' ORDER BY id LIMIT $3`,
		after, before, limit)
}

// between returns the entries of accounts from first to last, both included.
func between(ctx context.Context, r db.Reader, first, last id.ID) ([]Entry, error) {
	return entries.Select(ctx, r, `WHERE id >= $1 AND id <= $2 AND account_id <> '' ORDER BY id`, first, last)
}

func remove(ctx context.Context, tx *db.Tx, first, last id.ID) (int64, error) {
	n, err := tx.Exec(ctx, `DELETE FROM audit WHERE id >= $1 AND id <= $2 AND account_id <> ''`, first, last)
	if err != nil {
		return 0, fmt.Errorf("delete old audit entries: %w", err)
	}
	return n, nil
}

func has(ctx context.Context, r db.Reader, account, request id.ID, newest int) (bool, error) {
	n := 0
	err := r.QueryRow(ctx, `SELECT COUNT(*) FROM
		(SELECT request_id FROM audit WHERE account_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2) AS latest
		WHERE request_id = $3`, account, newest, request).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("find a request in the audit: %w", err)
	}
	return n > 0, nil
}

func list(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Entry, db.Listed, error) {
	l := entries.List(db.Is(`account_id`, account))
	l.Order, l.Down = []db.Key{{Column: `created_at`, Number: true}, {Column: `id`}}, true
	if f.From != nil {
		l.Where = append(l.Where, db.Cond{Text: `created_at >= ?`, Args: []any{*f.From}})
	}
	if f.To != nil {
		l.Where = append(l.Where, db.Cond{Text: `created_at < ?`, Args: []any{*f.To}})
	}
	var filters []db.Cond // an index serves the first one
	if f.Subject != "" {
		filters = append(filters, db.Is(`subject`, f.Subject))
	}
	if f.Actor != "" {
		filters = append(filters, db.Is(`actor_id`, f.Actor))
	}
	if f.Action != "" {
		filters = append(filters, db.Is(`action`, f.Action))
	}
	if len(filters) > 0 {
		l.Each, l.Rest = &filters[0], filters[1:]
	}
	return l.Page(ctx, r, p)
}

// nameOf are the queries for names, by the kind of what has the name. The first argument is the
// account: an operator's entries are about other accounts, too, whose names are not for the members
// of its own.
var nameOf = map[id.Kind]string{
	id.Account:    `SELECT id, name FROM account WHERE id = $1 AND id IN `,
	id.Deployment: `SELECT id, name FROM deployment WHERE account_id = $1 AND id IN `,
	id.Volume:     `SELECT id, name FROM volume WHERE account_id = $1 AND id IN `,
	id.APIKey:     `SELECT id, name FROM api_key WHERE account_id = $1 AND id IN `,
	id.SSHKey:     `SELECT id, name FROM ssh_key WHERE account_id = $1 AND id IN `,
	id.Image:      `SELECT id, name FROM os_image WHERE account_id = $1 AND id IN `,
	id.Passkey:    `SELECT id, name FROM passkey WHERE ` + member(`passkey.user_id`) + ` AND id IN `,
	id.Invitation: `SELECT id, email FROM invitation WHERE account_id = $1 AND id IN `,
	id.User: `SELECT id, CASE WHEN name <> '' THEN name ELSE email END FROM users WHERE ` + member(`users.id`) +
		` AND id IN `,
	id.Webhook: `SELECT id, CASE WHEN description <> '' THEN description ELSE url END FROM webhook
		WHERE account_id = $1 AND id IN `,
}

// member is the condition that a user is a member of the account now.
func member(user string) string {
	return `EXISTS (SELECT 1 FROM membership WHERE user_id = ` + user + ` AND membership.account_id = $1)`
}

// deletable are the kinds whose rows end, or whose place in the account does. The entry of that has
// the last name.
var deletable = []id.Kind{id.SSHKey, id.Image, id.Passkey, id.Webhook, id.User}

// names returns the names of subjects of the account's entries, with one query.
func names(ctx context.Context, r db.Reader, account id.ID, subjects map[id.Kind][]id.ID) (map[id.ID]string, error) {
	var parts []string
	args := []any{account}
	for _, kind := range slices.Sorted(maps.Keys(subjects)) {
		ids := subjects[kind]
		in := db.In(len(args)+1, len(ids))
		query, has := nameOf[kind]
		if !has {
			continue
		}
		if slices.Contains(deletable, kind) { // first: a present name replaces it, such as of a member who joined again
			parts = append(parts, `SELECT subject, subject_name FROM audit
				WHERE account_id = $1 AND subject_name <> '' AND subject IN `+in)
		}
		parts = append(parts, query+in)
		args = append(args, db.Args(ids)...)
	}
	if len(parts) == 0 {
		return nil, nil
	}
	found, err := db.CollectMap(ctx, r, db.Pair[id.ID, string], strings.Join(parts, ` UNION ALL `), args...)
	if err != nil {
		return nil, fmt.Errorf("find the names of audited things: %w", err)
	}
	for _, hook := range subjects[id.Webhook] { // the rest of a URL may be a secret
		if u, err := url.Parse(found[hook]); err == nil && u.Host != "" {
			found[hook] = u.Host
		}
	}
	return found, nil
}
