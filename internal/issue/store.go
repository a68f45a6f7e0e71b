package issue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// chunkRows is how many rows one statement takes; see package wallet.
const chunkRows = 20

const columns = `id, kind, provider, upstream_id, reference, deployment_id, volume_id, detail, endable, state, note, problem,
	first_seen_at, last_seen_at, end_after, held, ending_since, closed_at`

func scan(row db.Row) (Issue, error) {
	var f Issue
	var upstream, reference, deployment, volume, note, problem string
	var endable, held, first, last int64
	var after, ending, closed sql.NullInt64
	err := row.Scan(&f.ID, &f.Kind, &f.Provider, &upstream, &reference, &deployment, &volume, &f.Detail, &endable, &f.State, &note, &problem,
		&first, &last, &after, &held, &ending, &closed)
	f.UpstreamID, f.Reference, f.Note, f.Problem = orNil[string](upstream), orNil[string](reference), orNil[string](note), orNil[string](problem)
	f.DeploymentID, f.VolumeID = orNil[id.ID](deployment), orNil[id.ID](volume)
	f.Endable, f.Held = endable == 1, held == 1
	f.FirstSeenAt, f.LastSeenAt = db.At(first), db.At(last)
	f.EndAfter, f.EndingSince, f.ClosedAt = db.AtOrNil(after), db.AtOrNil(ending), db.AtOrNil(closed)
	return f, err
}

func orNil[T ~string](s string) *T {
	if s == "" {
		return nil
	}
	t := T(s)
	return &t
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func kindsAsArgs(args []any, kinds []Kind) []any {
	for _, k := range kinds {
		args = append(args, k)
	}
	return args
}

func live(ctx context.Context, r db.Reader, provider string, kinds []Kind) (bool, error) {
	n := 0
	err := r.QueryRow(ctx, `SELECT COUNT(*) FROM issue WHERE closed_at IS NULL AND provider = $1 AND kind IN `+db.In(2, len(kinds)), kindsAsArgs([]any{provider}, kinds)...).Scan(&n)
	return n > 0, err
}

// upsert makes issues of what is new, marks the others as seen, and returns the new ones.
func (s *Service) upsert(ctx context.Context, tx *db.Tx, provider string, seen []Sighting) (made []Sighting, err error) {
	const width = 13
	for len(seen) > 0 {
		chunk := seen[:min(chunkRows, len(seen))]
		seen = seen[len(chunk):]
		args, mine := make([]any, 0, width*len(chunk)), map[id.ID]Sighting{}
		for _, o := range chunk {
			f := s.c.IDs.New(id.Issue)
			mine[f] = o
			args = append(args, f, o.Kind, provider, o.subject(), Plain(o.UpstreamID), Plain(string(o.Reference)), o.Deployment, o.Volume, Plain(o.Detail), bit(o.Endable),
				db.Micros(tx.Now), db.Micros(tx.Now), 0)
		}
		rows, err := tx.Query(ctx, `
			WITH seen (id, kind, provider, subject, upstream_id, reference, deployment_id, volume_id, detail, endable, first_seen_at, last_seen_at, held) AS (VALUES `+typed(width, len(chunk))+`)
			INSERT INTO issue (id, kind, provider, subject, upstream_id, reference, deployment_id, volume_id, detail, endable, first_seen_at, last_seen_at, held, state, note, problem)
			SELECT seen.*, 'open', '', '' FROM seen WHERE 1 = 1
			ON CONFLICT (provider, kind, subject) WHERE closed_at IS NULL DO UPDATE SET last_seen_at = excluded.last_seen_at, upstream_id = excluded.upstream_id,
				deployment_id = excluded.deployment_id, volume_id = excluded.volume_id, detail = excluded.detail, endable = excluded.endable
			RETURNING id`, args...)
		if err != nil {
			return nil, fmt.Errorf("write issues: %w", err)
		}
		for rows.Next() {
			var f id.ID
			if err := rows.Scan(&f); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			if o, is := mine[f]; is {
				made = append(made, o)
			}
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// typed is n rows of placeholders; the first tells PostgreSQL the types of all.
func typed(width, n int) string {
	var b strings.Builder
	for i := range width {
		kind := "TEXT"
		if i >= 9 {
			kind = "BIGINT"
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "CAST($%d AS %s)", i+1, kind)
	}
	first := "(" + b.String() + ")"
	if n > 1 {
		first += ", " + db.Tuples(width+1, n-1, width)
	}
	return first
}

// touch marks issues as seen that are live, and makes none.
func touch(ctx context.Context, tx *db.Tx, provider string, seen []Sighting) error {
	for len(seen) > 0 {
		chunk := seen[:min(chunkRows, len(seen))]
		seen = seen[len(chunk):]
		args, match := []any{db.Micros(tx.Now), provider}, []string{}
		for _, o := range chunk {
			args = append(args, o.Kind, o.subject())
			match = append(match, fmt.Sprintf("(kind = $%d AND subject = $%d)", len(args)-1, len(args)))
		}
		if _, err := tx.Exec(ctx, `UPDATE issue SET last_seen_at = $1 WHERE provider = $2 AND closed_at IS NULL AND (`+strings.Join(match, " OR ")+`)`, args...); err != nil {
			return fmt.Errorf("touch issues: %w", err)
		}
	}
	return nil
}

// closeUnseen closes what was last seen then or before. What has an owner who ended it, or was asked to be ended, was ended.
func closeUnseen(ctx context.Context, tx *db.Tx, provider string, kinds []Kind, before time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE issue SET closed_at = $1, end_after = NULL, state = CASE
			WHEN state = 'dismissed' THEN 'dismissed'
			WHEN ending_since IS NOT NULL OR kind IN ('undead_machine', 'stuck_termination') OR volume_id <> '' AND endable = 0 THEN 'ended'
			ELSE 'settled' END
		WHERE closed_at IS NULL AND last_seen_at <= $2 AND provider = $3 AND kind IN `+db.In(4, len(kinds)), kindsAsArgs([]any{db.Micros(tx.Now), db.Micros(before), provider}, kinds)...)
	if err != nil {
		return fmt.Errorf("close issues: %w", err)
	}
	return nil
}

func ids(ctx context.Context, tx *db.Tx, query string, args ...any) ([]id.ID, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []id.ID
	for rows.Next() {
		var f id.ID
		if err := rows.Scan(&f); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// unconfirm returns what the provider said was gone then or before, and lists at this moment.
func unconfirm(ctx context.Context, tx *db.Tx, provider string, kinds []Kind, before time.Time) ([]id.ID, error) {
	return ids(ctx, tx, `UPDATE issue SET confirmed_at = NULL
		WHERE closed_at IS NULL AND confirmed_at <= $1 AND last_seen_at >= $2 AND provider = $3 AND kind IN `+db.In(4, len(kinds))+` RETURNING id`,
		kindsAsArgs([]any{db.Micros(before), db.Micros(tx.Now), provider}, kinds)...)
}

// Policy is for machines whose reference no deployment has, at whatever provider.
const unowned = ` provider = $1 AND kind = 'orphaned_machine' AND state = 'open' AND endable = 1`

func countUnowned(ctx context.Context, r db.Reader, provider string) (open, held int, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(held), 0) AS BIGINT) FROM issue WHERE`+unowned, provider).Scan(&open, &held)
	return open, held, err
}

func hold(ctx context.Context, tx *db.Tx, provider string) (int64, error) {
	return tx.Exec(ctx, `UPDATE issue SET held = 1, end_after = NULL WHERE`+unowned+` AND held = 0 AND ending_since IS NULL`, provider)
}

// schedule has policy end what it has not decided about yet, and returns it.
func schedule(ctx context.Context, tx *db.Tx, provider string, at time.Time) ([]id.ID, error) {
	return ids(ctx, tx, `UPDATE issue SET end_after = $2 WHERE`+unowned+` AND held = 0 AND end_after IS NULL AND ending_since IS NULL RETURNING id`, provider, db.Micros(at))
}

// unschedule takes back what another policy planned.
func unschedule(ctx context.Context, tx *db.Tx, issue id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE issue SET end_after = NULL WHERE id = $1 AND ending_since IS NULL`, issue)
	return err
}

// beginByPolicy commits to ending it, if its time has come and there are few enough.
func beginByPolicy(ctx context.Context, tx *db.Tx, provider string, issue id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE issue SET ending_since = $3 WHERE`+unowned+` AND id = $2 AND held = 0 AND end_after <= $3 AND ending_since IS NULL
		AND (SELECT COUNT(*) FROM issue WHERE`+unowned+`) <= $4`, provider, issue, db.Micros(tx.Now), BreakerLimit)
	return n == 1, err
}

func begin(ctx context.Context, tx *db.Tx, issue id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE issue SET state = 'open', ending_since = COALESCE(ending_since, $2), confirmed_at = NULL WHERE id = $1 AND closed_at IS NULL AND endable = 1`,
		issue, db.Micros(tx.Now))
	return n == 1, err
}

func dismiss(ctx context.Context, tx *db.Tx, issue id.ID, note string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE issue SET state = 'dismissed', note = $2, end_after = NULL WHERE id = $1 AND closed_at IS NULL AND ending_since IS NULL`, issue, note)
	return n == 1, err
}

// answered keeps what the provider said to ending it: a problem, or that it is gone.
func answered(ctx context.Context, tx *db.Tx, issue id.ID, problem string, confirmed *time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE issue SET problem = $2, confirmed_at = $3 WHERE id = $1 AND closed_at IS NULL`, issue, problem, db.MicrosOrNull(confirmed))
	return err
}

func one(ctx context.Context, r db.Reader, issue id.ID) (Issue, bool, error) {
	if !issue.Valid(id.Issue) {
		return Issue{}, false, nil
	}
	f, err := scan(r.QueryRow(ctx, `SELECT `+columns+` FROM issue WHERE id = $1`, issue))
	if errors.Is(err, sql.ErrNoRows) {
		return Issue{}, false, nil
	}
	return f, err == nil, err
}

func list(ctx context.Context, r db.Reader, f Filter, p db.Page) ([]Issue, db.Listed, error) {
	l := db.List[Issue]{Columns: columns, Table: `issue`, Order: []db.Key{{Column: `id`}}, Down: true, Scan: scan}
	var filters []db.Cond // the first of them is served by an index
	for _, c := range []struct{ column, value string }{
		{`state`, string(f.State)}, {`kind`, string(f.Kind)}, {`provider`, strings.ToLower(f.Provider)},
	} {
		if c.value != "" {
			filters = append(filters, db.Is(c.column, c.value))
		}
	}
	if len(filters) > 0 {
		l.Each, l.Rest = &filters[0], filters[1:]
	}
	return l.Page(ctx, r, p)
}

func counts(ctx context.Context, r db.Reader) ([]Count, error) {
	rows, err := r.Query(ctx, `SELECT provider, kind, state, COUNT(*) FROM issue WHERE state IN ('open', 'ended') GROUP BY provider, kind, state`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Count
	for rows.Next() {
		var c Count
		if err := rows.Scan(&c.Provider, &c.Kind, &c.State, &c.Issues); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
