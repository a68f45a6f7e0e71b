package audit

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// archived is an entry as it stands in an archive.
type archived struct {
	Entry
	Account id.ID `json:"account"`
}

// Oldest returns the IDs of up to limit entries of all accounts that come after that one and were
// made before the time, oldest first. Forget deletes those without an account.
func (s *Service) Oldest(ctx context.Context, r db.Reader, after id.ID, before time.Time, limit int) ([]id.ID, error) {
	return oldest(ctx, r, after, id.First(id.Audit, before), limit)
}

// Archive calls line with each entry from first to last, both included, as it stands in an archive.
func (s *Service) Archive(ctx context.Context, r db.Reader, first, last id.ID, line func(any) error) error {
	all, err := between(ctx, r, first, last)
	for _, e := range all {
		if err == nil {
			err = line(archived{e, e.Account})
		}
	}
	return err
}

// Delete deletes the entries from first to last, both included, of all accounts, and returns how
// many.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, first, last id.ID) (int64, error) {
	return remove(ctx, tx, first, last)
}
