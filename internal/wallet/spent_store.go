package wallet

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// spentSubject is a subject with what it spent.
type spentSubject struct {
	Subject
	spent money.Micros
}

// spentKind is what the subjects of an account that are described alike have spent.
type spentKind struct {
	account     id.ID
	kind        string
	project     string
	tags        []string
	creatorType string
	creatorID   id.ID
	cost        money.Micros
}

// spentKey identifies a spentKind.
type spentKey struct {
	account id.ID
	kind    string
}

// kindOf returns the kind of the subject, which has spent nothing.
func kindOf(s Subject) spentKind {
	tags := append([]string{}, s.Tags...)
	// It cannot fail: all of them are texts.
	text, _ := json.Marshal([]any{s.Project, tags, s.CreatedBy.Type, s.CreatedBy.ID})
	sum := sha256.Sum256(text)
	return spentKind{
		account: s.Account, kind: hex.EncodeToString(sum[:16]), project: s.Project, tags: tags,
		creatorType: string(s.CreatedBy.Type), creatorID: s.CreatedBy.ID,
	}
}

// readSpent returns those of the subjects that are known.
func readSpent(ctx context.Context, r db.Reader, of []id.ID) (map[id.ID]spentSubject, error) {
	out := map[id.ID]spentSubject{}
	for chunk := range slices.Chunk(of, db.ChunkRows) {
		all, err := db.Collect(ctx, r, func(row db.Row) (s spentSubject, err error) {
			err = row.Scan(
				&s.ID, &s.Account, &s.Project, db.JSON(&s.Tags), &s.CreatedBy.Type, &s.CreatedBy.ID, &s.spent)
			return s, err
		}, `SELECT subject, account_id, project, tags, creator_type, creator_id, spent FROM wallet_subject
			WHERE subject IN `+db.In(1, len(chunk)), db.Args(chunk)...)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			out[s.ID] = s
		}
	}
	return out, nil
}

// addSpent adds to what subjects and their kinds have spent. It is called with the wallets locked,
// so that no other transaction changes these rows.
func addSpent(ctx context.Context, tx *db.Tx, all []dayChange) error {
	type key struct{ subject, account id.ID }
	sums := map[key]money.Micros{}
	for _, c := range all {
		sums[key{c.subject, c.account}] += c.cost
	}
	keys := make([]key, 0, len(sums))
	for k := range sums {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Compare(a.subject, b.subject) })
	costs := map[describedAs]money.Micros{}
	for chunk := range slices.Chunk(keys, db.ChunkRows) {
		args := make([]any, 0, 3*len(chunk))
		for _, k := range chunk {
			args = append(args, k.subject, k.account, sums[k])
		}
		_, err := db.Collect(ctx, tx, func(row db.Row) (as describedAs, err error) {
			var subject id.ID
			err = row.Scan(&subject, &as.account, &as.project, &as.tags, &as.creatorType, &as.creatorID)
			costs[as] += sums[key{subject, as.account}]
			return as, err
		}, `INSERT INTO wallet_subject (subject, account_id, spent) VALUES `+db.Tuples(1, len(chunk), 3)+`
			ON CONFLICT (subject) DO UPDATE SET spent = wallet_subject.spent + excluded.spent
			RETURNING subject, account_id, project, tags, creator_type, creator_id`, args...)
		if err != nil {
			return fmt.Errorf("add up what subjects spent: %w", err)
		}
	}
	kinds := make(map[spentKey]spentKind, len(costs))
	for as, cost := range costs {
		k, err := as.kind()
		if err != nil {
			return fmt.Errorf("add up what subjects spent: %w", err)
		}
		k.cost = kinds[spentKey{k.account, k.kind}].cost + cost
		kinds[spentKey{k.account, k.kind}] = k
	}
	return addKinds(ctx, tx, kinds)
}

// describedAs is how a subject is described, with its tags as the database keeps them. Many
// subjects are described alike.
type describedAs struct {
	account                    id.ID
	project, tags, creatorType string
	creatorID                  id.ID
}

func (d describedAs) kind() (spentKind, error) {
	s := Subject{Account: d.account, Project: d.project}
	s.CreatedBy.Type, s.CreatedBy.ID = creator.Type(d.creatorType), d.creatorID
	err := json.Unmarshal([]byte(d.tags), &s.Tags)
	return kindOf(s), err
}

// moveSpent moves what subjects spent from the kinds that they had to those that they have now. It
// is called with the wallets locked.
func moveSpent(ctx context.Context, tx *db.Tx, before map[id.ID]spentSubject, now []Subject) error {
	kinds := map[spentKey]spentKind{}
	add := func(k spentKind, cost money.Micros) {
		at := spentKey{k.account, k.kind}
		k.cost = kinds[at].cost + cost
		kinds[at] = k
	}
	var left []spentKind
	for _, s := range now {
		was, known := before[s.ID]
		if !known || was.spent == 0 || kindOf(was.Subject).kind == kindOf(s).kind {
			continue
		}
		add(kindOf(was.Subject), -was.spent)
		add(kindOf(s), was.spent)
		left = append(left, kindOf(was.Subject))
	}
	if err := addKinds(ctx, tx, kinds); err != nil {
		return err
	}
	byAccount := map[id.ID][]string{}
	for _, k := range left {
		byAccount[k.account] = append(byAccount[k.account], k.kind)
	}
	for account, kinds := range byAccount { // one: what is described together is of one account
		for chunk := range slices.Chunk(kinds, db.ChunkRows) {
			_, err := tx.Exec(ctx, `DELETE FROM wallet_spent WHERE cost = 0 AND account_id = $1 AND kind IN `+
				db.In(2, len(chunk)), append([]any{account}, db.Args(chunk)...)...)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func addKinds(ctx context.Context, tx *db.Tx, kinds map[spentKey]spentKind) error {
	all := make([]spentKind, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b spentKind) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.kind, b.kind))
	})
	for chunk := range slices.Chunk(all, db.ChunkRows) {
		var args []any
		for i := range chunk {
			k := &chunk[i]
			args = append(args, k.account, k.kind, k.project, db.JSON(&k.tags), k.creatorType, k.creatorID, k.cost)
		}
		_, err := tx.Exec(ctx, `INSERT INTO wallet_spent
			(account_id, kind, project, tags, creator_type, creator_id, cost) VALUES `+db.Tuples(1, len(chunk), 7)+`
			ON CONFLICT (account_id, kind) DO UPDATE SET cost = wallet_spent.cost + excluded.cost`, args...)
		if err != nil {
			return fmt.Errorf("add up what was spent: %w", err)
		}
	}
	return nil
}

// Spent returns what was charged to an account, less refunds: a sum over as many rows as its
// subjects have descriptions. Where the wallet is locked, nothing is missing.
func (l *Ledger) Spent(ctx context.Context, r db.Reader, account id.ID) (spent money.Micros, err error) {
	err = r.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM wallet_spent WHERE account_id = $1`,
		account).Scan(&spent)
	return spent, err
}

// Bind sets what the charges of a subject will be at least, such as those of its minimum runtime; 0
// once it has ended. What they are not yet is committed: see Spending.
func (l *Ledger) Bind(ctx context.Context, tx *db.Tx, account, subject id.ID, amount money.Micros) error {
	return bind(ctx, tx, Subject{ID: subject, Account: account}, amount)
}

// bind describes a subject that nothing is known of yet, as of is.
func bind(ctx context.Context, tx *db.Tx, of Subject, amount money.Micros) error {
	_, err := tx.Exec(ctx, `INSERT INTO wallet_subject
			(subject, account_id, project, tags, creator_type, creator_id, creator_name, bound)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (subject) DO UPDATE SET bound = excluded.bound`, of.ID, of.Account, of.Project, db.JSON(&of.Tags),
		of.CreatedBy.Type, of.CreatedBy.ID, of.CreatedBy.Name, amount)
	return err
}

// lockAccounts locks the wallets of the accounts until the end of the transaction.
func lockAccounts(ctx context.Context, tx *db.Tx, accounts []id.ID) error {
	if tx.Engine() != db.Postgres {
		return nil
	}
	accounts = slices.Clone(accounts)
	slices.Sort(accounts)
	accounts = slices.Compact(accounts)
	_, err := tx.Exec(ctx, `SELECT account_id FROM wallet WHERE account_id IN `+db.In(1, len(accounts))+`
		ORDER BY account_id FOR UPDATE`, db.Args(accounts)...)
	return err
}
