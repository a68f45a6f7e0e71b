package account

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const keyColumns = `id, account_id, name, prefix, scopes, networks, limit_read, limit_write, limit_deploy,
	expires_at, revoked_at, last_used_at, created_at, created_by, (SELECT p.email FROM users p WHERE p.id = api_key.created_by)`

func scanKey(row scanner) (Key, error) {
	var k Key
	var scopes, networks string
	var read, write, deploy, expires, revoked, used sql.NullInt64
	var created int64
	var creator, email sql.NullString
	err := row.Scan(&k.ID, &k.Account, &k.Name, &k.Prefix, &scopes, &networks, &read, &write, &deploy, &expires, &revoked, &used, &created, &creator, &email)
	if err != nil {
		return Key{}, err
	}
	if creator.Valid {
		k.CreatedBy = &Creator{id.ID(creator.String), email.String}
	}
	k.Scopes = []Scope{}
	for _, s := range strings.Fields(scopes) {
		k.Scopes = append(k.Scopes, Scope(s))
	}
	k.AllowedNetworks = append([]string{}, strings.Fields(networks)...)
	limit := func(stored sql.NullInt64, standard int) int {
		if stored.Valid {
			return int(stored.Int64)
		}
		return standard
	}
	k.Limits = Limits{limit(read, DefaultLimits.Read), limit(write, DefaultLimits.Write), limit(deploy, DefaultLimits.Deploy)}
	k.ExpiresAt, k.RevokedAt, k.LastUsedAt, k.CreatedAt = db.AtOrNil(expires), db.AtOrNil(revoked), db.AtOrNil(used), db.At(created)
	return k, nil
}

// countKeys counts the account's keys that can still be used.
func countKeys(ctx context.Context, tx *db.Tx, account id.ID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM api_key WHERE account_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`,
		account, db.Micros(tx.Now)).Scan(&n)
	return n, err
}

func orNull(n *int) sql.NullInt64 {
	if n == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(*n), Valid: true}
}

func insertKey(ctx context.Context, tx *db.Tx, k Key, hash string, o LimitOverrides) error {
	var creator sql.NullString
	if k.CreatedBy != nil {
		creator = sql.NullString{String: string(k.CreatedBy.ID), Valid: true}
	}
	_, err := tx.Exec(ctx, `INSERT INTO api_key (id, account_id, name, secret_hash, prefix, scopes, networks,
		limit_read, limit_write, limit_deploy, expires_at, revoked_at, last_used_at, created_at, created_by, name_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, NULL, $12, $13, $14)`,
		k.ID, k.Account, k.Name, hash, k.Prefix, join(k.Scopes, " "), strings.Join(k.AllowedNetworks, " "),
		orNull(o.Read), orNull(o.Write), orNull(o.Deploy), db.MicrosOrNull(k.ExpiresAt), db.Micros(k.CreatedAt), creator, strings.ToLower(k.Name))
	return err
}

func listKeys(ctx context.Context, r db.Reader, account id.ID, o db.Order, p db.Page) ([]Key, db.Listed, error) {
	l := db.List[Key]{Columns: keyColumns, Table: `api_key`, Where: []db.Cond{db.Is(`account_id`, account)}, Scan: scanKey}
	l.Order, l.Down = o.Sorting()
	return l.Page(ctx, r, p)
}

func keyByID(ctx context.Context, r db.Reader, account, key id.ID) (Key, bool, error) {
	if !key.Valid(id.APIKey) {
		return Key{}, false, nil
	}
	return one(scanKey(r.QueryRow(ctx, `SELECT `+keyColumns+` FROM api_key WHERE account_id = $1 AND id = $2`, account, key)))
}

// keyByHash is the one query for a key that knows no account: the secret is what tells the account.
func keyByHash(ctx context.Context, r db.Reader, hash string) (Key, bool, error) {
	return one(scanKey(r.QueryRow(ctx, `SELECT `+keyColumns+` FROM api_key WHERE secret_hash = $1`, hash)))
}

// keysByHashes is keyByHash for many, by hash.
func keysByHashes(ctx context.Context, r db.Reader, hashes []string) (map[string]Key, error) {
	args := make([]any, len(hashes))
	for i, h := range hashes {
		args[i] = h
	}
	rows, err := r.Query(ctx, `SELECT `+keyColumns+`, secret_hash FROM api_key WHERE secret_hash IN `+db.In(1, len(args)), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]Key{}
	for rows.Next() {
		var hash string
		k, err := scanKey(behind{rows, &hash})
		if err != nil {
			return nil, err
		}
		out[hash] = k
	}
	return out, rows.Err()
}

// behind is a row with one column more.
type behind struct {
	row  scanner
	last any
}

// Scan reads that one, too.
func (b behind) Scan(dest ...any) error { return b.row.Scan(append(dest, b.last)...) }

// updateKey changes only the columns that are given, so that two updates of different ones lose
// nothing; it changes no revoked key.
func updateKey(ctx context.Context, tx *db.Tx, account, key id.ID, u KeyUpdate) (Key, bool, error) {
	if !key.Valid(id.APIKey) {
		return Key{}, false, nil
	}
	var name, nameKey, scopes, networks sql.NullString
	if u.Name != nil {
		name = sql.NullString{String: *u.Name, Valid: true}
		nameKey = sql.NullString{String: strings.ToLower(*u.Name), Valid: true}
	}
	if u.Scopes != nil {
		scopes = sql.NullString{String: join(*u.Scopes, " "), Valid: true}
	}
	if u.AllowedNetworks != nil {
		networks = sql.NullString{String: strings.Join(*u.AllowedNetworks, " "), Valid: true}
	}
	var setExpiry int64
	if u.SetExpiry {
		setExpiry = 1
	}
	return one(scanKey(tx.QueryRow(ctx, `UPDATE api_key SET name = COALESCE($3, name), scopes = COALESCE($4, scopes),
		networks = COALESCE($5, networks), expires_at = CASE WHEN CAST($6 AS BIGINT) = 1 THEN CAST($7 AS BIGINT) ELSE expires_at END,
		name_key = COALESCE($8, name_key)
		WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL RETURNING `+keyColumns,
		account, key, name, scopes, networks, setExpiry, db.MicrosOrNull(u.ExpiresAt), nameKey)))
}

func revokeKey(ctx context.Context, tx *db.Tx, account, key id.ID) (Key, bool, error) {
	if !key.Valid(id.APIKey) {
		return Key{}, false, nil
	}
	return one(scanKey(tx.QueryRow(ctx, `UPDATE api_key SET revoked_at = COALESCE(revoked_at, $3) WHERE account_id = $1 AND id = $2
		RETURNING `+keyColumns, account, key, db.Micros(tx.Now))))
}

func setLimits(ctx context.Context, tx *db.Tx, account, key id.ID, o LimitOverrides) (Key, bool, error) {
	if !key.Valid(id.APIKey) {
		return Key{}, false, nil
	}
	return one(scanKey(tx.QueryRow(ctx, `UPDATE api_key SET limit_read = $3, limit_write = $4, limit_deploy = $5
		WHERE account_id = $1 AND id = $2 RETURNING `+keyColumns, account, key, orNull(o.Read), orNull(o.Write), orNull(o.Deploy))))
}

// touchKeys goes by id, so that two replicas that flush at once cannot each wait for the other.
func touchKeys(ctx context.Context, tx *db.Tx, used map[id.ID]time.Time) error {
	for _, key := range slices.Sorted(maps.Keys(used)) {
		if _, err := tx.Exec(ctx, `UPDATE api_key SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`,
			db.Micros(used[key]), key); err != nil {
			return err
		}
	}
	return nil
}
