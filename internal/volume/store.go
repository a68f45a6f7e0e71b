package volume

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const columns = `id, account_id, name, size_gb, wanted_size_gb, provider, region, per_gb_hour, status, reason, deployment_id, mount_path,
	created_at, status_since, available_at, deleted_at, clean_until, cost_per_gb_hour, create_asked_at, changes`

func scan(row db.Row) (record, error) {
	var r record
	var created, since int64
	var available, deleted, clean, asked sql.NullInt64
	err := row.Scan(&r.id, &r.account, &r.name, &r.sizeGB, &r.wantedGB, &r.provider, &r.region, &r.perGBHour, &r.status, &r.reason, &r.deployment, &r.mountPath,
		&created, &since, &available, &deleted, &clean, &r.costPerGB, &asked, &r.changes)
	r.createdAt, r.since = db.At(created), db.At(since)
	r.availableAt, r.deleted, r.cleanUntil, r.createAsked = db.AtOrNil(available), db.AtOrNil(deleted), db.AtOrNil(clean), db.AtOrNil(asked)
	return r, err
}

// insert tells false, and does nothing, where the account has a volume of that name.
func insert(ctx context.Context, tx *db.Tx, r record) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO volume (`+columns+`, name_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 0, $20)
		ON CONFLICT DO NOTHING`,
		r.id, r.account, r.name, r.sizeGB, r.wantedGB, r.provider, r.region, r.perGBHour, r.status, r.reason, r.deployment, r.mountPath,
		db.Micros(r.createdAt), db.Micros(r.since), db.MicrosOrNull(r.availableAt), db.MicrosOrNull(r.deleted), db.MicrosOrNull(r.cleanUntil), r.costPerGB, db.MicrosOrNull(r.createAsked), strings.ToLower(r.name))
	if err != nil {
		return false, fmt.Errorf("insert volume: %w", err)
	}
	return n == 1, nil
}

func read(ctx context.Context, r db.Reader, volume id.ID) (record, bool, error) {
	out, err := scan(r.QueryRow(ctx, `SELECT `+columns+` FROM volume WHERE id = $1`, volume))
	if errors.Is(err, sql.ErrNoRows) {
		return record{}, false, nil
	}
	return out, err == nil, err
}

// lock returns the row and keeps everybody else from changing it until the transaction ends: on
// PostgreSQL others wait for this UPDATE, on SQLite there are no others.
func lock(ctx context.Context, tx *db.Tx, volume id.ID) (record, bool, error) {
	out, err := scan(tx.QueryRow(ctx, `UPDATE volume SET changes = changes + 1 WHERE id = $1 RETURNING `+columns, volume))
	if errors.Is(err, sql.ErrNoRows) {
		return record{}, false, nil
	}
	return out, err == nil, err
}

// lockOwn is lock for a volume of the account only. Another account's row is never touched, so that not even the wait for
// its lock tells that it exists.
func lockOwn(ctx context.Context, tx *db.Tx, account, volume id.ID) (record, bool, error) {
	out, err := scan(tx.QueryRow(ctx, `UPDATE volume SET changes = changes + 1 WHERE id = $1 AND account_id = $2 RETURNING `+columns, volume, account))
	if errors.Is(err, sql.ErrNoRows) {
		return record{}, false, nil
	}
	return out, err == nil, err
}

// setCreateAsked writes when the provider was asked to create the volume, or nil once it has answered. It tells false, and does nothing, where the
// volume is not being created any more. It counts as no change: nobody else decides by it.
func setCreateAsked(ctx context.Context, tx *db.Tx, volume id.ID, at *time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE volume SET create_asked_at = $2 WHERE id = $1 AND status = 'creating'`, volume, db.MicrosOrNull(at))
	if err != nil {
		return false, fmt.Errorf("note that volume %s was asked for: %w", volume, err)
	}
	return n == 1, nil
}

// setName tells false where another volume of the account has the name. A transaction that is still under way
// may have taken it, so the unique index must decide; the savepoint keeps PostgreSQL from giving up the whole
// transaction when it does.
func setName(ctx context.Context, tx *db.Tx, account, volume id.ID, name string) (bool, error) {
	if _, err := tx.Exec(ctx, `SAVEPOINT rename`); err != nil {
		return false, err
	}
	_, err := tx.Exec(ctx, `UPDATE volume SET name = $3, name_key = $4 WHERE id = $1 AND account_id = $2`, volume, account, name, strings.ToLower(name))
	if err != nil {
		if _, undo := tx.Exec(ctx, `ROLLBACK TO SAVEPOINT rename`); undo != nil {
			return false, err
		}
		other, look := findName(ctx, tx, account, name)
		if look != nil || other == "" {
			return false, err // not the name: whatever the database said
		}
	}
	_, release := tx.Exec(ctx, `RELEASE SAVEPOINT rename`)
	return err == nil, release
}

// save writes what can change of a row that was locked.
func save(ctx context.Context, tx *db.Tx, r record) error {
	n, err := tx.Exec(ctx, `
		UPDATE volume SET name = $2, size_gb = $3, wanted_size_gb = $4, status = $5, reason = $6, deployment_id = $7, mount_path = $8,
			status_since = $9, available_at = $10, deleted_at = $11, clean_until = $12, name_key = $13
		WHERE id = $1`,
		r.id, r.name, r.sizeGB, r.wantedGB, r.status, r.reason, r.deployment, r.mountPath,
		db.Micros(r.since), db.MicrosOrNull(r.availableAt), db.MicrosOrNull(r.deleted), db.MicrosOrNull(r.cleanUntil), strings.ToLower(r.name))
	if err == nil && n != 1 {
		err = errors.New("there is no such row")
	}
	if err != nil {
		return fmt.Errorf("save volume %s: %w", r.id, err)
	}
	return nil
}

func query(ctx context.Context, r db.Reader, rest string, args ...any) ([]record, error) {
	rows, err := r.Query(ctx, `SELECT `+columns+` FROM volume `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read volumes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []record
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, rows.Err()
}

func list(ctx context.Context, r db.Reader, account id.ID, o db.Order, p db.Page) ([]record, db.Listed, error) {
	l := db.List[record]{
		Columns: columns, Table: `volume`, Where: []db.Cond{db.Is(`account_id`, account), {Text: `status <> 'deleted'`}}, Scan: scan,
	}
	l.Order, l.Down = o.Sorting()
	return l.Page(ctx, r, p)
}

func find(ctx context.Context, r db.Reader, account id.ID, ids []id.ID) ([]record, error) {
	args := []any{account}
	for _, v := range ids {
		args = append(args, v)
	}
	return query(ctx, r, `WHERE account_id = $1 AND id IN `+db.In(2, len(ids)), args...)
}

// live returns the volumes that exist or are coming into being, by id.
func live(ctx context.Context, r db.Reader, account id.ID) ([]record, error) {
	return query(ctx, r, `WHERE account_id = $1 AND status NOT IN ('failed', 'deleting', 'deleted') ORDER BY id`, account)
}

// findName returns the volume that has the name, or "".
func findName(ctx context.Context, r db.Reader, account id.ID, name string) (other id.ID, err error) {
	err = r.QueryRow(ctx, `SELECT id FROM volume WHERE account_id = $1 AND name = $2 AND status NOT IN ('failed', 'deleted')`, account, name).Scan(&other)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return other, err
}

func attachedTo(ctx context.Context, r db.Reader, deployments []id.ID) (map[id.ID][]id.ID, error) {
	args := make([]any, len(deployments))
	for i, d := range deployments {
		args[i] = d
	}
	records, err := query(ctx, r, `WHERE deployment_id IN `+db.In(1, len(args))+` AND deployment_id <> '' AND status IN ('attaching', 'attached', 'detaching') ORDER BY id`, args...)
	if err != nil {
		return nil, err
	}
	out := map[id.ID][]id.ID{}
	for _, v := range records {
		out[v.deployment] = append(out[v.deployment], v.id)
	}
	return out, nil
}

// liveAt returns the provider's volumes that exist or are coming into being, or going.
func liveAt(ctx context.Context, r db.Reader, provider string) ([]id.ID, error) {
	rows, err := r.Query(ctx, `SELECT id FROM volume WHERE provider = $1 AND status NOT IN ('failed', 'deleted')`, provider)
	return scanIDs(rows, err)
}

// byID returns those of the volumes that there are, by id.
func byID(ctx context.Context, r db.Reader, volumes []id.ID) (map[id.ID]record, error) {
	const lookedUp = 100
	out := map[id.ID]record{}
	for len(volumes) > 0 {
		chunk := volumes[:min(lookedUp, len(volumes))]
		volumes = volumes[len(chunk):]
		args := make([]any, len(chunk))
		for i, v := range chunk {
			args[i] = v
		}
		found, err := query(ctx, r, `WHERE id IN `+db.In(1, len(args)), args...)
		if err != nil {
			return nil, err
		}
		for _, v := range found {
			out[v.id] = v
		}
	}
	return out, nil
}

// owned is a volume and whose it is.
type owned struct{ id, account id.ID }

// reopen has ended volumes deleted upstream once more, and returns those that there are, in the order of ids.
func reopen(ctx context.Context, tx *db.Tx, provider string, volumes []id.ID) ([]owned, error) {
	if len(volumes) == 0 {
		return nil, nil
	}
	args := []any{db.Micros(tx.Now), provider}
	for _, v := range volumes {
		args = append(args, v)
	}
	rows, err := tx.Query(ctx, `UPDATE volume SET clean_until = $1, changes = changes + 1
		WHERE provider = $2 AND status IN ('failed', 'deleted') AND clean_until IS NULL AND id IN `+db.In(3, len(volumes))+` RETURNING id, account_id`, args...)
	if err != nil {
		return nil, fmt.Errorf("reopen volumes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []owned
	for rows.Next() {
		var v owned
		if err := rows.Scan(&v.id, &v.account); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b owned) int { return cmp.Compare(a.id, b.id) })
	return out, rows.Err()
}

func scanIDs(rows *db.Rows, err error) ([]id.ID, error) {
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []id.ID
	for rows.Next() {
		var v id.ID
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// CountByProvider returns how many volumes there may still be, by provider.
func CountByProvider(ctx context.Context, r db.Reader) (map[string]int, error) {
	return db.Counts(ctx, r, `SELECT provider, COUNT(*) FROM volume WHERE status NOT IN ($1, $2) OR clean_until IS NOT NULL GROUP BY provider`, StatusDeleted, StatusFailed)
}
