package event

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Event is something that happened to a subject.
type Event struct {
	ID id.ID `json:"id" doc:"Event ID, evt_…."`
	// Account owns the subject.
	Account id.ID  `json:"-"`
	Subject id.ID  `json:"subject" doc:"ID of the resource that the event is about."`
	Type    string `json:"type" doc:"Event type, such as deployment.running. New types may be added."`
	// Data is never nil once read.
	Data      map[string]any `json:"data" doc:"Event data by name, which depends on the type."`
	CreatedAt time.Time      `json:"createdAt" doc:"Time of the event."`

	seq int64 // sequence number in the account's history, from 1, without gaps
}

// Service appends and reads events.
type Service struct {
	ids      *id.Maker
	appended func(ctx context.Context, tx *db.Tx, accounts []id.ID) error
	follows  func(ctx context.Context, tx *db.Tx, events []Event) error

	mu       sync.Mutex
	watchers map[id.ID]map[chan struct{}]bool
	seen     map[id.ID]int64 // the newest number that Poll has found, of accounts that are watched
	tails    map[id.ID]*tail // of accounts that are followed
	ended    bool
}

// New returns a Service whose events get their IDs from ids.
func New(ids *id.Maker) *Service {
	return &Service{
		ids: ids, watchers: map[id.ID]map[chan struct{}]bool{}, seen: map[id.ID]int64{}, tails: map[id.ID]*tail{},
	}
}

// OnAppend registers a function that is called in each transaction that appends, once the events
// are written, with the accounts of the events, each once and in order. It can enqueue jobs for
// them, so that the events and the jobs are committed together. It must lock nothing that others
// lock before an account's counter. Call OnAppend once, before the first Append.
func (l *Service) OnAppend(f func(ctx context.Context, tx *db.Tx, accounts []id.ID) error) {
	if l.appended != nil {
		panic("event: OnAppend was called twice")
	}
	l.appended = f
}

// OnEvents registers a function that is called in each transaction that appends, once the events
// are written, with the events. It may add rows that follow from them, under the rule of OnAppend.
// Call OnEvents once, before the first Append.
func (l *Service) OnEvents(f func(ctx context.Context, tx *db.Tx, events []Event) error) {
	if l.follows != nil {
		panic("event: OnEvents was called twice")
	}
	l.follows = f
}

// Append adds events, sets their ID and CreatedAt, and wakes the watchers of their subjects and
// accounts after the commit. Events are written, and can be read, at the end of the transaction:
// the account's counter is the last row that it locks.
func (l *Service) Append(_ context.Context, tx *db.Tx, added ...Event) error {
	added = slices.Clone(added)
	tx.BeforeCommit(func(ctx context.Context) error {
		if err := number(ctx, tx, added); err != nil {
			return err
		}
		for i := range added { // with the counter locked, so that the IDs of one process rise with the numbers
			added[i].ID, added[i].CreatedAt = l.ids.New(id.Event), tx.Now
		}
		if err := events.Insert(ctx, tx, added...); err != nil {
			return err
		}
		if l.follows != nil {
			if err := l.follows(ctx, tx, added); err != nil {
				return err
			}
		}
		if l.appended == nil {
			return nil
		}
		accounts := make([]id.ID, len(added))
		for i, e := range added {
			accounts[i] = e.Account
		}
		slices.Sort(accounts)
		return l.appended(ctx, tx, slices.Compact(accounts))
	})
	tx.AfterCommit(func() { l.wake(added) })
	return nil
}

// Filter selects events. Zero fields do not filter.
type Filter struct {
	Subject id.ID
	Types   []string
}

// Matches reports whether the event matches the filter.
func (f Filter) Matches(e Event) bool {
	return (f.Subject == "" || f.Subject == e.Subject) && (len(f.Types) == 0 || slices.Contains(f.Types, e.Type))
}

// List returns a page of the subject's events, oldest first, and how many there are.
func (l *Service) List(ctx context.Context, r db.Reader, account, subject id.ID, p db.Page) ([]Event, db.Listed,
	error) {
	return list(ctx, r, account, Filter{Subject: subject}, false, p)
}

// History returns a page of the account's events, newest first, and how many there are.
func (l *Service) History(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Event, db.Listed,
	error) {
	return list(ctx, r, account, f, true, p)
}

// Watch returns a channel that holds a token after each commit in this process that appended for
// the subject (or for the account, if the subject is an account), and after each Poll that found
// such a commit of another replica. A token is a hint to read again. The channel is closed when the
// server stops. cancel must be called.
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

// EndWatches ends every watch, and later ones at once: the server stops, and must not wait for
// something to happen. Events are still appended and read.
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

// Poll wakes the watchers of each account for which another replica has appended since the last
// Poll.
func (l *Service) Poll(ctx context.Context, r db.Reader) error {
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
	l.seen = found // accounts that are no longer watched are forgotten
	return nil
}
