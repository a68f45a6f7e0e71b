package latitude

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/internal/provider"
)

// project is what is read of a project.
type project struct {
	Slug         string
	Provisioning string `json:"provisioning_type"`
}

// onDemand is the provisioning type of projects whose machines are billed by the hour.
const onDemand = "on_demand"

// Examine reports a project that the account does not have, and one whose machines cannot be billed by
// the hour: every deploy would be refused.
func (l *Adapter) Examine(ctx context.Context) ([]string, error) {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return nil, err
	}
	list, _, err := l.all(ctx, "/projects", nil)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		p, err := readProject(r)
		if err != nil {
			return nil, err
		}
		if r.ID != l.project && p.Slug != l.project {
			continue
		}
		if p.Provisioning != "" && p.Provisioning != onDemand {
			return []string{fmt.Sprintf("The project %s is of the provisioning type %.40q, which wants yearly billing; Billet deploys by the hour. Choose a project that is %s.",
				l.project, p.Provisioning, onDemand)}, nil
		}
		return nil, nil
	}
	return []string{fmt.Sprintf("The team has no project %s; set project to the id or slug of one that it has.", l.project)}, nil
}
