package volume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// queryChunk is how many volumes one query names.
const queryChunk = 100

var volumes = db.NewTable("volume", func(r *record) []db.Column {
	return []db.Column{
		db.Col("id", &r.id),
		db.Col("account_id", &r.account),
		db.Col("name", &r.name),
		db.Derived("name_key", strings.ToLower(r.name)),
		db.Col("size_gb", &r.sizeGB),
		db.Col("wanted_size_gb", &r.wantedSizeGB),
		db.Col("provider", &r.provider),
		db.Col("region", &r.region),
		db.Col("hourly_price_per_gb", &r.hourlyPricePerGB),
		db.Col("hourly_cost_per_gb", &r.hourlyCostPerGB),
		db.Col("status", &r.status),
		db.Col("reason", &r.reason),
		db.Col("deployment_id", &r.deployment),
		db.Col("mount_path", &r.mountPath),
		db.Col("created_at", &r.createdAt),
		db.Col("status_since", &r.statusSince),
		db.Col("available_at", &r.availableAt),
		db.Col("deleted_at", &r.deletedAt),
		db.Col("clean_until", &r.cleanUntil),
		db.Col("create_asked_at", &r.createAskedAt),
		db.Col("project", &r.project),
		db.Col("creator_type", &r.createdBy.Type),
		db.Col("creator_id", &r.createdBy.ID),
		db.Col("creator_name", &r.createdBy.Name),
		db.Col("changes", &r.changes),
	}
})

// savedColumns are what a change can write of a row that was locked.
var savedColumns = []string{
	"name", "name_key", "project", "size_gb", "wanted_size_gb", "status", "reason", "deployment_id", "mount_path",
	"status_since", "available_at", "deleted_at", "clean_until",
}

// insert returns false, and does nothing, if the account has a volume of that name.
func insert(ctx context.Context, tx *db.Tx, r record) (bool, error) {
	n, err := volumes.InsertNew(ctx, tx, "", r)
	return n == 1, err
}

func read(ctx context.Context, r db.Reader, volume id.ID) (record, bool, error) {
	return volumes.Find(ctx, r, `WHERE id = $1`, volume)
}

// lock returns the row and keeps others from changing it until the transaction ends: on PostgreSQL
// they wait for this UPDATE, on SQLite there are none.
func lock(ctx context.Context, tx *db.Tx, volume id.ID) (record, bool, error) {
	return db.Find(ctx, tx, volumes.Scan,
		`UPDATE volume SET changes = changes + 1 WHERE id = $1 RETURNING `+volumes.Columns(), volume)
}

// lockOwn is lock for a volume of the account only. Another account's row is never touched, so that
// not even the wait for its lock reveals that it exists.
func lockOwn(ctx context.Context, tx *db.Tx, account, volume id.ID) (record, bool, error) {
	return db.Find(ctx, tx, volumes.Scan,
		`UPDATE volume SET changes = changes + 1 WHERE id = $1 AND account_id = $2 RETURNING `+volumes.Columns(),
		volume, account)
}

// setCreateAsked writes when the provider was asked to create the volume, or nil once it has
// answered. It returns false, and does nothing, if the volume is not being created any more. It
// counts as no change: nothing else depends on it.
func setCreateAsked(ctx context.Context, tx *db.Tx, r *record, at *time.Time) (bool, error) {
	r.createAskedAt = at
	n, err := volumes.Update(ctx, tx, r, []string{"create_asked_at"},
		db.Is("id", r.id), db.Is("status", StatusCreating))
	return n == 1, err
}

// setName returns false if another volume of the account has the name. A transaction that has not
// committed may have taken it, so the unique index must decide. The savepoint keeps PostgreSQL from
// aborting the whole transaction when it does.
func setName(ctx context.Context, tx *db.Tx, account, volume id.ID, name string) (bool, error) {
	if _, err := tx.Exec(ctx, `SAVEPOINT rename`); err != nil {
		return false, err
	}
	_, err := tx.Exec(ctx, `UPDATE volume SET name = $3, name_key = $4 WHERE id = $1 AND account_id = $2`,
		volume, account, name, strings.ToLower(name))
	if err != nil {
		if _, undo := tx.Exec(ctx, `ROLLBACK TO SAVEPOINT rename`); undo != nil {
			return false, err
		}
		other, find := findName(ctx, tx, account, name)
		if find != nil || other == "" {
			return false, err // not because of the name
		}
	}
	_, release := tx.Exec(ctx, `RELEASE SAVEPOINT rename`)
	return err == nil, release
}

// save writes what can change of a row that was locked.
func save(ctx context.Context, tx *db.Tx, r *record) error {
	n, err := volumes.Update(ctx, tx, r, savedColumns, db.Is("id", r.id))
	if err == nil && n != 1 {
		err = errors.New("there is no such row")
	}
	if err != nil {
		return fmt.Errorf("save volume %s: %w", r.id, err)
	}
	return nil
}

func list(
	ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page,
) ([]record, db.Listed, error) {
	l := volumes.List(db.Is(`account_id`, account), db.Cond{Text: `status <> 'deleted'`})
	l.Where = append(l.Where, db.NameIs(f.Name)...)
	if f.Project != "" {
		l.Where = append(l.Where, db.Is(`project`, f.Project))
	}
	if f.CreatedBy != "" {
		l.Where = append(l.Where, db.Is(`creator_id`, f.CreatedBy))
	}
	l.Rest = db.NameOrIDHas(f.Search)
	l.Order, l.Down = f.Order.Sorting()
	return l.Page(ctx, r, p)
}

// isIn reports whether the account has the volume in the project.
func isIn(ctx context.Context, r db.Reader, account, volume id.ID, project string) (is bool, err error) {
	err = r.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM volume WHERE id = $1 AND account_id = $2 AND project = $3)`,
		volume, account, project).Scan(&is)
	return is, err
}

func find(ctx context.Context, r db.Reader, account id.ID, project string, ids []id.ID) ([]record, error) {
	found, err := findAll(ctx, r, account, ids)
	return slices.DeleteFunc(found, func(v record) bool { return project != "" && v.project != project }), err
}

func findAll(ctx context.Context, r db.Reader, account id.ID, ids []id.ID) ([]record, error) {
	return volumes.Select(ctx, r, `WHERE account_id = $1 AND id IN `+db.In(2, len(ids)),
		append([]any{account}, db.Args(ids)...)...)
}

// findOne is find for one volume. In a transaction that writes, its row is locked.
func findOne(ctx context.Context, r db.Reader, account, volume id.ID) (record, bool, error) {
	return volumes.Find(ctx, r, `WHERE account_id = $1 AND id = $2`+db.ForUpdate(r), account, volume)
}

// live returns the account's volumes that exist or are being created, by id.
func live(ctx context.Context, r db.Reader, account id.ID) ([]record, error) {
	return volumes.Select(
		ctx,
		r,
		`WHERE account_id = $1 AND status NOT IN ('failed', 'deleting', 'deleted') ORDER BY id`,
		account,
	)
}

// usage counts the account's volumes that exist or are being created, with their size in GB and
// what an hour of their growth will cost.
func usage(ctx context.Context, r db.Reader, account id.ID) (n, sizeGB int64, growth money.Micros, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(wanted_size_gb), 0) AS BIGINT),
			CAST(COALESCE(SUM((wanted_size_gb - size_gb) * hourly_price_per_gb), 0) AS BIGINT)
		FROM volume WHERE account_id = $1 AND status <> 'deleted' AND status NOT IN ('failed', 'deleting')`,
		account).Scan(&n, &sizeGB, &growth)
	return n, sizeGB, growth, err
}

// findName returns the volume that has the name, or "".
func findName(ctx context.Context, r db.Reader, account id.ID, name string) (id.ID, error) {
	other, _, err := db.Find(
		ctx,
		r,
		db.Value[id.ID],
		`SELECT id FROM volume WHERE account_id = $1 AND name = $2 AND status NOT IN ('failed', 'deleted')`,
		account,
		name,
	)
	return other, err
}

func attachedTo(ctx context.Context, r db.Reader, deployments []id.ID) (map[id.ID][]id.ID, error) {
	records, err := volumes.Select(ctx, r, `WHERE deployment_id IN `+db.In(1, len(deployments))+`
		AND deployment_id <> '' AND status IN ('attaching', 'attached', 'detaching') ORDER BY id`,
		db.Args(deployments)...)
	if err != nil {
		return nil, err
	}
	out := map[id.ID][]id.ID{}
	for _, v := range records {
		out[v.deployment] = append(out[v.deployment], v.id)
	}
	return out, nil
}

// liveAt returns the provider's volumes that exist, or are being created or deleted.
func liveAt(ctx context.Context, r db.Reader, provider string) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID],
		`SELECT id FROM volume WHERE provider = $1 AND status NOT IN ('failed', 'deleted')`, provider)
}

// byID returns those of the volumes that exist, by id.
func byID(ctx context.Context, r db.Reader, ids []id.ID) (map[id.ID]record, error) {
	out := map[id.ID]record{}
	for chunk := range slices.Chunk(ids, queryChunk) {
		found, err := volumes.Select(ctx, r, `WHERE id IN `+db.In(1, len(chunk)), db.Args(chunk)...)
		if err != nil {
			return nil, err
		}
		for _, v := range found {
			out[v.id] = v
		}
	}
	return out, nil
}

// owned is a volume and its account.
type owned struct{ id, account id.ID }

// reopen has ended volumes deleted upstream once more, and returns those that exist, by id.
func reopen(ctx context.Context, tx *db.Tx, provider string, ids []id.ID) ([]owned, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := db.Collect(ctx, tx, func(row db.Row) (v owned, err error) {
		err = row.Scan(&v.id, &v.account)
		return v, err
	}, `UPDATE volume SET clean_until = $1, changes = changes + 1
		WHERE provider = $2 AND status IN ('failed', 'deleted') AND clean_until IS NULL
			AND id IN `+db.In(3, len(ids))+` RETURNING id, account_id`,
		append([]any{tx.Now, provider}, db.Args(ids)...)...)
	slices.SortFunc(out, func(a, b owned) int { return cmp.Compare(a.id, b.id) })
	return out, err
}

// existingAt returns the provider's volumes that may still exist.
func existingAt(ctx context.Context, r db.Reader, provider string) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID], `SELECT id FROM volume
		WHERE provider = $1 AND (status NOT IN ('failed', 'deleted') OR clean_until IS NOT NULL)`, provider)
}

// CountByProvider returns how many volumes may still exist, by provider.
func CountByProvider(ctx context.Context, r db.Reader) (map[string]int, error) {
	return db.Counts(ctx, r, `SELECT provider, COUNT(*) FROM volume
		WHERE status NOT IN ('failed', 'deleted') OR clean_until IS NOT NULL GROUP BY provider`)
}
