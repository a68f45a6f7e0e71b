package health

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/id"
)

// record is a Check as the database keeps it.
type record struct {
	Check
	verdict gpucheck.Verdict // "" while the check is in progress
}

var checks = db.NewTable("gpu_check", func(c *record) []db.Column {
	return []db.Column{
		db.Col("id", &c.ID), db.Col("deployment_id", &c.Deployment), db.Col("offer_id", &c.OfferID),
		db.Col("level", &c.Level), db.Col("cause", &c.Trigger), db.Col("verdict", &c.verdict),
		db.Col("reason", &c.Reason), db.Col("nodes", db.JSON(&c.Nodes)), db.Col("created_at", &c.CreatedAt),
		db.Col("finished_at", &c.FinishedAt),
	}
})

func (c record) view() Check {
	if c.verdict != "" {
		c.Check.Verdict = &c.verdict
	}
	return c.Check
}

// Add writes a check that begins now, without a verdict, and deletes those over Kept. It returns
// false if one of the deployment is in progress.
func Add(ctx context.Context, tx *db.Tx, c *Check) (bool, error) {
	c.CreatedAt, c.Nodes = tx.Now, []Node{}
	n, err := checks.InsertNew(ctx, tx, "", record{Check: *c})
	if err != nil || n == 0 {
		return false, err
	}
	return true, prune(ctx, tx, c.Deployment)
}

// AddFinished writes a check that is finished now, and deletes those over Kept.
func AddFinished(ctx context.Context, tx *db.Tx, c Check, found Result) error {
	c.CreatedAt, c.FinishedAt, c.Reason, c.Nodes = tx.Now, &tx.Now, found.Reason, found.Nodes
	if err := checks.Insert(ctx, tx, record{Check: c, verdict: found.Verdict}); err != nil {
		return err
	}
	return prune(ctx, tx, c.Deployment)
}

// Finish writes the result of a check, unless it has one. It reports whether it wrote it.
func Finish(ctx context.Context, tx *db.Tx, check id.ID, found Result) (bool, error) {
	c := record{verdict: found.Verdict}
	c.Reason, c.Nodes, c.FinishedAt = found.Reason, found.Nodes, &tx.Now
	n, err := checks.Update(ctx, tx, &c, []string{"verdict", "reason", "nodes", "finished_at"},
		db.Is("id", check), db.Cond{Text: `finished_at IS NULL`})
	return n == 1, err
}

// Pending returns the check of the deployment that is in progress.
func Pending(ctx context.Context, r db.Reader, deployment id.ID) (Check, bool, error) {
	c, found, err := checks.Find(ctx, r, `WHERE deployment_id = $1 AND finished_at IS NULL`, deployment)
	return c.view(), found, err
}

// List returns the checks of a deployment, newest first. There are at most Kept.
func List(ctx context.Context, r db.Reader, deployment id.ID) ([]Check, error) {
	found, err := checks.Select(ctx, r, `WHERE deployment_id = $1 ORDER BY id DESC`, deployment)
	out := make([]Check, len(found))
	for i, c := range found {
		out[i] = c.view()
	}
	return out, err
}

// prune deletes the oldest checks of a deployment that has more than Kept.
func prune(ctx context.Context, tx *db.Tx, deployment id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM gpu_check WHERE deployment_id = $1 AND finished_at IS NOT NULL AND id < (
		SELECT MIN(id) FROM (SELECT id FROM gpu_check WHERE deployment_id = $1 ORDER BY id DESC LIMIT $2) AS newest)`,
		deployment, Kept)
	return err
}
