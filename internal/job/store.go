package job

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// The table job, as a claim, the order of turns and the operator read it.
var (
	jobs     = db.NewTable("job", (*claimed).columns)
	turnRows = db.NewTable("job", (*turn).columns)
	failings = db.NewTable("job", (*Failing).columns)
)

type claimed struct {
	id, owner  id.ID
	kind       Kind
	subject    id.ID
	generation int64
	attempt    int64
	failures   int64
	trace      string
	// held is until when this process may rely on the lease, by its own clock.
	held time.Time
}

func (c *claimed) columns() []db.Column {
	return []db.Column{
		db.Col("id", &c.id),
		db.Col("owner", &c.owner),
		db.Col("kind", &c.kind),
		db.Col("subject", &c.subject),
		db.Col("generation", &c.generation),
		db.Col("attempt", &c.attempt),
		db.Col("failures", &c.failures),
		db.Col("trace", &c.trace),
	}
}

func insert(ctx context.Context, tx *db.Tx, row, owner id.ID, kind Kind, subject id.ID, at time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO job (id, kind, subject, run_at, generation, attempt, failures, lease_until, last_error, owner,
			trace)
		VALUES ($1, $2, $3, $4, 1, 0, 0, 0, '', $5, $6)
		ON CONFLICT (kind, subject) DO UPDATE SET
			generation = job.generation + 1,
			failures = 0,
			owner = excluded.owner,
			trace = CASE WHEN excluded.trace = '' THEN job.trace ELSE excluded.trace END,
			run_at = CASE WHEN excluded.run_at < job.run_at THEN excluded.run_at ELSE job.run_at END`,
		row, kind, subject, at, owner, traceOf(ctx))
	if err != nil {
		return fmt.Errorf("enqueue %s for %s: %w", kind, subject, err)
	}
	return nil
}

func remove(ctx context.Context, tx *db.Tx, kind Kind, subject id.ID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM job WHERE kind = $1 AND subject = $2`, kind, subject); err != nil {
		return fmt.Errorf("cancel %s for %s: %w", kind, subject, err)
	}
	return nil
}

// turn is a due job with its owner.
type turn struct {
	id, owner id.ID
	at        time.Time
}

func (t *turn) columns() []db.Column {
	return []db.Column{db.Col("id", &t.id), db.Col("owner", &t.owner), db.Col("run_at", &t.at)}
}

// skips is how often owners that fill a whole batch are skipped by reading on. Beyond that the
// database orders the jobs, which costs several times as much for each job that is due.
const skips = 4

// turns returns up to limit jobs that are due at now and not leased at real, of none of the kinds
// in except, in the order in which they are to be claimed: the first of each owner, then the second
// of each, and so on.
func turns(
	ctx context.Context, r db.Reader, now, real time.Time, limit int, except map[Kind]bool,
) ([]turn, error) {
	var all []turn
	seen := map[id.ID]bool{}
	for skip := 0; ; skip++ {
		more, err := dueOfOthers(ctx, r, now, real, limit, except, seen, skip == skips)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
		if len(more) < limit || skip == skips {
			break
		}
		for _, t := range more { // ordered by time, so the first job of each of these owners is among them
			seen[t.owner] = true
		}
	}
	place, places := map[id.ID]int{}, map[id.ID]int{}
	for _, t := range all { // the jobs of each owner are in order
		places[t.id] = place[t.owner]
		place[t.owner]++
	}
	slices.SortFunc(all, func(a, b turn) int {
		return cmp.Or(cmp.Compare(places[a.id], places[b.id]), a.at.Compare(b.at), cmp.Compare(a.id, b.id))
	})
	return all[:min(limit, len(all))], nil
}

// dueOfOthers returns the first due jobs of owners that are not in seen: ordered by time, or, if
// inTurn, the first of each owner before any second.
func dueOfOthers(
	ctx context.Context, r db.Reader, now, real time.Time, limit int, except map[Kind]bool, seen map[id.ID]bool,
	inTurn bool,
) ([]turn, error) {
	other, args := notOf(except, []any{now, real, limit})
	due := ` FROM job WHERE run_at <= $1 AND lease_until <= $2` + other
	if len(seen) > 0 {
		due += ` AND owner NOT IN ` + db.In(len(args)+1, len(seen))
		for owner := range seen {
			args = append(args, owner)
		}
	}
	columns := turnRows.Columns()
	query := `SELECT ` + columns + due + ` ORDER BY run_at, id LIMIT $3`
	if inTurn {
		query = `SELECT ` + columns + ` FROM (SELECT ` + columns +
			`, ROW_NUMBER() OVER (PARTITION BY owner ORDER BY run_at, id)
			AS place` + due + `) AS due ORDER BY place, run_at, id LIMIT $3`
	}
	out, err := db.Collect(ctx, r, turnRows.Scan, query, args...)
	if err != nil {
		return nil, fmt.Errorf("find due jobs: %w", err)
	}
	return out, nil
}

// claim claims those of the jobs that are due at now and not leased at real, until real+lease.
// While a job is leased its run_at does not change, except that Enqueue may lower it.
func claim(
	ctx context.Context, tx *db.Tx, now, real time.Time, lease time.Duration, some []turn,
) ([]claimed, error) {
	args := []any{now, real, real.Add(lease)}
	pick := `SELECT id FROM job WHERE run_at <= $1 AND lease_until <= $2 AND id IN ` + db.In(len(args)+1, len(some))
	for _, t := range some {
		args = append(args, t.id)
	}
	if tx.Engine() == db.Postgres {
		pick += ` FOR UPDATE SKIP LOCKED` // replicas skip each other's rows. The outer WHERE alone keeps it correct.
	}
	out, err := db.Collect(ctx, tx, jobs.Scan, `
		WITH pick AS MATERIALIZED (`+pick+`)
		UPDATE job SET attempt = attempt + 1, lease_until = $3
		WHERE id IN (SELECT id FROM pick) AND lease_until <= $2
		RETURNING `+jobs.Columns(), args...)
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	return out, nil
}

// finish ends a run. If the job was not enqueued since it was claimed, it is deleted (again is nil)
// or postponed to *again. Else it keeps the time at which it was enqueued. finish reports whether
// the run still had the job. A run after traceUntil is not of the same trace.
func finish(
	ctx context.Context, tx *db.Tx, c claimed, again *time.Time, failures int64, problem string, traceUntil time.Time,
) (bool, error) {
	if again == nil {
		n, err := tx.Exec(ctx, `DELETE FROM job WHERE id = $1 AND attempt = $2 AND generation = $3`,
			c.id, c.attempt, c.generation)
		if err != nil || n == 1 {
			return n == 1, err
		}
	} else {
		n, err := tx.Exec(ctx, `UPDATE job SET run_at = $4, lease_until = 0, failures = $5, last_error = $6,
			trace = CASE WHEN CAST($4 AS BIGINT) > CAST($7 AS BIGINT) THEN '' ELSE trace END
			WHERE id = $1 AND attempt = $2 AND generation = $3`, c.id, c.attempt, c.generation, *again, failures,
			problem, traceUntil)
		if err != nil || n == 1 {
			return n == 1, err
		}
	}
	n, err := tx.Exec(ctx, `UPDATE job SET lease_until = 0 WHERE id = $1 AND attempt = $2`, c.id, c.attempt)
	return n == 1, err
}

// stillHeld reports in a transaction whether the run still has the job, and keeps others from
// claiming it until the commit. Enqueue does not wait: on PostgreSQL only a claim and the job's end
// conflict with the lock.
func stillHeld(ctx context.Context, tx *db.Tx, c claimed) (bool, error) {
	query := `SELECT COUNT(*) FROM job WHERE id = $1 AND attempt = $2`
	if tx.Engine() == db.Postgres {
		query = `SELECT COUNT(*) FROM (SELECT 1 FROM job WHERE id = $1 AND attempt = $2 FOR KEY SHARE) AS held`
	}
	n := 0
	err := tx.QueryRow(ctx, query, c.id, c.attempt).Scan(&n)
	return n == 1, err
}

// leased reports whether the run has the job at real.
func leased(ctx context.Context, r db.Reader, c claimed, real time.Time) (bool, error) {
	n := 0
	err := r.QueryRow(ctx, `SELECT COUNT(*) FROM job WHERE id = $1 AND attempt = $2 AND lease_until > $3`,
		c.id, c.attempt, real).Scan(&n)
	return n == 1, err
}

// extend extends the lease of a run, and reports whether the run still has the job.
func extend(ctx context.Context, tx *db.Tx, c claimed, until time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE job SET lease_until = $3 WHERE id = $1 AND attempt = $2`, c.id, c.attempt, until)
	return n == 1, err
}

// nextDue returns when the earliest job is due that is not leased at real and of none of the kinds
// in except.
func nextDue(ctx context.Context, r db.Reader, real time.Time, except map[Kind]bool) (time.Time, bool, error) {
	other, args := notOf(except, []any{real})
	var at *time.Time
	if err := r.QueryRow(ctx, `SELECT MIN(run_at) FROM job WHERE lease_until <= $1`+other,
		args...).Scan(&at); err != nil {
		return time.Time{}, false, fmt.Errorf("next due job: %w", err)
	}
	if at == nil {
		return time.Time{}, false, nil
	}
	return *at, true, nil
}

// OldestDue returns, for each kind with jobs that are due at now and do not run, when the earliest
// was due.
func OldestDue(ctx context.Context, r db.Reader, now time.Time) (map[Kind]time.Time, error) {
	real, err := db.Time(ctx, r)
	if err != nil {
		return nil, err
	}
	return db.CollectMap(ctx, r, db.Pair[Kind, time.Time], `SELECT kind, MIN(run_at) FROM job
		WHERE run_at <= $1 AND lease_until <= $2 GROUP BY kind`, now, real)
}

// countDue returns how many jobs are due at now that are not leased at real and of none of the
// kinds in except.
func countDue(ctx context.Context, r db.Reader, now, real time.Time, except map[Kind]bool) (n int, err error) {
	other, args := notOf(except, []any{now, real})
	query := `SELECT COUNT(*) FROM job WHERE run_at <= $1 AND lease_until <= $2` + other
	if err := r.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count due jobs: %w", err)
	}
	return n, nil
}

// notOf returns a condition that excludes those kinds, with its arguments appended to args.
func notOf(kinds map[Kind]bool, args []any) (string, []any) {
	if len(kinds) == 0 {
		return "", args
	}
	condition := ` AND kind NOT IN ` + db.In(len(args)+1, len(kinds))
	for k := range kinds {
		args = append(args, k)
	}
	return condition, args
}

// release ends every lease.
func release(ctx context.Context, tx *db.Tx) (int64, error) {
	return tx.Exec(ctx, `UPDATE job SET lease_until = 0 WHERE lease_until > 0`)
}

// Failing is a job whose last run failed.
type Failing struct {
	ID        id.ID
	Kind      Kind
	Subject   id.ID
	Failures  int64
	LastError string
	NextAt    time.Time
}

func (f *Failing) columns() []db.Column {
	return []db.Column{
		db.Col("id", &f.ID),
		db.Col("kind", &f.Kind),
		db.Col("subject", &f.Subject),
		db.Col("failures", &f.Failures),
		db.Col("last_error", &f.LastError),
		db.Col("run_at", &f.NextAt),
	}
}

// ListFailing returns a page of the jobs whose last run failed, most failures first: all, or those
// of a subject.
func ListFailing(ctx context.Context, r db.Reader, subject id.ID, p db.Page) ([]Failing, db.Listed, error) {
	where := []db.Cond{{Text: `failures > 0`}}
	if subject != "" {
		where = append(where, db.Is("subject", subject))
	}
	l := failings.List(where...)
	l.Order, l.Down = []db.Key{{Column: `failures`, Number: true}, {Column: `id`}}, true
	return l.Page(ctx, r, p)
}

// hasten makes a failing job due. It returns false if there is no such job.
func hasten(ctx context.Context, tx *db.Tx, job id.ID) (Failing, bool, error) {
	return db.Find(ctx, tx, failings.Scan, `UPDATE job SET generation = generation + 1,
		run_at = CASE WHEN run_at > $2 THEN $2 ELSE run_at END
		WHERE id = $1 AND failures > 0 RETURNING `+failings.Columns(), job, tx.Now)
}

// CountFailing returns how many jobs of each kind failed when they last ran.
func CountFailing(ctx context.Context, r db.Reader) (map[Kind]int64, error) {
	return db.CollectMap(ctx, r, db.Pair[Kind, int64], `SELECT kind, COUNT(*) FROM job WHERE failures > 0
		GROUP BY kind`)
}
