package rack

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
)

// KindRefusals is the job that opens an issue for each BMC that refuses Billet. Its only subject is
// Fleet.
const KindRefusals job.Kind = "rack-refusals"

// Fleet is the subject of the job that is for all machines.
const Fleet id.ID = "fleet"

// Slug is the name of these machines as a provider.
const Slug = "racks"

const (
	// refusalsEvery is how often the job runs.
	refusalsEvery = 5 * time.Minute
	// refusedLong is how long a BMC must refuse Billet for an issue: one that starts, or that
	// locks an account for a while, does so, too.
	refusedLong = 30 * time.Minute
)

// Start enqueues the periodic job.
func (s *Service) Start(ctx context.Context) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindRefusals, Fleet, tx.Now)
	})
}

// ReportRefusals opens an issue for each BMC that has refused Billet for long, and closes those of
// BMCs that no longer do. It is the handler of KindRefusals.
func (s *Service) ReportRefusals(ctx context.Context, _ id.ID) (job.Outcome, error) {
	var next time.Time
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		next = tx.Now.Add(refusalsEvery)
		all, err := refusedBefore(ctx, tx, tx.Now.Add(-refusedLong))
		if err != nil {
			return err
		}
		found := make([]issue.Sighting, len(all))
		for i, m := range all {
			found[i] = issue.Sighting{Kind: issue.RefusingBMC, UpstreamID: m.Name, Reference: m.ID, Detail: m.refusal()}
			if m.DeploymentID != nil {
				found[i].Deployment = *m.DeploymentID
			}
		}
		return s.cfg.Issues.Report(ctx, tx, Slug, []issue.Kind{issue.RefusingBMC}, found)
	})
	return job.At(next), err
}

// refusal describes that the BMC refuses Billet.
func (m Machine) refusal() string {
	text := fmt.Sprintf("The BMC of %s has refused Billet since %s, so the machine cannot be controlled.",
		m.Name, m.RefusedAt.UTC().Format(time.RFC3339))
	if m.Detail != "" {
		text += " " + m.Detail
	}
	return text
}
