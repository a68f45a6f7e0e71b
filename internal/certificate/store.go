package certificate

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

var records = db.NewTable("certificate", func(r *record) []db.Column {
	return []db.Column{
		db.Col("domain", &r.domain), db.Col("chain", &r.chain), db.Col("private_key", &r.sealed),
		db.Col("not_before_at", &r.notBefore), db.Col("not_after_at", &r.notAfter), db.Col("failures", &r.failures),
		db.Col("fault", &r.fault), db.Col("next_attempt_at", &r.next),
	}
})

func list(ctx context.Context, r db.Reader, domains []string) ([]record, error) {
	return records.Select(ctx, r, `WHERE domain IN `+db.In(1, len(domains)), db.Args(domains)...)
}

func listAll(ctx context.Context, r db.Reader) ([]record, error) {
	return records.Select(ctx, r, `ORDER BY domain`)
}

func find(ctx context.Context, tx *db.Tx, domain string) (record, error) {
	r, found, err := records.Find(ctx, tx, `WHERE domain = $1`, domain)
	if !found {
		r.domain = domain
	}
	return r, err
}

func put(ctx context.Context, tx *db.Tx, r record) error {
	return records.Put(ctx, tx, []string{"domain"}, r)
}

// allowAttempts removes the backoff of the domains, or of all where none is named.
func allowAttempts(ctx context.Context, tx *db.Tx, now time.Time, domains []string) (int64, error) {
	if len(domains) == 0 {
		return tx.Exec(ctx, `UPDATE certificate SET failures = 0, next_attempt_at = $1`, now)
	}
	return tx.Exec(ctx, `UPDATE certificate SET failures = 0, next_attempt_at = $1 WHERE domain IN `+
		db.In(2, len(domains)), append([]any{now}, db.Args(domains)...)...)
}

// entry is a value that certmagic keeps: the ACME account, and answers to challenges.
type entry struct {
	name, sealed string
	modified     time.Time
}

var entries = db.NewTable("acme_entry", func(e *entry) []db.Column {
	return []db.Column{
		db.Col("name", &e.name), db.Col("value", &e.sealed), db.Col("modified_at", &e.modified),
	}
})

func findEntry(ctx context.Context, r db.Reader, name string) (entry, bool, error) {
	return entries.Find(ctx, r, `WHERE name = $1`, name)
}

// listEntries returns the names below a prefix, in order.
func listEntries(ctx context.Context, r db.Reader, prefix string) ([]string, error) {
	return db.Collect(ctx, r, db.Value[string],
		`SELECT name FROM acme_entry WHERE substr(name, 1, $1) = $2 ORDER BY name`, len(prefix), prefix)
}

// deleteEntries deletes the entry, and all below it.
func deleteEntries(ctx context.Context, tx *db.Tx, name string) error {
	_, err := tx.Exec(ctx, `DELETE FROM acme_entry WHERE name = $1 OR substr(name, 1, $2) = $3`,
		name, len(name)+1, name+"/")
	return err
}

// take takes the lock if it is free or its lease is over.
func take(ctx context.Context, tx *db.Tx, name, holder string, now time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO acme_lock (name, holder, until_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_at = excluded.until_at
		WHERE acme_lock.until_at <= $4`, name, holder, now.Add(lease), now)
	return n == 1, err
}

// extend extends the lease of a holder that still has the lock, and locks its row until the end of
// the transaction.
func extend(ctx context.Context, tx *db.Tx, name, holder string, now time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE acme_lock SET until_at = $1 WHERE name = $2 AND holder = $3`,
		now.Add(lease), name, holder)
	if err == nil && n != 1 {
		err = fmt.Errorf("%w: %s", errLost, name)
	}
	return err
}

func release(ctx context.Context, tx *db.Tx, name, holder string) error {
	_, err := tx.Exec(ctx, `DELETE FROM acme_lock WHERE name = $1 AND holder = $2`, name, holder)
	return err
}

// deleteOld deletes what is not needed any more: challenges after a day, locks whose lease was over
// then, and domains without a valid certificate or an attempt for a month.
func deleteOld(ctx context.Context, tx *db.Tx, now time.Time) error {
	day, month := now.Add(-24*time.Hour), now.Add(-30*24*time.Hour)
	for _, s := range []struct {
		text string
		args []any
	}{
		{`DELETE FROM acme_entry WHERE name LIKE '%/challenge_tokens/%' AND modified_at < $1`, []any{day}},
		{`DELETE FROM acme_lock WHERE until_at < $1`, []any{day}},
		{`DELETE FROM certificate WHERE next_attempt_at < $1 AND (not_after_at IS NULL OR not_after_at < $2)`,
			[]any{month, month}},
	} {
		if _, err := tx.Exec(ctx, s.text, s.args...); err != nil {
			return err
		}
	}
	return nil
}
