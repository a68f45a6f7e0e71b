package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

// maxMarkup is the largest markup in basis points. A price a hundred times as high is a mistake.
const maxMarkup = 1_000_000

// Config configures a Catalog. Every field except OwnMarkups and RequestTimeout is required.
type Config struct {
	DB        *db.DB
	IDs       *id.Maker
	Clock     clock.Clock
	Providers *provider.Registry
	Jobs      *job.Queue
	Log       *slog.Logger
	// Markup returns by how many basis points a tenant's price exceeds the provider's: 1,000 are
	// ten percent.
	Markup func(slug string) int64
	// OwnMarkups returns the accounts that have their own markup, which replaces all others for
	// them, in the same unit. It is called at every Load, and may be nil.
	OwnMarkups func(ctx context.Context, r db.Reader) (map[id.ID]int64, error)
	// RequestTimeout limits a provider's answer, in real time. The default is a minute.
	RequestTimeout time.Duration
}

// Catalog is what is for sale. Its reading methods are safe for concurrent use. They do not block,
// except the first request after a change at an account's own markup, which computes its prices.
type Catalog struct {
	cfg Config

	loading  sync.Mutex // one Load at a time, so that an older snapshot never replaces a newer
	figureAt time.Time  // when the current figures were computed; guarded by loading
	now      atomic.Pointer[snapshot]
}

// New returns a Catalog that is empty until Load. It panics when a markup is negative or above
// 10,000 percent.
func New(c Config) *Catalog {
	if c.RequestTimeout == 0 {
		c.RequestTimeout = time.Minute
	}
	cat := &Catalog{cfg: c}
	for _, p := range c.Providers.All() {
		info := p.Info()
		if m := c.Markup(info.Slug); m < 0 || m > maxMarkup {
			panic(fmt.Sprintf("catalog: a markup of %d basis points for %s", m, info.Slug))
		}
		if info.SyncEvery <= 0 {
			panic(fmt.Sprintf("catalog: provider %s has no SyncEvery", info.Slug))
		}
	}
	cat.now.Store(cat.build(0, nil, nil))
	return cat
}

// infos returns what the present providers say of themselves, by slug.
func (c *Catalog) infos() map[string]provider.Info {
	out := map[string]provider.Info{}
	for _, p := range c.cfg.Providers.All() {
		info := p.Info()
		out[info.Slug] = info
	}
	return out
}

// Start enqueues a sync of every provider, or of those with the slugs. Each sync then repeats
// itself at the provider's interval.
func (c *Catalog) Start(ctx context.Context, slugs ...string) error {
	return c.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, p := range c.cfg.Providers.Chosen(slugs) {
			slug := p.Info().Slug
			if err := writeKnown(ctx, tx, slug); err != nil {
				return err
			}
			subject := job.Subject("provider", slug)
			if err := c.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindSync, subject, tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	// unknownEvery is how soon a job runs again whose provider this server does not know, so that
	// one that knows it gets it.
	unknownEvery = 10 * time.Second
	// forgottenAfter is how long no server must have asked a provider before its jobs end.
	forgottenAfter = day
)

// Unknown is the outcome of a periodic job whose provider this server does not know. Another
// replica may know it: the account was just added, its adapter is of a newer version, or it cannot
// be opened here. The job ends once no server has asked the provider for a day.
func (c *Catalog) Unknown(ctx context.Context, slug string) (job.Outcome, error) {
	asked, found, err := readAsked(ctx, c.cfg.DB, slug)
	now := c.cfg.Clock.Now()
	if err != nil || !found || now.Sub(asked) > forgottenAfter {
		return job.Done(), err
	}
	return job.At(now.Add(unknownEvery)), nil
}

// Load publishes what the database holds: at start, and every few seconds if other replicas sync
// too. It is cheap while nothing has changed.
func (c *Catalog) Load(ctx context.Context) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	before, now := c.now.Load(), c.cfg.Clock.Now()
	var after *snapshot
	age := now.Sub(c.figureAt)
	figured := age >= 0 && age < figuresEvery
	err := c.cfg.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		version, err := readVersion(ctx, tx)
		if err != nil {
			return err
		}
		health, err := readHealth(ctx, tx)
		if err != nil {
			return err
		}
		assessed, counted, markups := c.assess(health), before.figures, map[id.ID]int64{}
		if c.cfg.OwnMarkups != nil {
			if markups, err = c.cfg.OwnMarkups(ctx, tx); err != nil {
				return err
			}
		}
		if !figured {
			if counted, err = figure(ctx, tx, now); err != nil {
				return err
			}
			if counted.equal(before.figures) {
				counted = before.figures
			}
		}
		if version == before.version && before.registry == c.cfg.Providers.Version() {
			if after = before; !maps.EqualFunc(before.health, assessed, Health.equal) || counted != before.figures ||
				!maps.Equal(before.markups, markups) {
				after = before.with(assessed, counted, markups)
			}
			return nil
		}
		records, err := readListed(ctx, tx)
		if err != nil {
			return err
		}
		volumes, err := readVolumePrices(ctx, tx)
		if err != nil {
			return err
		}
		after = c.build(version, records, volumes).with(assessed, counted, markups)
		return nil
	})
	if err != nil {
		return fmt.Errorf("load the catalog: %w", err)
	}
	if !figured {
		c.figureAt = now
	}
	c.now.Store(after)
	return nil
}

// Edition identifies the content of the catalog: while it is the same, so is every answer. It is
// comparable.
type Edition struct{ of *snapshot }

// Edition returns the current edition.
func (c *Catalog) Edition() Edition { return Edition{c.now.Load()} }

// Ready reports whether the offers are known: a provider is up or degraded, or none is connected,
// so that there are none. While it is false, the marketplace is unavailable.
func (c *Catalog) Ready() bool {
	if len(c.cfg.Providers.All()) == 0 {
		return true
	}
	for _, h := range c.now.Load().health {
		if h.Status != StatusDown {
			return true
		}
	}
	return false
}

// Health returns the health of each provider, in the order of the configuration.
func (c *Catalog) Health() []Health {
	s, out := c.now.Load(), []Health{}
	for _, p := range c.cfg.Providers.All() {
		out = append(out, s.health[p.Info().Slug])
	}
	return out
}

// Markup returns by how many basis points tenants' prices at that provider exceed its own.
func (c *Catalog) Markup(slug string) int64 { return c.cfg.Markup(slug) }

// PriceHistory returns the offer's price points from the one in force at from up to, but not
// including, to: at the default prices, oldest first, and the newest 5,000 if there are more. It
// includes withdrawn offers, and is empty for an unknown offer. Points older than 90 days are
// deleted, except the one in force then.
func (c *Catalog) PriceHistory(ctx context.Context, r db.Reader, offer id.ID, from, to time.Time) ([]PricePoint,
	error) {
	return readPoints(ctx, r, offer, from, to)
}
