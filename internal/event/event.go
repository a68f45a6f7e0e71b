package event

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Event is one thing that happened to a subject.
type Event struct {
	ID id.ID `json:"id" doc:"Id of the event, evt_…."`
	// Account owns the subject.
	Account id.ID `json:"-"`
	// Subject is the id of what it happened to: a deployment, a volume, an account.
	Subject id.ID `json:"subject" doc:"Id of what it happened to."`
	// Type is a stable word: "deployment.running".
	Type string `json:"type" doc:"What happened, a stable word such as deployment.running. New ones may be added."`
	// Data are the facts, by name; never nil once read.
	Data      map[string]any `json:"data" doc:"The facts of it, by name; which ones depends on the type."`
	CreatedAt time.Time      `json:"createdAt" doc:"When it happened."`

	seq int64 // its place in the account's history, from 1, without gaps
}

// Service appends and reads events.
type Service struct {
	ids      *id.Maker
	appended func(ctx context.Context, tx *db.Tx, accounts []id.ID) error

	mu       sync.Mutex
	watchers map[id.ID]map[chan struct{}]bool
	seen     map[id.ID]int64 // the newest place that Look has found, of accounts that are watched
	tails    map[id.ID]*tail // of accounts that are followed
	ended    bool
}

// New returns a Log that takes ids for its events from ids.
func New(ids *id.Maker) *Service {
	if ids == nil {
		panic("event: New needs a maker of ids")
	}
	return &Service{ids: ids, watchers: map[id.ID]map[chan struct{}]bool{}, seen: map[id.ID]int64{}, tails: map[id.ID]*tail{}}
}

// OnAppend has f called as a part of each transaction that appends, once the events are written, with the accounts that they are
// of, each once and in order. It is for who must leave a job behind for them: the events and the job are committed together.
// f must lock nothing that others lock before an account's counter. It is set once, before the first Append.
func (l *Service) OnAppend(f func(ctx context.Context, tx *db.Tx, accounts []id.ID) error) {
	if l.appended != nil {
		panic("event: OnAppend is set already")
	}
	l.appended = f
}

// Append adds events, giving them their IDs and CreatedAt, and wakes who watches their subjects and accounts once the change is
// committed. They are written, and can be read, at the end of the transaction: the account's counter is the last row that it locks.
func (l *Service) Append(_ context.Context, tx *db.Tx, events ...Event) error {
	events = slices.Clone(events)
	tx.BeforeCommit(func(ctx context.Context) error {
		if err := number(ctx, tx, events); err != nil {
			return err
		}
		for i := range events { // with the counter in hand, so the ids of one process rise as the places do
			events[i].ID, events[i].CreatedAt = l.ids.New(id.Event), tx.Now
		}
		if err := insert(ctx, tx, events); err != nil || l.appended == nil {
			return err
		}
		accounts := make([]id.ID, len(events))
		for i, e := range events {
			accounts[i] = e.Account
		}
		slices.Sort(accounts)
		return l.appended(ctx, tx, slices.Compact(accounts))
	})
	tx.AfterCommit(func() { l.wake(events) })
	return nil
}

// Filter narrows a list; zero fields do not.
type Filter struct {
	Subject id.ID
	Types   []string
}

// Lets tells whether the filter lets the event through.
func (f Filter) Lets(e Event) bool {
	return (f.Subject == "" || f.Subject == e.Subject) && (len(f.Types) == 0 || slices.Contains(f.Types, e.Type))
}

// List returns a page of the subject's events, oldest first, and how many there are.
func (l *Service) List(ctx context.Context, r db.Reader, account, subject id.ID, p db.Page) ([]Event, db.Listed, error) {
	return list(ctx, r, account, Filter{Subject: subject}, false, p)
}

// History returns a page of the account's events, newest first, and how many there are.
func (l *Service) History(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Event, db.Listed, error) {
	return list(ctx, r, account, f, true, p)
}

// Watch returns a channel that holds a token after each commit in this process that appended for the subject, or for the
// account where it is an account's id, and after each Look that found such a commit of another replica. It is a hint to look
// again. The channel is closed when the server stops, and waiting ends. cancel must be called.
func (l *Service) Watch(subject id.ID) (changed <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		close(c)
		return c, func() {}
	}
	if l.watchers[subject] == nil {
		l.watchers[subject] = map[chan struct{}]bool{}
	}
	l.watchers[subject][c] = true
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers[subject], c)
		if len(l.watchers[subject]) == 0 {
			delete(l.watchers, subject)
		}
	}
}

// EndWatches ends every watch, and those that begin later at once: the server stops, and nobody may hold
// it up by waiting for something to happen. Events are appended and read as before.
func (l *Service) EndWatches() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for _, watchers := range l.watchers {
		for c := range watchers {
			close(c)
		}
	}
	clear(l.watchers)
}

func (l *Service) wake(events []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		l.signal(e.Subject)
		if e.Account != e.Subject {
			l.signal(e.Account)
		}
	}
}

// signal is called with mu held.
func (l *Service) signal(watched id.ID) {
	if t := l.tails[watched]; t != nil {
		t.commits++
	}
	for c := range l.watchers[watched] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Look wakes who watches an account for which another replica has appended since the last Look.
func (l *Service) Look(ctx context.Context, r db.Reader) error {
	l.mu.Lock()
	var accounts []id.ID
	for watched := range l.watchers {
		if watched.Kind() == id.Account {
			accounts = append(accounts, watched)
		}
	}
	l.mu.Unlock()
	if len(accounts) == 0 {
		return nil
	}
	found, err := counters(ctx, r, accounts)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for account, newest := range found {
		if newest != l.seen[account] {
			l.signal(account)
		}
	}
	l.seen = found // what nobody watches any more is forgotten
	return nil
}
