package event

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Beginning stands for the event before an account's first one.
const Beginning id.ID = "evt_0"

// Position is a place between two events of an account's history.
type Position struct {
	account id.ID
	seq     int64
	// Event is the one before it; Beginning where there is none.
	Event id.ID
}

// Now is the position after the account's newest event.
func (l *Service) Now(ctx context.Context, r db.Reader, account id.ID) (Position, error) {
	e, seq, found, err := last(ctx, r, account)
	if err != nil || !found {
		return Position{account: account, Event: Beginning}, err
	}
	return Position{account, seq, e}, nil
}

// Hold is Now, and keeps others from appending to the account's history until the commit. It belongs into Tx.BeforeCommit: the
// counter that it locks is the last row that a transaction locks.
func (l *Service) Hold(ctx context.Context, tx *db.Tx, account id.ID) (Position, error) {
	if err := hold(ctx, tx, account); err != nil {
		return Position{}, err
	}
	return l.Now(ctx, tx, account)
}

// Behind is the position after that event; found is false where the account has no such event.
func (l *Service) Behind(ctx context.Context, r db.Reader, account, event id.ID) (p Position, found bool, err error) {
	if event == Beginning {
		return Position{account: account, Event: Beginning}, true, nil
	}
	seq, found, err := placeOf(ctx, r, account, event)
	return Position{account, seq, event}, found, err
}

// Next returns up to limit events that come after the position, in their order, and the position after them. Nothing is
// left out and nothing comes twice, however many are appended at the same time: an event is never
// committed before one that stands before it.
func (l *Service) Next(ctx context.Context, r db.Reader, p Position, limit int) ([]Event, Position, error) {
	events, err := after(ctx, r, p.account, p.seq, limit)
	if err != nil {
		return events, p, err
	}
	return events, behind(p, events), nil
}
