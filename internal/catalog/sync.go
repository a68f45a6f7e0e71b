package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/provider"
)

// KindSync is the job that asks one provider. Its subject is "provider/<slug>".
const KindSync job.Kind = "catalog.sync"

const (
	unavailableAfter = 3  // times SyncEvery without an answer
	withdrawnAfter   = 15 // times SyncEvery without an answer
	day              = 24 * time.Hour
	keepPoints       = 90 * day
)

// Sync asks one provider for its offers and volume prices and stores what has changed. The provider
// is called outside any transaction. A provider that does not answer is no error of the job: the
// failure is recorded, and the sync repeats.
func (c *Catalog) Sync(ctx context.Context, subject id.ID) (job.Outcome, error) {
	slug, _ := strings.CutPrefix(string(subject), "provider/")
	p, found := c.cfg.Providers.Get(slug)
	if !found {
		return c.Unknown(ctx, slug)
	}
	every := p.Info().SyncEvery
	asked := c.cfg.Clock.Now()
	answer, err := c.fetch(ctx, p)
	if ctx.Err() != nil {
		return job.Outcome{}, ctx.Err() // the server stops, which is no failure of the provider
	}
	write := func(ctx context.Context, tx *db.Tx) error { return c.writeAnswer(ctx, tx, p, asked, answer) }
	if failure := err; failure != nil {
		if e, known := errors.AsType[*provider.Error](failure); known {
			every = max(every, e.RetryAfter)
		}
		c.cfg.Log.WarnContext(ctx, "provider did not answer; keeping its last offers for now", "provider", slug,
			"error", failure)
		write = func(ctx context.Context, tx *db.Tx) error { return c.writeFailure(ctx, tx, slug, asked, failure) }
	}
	if err := c.cfg.DB.InTx(ctx, write); err != nil {
		return job.Outcome{}, fmt.Errorf("write the sync of %s: %w", slug, err)
	}
	if err := c.Load(ctx); err != nil {
		return job.Outcome{}, err
	}
	return job.At(c.cfg.Clock.Now().Add(every)), nil
}

// answer is the valid part of a provider's answer.
type answer struct {
	offers map[place]provider.Offer
	// volumes is nil if the provider could not return its volume prices: the last prices stay.
	volumes map[string]provider.VolumePricing
}

func (c *Catalog) fetch(ctx context.Context, p provider.Provider) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	log := c.cfg.Log.With("provider", p.Info().Slug)
	call, done := provider.Begin(ctx, p, provider.CallOffers)
	received, err := p.Offers(call)
	done(err)
	if err != nil {
		return answer{}, err
	}
	if len(received) > maxOffers {
		return answer{}, fmt.Errorf("%d offers exceed the maximum of %d for one provider", len(received), maxOffers)
	}
	valid, dropped, first := validOffers(received)
	if dropped > 0 {
		log.WarnContext(ctx, "dropped malformed offers", "dropped", dropped, "kept", len(valid), "first", first)
	}
	rename(valid)
	a := answer{offers: valid, volumes: map[string]provider.VolumePricing{}}
	if v, ok := p.(provider.VolumeProvider); ok {
		call, done := provider.Begin(ctx, p, provider.CallVolumePrices)
		prices, err := v.VolumePricing(call)
		done(err)
		switch {
		case err == nil:
			if a.volumes, dropped, first = validVolumePrices(prices); dropped > 0 {
				log.WarnContext(ctx, "dropped malformed volume prices", "dropped", dropped, "first", first)
			}
		case provider.KindOf(err) != provider.KindUnsupported:
			a.volumes = nil
			log.WarnContext(ctx, "provider did not return its volume prices; keeping the last ones", "error", err)
		}
	}
	return a, nil
}

// record is an offer's row. It is comparable, so that only changes are written.
type record struct {
	id                                                id.ID
	provider, region, key                             string
	gpuType                                           string
	gpuCount, gpuMemoryGB, vcpus, memoryGB, storageGB int
	interconnect                                      string
	instanceType                                      provider.InstanceType
	systems                                           string // JSON
	capabilities                                      provider.Capabilities
	cost, price                                       int64 // micro-dollars; price is the default one
	available                                         bool
	stock                                             stock
	withdrawn                                         bool
	regionName, country                               string // if the provider returns them with the offer
	minimumRuntime, launchLimit                       int64  // seconds
	trustedOnly                                       bool
}

// gone returns the record of an offer that is no longer available.
func (r record) gone(withdrawn bool) record {
	r.available, r.stock, r.withdrawn = false, unknownStock, withdrawn
	return r
}

// ruled returns what price rules match.
func (r record) ruled() pricerule.Offer {
	return pricerule.Offer{Provider: r.provider, GPUType: r.gpuType, Region: r.region}
}

func (c *Catalog) record(p provider.Provider, prices *pricing, slug string, o provider.Offer) (record, error) {
	systems, err := json.Marshal(o.OperatingSystems)
	r := record{
		provider: slug, region: o.Region, key: o.Key, gpuType: o.GPUType, gpuCount: o.GPUCount,
		gpuMemoryGB: o.GPUMemoryGB,
		vcpus:       o.VCPUs, memoryGB: o.MemoryGB, storageGB: o.StorageGB, interconnect: o.Interconnect,
		instanceType: o.InstanceType,
		systems:      string(systems), capabilities: supported(p, o.Capabilities),
		cost: int64(o.HourlyPrice), available: o.Available, stock: unknownStock,
		country:        countryCode(o.Country),
		minimumRuntime: int64((o.MinimumRuntime + time.Second - 1) / time.Second),
		launchLimit:    int64(o.LaunchLimit / time.Second),
		trustedOnly:    o.TrustedTenantsOnly,
	}
	rule := prices.usual.rules.First(r.ruled())
	r.price = int64(prices.usual.price(rule, slug, o.HourlyPrice, o.GPUCount))
	if checkText(o.RegionName) == nil { // an invalid name is no reason to drop the offers of a region
		r.regionName = o.RegionName
	}
	if o.Stock != nil {
		r.stock = stock(*o.Stock)
		r.available = r.available && *o.Stock > 0
	}
	return r, err
}

func (c *Catalog) writeAnswer(ctx context.Context, tx *db.Tx, p provider.Provider, asked time.Time, a answer) error {
	slug := p.Info().Slug
	newest, err := writeSuccess(ctx, tx, slug, asked)
	if err != nil || !newest {
		return err
	}
	old, err := recordsByPlace(ctx, tx, slug)
	if err != nil {
		return err
	}
	prices, err := c.readPricing(ctx, tx, c.now.Load().pricing)
	if err != nil {
		return err
	}
	var want, added []record
	for _, at := range slices.SortedFunc(maps.Keys(a.offers), comparePlaces) {
		r, err := c.record(p, prices, slug, a.offers[at])
		if err != nil {
			return err
		}
		if before, known := old[at]; known {
			r.id = before.id
			want = append(want, r)
		} else {
			added = append(added, r)
		}
	}
	if err := c.assignIDs(ctx, tx, added); err != nil {
		return err
	}
	want = append(want, added...)
	for _, at := range slices.SortedFunc(maps.Keys(old), comparePlaces) {
		if _, listed := a.offers[at]; !listed {
			want = append(want, old[at].gone(true))
		}
	}
	changed, err := writeChanges(ctx, tx, old, want)
	if err != nil {
		return err
	}
	if a.volumes != nil {
		prices := make([]VolumePrice, 0, len(a.volumes))
		for _, v := range a.volumes {
			prices = append(prices, VolumePrice{
				Provider: slug, Region: v.Region, CostPrice: v.PerGBHour,
				PerGBHour: v.PerGBHour.Percent(c.cfg.Markup(slug)),
				MinSizeGB: v.MinSizeGB, MaxSizeGB: v.MaxSizeGB,
			})
		}
		moved, err := writeVolumePrices(ctx, tx, slug, prices)
		if err != nil {
			return err
		}
		changed = changed || moved
	}
	// Prune once a day for each provider, because it reads all points in force. This process's
	// memory is a sufficient hint.
	if last := c.now.Load().health[slug].LastSuccessAt; last == nil || last.Truncate(day) != tx.Now.Truncate(day) {
		if err := prunePoints(ctx, tx, tx.Now.Add(-keepPoints)); err != nil {
			return err
		}
		if err := pruneAttempts(ctx, tx, tx.Now.Add(-keepAttempts)); err != nil {
			return err
		}
	}
	return raiseVersion(ctx, tx, changed)
}

// writeFailure records that the provider did not answer, and withdraws its offers once they are too
// old.
func (c *Catalog) writeFailure(ctx context.Context, tx *db.Tx, slug string, asked time.Time, cause error) error {
	h, newest, err := writeFailure(ctx, tx, slug, asked, plain(cause.Error()))
	if err != nil || !newest || h.LastSuccessAt == nil {
		return err
	}
	every := c.infos()[slug].SyncEvery
	silence := h.silence(every)
	if silence < unavailableAfter*every {
		return nil
	}
	withdraw := silence >= withdrawnAfter*every
	old, err := recordsByPlace(ctx, tx, slug)
	if err != nil {
		return err
	}
	var want []record
	for _, at := range slices.SortedFunc(maps.Keys(old), comparePlaces) {
		want = append(want, old[at].gone(withdraw || old[at].withdrawn))
	}
	changed, err := writeChanges(ctx, tx, old, want)
	if err != nil {
		return err
	}
	if withdraw {
		moved, err := writeVolumePrices(ctx, tx, slug, nil)
		if err != nil {
			return err
		}
		changed = changed || moved
	}
	return raiseVersion(ctx, tx, changed)
}

// Forget withdraws the offers and the volume prices of a provider whose account is removed, and
// forgets when it answered: an account that gets the slug later sells nothing of the former. The
// caller has canceled the provider's sync.
func (c *Catalog) Forget(ctx context.Context, tx *db.Tx, slug string) error {
	if err := deleteKnown(ctx, tx, slug); err != nil {
		return err
	}
	old, err := recordsByPlace(ctx, tx, slug)
	if err != nil {
		return err
	}
	var want []record
	for _, at := range slices.SortedFunc(maps.Keys(old), comparePlaces) {
		want = append(want, old[at].gone(true))
	}
	changed, err := writeChanges(ctx, tx, old, want)
	if err != nil {
		return err
	}
	moved, err := writeVolumePrices(ctx, tx, slug, nil)
	if err != nil {
		return err
	}
	return raiseVersion(ctx, tx, changed || moved)
}

// assignIDs gives new offers their IDs: the provider's own key if it has the form of one and is not
// taken.
func (c *Catalog) assignIDs(ctx context.Context, tx *db.Tx, added []record) error {
	var keys []id.ID
	for _, r := range added {
		if id.ID(r.key).Valid(id.Offer) {
			keys = append(keys, id.ID(r.key))
		}
	}
	taken, err := takenIDs(ctx, tx, keys)
	if err != nil {
		return err
	}
	for i := range added {
		own := id.ID(added[i].key)
		if own.Valid(id.Offer) && !taken[own] {
			added[i].id, taken[own] = own, true
		} else {
			added[i].id = c.cfg.IDs.New(id.Offer)
		}
	}
	return nil
}

func recordsByPlace(ctx context.Context, tx *db.Tx, slug string) (map[place]record, error) {
	records, err := readRecords(ctx, tx, slug)
	if err != nil {
		return nil, err
	}
	out := make(map[place]record, len(records))
	for _, r := range records {
		out[place{r.region, r.key}] = r
	}
	return out, nil
}

// writeChanges writes those records of want that differ from old, and a price point for each change
// of price, availability or stock.
func writeChanges(ctx context.Context, tx *db.Tx, old map[place]record, want []record) (bool, error) {
	var rows, points []record
	for _, r := range want {
		before, known := old[place{r.region, r.key}]
		if known && before == r {
			continue
		}
		rows = append(rows, r)
		if !known || before.price != r.price || before.available != r.available || before.stock != r.stock {
			points = append(points, r)
		}
	}
	if err := upsertRecords(ctx, tx, rows); err != nil {
		return false, err
	}
	return len(rows) > 0, insertPoints(ctx, tx, points)
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.region, b.region))
}

// assess returns the health of each configured provider.
func (c *Catalog) assess(written map[string]Health) map[string]Health {
	infos := c.infos()
	out := make(map[string]Health, len(infos))
	for slug, info := range infos {
		h := written[slug]
		h.Provider = slug
		switch {
		case h.LastSuccessAt == nil:
			h.Status = StatusDown
		case h.FailingSince == nil || h.LastFailureAt == nil || h.LastFailureAt.Before(*h.LastSuccessAt):
			h.Status = StatusUp
		case h.silence(info.SyncEvery) < unavailableAfter*info.SyncEvery:
			h.Status = StatusDegraded
		default:
			h.Status = StatusDown
		}
		out[slug] = h
	}
	return out
}

// silence returns how long the provider had not answered when it was last asked. It begins with the
// last success, or one SyncEvery before the first failure after it if that is later: time without
// requests, as after a stop of the server or a jump of its clock, does not count.
func (h Health) silence(every time.Duration) time.Duration {
	begin := h.FailingSince.Add(-every)
	if h.LastSuccessAt.After(begin) {
		begin = *h.LastSuccessAt
	}
	return h.LastFailureAt.Sub(begin)
}

// plain truncates an error's text to what the database accepts.
func plain(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "?")
	for len(s) > 500 {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}
