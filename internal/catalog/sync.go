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
	"github.com/billetcloud/billet/internal/provider"
)

// KindSync is the job that asks one provider; its subject is "provider/<slug>".
const KindSync job.Kind = "catalog.sync"

const (
	unavailableAfter = 3  // times SyncEvery without an answer
	withdrawnAfter   = 15 // times SyncEvery without an answer
	day              = 24 * time.Hour
	keepPoints       = 90 * day
)

// Sync asks one provider for its offers and volume prices and takes over what has changed. The
// provider is asked outside any transaction. A provider that does not answer is no error
// of the job: it is written down and asked again in time.
func (c *Catalog) Sync(ctx context.Context, subject id.ID) (job.Outcome, error) {
	slug, _ := strings.CutPrefix(string(subject), "provider/")
	p, found := c.c.Providers.Get(slug)
	if !found {
		return job.Done(), nil // it was configured once
	}
	every := c.infos[slug].SyncEvery
	asked := c.c.Clock.Now()
	answer, err := c.ask(ctx, p)
	if ctx.Err() != nil {
		return job.Outcome{}, ctx.Err() // the server stops: nothing was learned about the provider
	}
	if err != nil {
		var said *provider.Error
		if errors.As(err, &said) {
			every = max(every, said.RetryAfter)
		}
		c.c.Log.WarnContext(ctx, "provider did not answer; its last offers are kept for a while", "provider", slug, "error", err)
		err = c.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return c.writeFailure(ctx, tx, slug, asked, err) })
	} else {
		err = c.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return c.writeAnswer(ctx, tx, p, asked, answer) })
	}
	if err != nil {
		return job.Outcome{}, fmt.Errorf("write the sync of %s: %w", slug, err)
	}
	if err := c.Load(ctx); err != nil {
		return job.Outcome{}, err
	}
	return job.At(c.c.Clock.Now().Add(every)), nil
}

// answer is what a provider said and we believe.
type answer struct {
	offers map[place]provider.Offer
	// volumes is nil where the provider could not say: the last prices stay.
	volumes map[string]provider.VolumePricing
}

func (c *Catalog) ask(ctx context.Context, p provider.Provider) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.c.AskLimit)
	defer cancel()
	slug := p.Info().Slug
	said, err := p.Offers(ctx)
	if err != nil {
		return answer{}, err
	}
	if len(said) > maxOffers {
		return answer{}, fmt.Errorf("%d offers are more than the %d that one provider may have", len(said), maxOffers)
	}
	offers, dropped, first := believe(said)
	if dropped > 0 {
		c.c.Log.WarnContext(ctx, "provider sent malformed offers; they were dropped", "provider", slug, "dropped", dropped, "kept", len(offers), "first", first)
	}
	rename(offers)
	a := answer{offers: offers, volumes: map[string]provider.VolumePricing{}}
	if v, ok := p.(provider.VolumeProvider); ok {
		prices, err := v.VolumePricing(ctx)
		switch {
		case err == nil:
			if a.volumes, dropped, first = believeVolumes(prices); dropped > 0 {
				c.c.Log.WarnContext(ctx, "provider sent malformed volume prices; they were dropped", "provider", slug, "dropped", dropped, "first", first)
			}
		case provider.KindOf(err) != provider.KindUnsupported:
			a.volumes = nil
			c.c.Log.WarnContext(ctx, "provider did not say its volume prices; the last ones stay", "provider", slug, "error", err)
		}
	}
	return a, nil
}

// record is an offer's row. It is comparable, so that what has not changed is not written.
type record struct {
	id                                                id.ID
	provider, region, key                             string
	gpuType                                           string
	gpuCount, gpuMemoryGB, vcpus, memoryGB, storageGB int
	interconnect                                      string
	instanceType                                      provider.InstanceType
	systems                                           string // JSON
	capabilities                                      provider.Capabilities
	cost, price                                       int64 // micro-dollars
	available                                         bool
	stock                                             int64 // -1 where the provider does not say
	withdrawn                                         bool
	regionName, country                               string // where the provider says them with the offer
	minimumRuntime, launchLimit                       int64  // seconds
}

// gone is the record once the offer cannot be had any more.
func (r record) gone(withdrawn bool) record {
	r.available, r.stock, r.withdrawn = false, -1, withdrawn
	return r
}

func (c *Catalog) record(p provider.Provider, slug string, o provider.Offer) (record, error) {
	systems, err := json.Marshal(o.OperatingSystems)
	r := record{
		provider: slug, region: o.Region, key: o.Key, gpuType: o.GPUType, gpuCount: o.GPUCount, gpuMemoryGB: o.GPUMemoryGB,
		vcpus: o.VCPUs, memoryGB: o.MemoryGB, storageGB: o.StorageGB, interconnect: o.Interconnect, instanceType: o.InstanceType,
		systems: string(systems), capabilities: able(p, o.Capabilities),
		cost: int64(o.HourlyPrice), price: int64(o.HourlyPrice.Percent(c.c.Markup(slug))),
		available: o.Available, stock: -1, country: countryCode(o.Country), minimumRuntime: int64((o.MinimumRuntime + time.Second - 1) / time.Second),
		launchLimit: int64(o.LaunchLimit / time.Second),
	}
	if checkText(o.RegionName) == nil { // a region without a name is no reason to sell nothing there
		r.regionName = o.RegionName
	}
	if o.Stock != nil {
		r.stock = int64(*o.Stock)
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
	var want, fresh []record
	for _, at := range slices.SortedFunc(maps.Keys(a.offers), comparePlaces) {
		r, err := c.record(p, slug, a.offers[at])
		if err != nil {
			return err
		}
		if before, known := old[at]; known {
			r.id = before.id
			want = append(want, r)
		} else {
			fresh = append(fresh, r)
		}
	}
	if err := c.name(ctx, tx, fresh); err != nil {
		return err
	}
	want = append(want, fresh...)
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
			prices = append(prices, VolumePrice{Provider: slug, Region: v.Region, CostPrice: v.PerGBHour,
				PerGBHour: v.PerGBHour.Percent(c.c.Markup(slug)), MinSizeGB: v.MinSizeGB, MaxSizeGB: v.MaxSizeGB})
		}
		moved, err := writeVolumePrices(ctx, tx, slug, prices)
		if err != nil {
			return err
		}
		changed = changed || moved
	}
	// Once a day for each provider: the points still in force would be looked at every time. What this process remembers is hint enough.
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

// writeFailure notes that the provider did not answer, and takes its offers off the market once they are too old to be true.
func (c *Catalog) writeFailure(ctx context.Context, tx *db.Tx, slug string, asked time.Time, cause error) error {
	h, newest, err := writeFailure(ctx, tx, slug, asked, plain(cause.Error()))
	if err != nil || !newest || h.LastSuccessAt == nil {
		return err
	}
	every := c.infos[slug].SyncEvery
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

// name gives new offers their ids: the provider's own key where it has the form of one and nobody has it.
func (c *Catalog) name(ctx context.Context, tx *db.Tx, fresh []record) error {
	var keys []id.ID
	for _, r := range fresh {
		if id.ID(r.key).Valid(id.Offer) {
			keys = append(keys, id.ID(r.key))
		}
	}
	taken, err := takenIDs(ctx, tx, keys)
	if err != nil {
		return err
	}
	for i := range fresh {
		own := id.ID(fresh[i].key)
		if own.Valid(id.Offer) && !taken[own] {
			fresh[i].id, taken[own] = own, true
		} else {
			fresh[i].id = c.c.IDs.New(id.Offer)
		}
	}
	return nil
}

func recordsByPlace(ctx context.Context, tx *db.Tx, slug string) (map[place]record, error) {
	records, err := readRecords(ctx, tx, slug, false)
	if err != nil {
		return nil, err
	}
	out := make(map[place]record, len(records))
	for _, r := range records {
		out[place{r.region, r.key}] = r
	}
	return out, nil
}

// writeChanges writes those of want that differ from old, and a price point for each whose price, availability or stock does.
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

// judge turns what is written down of each configured provider into its health.
func (c *Catalog) judge(written map[string]Health) map[string]Health {
	out := make(map[string]Health, len(c.infos))
	for slug, info := range c.infos {
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

// silence is how long the provider had not answered when it was asked last. It begins with the last success, or one
// SyncEvery before the first failure after it where that is later: between two questions that lie further apart, as
// after a stop of the server or a jump of its clock, nobody was silent.
func (h Health) silence(every time.Duration) time.Duration {
	begin := h.FailingSince.Add(-every)
	if h.LastSuccessAt.After(begin) {
		begin = *h.LastSuccessAt
	}
	return h.LastFailureAt.Sub(begin)
}

// plain cuts an error's text to what the database takes.
func plain(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "?")
	for len(s) > 500 {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}
