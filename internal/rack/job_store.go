package rack

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var agentJobs = db.NewTable("rack_job", func(j *agentJob) []db.Column {
	return []db.Column{
		db.Col("machine_id", &j.Machine), db.Col("id", &j.ID), db.Col("kind", &j.Kind),
		db.Col("token_hash", &j.TokenHash), db.Col("attempts", &j.Attempts), db.Col("created_at", &j.CreatedAt),
		db.Col("booted_at", &j.BootedAt), db.Col("claimed_at", &j.ClaimedAt), db.Col("heard_at", &j.HeardAt),
		db.Col("number", &j.Number), db.Col("phase", &j.Phase), db.Col("progress", &j.Progress),
		db.Col("outcome", &j.Outcome), db.Col("error", &j.Error), db.Col("hardware", db.JSON(&j.Hardware)),
		db.Col("erasure", db.JSON(&j.Erasure)), db.Col("closed", &j.Closed),
	}
})

// jobKey identifies the job of a machine.
var jobKey = []string{"machine_id"}

// findJob reads the job of a machine; nil where it has none.
func findJob(ctx context.Context, r db.Reader, machine id.ID) (*agentJob, error) {
	j, found, err := agentJobs.Find(ctx, r, `WHERE machine_id = $1`+db.ForUpdate(r), machine)
	if err != nil || !found {
		return nil, err
	}
	return &j, nil
}

// jobOf finds the job that a token is for.
func jobOf(ctx context.Context, r db.Reader, tokenHash string) (agentJob, bool, error) {
	return agentJobs.Find(ctx, r, `WHERE token_hash = $1`, tokenHash)
}

func putJob(ctx context.Context, tx *db.Tx, j agentJob) error {
	return agentJobs.Put(ctx, tx, jobKey, j)
}

// saveJob writes a job unless another one has replaced it; false if one has.
func saveJob(ctx context.Context, tx *db.Tx, j agentJob) (bool, error) {
	n, err := agentJobs.Update(ctx, tx, &j, []string{
		"token_hash", "attempts", "booted_at", "claimed_at", "heard_at", "number", "phase", "progress", "outcome",
		"error", "hardware", "erasure", "closed",
	}, db.Is("machine_id", j.Machine), db.Is("id", j.ID))
	return n == 1, err
}

// endJob closes the job of a machine, so that its token is refused and its result has no effect.
func endJob(ctx context.Context, tx *db.Tx, machine id.ID) error {
	j, err := findJob(ctx, tx, machine)
	if err != nil || j == nil {
		return err
	}
	j.Closed = true
	_, err = saveJob(ctx, tx, *j)
	return err
}

var erasures = db.NewTable("rack_erasure", func(e *Erasure) []db.Column {
	return []db.Column{
		db.Col("id", &e.ID), db.Col("machine_id", &e.MachineID), db.Col("deployment_id", &e.DeploymentID),
		db.Col("started_at", &e.StartedAt), db.Col("ended_at", &e.EndedAt), db.Col("passed", &e.Passed),
		db.Col("reason", &e.Reason), db.Col("drives", db.JSON(&e.Drives)),
	}
})

// recordErasure writes a record, and deletes those that are too old.
func recordErasure(ctx context.Context, tx *db.Tx, e Erasure) error {
	if _, err := erasures.InsertNew(ctx, tx, "id", e); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM rack_erasure WHERE ended_at < $1`, tx.Now.Add(-erasuresKept))
	return err
}

// lastErasure reads the last record of a deployment.
func lastErasure(ctx context.Context, r db.Reader, deployment id.ID) (Erasure, bool, error) {
	return erasures.Find(ctx, r, `WHERE deployment_id = $1 ORDER BY id DESC LIMIT 1`, deployment)
}

// erasuresOf returns a page of a machine's records, newest first.
func erasuresOf(ctx context.Context, r db.Reader, machine id.ID, p db.Page) ([]Erasure, db.Listed, error) {
	l := erasures.List(db.Is("machine_id", machine))
	l.Order, l.Down = []db.Key{{Column: "id"}}, true
	return l.Page(ctx, r, p)
}

var images = db.NewTable("rack_image", func(i *Image) []db.Column {
	return []db.Column{
		db.Col("name", &i.Name), db.Col("url", &i.URL), db.Col("sha256", &i.SHA256), db.Col("format", &i.Format),
		db.Col("bytes", &i.Bytes), db.Col("created_at", &i.CreatedAt),
	}
})

func allImages(ctx context.Context, r db.Reader) ([]Image, error) {
	return images.Select(ctx, r, `ORDER BY name`+db.ByBytes(r))
}

func findImage(ctx context.Context, r db.Reader, name string) (Image, bool, error) {
	return images.Find(ctx, r, `WHERE name = $1`, name)
}

func putImage(ctx context.Context, tx *db.Tx, i Image) error {
	return images.Put(ctx, tx, []string{"name"}, i)
}

func removeImage(ctx context.Context, tx *db.Tx, name string) error {
	_, err := images.Delete(ctx, tx, db.Is("name", name))
	return err
}

var identities = db.NewTable("rack_identity", func(i *identity) []db.Column {
	return []db.Column{
		db.Col("id", &i.ID), db.Col("certificate", &i.Certificate), db.Col("private_key", &i.Key),
		db.Col("created_at", &i.CreatedAt),
	}
})

func findIdentity(ctx context.Context, r db.Reader) (identity, bool, error) {
	return identities.Find(ctx, r, `WHERE id = 1`)
}

// addIdentity keeps one that is there.
func addIdentity(ctx context.Context, tx *db.Tx, i identity) error {
	_, err := identities.InsertNew(ctx, tx, "id", i)
	return err
}

// anyMachine reports whether there is a machine.
func anyMachine(ctx context.Context, r db.Reader) (is bool, err error) {
	err = r.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM rack_machine)`).Scan(&is)
	return is, err
}
