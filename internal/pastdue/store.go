package pastdue

import (
	"context"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// state is the progress of an account's period below zero.
type state struct {
	account                          id.ID
	since, warnedAt                  time.Time
	deploymentsEnded, volumesDeleted *time.Time
}

func (s *state) columns() []db.Column {
	return []db.Column{
		db.Col("account_id", &s.account),
		db.Col("since", &s.since),
		db.Col("warned_at", &s.warnedAt),
		db.Col("ended_at", &s.deploymentsEnded),
		db.Col("deleted_at", &s.volumesDeleted),
	}
}

var states = db.NewTable("past_due", (*state).columns)

func find(ctx context.Context, tx *db.Tx, account id.ID) (state, bool, error) {
	return states.Find(ctx, tx, `WHERE account_id = $1`, account)
}

func put(ctx context.Context, tx *db.Tx, s state) error {
	return states.Put(ctx, tx, []string{"account_id"}, s)
}

func remove(ctx context.Context, tx *db.Tx, account id.ID) error {
	_, err := states.Delete(ctx, tx, db.Is("account_id", account))
	return err
}

// warned is a threshold at which an account was warned.
type warned struct {
	account   id.ID
	threshold int64 // hours
}

// warnedRow is a row of the table low_balance.
type warnedRow struct {
	warned
	at time.Time
}

var warnings = db.NewTable("low_balance", func(r *warnedRow) []db.Column {
	return []db.Column{
		db.Col("account_id", &r.account), db.Col("threshold", &r.threshold), db.Col("warned_at", &r.at),
	}
})

// allWarned returns the thresholds at which accounts were warned.
func allWarned(ctx context.Context, r db.Reader) (map[id.ID][]time.Duration, error) {
	rows, err := warnings.Select(ctx, r, ``)
	out := map[id.ID][]time.Duration{}
	for _, w := range rows {
		out[w.account] = append(out[w.account], time.Duration(w.threshold)*time.Hour)
	}
	return out, err
}

// changeWarnings writes the thresholds that were reached and deletes those that are so no more. It
// returns those that it wrote: another run may have been faster.
func changeWarnings(ctx context.Context, tx *db.Tx, all []lowAccount) (map[warned]bool, error) {
	var rows []warnedRow
	removed := map[time.Duration][]id.ID{}
	for _, a := range all {
		for _, t := range a.add {
			rows = append(rows, warnedRow{warned{a.account, hoursOf(t)}, tx.Now})
		}
		for _, t := range a.remove {
			removed[t] = append(removed[t], a.account)
		}
	}
	for _, t := range Thresholds {
		for chunk := range slices.Chunk(removed[t], accountChunk) {
			threshold := db.Is("threshold", hoursOf(t))
			if _, err := warnings.Delete(ctx, tx, threshold, db.IsOneOf("account_id", chunk)); err != nil {
				return nil, err
			}
		}
	}
	scan := func(row db.Row) (w warned, err error) {
		err = row.Scan(&w.account, &w.threshold)
		return w, err
	}
	added := map[warned]bool{}
	for chunk := range slices.Chunk(rows, db.ChunkRows) {
		query, args := warnings.InsertSQL(chunk)
		some, err := db.Collect(ctx, tx, scan, query+` ON CONFLICT (account_id, threshold) DO NOTHING
			RETURNING account_id, threshold`, args...)
		if err != nil {
			return nil, err
		}
		for _, w := range some {
			added[w] = true
		}
	}
	return added, nil
}

// accountChunk is how many accounts one statement names.
const accountChunk = 100
