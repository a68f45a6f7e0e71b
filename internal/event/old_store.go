package event

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// gone is the end of what was deleted of an account's history.
type gone struct {
	seq   int64
	event id.ID
}

func scanGone(row db.Row) (g gone, err error) {
	err = row.Scan(&g.seq, &g.event)
	return g, err
}

// goneOf returns the newest deleted event of the account; the zero value if none was deleted.
func goneOf(ctx context.Context, r db.Reader, account id.ID) (gone, error) {
	g, _, err := db.Find(ctx, r, scanGone, `SELECT gone, gone_event FROM event_counter WHERE account_id = $1`, account)
	return g, err
}

// oldest returns the IDs of up to limit events between both, oldest first.
func oldest(ctx context.Context, r db.Reader, after, before id.ID, limit int) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID],
		`SELECT id FROM event WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3`, after, before, limit)
}

// between returns the events from first to last, both included.
func between(ctx context.Context, r db.Reader, first, last id.ID) ([]Event, error) {
	return events.Select(ctx, r, `WHERE id >= $1 AND id <= $2 ORDER BY id`, first, last)
}

// remove deletes the events from first to last, both included, and writes into the counters where
// the histories begin now. The counters are the last rows that a transaction locks, in the order of
// the accounts.
func remove(ctx context.Context, tx *db.Tx, first, last id.ID) (int64, error) {
	type place struct {
		account id.ID
		gone
	}
	all, err := db.Collect(ctx, tx, func(row db.Row) (p place, err error) {
		err = row.Scan(&p.account, &p.seq, &p.event)
		return p, err
	}, `DELETE FROM event WHERE id >= $1 AND id <= $2 RETURNING account_id, seq, id`, first, last)
	if err != nil {
		return 0, fmt.Errorf("delete old events: %w", err)
	}
	newest := map[id.ID]gone{}
	for _, p := range all {
		if p.seq > newest[p.account].seq {
			newest[p.account] = p.gone
		}
	}
	tx.BeforeCommit(func(ctx context.Context) error { return begin(ctx, tx, newest) })
	return int64(len(all)), nil
}

// begin writes which events were deleted last.
func begin(ctx context.Context, tx *db.Tx, newest map[id.ID]gone) error {
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(newest)), db.ChunkRows) {
		var args []any
		for _, account := range chunk {
			args = append(args, account, newest[account].seq, newest[account].seq, newest[account].event)
		}
		_, err := tx.Exec(ctx, `INSERT INTO event_counter (account_id, last, gone, gone_event)
			VALUES `+db.Tuples(1, len(chunk), 4)+`
			ON CONFLICT (account_id) DO UPDATE SET gone = excluded.gone, gone_event = excluded.gone_event
				WHERE excluded.gone > event_counter.gone`, args...)
		if err != nil {
			return fmt.Errorf("write where histories of events begin: %w", err)
		}
	}
	return nil
}
