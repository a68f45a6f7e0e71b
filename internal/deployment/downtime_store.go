package deployment

import (
	"context"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var downtimes = db.NewTable("deployment_downtime", func(d *downtime) []db.Column {
	return []db.Column{
		db.Col("deployment_id", &d.deployment), db.Col("from_at", &d.From), db.Col("seen_at", &d.SeenAt),
		db.Col("to_at", &d.to), db.Col("cause", &d.Cause), db.Col("provider", &d.provider),
		db.Col("settled", &d.settled),
	}
})

// machineList is when a provider's machines were last compared with the deployments.
type machineList struct {
	provider string
	at       time.Time
}

var lists = db.NewTable("machine_list", func(l *machineList) []db.Column {
	return []db.Column{db.Col("provider", &l.provider), db.Col("listed_at", &l.at)}
})

// listedAt returns when the provider's last list was asked for; nil before the first.
func listedAt(ctx context.Context, r db.Reader, provider string) (*time.Time, error) {
	l, found, err := lists.Find(ctx, r, `WHERE provider = $1`, provider)
	if err != nil || !found {
		return nil, err
	}
	return &l.at, nil
}

func putListed(ctx context.Context, tx *db.Tx, provider string, at time.Time) error {
	return lists.Put(ctx, tx, []string{"provider"}, machineList{provider, at})
}

// openDowntimes returns the downtimes at the provider that last.
func openDowntimes(ctx context.Context, r db.Reader, provider string) (map[id.ID]downtime, error) {
	rows, err := downtimes.Select(ctx, r, `WHERE provider = $1 AND to_at IS NULL`, provider)
	out := make(map[id.ID]downtime, len(rows))
	for _, d := range rows {
		out[d.deployment] = d
	}
	return out, err
}

func openDowntime(ctx context.Context, r db.Reader, deployment id.ID) (downtime, bool, error) {
	return downtimes.Find(ctx, r, `WHERE deployment_id = $1 AND to_at IS NULL`, deployment)
}

// lockAlive returns how many downtimes each of the deployments has that have not ended. On
// PostgreSQL it locks their rows.
func lockAlive(ctx context.Context, tx *db.Tx, begin []downtime) (map[id.ID]int64, error) {
	ids := make([]id.ID, len(begin))
	for i, d := range begin {
		ids[i] = d.deployment
	}
	slices.Sort(ids)
	out := map[id.ID]int64{}
	for chunk := range slices.Chunk(ids, queryChunk) {
		args := append([]any{StatusRunning, StatusStopped}, db.Args(chunk)...)
		alive, err := db.Collect(ctx, tx, db.Value[id.ID], `SELECT id FROM deployment WHERE status IN ($1, $2)
			AND id IN `+db.In(3, len(chunk))+` ORDER BY id`+db.ForUpdate(tx), args...)
		if err != nil {
			return nil, err
		}
		counts, err := db.CollectMap(ctx, tx, db.Pair[id.ID, int64], `SELECT deployment_id, COUNT(*)
			FROM deployment_downtime WHERE deployment_id IN `+db.In(1, len(chunk))+` GROUP BY deployment_id`,
			db.Args(chunk)...)
		if err != nil {
			return nil, err
		}
		for _, d := range alive {
			out[d] = counts[d]
		}
	}
	return out, nil
}

func insertDowntimes(ctx context.Context, tx *db.Tx, rows []downtime) error {
	_, err := downtimes.InsertNew(ctx, tx, "", rows...)
	return err
}

func forgetDowntimes(ctx context.Context, tx *db.Tx, deployments []id.ID) error {
	if len(deployments) == 0 {
		return nil
	}
	_, err := downtimes.Delete(ctx, tx, db.IsOneOf("deployment_id", deployments), db.Cond{Text: `to_at IS NULL`})
	return err
}

// endOpen ends the downtimes of the deployments. One that would end before it began is deleted.
func endOpen(ctx context.Context, tx *db.Tx, at time.Time, deployments ...id.ID) error {
	of, lasts := db.IsOneOf("deployment_id", deployments), db.Cond{Text: `to_at IS NULL`}
	_, err := downtimes.Delete(ctx, tx, of, lasts, db.Cond{Text: `from_at >= ?`, Args: []any{at}})
	if err != nil {
		return err
	}
	_, err = downtimes.Update(ctx, tx, &downtime{to: &at}, []string{"to_at"}, of, lasts)
	return err
}

func endedDowntimes(ctx context.Context, r db.Reader, deployment id.ID) ([]downtime, error) {
	return downtimes.Select(ctx, r, `WHERE deployment_id = $1 AND to_at IS NOT NULL AND settled = 0
		ORDER BY from_at`, deployment)
}

// settleDowntimes settles the downtimes that began then.
func settleDowntimes(ctx context.Context, tx *db.Tx, deployment id.ID, from []time.Time) error {
	if len(from) == 0 {
		return nil
	}
	_, err := downtimes.Update(ctx, tx, &downtime{settled: true}, []string{"settled"},
		db.Is("deployment_id", deployment), db.IsOneOf("from_at", from))
	return err
}
