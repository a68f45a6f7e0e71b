package event

import (
	"context"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Beginning represents the event before an account's first one.
const Beginning id.ID = "evt_0"

// Position is a position between two events of an account's history.
type Position struct {
	account id.ID
	seq     int64
	// Event is the event before it, or Beginning.
	Event id.ID
}

// Now returns the position after the account's newest event.
func (l *Service) Now(ctx context.Context, r db.Reader, account id.ID) (Position, error) {
	e, found, err := last(ctx, r, account)
	if err != nil || found {
		return Position{account, e.seq, e.ID}, err
	}
	g, err := goneOf(ctx, r, account)
	if err != nil || g.event == "" {
		return Position{account: account, Event: Beginning}, err
	}
	return Position{account, g.seq, g.event}, nil
}

// Hold is Now, and keeps others from appending to the account's history until the commit. Call it
// in Tx.BeforeCommit, because the counter that it locks is the last row that a transaction locks.
func (l *Service) Hold(ctx context.Context, tx *db.Tx, account id.ID) (Position, error) {
	if err := hold(ctx, tx, account); err != nil {
		return Position{}, err
	}
	return l.Now(ctx, tx, account)
}

// Behind returns the position after that event; found is false if the account has no such event.
// Beginning is before the oldest one that is kept. It returns EVENT_EXPIRED if events after that
// one were deleted, so that a reader would miss them.
func (l *Service) Behind(ctx context.Context, r db.Reader, account, event id.ID) (p Position, found bool, err error) {
	if event == Beginning {
		return Position{account: account, Event: Beginning}, true, nil
	}
	seq, found, err := sequenceOf(ctx, r, account, event)
	if err != nil || found {
		return Position{account, seq, event}, found, err
	}
	g, err := goneOf(ctx, r, account)
	switch {
	case err != nil:
		return Position{}, false, err
	case event == g.event:
		return Position{account, g.seq, event}, true, nil
	case event.Valid(id.Event) && event < g.event:
		return Position{}, false, apierr.New(apierr.EventExpired, "Events after this one are too old and were "+
			"deleted, so some would be missing. Read the present state, then the events from now on, or send %s for "+
			"all events that are kept.", Beginning)
	}
	return Position{}, false, nil
}

// Next returns up to limit events after the position, in order, and the position after them.
// Nothing is left out or repeated, however many are appended at the same time: an event is never
// committed before one with a lower number.
func (l *Service) Next(ctx context.Context, r db.Reader, p Position, limit int) ([]Event, Position, error) {
	events, err := after(ctx, r, p.account, p.seq, limit)
	if err != nil {
		return events, p, err
	}
	return events, behind(p, events), nil
}
