package mail

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var mails = db.NewTable("mail", func(m *Mail) []db.Column {
	return []db.Column{
		db.Col("id", &m.ID), db.Col("kind", &m.Kind), db.Col("cause", &m.Cause), db.Col("recipient", &m.Recipient),
		db.Col("account_id", &m.Account), db.Col("state", &m.State), db.Col("attempts", &m.Attempts),
		db.Col("last_error", &m.LastError), db.Col("created_at", &m.CreatedAt), db.Col("expires_at", &m.ExpiresAt),
		db.Col("sent_at", &m.SentAt), db.Col("data", &m.sealed),
	}
})

// suppression is an address that gets no mail for a time, or until the settings change: with other
// settings the answer may be another one. So it counts only for the version that was answered.
type suppression struct {
	address, reason string
	version         int64
	until           time.Time
}

var suppressions = db.NewTable("mail_suppression", func(s *suppression) []db.Column {
	return []db.Column{
		db.Col("address", &s.address), db.Col("reason", &s.reason), db.Col("settings_version", &s.version),
		db.Col("until_at", &s.until),
	}
})

// insert reports whether it inserted the mail; false means that there is one of the same cause.
func insert(ctx context.Context, tx *db.Tx, m Mail) (bool, error) {
	n, err := mails.InsertNew(ctx, tx, "cause, recipient, kind", m)
	return n == 1, err
}

func find(ctx context.Context, r db.Reader, mailID id.ID) (Mail, bool, error) {
	return mails.Find(ctx, r, `WHERE id = $1`, mailID)
}

// update writes what an attempt changes, unless another run has ended the mail.
func update(ctx context.Context, tx *db.Tx, m Mail) error {
	_, err := mails.Update(ctx, tx, &m, []string{"state", "attempts", "last_error", "sent_at", "data"},
		db.Is("id", m.ID), db.Is("state", Pending))
	return err
}

func countSince(ctx context.Context, tx *db.Tx, to string, kind Kind, since time.Time) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM mail WHERE recipient = $1 AND kind = $2 AND created_at > $3`,
		to, string(kind), since).Scan(&n)
	return n, err
}

func list(ctx context.Context, r db.Reader, state State, p db.Page) ([]Mail, db.Listed, error) {
	l := mails.List()
	if state != "" {
		l.Where = append(l.Where, db.Is(`state`, state))
	}
	l.Order, l.Down = db.NewestFirst.Sorting()
	return l.Page(ctx, r, p)
}

func suppress(ctx context.Context, tx *db.Tx, s suppression) error {
	return suppressions.Put(ctx, tx, []string{"address"}, s)
}

func isSuppressed(ctx context.Context, r db.Reader, address string, version int64, now time.Time) (bool, error) {
	_, found, err := suppressions.Find(ctx, r, `WHERE address = $1 AND settings_version = $2 AND until_at > $3`,
		address, version, now)
	return found, err
}

func unsuppress(ctx context.Context, tx *db.Tx, now time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM mail_suppression WHERE until_at <= $1`, now)
	return err
}

// purge deletes up to limit mails that were created before that time, and returns how many.
func purge(ctx context.Context, tx *db.Tx, before time.Time, limit int) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE created_at < $1 AND state <> 'pending'
		ORDER BY created_at, id LIMIT $2)`, before, limit)
}

// forget deletes the mails to the address that are not pending, and its suppression.
func forget(ctx context.Context, tx *db.Tx, address string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM mail WHERE recipient = $1 AND state <> 'pending'`, address); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM mail_suppression WHERE address = $1`, address)
	return err
}
