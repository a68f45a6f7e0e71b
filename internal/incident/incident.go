package incident

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provideraccount"
)

// The jobs of this package. The subject of KindWatch is Fleet, that of KindTell is the incident.
const (
	KindWatch job.Kind = "incident-watch"
	KindTell  job.Kind = "incident-tell"
	Fleet     id.ID    = "incidents"
)

const (
	// Kept is how long an incident is kept after its end.
	Kept = 90 * 24 * time.Hour
	// watchEvery is how often the providers' health is compared with the incidents.
	watchEvery = 30 * time.Second
	// batch is how many accounts are told in one transaction.
	batch = 50
	// maxRecent is the most incidents that Recent returns.
	maxRecent = 100
)

// Kind is what is wrong with a provider.
type Kind string

// The kinds.
const (
	NoAnswer Kind = "no_answer"
	Paused   Kind = "paused"
)

// Enum lists every kind.
func (Kind) Enum() []Kind { return []Kind{NoAnswer, Paused} }

// Incident is a period in which a provider did not answer or was paused.
type Incident struct {
	ID        id.ID      `json:"id" doc:"Id of the incident, inc_…"`
	Provider  string     `json:"provider" doc:"Provider slug."`
	Kind      Kind       `json:"kind" doc:"no_answer: the provider did not answer. paused: the operator paused it, so that nothing new was launched there."`
	StartedAt time.Time  `json:"startedAt" doc:"When it began."`
	EndedAt   *time.Time `json:"endedAt" doc:"When it ended; null while it lasts."`

	// answeredAt is the first answer after it began, as long as every later request was answered.
	answeredAt *time.Time
	// told is the last account that was told of the beginning, or once toldAt is set, of the end.
	told id.ID
	// toldAt is when all accounts had been told of the beginning.
	toldAt *time.Time
	// removed reports that it ends with its provider, which did not recover. It is not stored.
	removed bool
}

// Config is what a Service needs. Every field is required.
type Config struct {
	DB      *db.DB
	IDs     *id.Maker
	Catalog *catalog.Catalog
	// Accounts are the operator's accounts at providers.
	Accounts *provideraccount.Service
	Events   *event.Service
	Jobs     *job.Queue
}

// Service finds incidents and tells accounts of them. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.IDs == nil || cfg.Catalog == nil || cfg.Accounts == nil ||
		cfg.Events == nil || cfg.Jobs == nil {
		panic("incident: New needs every field of its Config")
	}
	return &Service{cfg}
}

// Recent returns the open incidents, and then those that ended after the instant, newest first, at
// most maxRecent.
func (s *Service) Recent(ctx context.Context, r db.Reader, after time.Time) ([]Incident, error) {
	return recent(ctx, r, after)
}

// StartWatching enqueues KindWatch.
func (s *Service) StartWatching(ctx context.Context) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindWatch, Fleet, tx.Now)
	})
}

// Watch begins and ends incidents, and deletes old ones. It is the handler of KindWatch.
func (s *Service) Watch(ctx context.Context, _ id.ID) (job.Outcome, error) {
	var now time.Time
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now = tx.Now
		if err := purge(ctx, tx, now.Add(-Kept)); err != nil {
			return err
		}
		open, err := open(ctx, tx)
		if err != nil {
			return err
		}
		states, err := s.states(ctx, tx)
		if err != nil {
			return err
		}
		begin, change := decide(open, states, now)
		for i := range begin {
			begin[i].ID = s.cfg.IDs.New(id.Incident)
		}
		if err := incidents.Insert(ctx, tx, begin...); err != nil {
			return err
		}
		for i := range change { // at most two for each provider
			if err := update(ctx, tx, change[i]); err != nil {
				return err
			}
		}
		return s.tell(ctx, tx, append(begin, change...))
	})
	return job.At(now.Add(watchEvery)), err
}

// tell enqueues telling the accounts of incidents that began, or ended with an answer.
func (s *Service) tell(ctx context.Context, tx *db.Tx, all []Incident) error {
	for _, i := range all {
		if i.removed {
			if err := forgetTold(ctx, tx, i.ID); err != nil {
				return err
			}
			continue
		}
		began := i.answeredAt == nil && i.EndedAt == nil
		if i.Kind != NoAnswer || !began && i.EndedAt == nil {
			continue
		}
		if err := s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindTell, i.ID, tx.Now); err != nil {
			return err
		}
	}
	return nil
}

// states returns what is known of the providers.
func (s *Service) states(ctx context.Context, r db.Reader) ([]state, error) {
	stored, err := s.cfg.Accounts.List(ctx, r)
	if err != nil {
		return nil, err
	}
	paused := map[string]*time.Time{}
	for _, p := range stored {
		paused[p.Slug] = p.PausedAt
	}
	var all []state
	healthy := map[string]bool{}
	for _, h := range s.cfg.Catalog.Health() {
		healthy[h.Provider] = true
		all = append(all, state{
			provider: h.Provider, status: h.Status, failingSince: h.FailingSince, answeredAt: h.LastSuccessAt,
			pausedAt: paused[h.Provider],
		})
	}
	for _, p := range stored { // one that cannot be opened is neither removed nor answers
		if !healthy[p.Slug] {
			all = append(all, state{provider: p.Slug, status: catalog.StatusDown, pausedAt: p.PausedAt})
		}
	}
	return all, nil
}
