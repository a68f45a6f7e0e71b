package sshkey

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const columns = `id, name, public_key, fingerprint, type, created_at`

func scan(row db.Row) (Key, error) {
	var k Key
	var created int64
	err := row.Scan(&k.ID, &k.Name, &k.PublicKey, &k.Fingerprint, &k.Type, &created)
	k.CreatedAt = db.At(created)
	return k, err
}

// insert tells whether it made the row; false means that the account has the key or the name.
func insert(ctx context.Context, tx *db.Tx, account id.ID, k Key) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO ssh_key (id, account_id, name, public_key, fingerprint, type, created_at, name_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		k.ID, account, k.Name, k.PublicKey, k.Fingerprint, k.Type, db.Micros(k.CreatedAt), strings.ToLower(k.Name))
	return n == 1, err
}

// errNoClash means that the row which was in the way has gone meanwhile.
var errNoClash = errors.New("sshkey: the key that was in the way is gone")

// clash returns the key that has k's fingerprint or, failing that, its name.
func clash(ctx context.Context, r db.Reader, account id.ID, k Key) (Key, error) {
	other, err := scan(r.QueryRow(ctx, `SELECT `+columns+` FROM ssh_key WHERE account_id = $1 AND (fingerprint = $2 OR name = $3)
		ORDER BY CASE WHEN fingerprint = $2 THEN 0 ELSE 1 END LIMIT 1`, account, k.Fingerprint, k.Name))
	if errors.Is(err, sql.ErrNoRows) {
		return Key{}, errNoClash
	}
	return other, err
}

func list(ctx context.Context, r db.Reader, account id.ID, o db.Order, p db.Page) ([]Key, db.Listed, error) {
	l := db.List[Key]{Columns: columns, Table: `ssh_key`, Where: []db.Cond{db.Is(`account_id`, account)}, Scan: scan}
	l.Order, l.Down = o.Sorting()
	return l.Page(ctx, r, p)
}

func query(ctx context.Context, r db.Reader, text string, args ...any) ([]Key, error) {
	rows, err := r.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	keys := []Key{}
	for rows.Next() {
		k, err := scan(rows)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}

// batch keeps the lists of values far below what either engine takes.
const batch = 500

// byIDs does not ask the database for what cannot be an id: it may hold bytes that PostgreSQL refuses.
func byIDs(ctx context.Context, r db.Reader, account id.ID, ids []id.ID) (map[id.ID]Key, error) {
	var args []any
	for _, i := range ids {
		if i.Valid(id.SSHKey) {
			args = append(args, i)
		}
	}
	found := map[id.ID]Key{}
	err := inBatches(ctx, r, account, "id", args, func(k Key) { found[k.ID] = k })
	return found, err
}

func byFingerprints(ctx context.Context, r db.Reader, account id.ID, fingerprints []string) (map[string]Key, error) {
	var args []any
	for _, f := range fingerprints {
		if isFingerprint(f) {
			args = append(args, f)
		}
	}
	found := map[string]Key{}
	err := inBatches(ctx, r, account, "fingerprint", args, func(k Key) { found[k.Fingerprint] = k })
	return found, err
}

func isFingerprint(s string) bool {
	const length = len("SHA256:") + 43
	if len(s) != length || s[:7] != "SHA256:" {
		return false
	}
	for _, r := range s[7:] {
		if !isBase64(r) {
			return false
		}
	}
	return true
}

func inBatches(ctx context.Context, r db.Reader, account id.ID, column string, values []any, found func(Key)) error {
	for some := range slices.Chunk(values, batch) {
		keys, err := query(ctx, r, `SELECT `+columns+` FROM ssh_key WHERE account_id = $1 AND `+column+` IN `+db.In(2, len(some)),
			append([]any{account}, some...)...)
		if err != nil {
			return err
		}
		for _, k := range keys {
			found(k)
		}
	}
	return nil
}

// rename tells whether it did; false means that the key is gone or another has the name. The name may be
// taken by a transaction that is still under way, so the unique index must decide; the savepoint keeps
// PostgreSQL from giving up the whole transaction when it does.
func rename(ctx context.Context, tx *db.Tx, account, key id.ID, name string) (bool, error) {
	if _, err := tx.Exec(ctx, `SAVEPOINT rename`); err != nil {
		return false, err
	}
	n, err := tx.Exec(ctx, `UPDATE ssh_key SET name = $1, name_key = $4 WHERE account_id = $2 AND id = $3`, name, account, key, strings.ToLower(name))
	if err != nil {
		if _, undo := tx.Exec(ctx, `ROLLBACK TO SAVEPOINT rename`); undo != nil {
			return false, err
		}
		if _, other := clash(ctx, tx, account, Key{Name: name}); other != nil {
			return false, err // not the name: whatever the database said
		}
		n = 0
	}
	_, err = tx.Exec(ctx, `RELEASE SAVEPOINT rename`)
	return n == 1, err
}

func remove(ctx context.Context, tx *db.Tx, account, key id.ID) (bool, error) {
	if !key.Valid(id.SSHKey) {
		return false, nil
	}
	n, err := tx.Exec(ctx, `DELETE FROM ssh_key WHERE account_id = $1 AND id = $2`, account, key)
	return n == 1, err
}

func count(ctx context.Context, tx *db.Tx, account id.ID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM ssh_key WHERE account_id = $1`, account).Scan(&n)
	return n, err
}
