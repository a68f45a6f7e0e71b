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
}

// Log appends and reads events.
type Log struct {
	ids *id.Maker

	mu       sync.Mutex
	watchers map[id.ID]map[chan struct{}]bool
	ended    bool
}

// New returns a Log that takes ids for its events from ids.
func New(ids *id.Maker) *Log {
	if ids == nil {
		panic("event: New needs a maker of ids")
	}
	return &Log{ids: ids, watchers: map[id.ID]map[chan struct{}]bool{}}
}

// Append adds events, giving them their IDs and CreatedAt, and wakes who watches their subjects once the change is committed.
func (l *Log) Append(ctx context.Context, tx *db.Tx, events ...Event) error {
	events = slices.Clone(events)
	for i := range events {
		events[i].ID, events[i].CreatedAt = l.ids.New(id.Event), tx.Now
	}
	if err := insert(ctx, tx, events); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		for _, e := range events {
			l.wake(e.Subject)
		}
	})
	return nil
}

// List returns a page of the subject's events, oldest first, and how many there are.
func (l *Log) List(ctx context.Context, r db.Reader, account, subject id.ID, p db.Page) ([]Event, int, error) {
	return list(ctx, r, account, subject, p)
}

// Watch returns a channel that holds a token after each commit in this process that appended for the
// subject. It is a hint to look again: what other replicas append is not seen. The channel is closed when
// the server stops, and waiting ends. cancel must be called.
func (l *Log) Watch(subject id.ID) (changed <-chan struct{}, cancel func()) {
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
func (l *Log) EndWatches() {
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

func (l *Log) wake(subject id.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.watchers[subject] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
