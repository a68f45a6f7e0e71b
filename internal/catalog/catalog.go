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
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/provider"
)

// maxMarkup is the largest markup in basis points. A price a hundred times as high is a mistake.
const maxMarkup = 1_000_000

// Config configures a Catalog. Every field except OwnMarkups, Trusted, Health, Rules
// and RequestTimeout is required.
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
	// Trusted returns the accounts that are offered what is for trusted tenants only. It is called
	// at every Load. Without it, no account is.
	Trusted func(ctx context.Context, r db.Reader) ([]id.ID, error)
	// Health returns the policies of GPU checks. It is called at every Load. Without it, no offer
	// is checked.
	Health func(ctx context.Context, r db.Reader) (health.Policies, error)
	// Rules are the price rules, which replace all markups where they match. They may be nil.
	Rules *pricerule.Service
	// RequestTimeout limits a provider's answer, in real time. The default is a minute.
	RequestTimeout time.Duration
}

// Catalog is what is for sale. Its reading methods are safe for concurrent use. They do not block,
// except the first request after a change at an account's own prices, which computes them.
type Catalog struct {
	cfg Config

	loading  sync.Mutex // one Load at a time, so that an older snapshot never replaces a newer
	figureAt time.Time  // when the current figures were computed; guarded by loading
	now      atomic.Pointer[snapshot]
	kinds    atomic.Pointer[knownKinds]
	reported func(Attempt)
}

// OnReport has f called with each attempt that is reported to this process, once it is committed.
// Call it before anything is reported.
func (c *Catalog) OnReport(f func(Attempt)) { c.reported = f }

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
	unread := &pricing{markups: cat.markups()}
	unread.divide()
	empty := cat.priced(cat.build(0, nil, nil), unread.usual)
	empty.pricing = unread
	cat.now.Store(empty)
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
		assessed, counted := c.assess(health), before.figures
		prices, err := c.readPricing(ctx, tx, before.pricing)
		if err != nil {
			return err
		}
		if !figured {
			if counted, err = figure(ctx, tx, now); err != nil {
				return err
			}
			if counted.equal(before.figures) {
				counted = before.figures
			}
		}
		if after, err = c.offersAt(ctx, tx, version, before, prices); err != nil {
			return err
		}
		if after != before || !maps.EqualFunc(before.health, assessed, Health.equal) || counted != before.figures {
			after = after.with(assessed, counted)
		}
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

// offersAt returns the offers of that version at these prices: before, if they are the same.
func (c *Catalog) offersAt(
	ctx context.Context, tx *db.Tx, version int64, before *snapshot, prices *pricing,
) (*snapshot, error) {
	all := before.all
	if version != before.version || before.registry != c.cfg.Providers.Version() {
		records, err := readListed(ctx, tx)
		if err != nil {
			return nil, err
		}
		volumes, err := readVolumePrices(ctx, tx)
		if err != nil {
			return nil, err
		}
		all = c.build(version, records, volumes)
	} else if prices == before.pricing {
		return before, nil
	}
	after := c.priced(all, prices.usual)
	after.pricing = prices
	return after, nil
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
// including, to: oldest first, and the newest 5,000 if there are more. They are the default prices
// of their time, or, for an account with prices of its own, what it would pay now at the costs of
// that time. The last point up to now has the present price. It includes withdrawn offers; found is
// false for an unknown offer, and for one that is hidden from the account. Points older than 90
// days are deleted, except the one in force then.
func (c *Catalog) PriceHistory(
	ctx context.Context, r db.Reader, account, offer id.ID, from, to, now time.Time,
) (points []PricePoint, found bool, err error) {
	market := c.For(account)
	list := market.s.pricing.of(account)
	sold, found, err := readRecord(ctx, r, offer)
	if err != nil || !found {
		return nil, false, err
	}
	rule := list.rules.First(sold.ruled())
	if rule != nil && rule.Hidden || sold.trustedOnly && !list.trusted {
		return nil, false, nil
	}
	points, err = readPoints(ctx, r, offer, from, to)
	if err != nil {
		return nil, false, err
	}
	for i := range points {
		if p := &points[i]; list.key != "" {
			p.HourlyPrice = list.price(rule, sold.provider, p.cost, sold.gpuCount)
		}
	}
	// A change of rules or markups has no point until the provider's next answer.
	o, listed := market.Get(offer)
	n := len(points)
	if !listed || n == 0 || points[n-1].HourlyPrice == o.HourlyPrice || now.Before(from) || to.Before(now) {
		return points, true, nil
	}
	at := now.UTC().Truncate(time.Microsecond)
	if !at.Before(to) {
		at = to.Add(-time.Microsecond)
	}
	present := PricePoint{At: at, HourlyPrice: o.HourlyPrice, Available: o.Available, Stock: o.Stock}
	return append(points, present), true, nil
}
