package deployment

import (
	"context"
	"net/netip"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// FilterAll narrows the list of all accounts' deployments. Zero fields do not.
type FilterAll struct {
	Statuses []Status
	Provider string
	Account  id.ID
	GPUType  string // in the exact spelling
	// Search is the id of a deployment or account, an IP address, or a part of the name of the
	// deployment or of its account, in any case.
	Search string
}

// ListAll returns a page of the deployments of all accounts, newest first. It is for the operator.
func (s *Service) ListAll(ctx context.Context, r db.Reader, f FilterAll, p db.Page) ([]Deployment, db.Listed, error) {
	rows, total, err := listAll(ctx, r, f, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	out := make([]Deployment, len(rows))
	for i := range rows {
		out[i] = rows[i].view()
	}
	return out, total, s.complete(ctx, r, out)
}

// isAddress reports whether the text is a whole IP address.
func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}
