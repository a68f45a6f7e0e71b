package signedhead

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/wallet"
)

// maxIssues is how many rows become issues at once. `billetd ledger verify` names all.
const maxIssues = 20

// VerifyDaily verifies the ledger and its signatures, and opens an issue for each row that was
// changed. It is the handler of KindVerify.
func (s *Service) VerifyDaily(ctx context.Context, _ id.ID) (job.Outcome, error) {
	heads, err := Verify(ctx, s.cfg.DB, VerifyOptions{Secrets: s.cfg.Secrets})
	if err != nil {
		return job.Outcome{}, err
	}
	ledger, err := wallet.Verify(ctx, s.cfg.DB, wallet.VerifyOptions{})
	if err != nil {
		return job.Outcome{}, err
	}
	problems := append(ledger.Problems, heads.Problems...)
	found := make([]issue.Sighting, min(len(problems), maxIssues))
	for i := range found {
		found[i] = issue.Sighting{
			Kind: issue.ChangedLedger, UpstreamID: problems[i].Table + " " + problems[i].Row,
			Detail: problems[i].String(),
		}
	}
	var now time.Time
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now = tx.Now
		return s.cfg.Issues.Report(ctx, tx, issue.LedgerSource, []issue.Kind{issue.ChangedLedger}, found)
	})
	return job.At(nextDay(now).Add(verifyAfter)), err
}
