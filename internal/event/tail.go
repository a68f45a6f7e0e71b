package event

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// tailLength is how many of an account's newest events are kept in memory while it is followed.
const tailLength = 256

// tail is the end of an account's history, which all followers of the account in this process
// share.
type tail struct {
	followers int
	events    []Event // those after from, without gaps; nil until something was read
	from      int64
	begun     bool
	// commits counts possible appends to the account; read is the count up to which the tail is
	// complete.
	commits, read int64
	reading       chan struct{} // closed when the current read ends; nil without one
}

func (t *tail) to() int64 { return t.from + int64(len(t.events)) }

// Follower reads an account's events as they are appended. However many followers an account has,
// each event is read once.
type Follower struct {
	l       *Service
	account id.ID
	// Changed is what Watch returns for the account.
	Changed <-chan struct{}
	cancel  func()
}

// Follow starts to follow the account. Stop must be called.
func (l *Service) Follow(account id.ID) *Follower {
	changed, cancel := l.Watch(account)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tails[account] == nil {
		l.tails[account] = &tail{commits: 1}
	}
	l.tails[account].followers++
	return &Follower{l: l, account: account, Changed: changed, cancel: cancel}
}

// Stop stops following.
func (f *Follower) Stop() {
	f.cancel()
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	t := f.l.tails[f.account]
	if t.followers--; t.followers == 0 {
		delete(f.l.tails, f.account)
	}
}

// Next is Service.Next for a position of the account. Events that another follower has read are not
// read again, and if nothing was appended since the last read there is no query.
func (f *Follower) Next(ctx context.Context, r db.Reader, p Position, limit int) ([]Event, Position, error) {
	for {
		f.l.mu.Lock()
		t := f.l.tails[f.account]
		if t.begun && p.seq >= t.from && p.seq < t.to() {
			events := t.events[p.seq-t.from:]
			events = events[:min(limit, len(events))]
			f.l.mu.Unlock()
			return events, behind(p, events), nil
		}
		if t.begun && p.seq == t.to() && t.read == t.commits {
			f.l.mu.Unlock()
			return nil, p, nil
		}
		if t.begun && p.seq < t.from { // a follower that is far behind reads on its own until it has caught up
			f.l.mu.Unlock()
			return f.l.Next(ctx, r, p, limit)
		}
		reading := t.reading
		if reading == nil {
			t.reading = make(chan struct{})
			commits := t.commits
			f.l.mu.Unlock()
			return f.read(ctx, r, t, p, limit, commits)
		}
		f.l.mu.Unlock()
		select {
		case <-reading:
		case <-ctx.Done():
			return nil, p, ctx.Err()
		}
	}
}

func (f *Follower) read(ctx context.Context, r db.Reader, t *tail, p Position, limit int, commits int64) ([]Event,
	Position, error) {
	events, err := after(ctx, r, f.account, p.seq, limit)
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	close(t.reading)
	t.reading = nil
	if err != nil {
		return nil, p, err
	}
	if !t.begun || p.seq != t.to() {
		t.events, t.from, t.begun = nil, p.seq, true
	}
	t.events = append(t.events[:len(t.events):len(t.events)], events...) // a copy: others hold parts of the old one
	if more := len(t.events) - tailLength; more > 0 {
		t.events, t.from = t.events[more:], t.from+int64(more)
	}
	if len(events) < limit {
		t.read = commits
	}
	return events, behind(p, events), nil
}

// behind returns the position after the events, which follow p.
func behind(p Position, events []Event) Position {
	if len(events) > 0 {
		e := events[len(events)-1]
		p.seq, p.Event = e.seq, e.ID
	}
	return p
}
