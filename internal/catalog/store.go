package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	chunk     = 50    // rows of one statement; SQLite looks up each $n among all others, so many small statements beat one large
	maxPoints = 5_000 // of one price history
)

// errTaken: another provider took the id meanwhile. The sync is run again and then sees it.
var errTaken = errors.New("an offer's id was taken by another provider at the same moment")

func readVersion(ctx context.Context, r db.Reader) (version int64, err error) {
	err = r.QueryRow(ctx, `SELECT version FROM catalog_version WHERE id = 1`).Scan(&version)
	return version, err
}

func raiseVersion(ctx context.Context, tx *db.Tx, changed bool) error {
	if !changed {
		return nil
	}
	// The row stays locked until the commit, so versions are seen in the order of commits.
	_, err := tx.Exec(ctx, `UPDATE catalog_version SET version = version + 1 WHERE id = 1`)
	return err
}

func readHealth(ctx context.Context, r db.Reader) (map[string]Health, error) {
	rows, err := r.Query(ctx, `SELECT provider, last_success_at, last_failure_at, failing_since, last_error, failures FROM catalog_provider`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]Health{}
	for rows.Next() {
		var h Health
		var success, failure, since sql.NullInt64
		if err := rows.Scan(&h.Provider, &success, &failure, &since, &h.LastError, &h.Failures); err != nil {
			return nil, err
		}
		h.LastSuccessAt, h.LastFailureAt, h.FailingSince = db.AtOrNil(success), db.AtOrNil(failure), db.AtOrNil(since)
		out[h.Provider] = h
	}
	return out, rows.Err()
}

// writeSuccess notes the answer that was asked for then. It tells false where a later one is written already.
func writeSuccess(ctx context.Context, tx *db.Tx, slug string, asked time.Time) (newest bool, err error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO catalog_provider (provider, asked_at, last_success_at, last_error) VALUES ($1, $2, $2, '')
		ON CONFLICT (provider) DO UPDATE SET asked_at = excluded.asked_at, last_success_at = excluded.last_success_at, failing_since = NULL, failures = 0,
			last_failure_at = CASE WHEN catalog_provider.last_failure_at < excluded.asked_at THEN catalog_provider.last_failure_at END
		WHERE catalog_provider.asked_at <= excluded.asked_at`, slug, db.Micros(asked))
	return n == 1, err
}

// writeFailure notes that no answer came, and returns what is known of the provider then. It tells false where what was
// asked for later is written already.
func writeFailure(ctx context.Context, tx *db.Tx, slug string, asked time.Time, problem string) (h Health, newest bool, err error) {
	var success, since sql.NullInt64
	err = tx.QueryRow(ctx, `
		INSERT INTO catalog_provider (provider, asked_at, last_failure_at, failing_since, last_error, failures) VALUES ($1, $2, $2, $2, $3, 1)
		ON CONFLICT (provider) DO UPDATE SET asked_at = excluded.asked_at, last_failure_at = excluded.last_failure_at,
			failing_since = COALESCE(catalog_provider.failing_since, excluded.failing_since), last_error = excluded.last_error, failures = catalog_provider.failures + 1
		WHERE catalog_provider.asked_at <= excluded.asked_at
		RETURNING last_success_at, failing_since`, slug, db.Micros(asked), problem).Scan(&success, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return Health{}, false, nil
	}
	at := db.At(db.Micros(asked))
	return Health{Provider: slug, LastSuccessAt: db.AtOrNil(success), LastFailureAt: &at, FailingSince: db.AtOrNil(since), LastError: problem}, true, err
}

// readRecords returns the offers of one provider, or of all ("") ; only those that are not withdrawn, if so wanted.
func readRecords(ctx context.Context, r db.Reader, slug string, listed bool) ([]record, error) {
	query, args := `
		SELECT id, provider, region, offer_key, gpu_type, gpu_count, gpu_memory_gb, vcpus, memory_gb, storage_gb,
			interconnect, instance_type, operating_systems, capabilities, cost_price, hourly_price, available, stock, withdrawn_at,
			region_name, country, minimum_runtime, launch_limit
		FROM catalog_offer WHERE 1 = 1`, []any{}
	if slug != "" {
		query, args = query+` AND provider = $1`, append(args, slug)
	}
	if listed {
		query += ` AND withdrawn_at IS NULL`
	}
	rows, err := r.Query(ctx, query+` ORDER BY id`, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []record
	for rows.Next() {
		var o record
		var capabilities string
		var available int64
		var stock, withdrawn sql.NullInt64
		if err := rows.Scan(&o.id, &o.provider, &o.region, &o.key, &o.gpuType, &o.gpuCount, &o.gpuMemoryGB, &o.vcpus, &o.memoryGB, &o.storageGB,
			&o.interconnect, &o.instanceType, &o.systems, &capabilities, &o.cost, &o.price, &available, &stock, &withdrawn, &o.regionName, &o.country, &o.minimumRuntime, &o.launchLimit); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(capabilities), &o.capabilities); err != nil {
			return nil, fmt.Errorf("offer %s: %w", o.id, err)
		}
		o.available, o.stock, o.withdrawn = available == 1, -1, withdrawn.Valid
		if stock.Valid {
			o.stock = stock.Int64
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

func takenIDs(ctx context.Context, r db.Reader, ids []id.ID) (map[id.ID]bool, error) {
	taken := map[id.ID]bool{}
	for len(ids) > 0 {
		n := min(len(ids), chunk)
		args := make([]any, n)
		for i, v := range ids[:n] {
			args[i] = v
		}
		ids = ids[n:]
		if err := collectIDs(ctx, r, taken, `SELECT id FROM catalog_offer WHERE id IN `+db.In(1, n), args); err != nil {
			return nil, err
		}
	}
	return taken, nil
}

func collectIDs(ctx context.Context, r db.Reader, into map[id.ID]bool, query string, args []any) error {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v id.ID
		if err := rows.Scan(&v); err != nil {
			return err
		}
		into[v] = true
	}
	return rows.Err()
}

// values returns n rows of placeholders: "($1, $2), ($3, $4)".
func values(n, columns int) string {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = db.In(1+i*columns, columns)
	}
	return strings.Join(rows, ", ")
}

func upsertRecords(ctx context.Context, tx *db.Tx, records []record) error {
	const columns = 23
	for len(records) > 0 {
		n := min(len(records), chunk)
		args := make([]any, 0, n*columns)
		for _, o := range records[:n] {
			capabilities, err := json.Marshal(o.capabilities)
			if err != nil {
				return err
			}
			withdrawn := sql.NullInt64{Int64: db.Micros(tx.Now), Valid: o.withdrawn}
			args = append(args, o.id, o.provider, o.region, o.key, o.gpuType, o.gpuCount, o.gpuMemoryGB, o.vcpus, o.memoryGB, o.storageGB,
				o.interconnect, o.instanceType, o.systems, string(capabilities), o.cost, o.price, bit(o.available), stockOrNull(o.stock), withdrawn,
				o.regionName, o.country, o.minimumRuntime, o.launchLimit)
		}
		// A row keeps its place for ever: an id that stands for another one is not overwritten.
		written, err := tx.Exec(ctx, `
			INSERT INTO catalog_offer (id, provider, region, offer_key, gpu_type, gpu_count, gpu_memory_gb, vcpus, memory_gb, storage_gb,
				interconnect, instance_type, operating_systems, capabilities, cost_price, hourly_price, available, stock, withdrawn_at,
				region_name, country, minimum_runtime, launch_limit)
			VALUES `+values(n, columns)+`
			ON CONFLICT (id) DO UPDATE SET gpu_type = excluded.gpu_type, gpu_count = excluded.gpu_count, gpu_memory_gb = excluded.gpu_memory_gb,
				vcpus = excluded.vcpus, memory_gb = excluded.memory_gb, storage_gb = excluded.storage_gb, interconnect = excluded.interconnect,
				instance_type = excluded.instance_type, operating_systems = excluded.operating_systems, capabilities = excluded.capabilities,
				cost_price = excluded.cost_price, hourly_price = excluded.hourly_price, available = excluded.available,
				stock = excluded.stock, withdrawn_at = excluded.withdrawn_at,
				region_name = excluded.region_name, country = excluded.country, minimum_runtime = excluded.minimum_runtime,
				launch_limit = excluded.launch_limit
			WHERE catalog_offer.provider = excluded.provider AND catalog_offer.region = excluded.region AND catalog_offer.offer_key = excluded.offer_key`, args...)
		if err != nil {
			return fmt.Errorf("write offers: %w", err)
		}
		if written != int64(n) {
			return errTaken
		}
		records = records[n:]
	}
	return nil
}

func insertPoints(ctx context.Context, tx *db.Tx, records []record) error {
	const columns = 5
	for len(records) > 0 {
		n := min(len(records), chunk)
		args := make([]any, 0, n*columns)
		for _, o := range records[:n] {
			args = append(args, o.id, db.Micros(tx.Now), o.price, bit(o.available), stockOrNull(o.stock))
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO catalog_price_point (offer_id, at, hourly_price, available, stock) VALUES `+values(n, columns)+`
			ON CONFLICT (offer_id, at) DO UPDATE SET hourly_price = excluded.hourly_price, available = excluded.available, stock = excluded.stock`, args...)
		if err != nil {
			return fmt.Errorf("write price points: %w", err)
		}
		records = records[n:]
	}
	return nil
}

// prunePoints forgets the points before the instant that are no longer in force at it.
func prunePoints(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM catalog_price_point WHERE at < $1 AND EXISTS (
			SELECT 1 FROM catalog_price_point later
			WHERE later.offer_id = catalog_price_point.offer_id AND later.at > catalog_price_point.at AND later.at <= $1)`, db.Micros(before))
	return err
}

func readPoints(ctx context.Context, r db.Reader, offer id.ID, from, to time.Time) ([]PricePoint, error) {
	rows, err := r.Query(ctx, `
		SELECT at, hourly_price, available, stock FROM (
			SELECT at, hourly_price, available, stock FROM catalog_price_point
			WHERE offer_id = $1 AND at < $3
				AND at >= COALESCE((SELECT MAX(at) FROM catalog_price_point WHERE offer_id = $1 AND at <= $2), $2)
			ORDER BY at DESC LIMIT $4) newest
		ORDER BY at`, offer, db.Micros(from), db.Micros(to), maxPoints)
	if err != nil {
		return nil, fmt.Errorf("read price history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := []PricePoint{}
	for rows.Next() {
		var p PricePoint
		var at, available int64
		var stock sql.NullInt64
		if err := rows.Scan(&at, &p.HourlyPrice, &available, &stock); err != nil {
			return nil, err
		}
		p.At, p.Available = db.At(at), available == 1
		if stock.Valid {
			n := int(stock.Int64)
			p.Stock = &n
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

func readVolumePrices(ctx context.Context, r db.Reader) ([]VolumePrice, error) {
	rows, err := r.Query(ctx, `SELECT provider, region, cost_price, per_gb_hour, min_size_gb, max_size_gb FROM catalog_volume_price ORDER BY provider, region`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []VolumePrice
	for rows.Next() {
		var p VolumePrice
		if err := rows.Scan(&p.Provider, &p.Region, &p.CostPrice, &p.PerGBHour, &p.MinSizeGB, &p.MaxSizeGB); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// writeVolumePrices makes these the provider's prices, and tells whether they are others than before.
func writeVolumePrices(ctx context.Context, tx *db.Tx, slug string, prices []VolumePrice) (changed bool, err error) {
	all, err := readVolumePrices(ctx, tx)
	if err != nil {
		return false, err
	}
	before := map[string]VolumePrice{}
	for _, p := range all {
		if p.Provider == slug {
			before[p.Region] = p
		}
	}
	for _, p := range prices {
		old, known := before[p.Region]
		delete(before, p.Region)
		if known && old == p {
			continue
		}
		changed = true
		_, err := tx.Exec(ctx, `
			INSERT INTO catalog_volume_price (provider, region, cost_price, per_gb_hour, min_size_gb, max_size_gb) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (provider, region) DO UPDATE SET cost_price = excluded.cost_price, per_gb_hour = excluded.per_gb_hour,
				min_size_gb = excluded.min_size_gb, max_size_gb = excluded.max_size_gb`,
			slug, p.Region, p.CostPrice, p.PerGBHour, p.MinSizeGB, p.MaxSizeGB)
		if err != nil {
			return false, fmt.Errorf("write volume prices: %w", err)
		}
	}
	for region := range before {
		changed = true
		if _, err := tx.Exec(ctx, `DELETE FROM catalog_volume_price WHERE provider = $1 AND region = $2`, slug, region); err != nil {
			return false, fmt.Errorf("withdraw volume prices: %w", err)
		}
	}
	return changed, nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func stockOrNull(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: n >= 0} }
