package latitude

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// project is the part of a project that we read.
type project struct {
	Slug         string
	Provisioning string `json:"provisioning_type"`
}

// onDemand is the provisioning type of projects whose machines are billed by the hour.
const onDemand = "on_demand"

// Examine implements provider.Examiner. It reports a project that the account does not have, and
// one whose machines cannot be billed by the hour: every deploy would be refused.
func (l *Adapter) Examine(ctx context.Context) ([]string, error) {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return nil, err
	}
	list, _, err := l.all(ctx, "/projects", nil)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		var p project
		if err := json.Unmarshal(r.Attributes, &p); err != nil {
			return nil, upstream.Malformed("a project", err)
		}
		if r.ID != l.project && p.Slug != l.project {
			continue
		}
		if p.Provisioning != "" && p.Provisioning != onDemand {
			return []string{fmt.Sprintf("The project %s has the provisioning type %.40q, which requires yearly "+
				"billing. "+
				"Billet deploys by the hour: choose a project of the "+
				"type %s.", l.project, p.Provisioning, onDemand)}, nil
		}
		return nil, nil
	}
	return []string{
		fmt.Sprintf("The team has no project %s. Set project to the id or slug of one that it has.", l.project),
	}, nil
}
