package sshkey

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// row is a key with its account.
type row struct {
	Key
	account id.ID
}

var keys = db.NewTable("ssh_key", func(r *row) []db.Column {
	return []db.Column{
		db.Col("id", &r.ID), db.Col("account_id", &r.account), db.Col("name", &r.Name),
		db.Col("public_key", &r.PublicKey),
		db.Col("fingerprint", &r.Fingerprint), db.Col("type", &r.Type), db.Col("created_at", &r.CreatedAt),
		db.Derived("name_key", strings.ToLower(r.Name)),
		db.Col("creator_type", &r.CreatedBy.Type), db.Col("creator_id", &r.CreatedBy.ID),
		db.Col("creator_name", &r.CreatedBy.Name),
	}
})

func scan(r db.Row) (Key, error) {
	v, err := keys.Scan(r)
	return v.Key, err
}

// errNoClash means that the row in the way was deleted meanwhile.
var errNoClash = errors.New("sshkey: the key in the way is gone")

// clash returns the key that has k's fingerprint or, failing that, its name.
func clash(ctx context.Context, r db.Reader, account id.ID, k Key) (Key, error) {
	other, found, err := keys.Find(ctx, r, `WHERE account_id = $1 AND (fingerprint = $2 OR name = $3)
		ORDER BY CASE WHEN fingerprint = $2 THEN 0 ELSE 1 END LIMIT 1`, account, k.Fingerprint, k.Name)
	if err == nil && !found {
		err = errNoClash
	}
	return other.Key, err
}

func list(
	ctx context.Context, r db.Reader, account id.ID, f db.NameFilter, o db.Order, p db.Page,
) ([]Key, db.Listed, error) {
	l := db.List[Key]{Columns: keys.Columns(), Table: `ssh_key`, Scan: scan,
		Where: append([]db.Cond{db.Is(`account_id`, account)}, db.NameIs(f.Name)...), Rest: db.NameOrIDHas(f.Search)}
	l.Order, l.Down = o.Sorting()
	return l.Page(ctx, r, p)
}

// batch keeps the lists of values far below the limits of both engines.
const batch = 500

// byIDs queries valid ids only: another text may contain bytes that PostgreSQL refuses.
func byIDs(ctx context.Context, r db.Reader, account id.ID, ids []id.ID) (map[id.ID]Key, error) {
	valid := slices.DeleteFunc(slices.Clone(ids), func(i id.ID) bool { return !i.Valid(id.SSHKey) })
	found := map[id.ID]Key{}
	err := inBatches(ctx, r, account, "id", db.Args(valid), func(k Key) { found[k.ID] = k })
	return found, err
}

// byID returns a key. In a transaction that writes, its row is locked.
func byID(ctx context.Context, r db.Reader, account, key id.ID) (Key, bool, error) {
	if !key.Valid(id.SSHKey) {
		return Key{}, false, nil
	}
	v, found, err := keys.Find(ctx, r, `WHERE account_id = $1 AND id = $2`+db.ForUpdate(r), account, key)
	return v.Key, found, err
}

func byFingerprints(ctx context.Context, r db.Reader, account id.ID, fingerprints []string) (map[string]Key, error) {
	valid := slices.DeleteFunc(slices.Clone(fingerprints), func(f string) bool { return !isFingerprint(f) })
	found := map[string]Key{}
	err := inBatches(ctx, r, account, "fingerprint", db.Args(valid), func(k Key) { found[k.Fingerprint] = k })
	return found, err
}

func isFingerprint(s string) bool {
	hash, found := strings.CutPrefix(s, "SHA256:")
	return found && len(hash) == 43 && !strings.ContainsFunc(hash, func(r rune) bool { return !isBase64(r) })
}

func inBatches(ctx context.Context, r db.Reader, account id.ID, column string, values []any, found func(Key)) error {
	for some := range slices.Chunk(values, batch) {
		rows, err := keys.Select(ctx, r, `WHERE account_id = $1 AND `+column+` IN `+db.In(2, len(some)),
			append([]any{account}, some...)...)
		if err != nil {
			return err
		}
		for _, v := range rows {
			found(v.Key)
		}
	}
	return nil
}

// insert reports whether it inserted the row; false means that the account has the key or the name.
func insert(ctx context.Context, tx *db.Tx, account id.ID, k Key) (bool, error) {
	n, err := keys.InsertNew(ctx, tx, "", row{k, account})
	return n == 1, err
}

// rename reports whether it renamed the key; false means that the key is gone or another key has
// the name. An unfinished transaction may have taken the name, so the unique index must decide. The
// savepoint keeps PostgreSQL from aborting the whole transaction then.
func rename(ctx context.Context, tx *db.Tx, account, key id.ID, name string) (bool, error) {
	if _, err := tx.Exec(ctx, `SAVEPOINT rename`); err != nil {
		return false, err
	}
	renamed := row{Key: Key{Name: name}}
	n, err := keys.Update(ctx, tx, &renamed, []string{"name", "name_key"}, db.Is("account_id", account),
		db.Is("id", key))
	if err != nil {
		if _, undo := tx.Exec(ctx, `ROLLBACK TO SAVEPOINT rename`); undo != nil {
			return false, err
		}
		if _, other := clash(ctx, tx, account, Key{Name: name}); other != nil {
			return false, err // another error than a taken name
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
	n, err := keys.Delete(ctx, tx, db.Is("account_id", account), db.Is("id", key))
	return n == 1, err
}

func count(ctx context.Context, tx *db.Tx, account id.ID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM ssh_key WHERE account_id = $1`, account).Scan(&n)
	return n, err
}
