package event

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func (e *Event) columns() []db.Column {
	return []db.Column{
		db.Col("id", &e.ID),
		db.Col("account_id", &e.Account),
		db.Col("subject", &e.Subject),
		db.Col("type", &e.Type),
		db.Col("data", data{&e.Data}),
		db.Col("created_at", &e.CreatedAt),
		db.Col("seq", &e.seq),
	}
}

var events = db.NewTable("event", (*Event).columns)

// number assigns the events their sequence numbers in the histories of their accounts. The
// accounts' counters stay locked until the commit, so that a higher number is never visible before
// a lower one. They are locked in the order of the accounts, so that two transactions with the same
// accounts cannot deadlock.
func number(ctx context.Context, tx *db.Tx, events []Event) error {
	next := map[id.ID]int64{} // first how many, then the number of the account's next event
	for _, e := range events {
		next[e.Account]++
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(next)), db.ChunkRows) {
		args := make([]any, 0, 2*len(chunk))
		for _, account := range chunk {
			args = append(args, account, next[account])
		}
		last, err := db.CollectMap(ctx, tx, db.Pair[id.ID, int64], `
			INSERT INTO event_counter (account_id, last) VALUES `+db.Tuples(1, len(chunk), 2)+`
			ON CONFLICT (account_id) DO UPDATE SET last = event_counter.last + excluded.last
				RETURNING account_id, last`, args...)
		if err != nil {
			return fmt.Errorf("number events: %w", err)
		}
		if len(last) != len(chunk) {
			return fmt.Errorf("number events: got %d of %d counters", len(last), len(chunk))
		}
		for account, n := range last {
			next[account] = n - next[account] + 1
		}
	}
	for i := range events {
		events[i].seq = next[events[i].Account]
		next[events[i].Account]++
	}
	return nil
}

// hold locks the account's counter without changing it.
func hold(ctx context.Context, tx *db.Tx, account id.ID) error {
	_, err := tx.Exec(ctx, `INSERT INTO event_counter (account_id, last) VALUES ($1, 0)
		ON CONFLICT (account_id) DO UPDATE SET last = event_counter.last`, account)
	if err != nil {
		return fmt.Errorf("lock the counter of events: %w", err)
	}
	return nil
}

// list returns a page of the account's events that match the filter.
func list(
	ctx context.Context, r db.Reader, account id.ID, f Filter, newestFirst bool, p db.Page,
) ([]Event, db.Listed, error) {
	l := events.List(db.Is(`account_id`, account))
	l.Order, l.Down = []db.Key{{Column: `seq`, Number: true}}, newestFirst
	types := func() db.Cond { return db.IsOneOf(`type`, f.Types) }
	switch {
	case f.Subject != "":
		l.Where = append(l.Where, db.Is(`subject`, f.Subject))
		if len(f.Types) > 0 {
			l.Rest = append(l.Rest, types())
		}
	case len(f.Types) > 0:
		each := types()
		l.Each = &each
	default: // sequence numbers have no gaps
		l.Known, l.Dense = &db.Cond{
			Text: `SELECT CAST(COALESCE(MAX(last - gone), 0) AS BIGINT), CAST(COALESCE(MAX(gone), 0) AS BIGINT)
				FROM event_counter WHERE account_id = ?`,
			Args: []any{account},
		}, newestFirst
	}
	return l.Page(ctx, r, p)
}

// after returns the account's events after that sequence number, in order, at most limit of them.
func after(ctx context.Context, r db.Reader, account id.ID, seq int64, limit int) ([]Event, error) {
	return events.Select(ctx, r, `WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, account, seq, limit)
}

// last returns the account's newest event.
func last(ctx context.Context, r db.Reader, account id.ID) (Event, bool, error) {
	return events.Find(ctx, r, `WHERE account_id = $1 ORDER BY seq DESC LIMIT 1`, account)
}

// sequenceOf returns the sequence number of one of the account's events.
func sequenceOf(ctx context.Context, r db.Reader, account, event id.ID) (seq int64, found bool, err error) {
	return db.Find(ctx, r, db.Value[int64], `SELECT seq FROM event WHERE id = $1 AND account_id = $2`, event, account)
}

// counters returns the sequence numbers of the newest events of those accounts that have any.
func counters(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]int64, error) {
	out := make(map[id.ID]int64, len(accounts))
	for chunk := range slices.Chunk(accounts, 5*db.ChunkRows) {
		some, err := db.CollectMap(ctx, r, db.Pair[id.ID, int64],
			`SELECT account_id, last FROM event_counter WHERE account_id IN `+db.In(1, len(chunk)), db.Args(chunk)...)
		if err != nil {
			return nil, fmt.Errorf("read event counters: %w", err)
		}
		maps.Copy(out, some)
	}
	return out, nil
}
