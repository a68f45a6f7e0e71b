package event

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// archived is an event as it stands in an archive: with what only the operator needs.
type archived struct {
	Event
	Account id.ID `json:"account"`
	Number  int64 `json:"number"`
}

// Oldest returns the IDs of up to limit events of all accounts that come after that one and were
// made before the time, oldest first.
func (l *Service) Oldest(ctx context.Context, r db.Reader, after id.ID, before time.Time, limit int) ([]id.ID, error) {
	return oldest(ctx, r, after, id.First(id.Event, before), limit)
}

// Archive calls line with each event from first to last, both included, as it stands in an archive.
func (l *Service) Archive(ctx context.Context, r db.Reader, first, last id.ID, line func(any) error) error {
	all, err := between(ctx, r, first, last)
	for _, e := range all {
		if err == nil {
			err = line(archived{e, e.Account, e.seq})
		}
	}
	return err
}

// Delete deletes the events from first to last, both included, of all accounts, and returns how
// many. Behind still finds the position after the newest of them.
func (l *Service) Delete(ctx context.Context, tx *db.Tx, first, last id.ID) (int64, error) {
	return remove(ctx, tx, first, last)
}
