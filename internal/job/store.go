package job

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

type claimed struct {
	id, owner  id.ID
	kind       Kind
	subject    id.ID
	generation int64
	attempt    int64
	failures   int64
	// held is until when this process may count on the lease, by its own reckoning.
	held time.Time
}

func insert(ctx context.Context, tx *db.Tx, row, owner id.ID, kind Kind, subject id.ID, at time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO job (id, kind, subject, run_at, generation, attempt, failures, lease_until, last_error, owner)
		VALUES ($1, $2, $3, $4, 1, 0, 0, 0, '', $5)
		ON CONFLICT (kind, subject) DO UPDATE SET
			generation = job.generation + 1,
			failures = 0,
			owner = excluded.owner,
			run_at = CASE WHEN excluded.run_at < job.run_at THEN excluded.run_at ELSE job.run_at END`,
		row, kind, subject, db.Micros(at), owner)
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

// turn is a job whose turn it is, and whose.
type turn struct {
	id, owner id.ID
	at        int64
}

// skips is how many crowds of owners are passed over by reading on; what lies behind more is put in order by the database,
// which costs several times as much for each job that is due.
const skips = 4

// turns returns up to limit jobs that are due at now and that nobody has at real, of none of the kinds in except, in the order
// in which they are to be claimed: the first of each owner, then the second of each, and so on.
func turns(ctx context.Context, r db.Reader, now, real time.Time, limit int, except map[Kind]bool) ([]turn, error) {
	var all []turn
	seen := map[id.ID]bool{}
	for skip := 0; ; skip++ {
		more, err := dueBeside(ctx, r, now, real, limit, except, seen, skip == skips)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
		if len(more) < limit || skip == skips {
			break
		}
		for _, t := range more { // in order of time: whoever is among them has his first there
			seen[t.owner] = true
		}
	}
	place, places := map[id.ID]int{}, map[id.ID]int{}
	for _, t := range all { // of each owner they are in order
		places[t.id] = place[t.owner]
		place[t.owner]++
	}
	slices.SortFunc(all, func(a, b turn) int {
		return cmp.Or(cmp.Compare(places[a.id], places[b.id]), cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id))
	})
	return all[:min(limit, len(all))], nil
}

// dueBeside returns the first jobs that are due, none of those owners': in order of time, or each owner's first before any second.
func dueBeside(ctx context.Context, r db.Reader, now, real time.Time, limit int, except map[Kind]bool, seen map[id.ID]bool, inTurn bool) ([]turn, error) {
	other, args := notOf(except, []any{db.Micros(now), db.Micros(real), limit})
	due := ` FROM job WHERE run_at <= $1 AND lease_until <= $2` + other
	if len(seen) > 0 {
		due += ` AND owner NOT IN ` + db.In(len(args)+1, len(seen))
		for owner := range seen {
			args = append(args, owner)
		}
	}
	query := `SELECT id, owner, run_at` + due + ` ORDER BY run_at, id LIMIT $3`
	if inTurn {
		query = `SELECT id, owner, run_at FROM (SELECT id, owner, run_at, ROW_NUMBER() OVER (PARTITION BY owner ORDER BY run_at, id) AS place` + due + `) AS due
			ORDER BY place, run_at, id LIMIT $3`
	}
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("find jobs that are due: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []turn
	for rows.Next() {
		var t turn
		if err := rows.Scan(&t.id, &t.owner, &t.at); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// claim takes those of the jobs that are due at now and that nobody has at real, until real+lease. While
// a job is leased its run_at stands: whoever enqueues it again lowers it.
func claim(ctx context.Context, tx *db.Tx, now, real time.Time, lease time.Duration, some []turn) ([]claimed, error) {
	args := []any{db.Micros(now), db.Micros(real), db.Micros(real.Add(lease))}
	pick := `SELECT id FROM job WHERE run_at <= $1 AND lease_until <= $2 AND id IN ` + db.In(len(args)+1, len(some))
	for _, t := range some {
		args = append(args, t.id)
	}
	if tx.Engine() == db.Postgres {
		pick += ` FOR UPDATE SKIP LOCKED` // replicas pass by each other's rows instead of waiting; the outer WHERE alone keeps it correct
	}
	rows, err := tx.Query(ctx, `
		WITH pick AS MATERIALIZED (`+pick+`)
		UPDATE job SET attempt = attempt + 1, lease_until = $3
		WHERE id IN (SELECT id FROM pick) AND lease_until <= $2
		RETURNING id, owner, kind, subject, generation, attempt, failures`, args...)
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []claimed
	for rows.Next() {
		var c claimed
		if err := rows.Scan(&c.id, &c.owner, &c.kind, &c.subject, &c.generation, &c.attempt, &c.failures); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// finish ends a run. Where nobody enqueued the job since it was claimed it is deleted (again is
// nil) or put off to *again; otherwise it keeps the time it was given meanwhile, or now. It tells
// whether the run still had the job.
func finish(ctx context.Context, tx *db.Tx, c claimed, again *time.Time, failures int64, problem string) (bool, error) {
	if again == nil {
		n, err := tx.Exec(ctx, `DELETE FROM job WHERE id = $1 AND attempt = $2 AND generation = $3`, c.id, c.attempt, c.generation)
		if err != nil || n == 1 {
			return n == 1, err
		}
	} else {
		n, err := tx.Exec(ctx, `UPDATE job SET run_at = $4, lease_until = 0, failures = $5, last_error = $6 WHERE id = $1 AND attempt = $2 AND generation = $3`,
			c.id, c.attempt, c.generation, db.Micros(*again), failures, problem)
		if err != nil || n == 1 {
			return n == 1, err
		}
	}
	n, err := tx.Exec(ctx, `UPDATE job SET lease_until = 0 WHERE id = $1 AND attempt = $2`, c.id, c.attempt)
	return n == 1, err
}

// stillHeld tells in a transaction whether the run still has the job, and keeps others from taking it until the commit. Whoever
// enqueues it meanwhile does not wait: on PostgreSQL the lock is one that only a claim, and the job's end, wait for or pass by.
func stillHeld(ctx context.Context, tx *db.Tx, c claimed) (bool, error) {
	query := `SELECT COUNT(*) FROM job WHERE id = $1 AND attempt = $2`
	if tx.Engine() == db.Postgres {
		query = `SELECT COUNT(*) FROM (SELECT 1 FROM job WHERE id = $1 AND attempt = $2 FOR KEY SHARE) AS held`
	}
	n := 0
	err := tx.QueryRow(ctx, query, c.id, c.attempt).Scan(&n)
	return n == 1, err
}

// leased tells whether the run has the job at real.
func leased(ctx context.Context, r db.Reader, c claimed, real time.Time) (bool, error) {
	n := 0
	err := r.QueryRow(ctx, `SELECT COUNT(*) FROM job WHERE id = $1 AND attempt = $2 AND lease_until > $3`, c.id, c.attempt, db.Micros(real)).Scan(&n)
	return n == 1, err
}

// extend keeps the lease of a run that takes long. It tells whether the run still has the job.
func extend(ctx context.Context, tx *db.Tx, c claimed, until time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE job SET lease_until = $3 WHERE id = $1 AND attempt = $2`, c.id, c.attempt, db.Micros(until))
	return n == 1, err
}

// nextDue returns when the earliest job is due that is not leased at real and of none of the kinds in except.
func nextDue(ctx context.Context, r db.Reader, real time.Time, except map[Kind]bool) (time.Time, bool, error) {
	other, args := notOf(except, []any{db.Micros(real)})
	var us sql.NullInt64
	if err := r.QueryRow(ctx, `SELECT MIN(run_at) FROM job WHERE lease_until <= $1`+other, args...).Scan(&us); err != nil {
		return time.Time{}, false, fmt.Errorf("next due job: %w", err)
	}
	return db.At(us.Int64), us.Valid, nil
}

// OldestDue returns when the job is due that is due first and that nobody has; false where there is none. That may be in the future.
func OldestDue(ctx context.Context, r db.Reader) (time.Time, bool, error) {
	real, err := db.Time(ctx, r)
	if err != nil {
		return time.Time{}, false, err
	}
	return nextDue(ctx, r, real, nil)
}

// countDue returns how many jobs are due at now that are not leased at real and of none of the kinds in except.
func countDue(ctx context.Context, r db.Reader, now, real time.Time, except map[Kind]bool) (n int, err error) {
	other, args := notOf(except, []any{db.Micros(now), db.Micros(real)})
	if err := r.QueryRow(ctx, `SELECT COUNT(*) FROM job WHERE run_at <= $1 AND lease_until <= $2`+other, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count due jobs: %w", err)
	}
	return n, nil
}

// notOf is a condition that leaves those kinds out, with its arguments added to args.
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

// release takes every lease away.
func release(ctx context.Context, tx *db.Tx) (int64, error) {
	return tx.Exec(ctx, `UPDATE job SET lease_until = 0 WHERE lease_until > 0`)
}

// Failing is a job whose last runs could not ask.
type Failing struct {
	Kind      Kind
	Subject   id.ID
	Failures  int64
	LastError string
	NextAt    time.Time
}

// ListFailing returns a page of the jobs whose last run failed, most failures first.
func ListFailing(ctx context.Context, r db.Reader, p db.Page) ([]Failing, db.Listed, error) {
	return db.List[Failing]{
		Columns: `kind, subject, failures, last_error, run_at`, Table: `job`, Where: []db.Cond{{Text: `failures > 0`}},
		Order: []db.Key{{Column: `failures`, Number: true}, {Column: `id`}}, Down: true,
		Scan: func(row db.Row) (f Failing, err error) {
			var at int64
			err = row.Scan(&f.Kind, &f.Subject, &f.Failures, &f.LastError, &at)
			f.NextAt = db.At(at)
			return f, err
		},
	}.Page(ctx, r, p)
}

// CountFailing returns how many jobs of each kind failed when they last ran.
func CountFailing(ctx context.Context, r db.Reader) (map[Kind]int64, error) {
	rows, err := r.Query(ctx, `SELECT kind, COUNT(*) FROM job WHERE failures > 0 GROUP BY kind`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[Kind]int64{}
	for rows.Next() {
		var k Kind
		var n int64
		if err := rows.Scan(&k, &n); err != nil {
			return nil, err
		}
		out[k] = n
	}
	return out, rows.Err()
}
