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

// maxMarkup is the greatest markup in basis points: a hundredfold price is a slip of the finger.
const maxMarkup = 1_000_000

// Config is what a Catalog needs. Every field but OwnMarkups and AskLimit is required.
type Config struct {
	DB        *db.DB
	IDs       *id.Maker
	Clock     clock.Clock
	Providers *provider.Registry
	Jobs      *job.Queue
	Log       *slog.Logger
	// Markup returns by how many basis points a tenant's price is above the provider's: 1,000 are ten per cent.
	Markup func(slug string) int64
	// OwnMarkups returns the markups, in the same unit, of the accounts that have one of their own, which replaces all the others
	// for them; nil where no account has. It is asked at every Load.
	OwnMarkups func(ctx context.Context, r db.Reader) (map[id.ID]int64, error)
	// AskLimit is how long a provider may take to answer, in real time; a minute where it is 0.
	AskLimit time.Duration
}

// Catalog is what can be had. Its reading methods are safe for concurrent use. They never wait, but for the first question after a change
// at a markup of an account's own, for which the prices are worked out then.
type Catalog struct {
	c     Config
	infos map[string]provider.Info

	loading  sync.Mutex // one Load at a time, so that an older snapshot never replaces a newer
	figureAt time.Time  // when the figures of now were made; guarded by loading
	now      atomic.Pointer[snapshot]
}

// New returns a Catalog that is empty until Load. It panics when a field is missing or a markup is
// negative or above 10,000 per cent.
func New(c Config) *Catalog {
	if c.DB == nil || c.IDs == nil || c.Clock == nil || c.Providers == nil || c.Jobs == nil || c.Log == nil || c.Markup == nil {
		panic("catalog: New needs every field of its Config")
	}
	if c.AskLimit == 0 {
		c.AskLimit = time.Minute
	}
	cat := &Catalog{c: c, infos: map[string]provider.Info{}}
	for _, p := range c.Providers.All() {
		info := p.Info()
		if m := c.Markup(info.Slug); m < 0 || m > maxMarkup {
			panic(fmt.Sprintf("catalog: a markup of %d basis points for %s", m, info.Slug))
		}
		if info.SyncEvery <= 0 {
			panic(fmt.Sprintf("catalog: provider %s says not how often to ask it", info.Slug))
		}
		cat.infos[info.Slug] = info
	}
	cat.now.Store(cat.build(0, nil, nil))
	return cat
}

// Start has every provider asked now, and from then on as often as it wants.
func (c *Catalog) Start(ctx context.Context) error {
	return c.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, p := range c.c.Providers.All() {
			if err := c.c.Jobs.Enqueue(ctx, tx, job.Nobody, KindSync, job.Subject("provider", p.Info().Slug), tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Load takes over what the database holds: at start, and every few seconds where other replicas
// sync too. It is cheap while nothing has changed.
func (c *Catalog) Load(ctx context.Context) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	before, now := c.now.Load(), c.c.Clock.Now()
	var after *snapshot
	age := now.Sub(c.figureAt)
	figured := age >= 0 && age < figuresEvery
	err := c.c.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		version, err := readVersion(ctx, tx)
		if err != nil {
			return err
		}
		health, err := readHealth(ctx, tx)
		if err != nil {
			return err
		}
		judged, counted, markups := c.judge(health), before.figures, map[id.ID]int64{}
		if c.c.OwnMarkups != nil {
			if markups, err = c.c.OwnMarkups(ctx, tx); err != nil {
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
		if version == before.version {
			if after = before; !maps.EqualFunc(before.health, judged, Health.equal) || counted != before.figures || !maps.Equal(before.markups, markups) {
				after = before.with(judged, counted, markups)
			}
			return nil
		}
		records, err := readRecords(ctx, tx, "", true)
		if err != nil {
			return err
		}
		volumes, err := readVolumePrices(ctx, tx)
		if err != nil {
			return err
		}
		after = c.build(version, records, volumes).with(judged, counted, markups)
		return nil
	})
	if err != nil {
		return fmt.Errorf("load the catalogue: %w", err)
	}
	if !figured {
		c.figureAt = now
	}
	c.now.Store(after)
	return nil
}

// Edition stands for all that the catalogue says: while it is the same, so is every answer. It is comparable.
type Edition struct{ of *snapshot }

// Edition returns the present one.
func (c *Catalog) Edition() Edition { return Edition{c.now.Load()} }

// Ready tells whether any provider is up or degraded. While it is false there is no marketplace to speak of.
func (c *Catalog) Ready() bool {
	for _, h := range c.now.Load().health {
		if h.Status != StatusDown {
			return true
		}
	}
	return false
}

// Health returns how each provider has answered, in the order of the configuration.
func (c *Catalog) Health() []Health {
	s, out := c.now.Load(), []Health{}
	for _, p := range c.c.Providers.All() {
		out = append(out, s.health[p.Info().Slug])
	}
	return out
}

// Markup returns what tenants pay at that provider above its own price, in basis points.
func (c *Catalog) Markup(slug string) int64 { return c.c.Markup(slug) }

// PriceHistory returns the offer's price points from the one in force at from up to, not
// including, to, at the usual prices; oldest first, and the newest 5,000 where there are more. It knows withdrawn offers
// too, and is empty for an offer that never was. Points older than 90 days are forgotten but for
// the one then in force.
func (c *Catalog) PriceHistory(ctx context.Context, r db.Reader, offer id.ID, from, to time.Time) ([]PricePoint, error) {
	return readPoints(ctx, r, offer, from, to)
}
