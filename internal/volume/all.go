package volume

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// FilterAll narrows the list of all accounts' volumes. Zero fields do not.
type FilterAll struct {
	// Statuses are all but deleted if there are none.
	Statuses []Status
	Provider string
	Account  id.ID
	// Search is the id of a volume, deployment or account, or a part of the name of the volume or
	// of its account, in any case.
	Search string
}

// Owned is a volume with the account that it belongs to.
type Owned struct {
	Volume
	Account id.ID
}

// ListAll returns a page of the volumes of all accounts, newest first. It is for the operator.
func (s *Service) ListAll(ctx context.Context, r db.Reader, f FilterAll, p db.Page) ([]Owned, db.Listed, error) {
	records, total, err := listAll(ctx, r, f, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	volumes, err := s.volumes(ctx, r, records)
	out := make([]Owned, len(volumes))
	for i, v := range volumes {
		out[i] = Owned{v, records[i].account}
	}
	return out, total, err
}

// At returns the provider's volumes of all accounts that may still exist. It is for the operator.
func (s *Service) At(ctx context.Context, r db.Reader, provider string) ([]id.ID, error) {
	return existingAt(ctx, r, provider)
}
