package issue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// queryChunk is how many rows one statement takes; see package wallet.
const queryChunk = 20

// row is an issue as the database keeps it: a field for each column that is read. Texts that the
// API shows as null are empty.
type row struct {
	id, deployment, volume          id.ID
	kind                            Kind
	state                           State
	provider, detail                string
	upstreamID, reference           string
	note, problem                   string
	endable, held                   bool
	firstSeenAt, lastSeenAt         time.Time
	endAfter, endingSince, closedAt *time.Time
}

var issues = db.NewTable("issue", func(r *row) []db.Column {
	return []db.Column{
		db.Col("id", &r.id), db.Col("kind", &r.kind), db.Col("provider", &r.provider), db.Col("state", &r.state),
		db.Col("upstream_id", &r.upstreamID), db.Col("reference", &r.reference),
		db.Col("deployment_id", &r.deployment), db.Col("volume_id", &r.volume), db.Col("detail", &r.detail),
		db.Col("endable", &r.endable), db.Col("held", &r.held), db.Col("note", &r.note), db.Col("problem", &r.problem),
		db.Col("first_seen_at", &r.firstSeenAt), db.Col("last_seen_at", &r.lastSeenAt),
		db.Col("end_after", &r.endAfter), db.Col("ending_since", &r.endingSince), db.Col("closed_at", &r.closedAt),
	}
})

// scan reads an issue as the API shows it.
func scan(from db.Row) (Issue, error) {
	r, err := issues.Scan(from)
	return Issue{
		ID: r.id, Kind: r.kind, Provider: r.provider, State: r.state, Detail: r.detail,
		Endable: r.endable, Held: r.held,
		UpstreamID: orNil(r.upstreamID), Reference: orNil(r.reference), Note: orNil(r.note), Problem: orNil(r.problem),
		DeploymentID: orNil(r.deployment), VolumeID: orNil(r.volume),
		FirstSeenAt: r.firstSeenAt, LastSeenAt: r.lastSeenAt,
		EndAfter: r.endAfter, EndingSince: r.endingSince, ClosedAt: r.closedAt,
	}, err
}

func orNil[T ~string](s T) *T {
	if s == "" {
		return nil
	}
	return &s
}

func live(ctx context.Context, r db.Reader, provider string, kinds []Kind, condition string) (bool, error) {
	n, _, err := db.Find(ctx, r, db.Value[int],
		`SELECT COUNT(*) FROM issue WHERE closed_at IS NULL AND provider = $1 AND kind IN `+db.In(2, len(kinds))+
			condition,
		append([]any{provider}, db.Args(kinds)...)...)
	return n > 0, err
}

// upsert creates issues of what is new, marks the others as seen, and returns the new ones.
func (s *Service) upsert(
	ctx context.Context, tx *db.Tx, provider string, found []Sighting,
) (created []Sighting, err error) {
	const columns = `id, kind, provider, subject, upstream_id, reference, deployment_id, volume_id, detail, endable,
		first_seen_at, last_seen_at, held, state, note, problem`
	for chunk := range slices.Chunk(found, queryChunk) {
		var args []any
		byID := map[id.ID]Sighting{}
		for _, o := range chunk {
			i := s.cfg.IDs.New(id.Issue)
			byID[i] = o
			args = append(args, i, o.Kind, provider, o.subject(), Plain(o.UpstreamID), Plain(string(o.Reference)),
				o.Deployment, o.Volume, Plain(o.Detail), o.Endable, tx.Now, tx.Now, false, StateOpen, "", "")
		}
		written, err := db.Collect(ctx, tx, db.Value[id.ID], `INSERT INTO issue (`+columns+`)
			VALUES `+db.Tuples(1, len(chunk), len(args)/len(chunk))+`
			ON CONFLICT (provider, kind, subject) WHERE closed_at IS NULL DO UPDATE SET
				last_seen_at = excluded.last_seen_at, upstream_id = excluded.upstream_id,
				deployment_id = excluded.deployment_id, volume_id = excluded.volume_id,
				detail = excluded.detail, endable = excluded.endable
			RETURNING id`, args...)
		if err != nil {
			return nil, fmt.Errorf("write issues: %w", err)
		}
		for _, i := range written {
			if o, is := byID[i]; is {
				created = append(created, o)
			}
		}
	}
	return created, nil
}

// touch marks live issues as seen, and creates none.
func touch(ctx context.Context, tx *db.Tx, provider string, seen []Sighting) error {
	for chunk := range slices.Chunk(seen, queryChunk) {
		args, match := []any{tx.Now, provider}, []string{}
		for _, o := range chunk {
			args = append(args, o.Kind, o.subject())
			match = append(match, fmt.Sprintf("(kind = $%d AND subject = $%d)", len(args)-1, len(args)))
		}
		_, err := tx.Exec(ctx, `UPDATE issue SET last_seen_at = $1
			WHERE provider = $2 AND closed_at IS NULL AND (`+strings.Join(match, " OR ")+`)`, args...)
		if err != nil {
			return fmt.Errorf("touch issues: %w", err)
		}
	}
	return nil
}

// closeUnseen closes what was last seen then or before. It was ended if Billet, or the package that
// owns its deployment or volume, asked for that.
func closeUnseen(ctx context.Context, tx *db.Tx, provider string, kinds []Kind, before time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE issue SET closed_at = $1, end_after = NULL, state = CASE
			WHEN state = 'dismissed' THEN 'dismissed'
			WHEN ending_since IS NOT NULL OR kind IN ('undead_machine', 'stuck_termination')
				OR volume_id <> '' AND endable = 0 THEN 'ended'
			ELSE 'settled' END
		WHERE closed_at IS NULL AND last_seen_at <= $2 AND provider = $3 AND kind IN `+db.In(4, len(kinds)),
		append([]any{tx.Now, before, provider}, db.Args(kinds)...)...)
	if err != nil {
		return fmt.Errorf("close issues: %w", err)
	}
	return nil
}

// unconfirm returns what the provider confirmed as gone then or before, and lists at this moment.
func unconfirm(ctx context.Context, tx *db.Tx, provider string, kinds []Kind, before time.Time) ([]id.ID, error) {
	return db.Collect(ctx, tx, db.Value[id.ID], `UPDATE issue SET confirmed_at = NULL
		WHERE closed_at IS NULL AND confirmed_at <= $1 AND last_seen_at >= $2 AND provider = $3
			AND kind IN `+db.In(4, len(kinds))+` RETURNING id`,
		append([]any{before, tx.Now, provider}, db.Args(kinds)...)...)
}

// orphans are the machines of a provider that the policy is for: those whose reference no
// deployment has, at any provider.
const orphans = ` provider = $1 AND kind = 'orphaned_machine' AND state = 'open' AND endable = 1`

func countOrphans(ctx context.Context, r db.Reader, provider string) (open, held int, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(held), 0) AS BIGINT) FROM issue WHERE`+orphans, provider).
		Scan(&open, &held)
	return open, held, err
}

func hold(ctx context.Context, tx *db.Tx, provider string) (int64, error) {
	return tx.Exec(ctx, `UPDATE issue SET held = 1, end_after = NULL
		WHERE`+orphans+` AND held = 0 AND ending_since IS NULL`, provider)
}

// schedule has the policy end what it has not decided about yet, and returns it.
func schedule(ctx context.Context, tx *db.Tx, provider string, at time.Time) ([]id.ID, error) {
	return db.Collect(ctx, tx, db.Value[id.ID], `UPDATE issue SET end_after = $2
		WHERE`+orphans+` AND held = 0 AND end_after IS NULL AND ending_since IS NULL RETURNING id`, provider, at)
}

// undecided counts the open orphans that are not being ended.
func undecided(ctx context.Context, r db.Reader) (n int64, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM issue WHERE state = 'open' AND ending_since IS NULL
		AND kind IN ($1, $2)`, OrphanedMachine, OrphanedVolume).Scan(&n)
	return n, err
}

// unschedule cancels what another policy scheduled.
func unschedule(ctx context.Context, tx *db.Tx, issue id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE issue SET end_after = NULL WHERE id = $1 AND ending_since IS NULL`, issue)
	return err
}

// beginByPolicy commits to ending the machine, if its time has come and there are few enough.
func beginByPolicy(ctx context.Context, tx *db.Tx, provider string, issue id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE issue SET ending_since = $3
		WHERE`+orphans+` AND id = $2 AND held = 0 AND end_after <= $3 AND ending_since IS NULL
			AND (SELECT COUNT(*) FROM issue WHERE`+orphans+`) <= $4`, provider, issue, tx.Now, BreakerLimit)
	return n == 1, err
}

func begin(ctx context.Context, tx *db.Tx, issue id.ID) (bool, error) {
	n, err := tx.Exec(
		ctx,
		`UPDATE issue SET state = 'open', ending_since = COALESCE(ending_since, $2), confirmed_at = NULL
		WHERE id = $1 AND closed_at IS NULL AND endable = 1`,
		issue,
		tx.Now,
	)
	return n == 1, err
}

func dismiss(ctx context.Context, tx *db.Tx, issue id.ID, note string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE issue SET state = 'dismissed', note = $2, end_after = NULL
		WHERE id = $1 AND closed_at IS NULL AND ending_since IS NULL`, issue, note)
	return n == 1, err
}

func resolve(ctx context.Context, tx *db.Tx, provider string, o Sighting, note string) error {
	_, err := tx.Exec(ctx, `UPDATE issue SET state = 'dismissed', note = $1, end_after = NULL, closed_at = $2
		WHERE provider = $3 AND kind = $4 AND subject = $5 AND closed_at IS NULL AND ending_since IS NULL`,
		note, tx.Now, provider, o.Kind, o.subject())
	return err
}

// settleOthers closes the issues of a kind whose subject is another, or that were last seen then or
// before.
func settleOthers(ctx context.Context, tx *db.Tx, provider string, kept Sighting, seenAfter time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE issue SET closed_at = $1, end_after = NULL,
			state = CASE WHEN state = 'dismissed' THEN 'dismissed' ELSE 'settled' END
		WHERE closed_at IS NULL AND ending_since IS NULL AND provider = $2 AND kind = $3
			AND (subject <> $4 OR last_seen_at <= $5)`,
		tx.Now, provider, kept.Kind, kept.subject(), seenAfter)
	return err
}

// setAnswer writes what the provider answered to ending the subject: a problem, or that it is gone.
func setAnswer(ctx context.Context, tx *db.Tx, issue id.ID, problem string, confirmed *time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE issue SET problem = $2, confirmed_at = $3 WHERE id = $1 AND closed_at IS NULL`,
		issue, problem, confirmed)
	return err
}

func find(ctx context.Context, r db.Reader, issue id.ID) (Issue, bool, error) {
	if !issue.Valid(id.Issue) {
		return Issue{}, false, nil
	}
	return db.Find(ctx, r, scan, `SELECT `+issues.Columns()+` FROM issue WHERE id = $1`, issue)
}

func list(ctx context.Context, r db.Reader, f Filter, p db.Page) ([]Issue, db.Listed, error) {
	l := db.List[Issue]{
		Columns: issues.Columns(), Table: `issue`, Order: []db.Key{{Column: `id`}}, Down: true, Scan: scan,
	}
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
	return db.Collect(ctx, r, func(row db.Row) (c Count, err error) {
		err = row.Scan(&c.Provider, &c.Kind, &c.State, &c.Issues)
		return c, err
	}, `SELECT provider, kind, state, COUNT(*) FROM issue
		WHERE state IN ('open', 'ended') GROUP BY provider, kind, state`)
}

// purge deletes up to limit issues that were closed before that time, and returns how many. Those
// that Billet ended stay: they are counted.
func purge(ctx context.Context, tx *db.Tx, before time.Time, limit int) (int64, error) {
	n, err := tx.Exec(ctx, `DELETE FROM issue WHERE id IN
		(SELECT id FROM issue WHERE closed_at IS NOT NULL AND state <> 'ended' AND closed_at < $1
			ORDER BY closed_at LIMIT $2)`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("delete old issues: %w", err)
	}
	return n, nil
}
