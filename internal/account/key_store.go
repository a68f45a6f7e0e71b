package account

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const keyColumns = `id, account_id, name, prefix, scopes, networks, limit_read, limit_write, limit_deploy,
	expires_at, revoked_at, last_used_at, created_at, created_by,
	(SELECT CASE WHEN p.name = '' THEN p.email ELSE p.name END FROM users p WHERE p.id = api_key.created_by), project`

func scanKey(row db.Row) (Key, error) {
	var k Key
	var scopes, networks string
	var read, write, deploy *int
	var user *id.ID
	var name *string
	var project string
	err := row.Scan(&k.ID, &k.Account, &k.Name, &k.Prefix, &scopes, &networks, &read, &write, &deploy,
		&k.ExpiresAt, &k.RevokedAt, &k.LastUsedAt, &k.CreatedAt, &user, &name, &project)
	if err != nil {
		return Key{}, err
	}
	k.CreatedBy = creator.ByOperator
	if user != nil && name != nil {
		k.CreatedBy = creator.Creator{Type: creator.Member, ID: *user, Name: *name}
	}
	if project != "" {
		k.Project = &project
	}
	k.Scopes = append([]Scope{}, scopesOf(scopes)...)
	k.AllowedNetworks = append([]string{}, strings.Fields(networks)...)
	k.Limits = LimitOverrides{read, write, deploy}.limits()
	return k, nil
}

// scopesOf splits a stored list of scopes.
func scopesOf(text string) (scopes []Scope) {
	for _, s := range strings.Fields(text) {
		scopes = append(scopes, Scope(s))
	}
	return scopes
}

// countKeys counts the account's usable keys.
func countKeys(ctx context.Context, tx *db.Tx, account id.ID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM api_key
		WHERE account_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`, account,
		tx.Now).Scan(&n)
	return n, err
}

func insertKey(ctx context.Context, tx *db.Tx, k Key, by *Creator, hash string, o LimitOverrides) error {
	var user *id.ID
	if by != nil {
		user = &by.ID
	}
	project := ""
	if k.Project != nil {
		project = *k.Project
	}
	_, err := tx.Exec(ctx, `INSERT INTO api_key (id, account_id, name, secret_hash, prefix, scopes, networks,
		limit_read, limit_write, limit_deploy, expires_at, created_at, created_by, name_key, project)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		k.ID, k.Account, k.Name, hash, k.Prefix, join(k.Scopes, " "), strings.Join(k.AllowedNetworks, " "),
		o.Read, o.Write, o.Deploy, k.ExpiresAt, k.CreatedAt, user, strings.ToLower(k.Name), project)
	return err
}

func listKeys(
	ctx context.Context, r db.Reader, account id.ID, f db.NameFilter, o db.Order, p db.Page,
) ([]Key, db.Listed, error) {
	l := db.List[Key]{Columns: keyColumns, Table: `api_key`, Scan: scanKey,
		Where: append([]db.Cond{db.Is(`account_id`, account)}, db.NameIs(f.Name)...), Rest: db.NameOrIDHas(f.Search)}
	l.Order, l.Down = o.Sorting()
	return l.Page(ctx, r, p)
}

func keyByID(ctx context.Context, r db.Reader, account, key id.ID) (Key, bool, error) {
	if !key.Valid(id.APIKey) {
		return Key{}, false, nil
	}
	return db.Find(ctx, r, scanKey, `SELECT `+keyColumns+` FROM api_key WHERE account_id = $1 AND id = $2`+
		db.ForUpdate(r), account, key)
}

// keyByHash is the only query for a key without an account: the secret identifies the account.
func keyByHash(ctx context.Context, r db.Reader, hash string) (Key, bool, error) {
	return db.Find(ctx, r, scanKey, `SELECT `+keyColumns+` FROM api_key WHERE secret_hash = $1`, hash)
}

// keysByHashes is keyByHash for many keys, by hash.
func keysByHashes(ctx context.Context, r db.Reader, hashes []string) (map[string]Key, error) {
	scan := func(row db.Row) (hash string, k Key, err error) {
		k, err = scanKey(withHash{row, &hash})
		return hash, k, err
	}
	return db.CollectMap(ctx, r, scan,
		`SELECT `+keyColumns+`, secret_hash FROM api_key WHERE secret_hash IN `+db.In(1,
			len(hashes)), db.Args(hashes)...)
}

// withHash is a row of keyColumns and the hash.
type withHash struct {
	row  db.Row
	hash *string
}

// Scan reads the hash in addition to dest.
func (w withHash) Scan(dest ...any) error { return w.row.Scan(append(dest, w.hash)...) }

// updateKey changes only the given columns, so that concurrent updates of different ones lose
// nothing. It does not change a revoked key.
func updateKey(ctx context.Context, tx *db.Tx, account, key id.ID, u KeyUpdate) (Key, bool, error) {
	if !key.Valid(id.APIKey) {
		return Key{}, false, nil
	}
	var nameKey, scopes, networks *string
	if u.Name != nil {
		nameKey = new(strings.ToLower(*u.Name))
	}
	if u.Scopes != nil {
		scopes = new(join(*u.Scopes, " "))
	}
	if u.AllowedNetworks != nil {
		networks = new(strings.Join(*u.AllowedNetworks, " "))
	}
	return db.Find(ctx, tx, scanKey, `UPDATE api_key SET name = COALESCE($3, name), scopes = COALESCE($4, scopes),
		networks = COALESCE($5, networks),
			expires_at = CASE WHEN CAST($6 AS BIGINT) = 1 THEN CAST($7 AS BIGINT) ELSE expires_at END,
		name_key = COALESCE($8, name_key)
		WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL RETURNING `+keyColumns,
		account, key, u.Name, scopes, networks, u.SetExpiry, u.ExpiresAt, nameKey)
}

func revokeKey(ctx context.Context, tx *db.Tx, account, key id.ID) (Key, bool, error) {
	if !key.Valid(id.APIKey) {
		return Key{}, false, nil
	}
	return db.Find(ctx, tx, scanKey, `UPDATE api_key SET revoked_at = COALESCE(revoked_at, $3)
		WHERE account_id = $1 AND id = $2
		RETURNING `+keyColumns, account, key, tx.Now)
}

func setLimits(ctx context.Context, tx *db.Tx, account, key id.ID, o LimitOverrides) (Key, bool, error) {
	if !key.Valid(id.APIKey) {
		return Key{}, false, nil
	}
	return db.Find(ctx, tx, scanKey, `UPDATE api_key SET limit_read = $3, limit_write = $4, limit_deploy = $5
		WHERE account_id = $1 AND id = $2 RETURNING `+keyColumns, account, key, o.Read, o.Write, o.Deploy)
}

// touchKeys updates in the order of ids, so that two replicas that flush concurrently cannot
// deadlock.
func touchKeys(ctx context.Context, tx *db.Tx, used map[id.ID]time.Time) error {
	for _, key := range slices.Sorted(maps.Keys(used)) {
		if _,
			err := tx.Exec(ctx,
			`UPDATE api_key SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`,
			used[key], key); err != nil {
			return err
		}
	}
	return nil
}
