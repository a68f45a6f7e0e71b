package catalog

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pricerule"
)

const maxPoints = 5_000 // of one price history

// errTaken is returned when another provider took an offer's ID at the same time. The sync is run
// again and then sees it.
var errTaken = errors.New("another provider took an offer's ID at the same time")

var (
	healths      = db.NewTable("catalog_provider", (*healthRow).columns)
	offers       = db.NewTable("catalog_offer", (*record).columns)
	points       = db.NewTable("catalog_price_point", (*point).columns)
	volumePrices = db.NewTable("catalog_volume_price", (*volumePriceRow).columns)
)

type healthRow struct{ Health }

func (h *healthRow) columns() []db.Column {
	return []db.Column{
		db.Col("provider", &h.Provider),
		db.Col("last_success_at", &h.LastSuccessAt),
		db.Col("last_failure_at", &h.LastFailureAt),
		db.Col("failing_since", &h.FailingSince),
		db.Col("last_error", &h.LastError),
		db.Col("failures", &h.Failures),
	}
}

func (r *record) columns() []db.Column {
	return []db.Column{
		db.Col("id", &r.id),
		db.Col("provider", &r.provider),
		db.Col("region", &r.region),
		db.Col("offer_key", &r.key),
		db.Col("gpu_type", &r.gpuType),
		db.Col("gpu_count", &r.gpuCount),
		db.Col("gpu_memory_gb", &r.gpuMemoryGB),
		db.Col("vcpus", &r.vcpus),
		db.Col("memory_gb", &r.memoryGB),
		db.Col("storage_gb", &r.storageGB),
		db.Col("interconnect", &r.interconnect),
		db.Col("instance_type", &r.instanceType),
		db.Col("operating_systems", &r.systems),
		db.Col("capabilities", db.SharedJSON(&r.capabilities)),
		db.Col("cost_price", &r.cost),
		db.Col("hourly_price", &r.price),
		db.Col("available", &r.available),
		db.Col("stock", &r.stock),
		db.Col("withdrawn", &r.withdrawn),
		db.Col("region_name", &r.regionName),
		db.Col("country", &r.country),
		db.Col("minimum_runtime", &r.minimumRuntime),
		db.Col("launch_limit", &r.launchLimit),
		db.Col("trusted_only", &r.trustedOnly),
	}
}

// stock is how many of an offer there are, unknown where the provider does not publish it.
type stock int64

const unknownStock stock = -1

// Value gives the database an unknown stock as NULL.
func (s stock) Value() (driver.Value, error) {
	if s == unknownStock {
		return nil, nil
	}
	return int64(s), nil
}

// Scan reads the stock from the database.
func (s *stock) Scan(src any) error {
	switch n := src.(type) {
	case nil:
		*s = unknownStock
	case int64:
		*s = stock(n)
	default:
		return fmt.Errorf("a stock must be an integer, not %T", src)
	}
	return nil
}

type point struct {
	offer id.ID
	PricePoint
}

func (p *point) columns() []db.Column {
	return []db.Column{
		db.Col("offer_id", &p.offer),
		db.Col("at", &p.At),
		db.Col("hourly_price", &p.HourlyPrice),
		db.Col("available", &p.Available),
		db.Col("stock", &p.Stock),
		db.Col("cost_price", &p.cost),
	}
}

type volumePriceRow VolumePrice

func (p *volumePriceRow) columns() []db.Column {
	return []db.Column{
		db.Col("provider", &p.Provider),
		db.Col("region", &p.Region),
		db.Col("cost_price", &p.CostPrice),
		db.Col("per_gb_hour", &p.PerGBHour),
		db.Col("min_size_gb", &p.MinSizeGB),
		db.Col("max_size_gb", &p.MaxSizeGB),
	}
}

func readVersion(ctx context.Context, r db.Reader) (version int64, err error) {
	err = r.QueryRow(ctx, `SELECT version FROM catalog_version WHERE id = 1`).Scan(&version)
	return version, err
}

func raiseVersion(ctx context.Context, tx *db.Tx, changed bool) error {
	if !changed {
		return nil
	}
	// The row stays locked until the commit, so versions become visible in the order of commits.
	_, err := tx.Exec(ctx, `UPDATE catalog_version SET version = version + 1 WHERE id = 1`)
	return err
}

func readHealth(ctx context.Context, r db.Reader) (map[string]Health, error) {
	all, err := healths.Select(ctx, r, ``)
	out := make(map[string]Health, len(all))
	for _, h := range all {
		out[h.Provider] = h.Health
	}
	return out, err
}

// writeSuccess records an answer to a request that was sent at asked. newest is false if a later
// one is recorded already.
func writeSuccess(ctx context.Context, tx *db.Tx, slug string, asked time.Time) (newest bool, err error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO catalog_provider (provider, asked_at, last_success_at, last_error) VALUES ($1, $2, $2, '')
		ON CONFLICT (provider) DO UPDATE SET asked_at = excluded.asked_at, last_success_at = excluded.last_success_at,
			failing_since = NULL, failures = 0, last_failure_at = CASE
				WHEN catalog_provider.last_failure_at < excluded.asked_at THEN catalog_provider.last_failure_at END
		WHERE catalog_provider.asked_at <= excluded.asked_at`, slug, asked)
	return n == 1, err
}

// writeFailure records a request that failed, and returns the provider's health after it. newest is
// false if a later request is recorded already.
func writeFailure(
	ctx context.Context, tx *db.Tx, slug string, asked time.Time, problem string,
) (h Health, newest bool, err error) {
	row, newest, err := db.Find(ctx, tx, healths.Scan, `
		INSERT INTO catalog_provider (provider, asked_at, last_failure_at, failing_since, last_error, failures)
		VALUES ($1, $2, $2, $2, $3, 1)
		ON CONFLICT (provider) DO UPDATE SET asked_at = excluded.asked_at, last_failure_at = excluded.last_failure_at,
			failing_since = COALESCE(catalog_provider.failing_since, excluded.failing_since),
				last_error = excluded.last_error,
			failures = catalog_provider.failures + 1
		WHERE catalog_provider.asked_at <= excluded.asked_at
		RETURNING `+healths.Columns(), slug, asked, problem)
	return row.Health, newest, err
}

// writeKnown records that a server knows the provider and will ask it.
func writeKnown(ctx context.Context, tx *db.Tx, slug string) error {
	_, err := tx.Exec(ctx, `INSERT INTO catalog_provider (provider, asked_at, last_error) VALUES ($1, $2, '')
		ON CONFLICT (provider) DO NOTHING`, slug, tx.Now)
	return err
}

// deleteKnown deletes what writeKnown and the syncs recorded.
func deleteKnown(ctx context.Context, tx *db.Tx, slug string) error {
	_, err := tx.Exec(ctx, `DELETE FROM catalog_provider WHERE provider = $1`, slug)
	return err
}

// readAsked returns when the provider was last asked, or became known.
func readAsked(ctx context.Context, r db.Reader, slug string) (time.Time, bool, error) {
	return db.Find(ctx, r, db.Value[time.Time], `SELECT asked_at FROM catalog_provider WHERE provider = $1`, slug)
}

// readRecords returns the offers of one provider, also the withdrawn ones.
func readRecords(ctx context.Context, r db.Reader, slug string) ([]record, error) {
	return offers.Select(ctx, r, `WHERE provider = $1 ORDER BY id`, slug)
}

// readListed returns all offers that are not withdrawn.
func readListed(ctx context.Context, r db.Reader) ([]record, error) {
	return offers.Select(ctx, r, `WHERE withdrawn = 0 ORDER BY id`)
}

// offerKind is what price rules match of some offers.
type offerKind struct {
	pricerule.Offer
	withdrawn bool
}

// readKinds returns the distinct kinds of all offers, also of the withdrawn ones.
func readKinds(ctx context.Context, r db.Reader) ([]offerKind, error) {
	return db.Collect(ctx, r, func(row db.Row) (k offerKind, err error) {
		err = row.Scan(&k.Provider, &k.Region, &k.GPUType, &k.withdrawn)
		return k, err
	}, `SELECT DISTINCT provider, region, gpu_type, withdrawn FROM catalog_offer`)
}

// readPlaces returns every provider and region that has, or had, an offer.
func readPlaces(ctx context.Context, r db.Reader) ([]regionKey, error) {
	return db.Collect(ctx, r, func(row db.Row) (k regionKey, err error) {
		err = row.Scan(&k.provider, &k.region)
		return k, err
	}, `SELECT DISTINCT provider, region FROM catalog_offer`)
}

func takenIDs(ctx context.Context, r db.Reader, ids []id.ID) (map[id.ID]bool, error) {
	taken := map[id.ID]bool{}
	for chunk := range slices.Chunk(ids, db.ChunkRows) {
		some, err := db.Collect(ctx, r, db.Value[id.ID], `SELECT id FROM catalog_offer
			WHERE id IN `+db.In(1, len(chunk)),
			db.Args(chunk)...)
		if err != nil {
			return nil, err
		}
		for _, v := range some {
			taken[v] = true
		}
	}
	return taken, nil
}

func readRecord(ctx context.Context, r db.Reader, offer id.ID) (record, bool, error) {
	return offers.Find(ctx, r, `WHERE id = $1`, offer)
}

func upsertRecords(ctx context.Context, tx *db.Tx, records []record) error {
	// An ID never moves: one that belongs to another offer is not overwritten.
	written, err := offers.PutWhere(ctx, tx, []string{"id"}, `catalog_offer.provider = excluded.provider AND
		catalog_offer.region = excluded.region AND catalog_offer.offer_key = excluded.offer_key`, records...)
	if err != nil {
		return fmt.Errorf("write offers: %w", err)
	}
	if written != int64(len(records)) {
		return errTaken
	}
	return nil
}

func insertPoints(ctx context.Context, tx *db.Tx, records []record) error {
	all := make([]point, len(records))
	for i, r := range records {
		o := r.offer()
		all[i] = point{r.id, PricePoint{
			At: tx.Now, HourlyPrice: money.Micros(r.price), Available: o.Available, Stock: o.Stock, cost: o.CostPrice,
		}}
	}
	return points.Put(ctx, tx, []string{"offer_id", "at"}, all...)
}

// prunePoints deletes the points before the instant except those that are in force at it.
func prunePoints(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM catalog_price_point WHERE at < $1 AND EXISTS (
			SELECT 1 FROM catalog_price_point later
			WHERE later.offer_id = catalog_price_point.offer_id AND later.at > catalog_price_point.at
				AND later.at <= $1)`, before)
	return err
}

func readPoints(ctx context.Context, r db.Reader, offer id.ID, from, to time.Time) ([]PricePoint, error) {
	all, err := db.Collect(ctx, r, points.Scan, `
		SELECT `+points.Columns()+` FROM (
			SELECT `+points.Columns()+` FROM catalog_price_point
			WHERE offer_id = $1 AND at < $3
				AND at >= COALESCE((SELECT MAX(at) FROM catalog_price_point WHERE offer_id = $1 AND at <= $2), $2)
			ORDER BY at DESC LIMIT $4) newest
		ORDER BY at`, offer, from, to, maxPoints)
	if err != nil {
		return nil, fmt.Errorf("read price history: %w", err)
	}
	out := make([]PricePoint, len(all))
	for i, p := range all {
		out[i] = p.PricePoint
	}
	return out, nil
}

func readVolumePrices(ctx context.Context, r db.Reader) ([]VolumePrice, error) {
	all, err := volumePrices.Select(ctx, r, `ORDER BY provider, region`)
	out := make([]VolumePrice, len(all))
	for i, p := range all {
		out[i] = VolumePrice(p)
	}
	return out, err
}

// writeVolumePrices makes these the provider's prices, and reports whether they changed.
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
		changed, p.Provider = true, slug
		if err := volumePrices.Put(ctx, tx, []string{"provider", "region"}, volumePriceRow(p)); err != nil {
			return false, fmt.Errorf("write volume prices: %w", err)
		}
	}
	for region := range before {
		changed = true
		if _, err := volumePrices.Delete(ctx, tx, db.Is("provider", slug), db.Is("region", region)); err != nil {
			return false, fmt.Errorf("withdraw volume prices: %w", err)
		}
	}
	return changed, nil
}
