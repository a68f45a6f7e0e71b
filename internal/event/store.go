package event

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// chunkRows is how many rows one statement takes: more gain little.
const chunkRows = 20

// number gives the events their places in the histories of their accounts. The accounts' counters stay locked until
// the commit, so that a higher place is never seen before a lower one. They are locked in the order of the
// accounts, so that two that need the same ones wait for each other in turn.
func number(ctx context.Context, tx *db.Tx, events []Event) error {
	next := map[id.ID]int64{} // first how many, then the place of the account's next event
	for _, e := range events {
		next[e.Account]++
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(next)), chunkRows) {
		args := make([]any, 0, 2*len(chunk))
		for _, account := range chunk {
			args = append(args, account, next[account])
		}
		rows, err := tx.Query(ctx, `INSERT INTO event_counter (account_id, last) VALUES `+db.Tuples(1, len(chunk), 2)+`
			ON CONFLICT (account_id) DO UPDATE SET last = event_counter.last + excluded.last RETURNING account_id, last`, args...)
		if err != nil {
			return fmt.Errorf("number events: %w", err)
		}
		counted := 0
		for rows.Next() {
			var account id.ID
			var last int64
			if err := rows.Scan(&account, &last); err != nil {
				return errors.Join(err, rows.Close())
			}
			next[account] = last - next[account] + 1
			counted++
		}
		if err := cmp.Or(rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("number events: %w", err)
		}
		if counted != len(chunk) {
			return fmt.Errorf("number events: %d of %d counters answered", counted, len(chunk))
		}
	}
	for i := range events {
		events[i].seq = next[events[i].Account]
		next[events[i].Account]++
	}
	return nil
}

// hold locks the account's counter and leaves it as it is.
func hold(ctx context.Context, tx *db.Tx, account id.ID) error {
	if _, err := tx.Exec(ctx, `INSERT INTO event_counter (account_id, last) VALUES ($1, 0) ON CONFLICT (account_id) DO UPDATE SET last = event_counter.last`, account); err != nil {
		return fmt.Errorf("hold the events' counter: %w", err)
	}
	return nil
}

func insert(ctx context.Context, tx *db.Tx, events []Event) error {
	for chunk := range slices.Chunk(events, chunkRows) {
		args := make([]any, 0, 7*len(chunk))
		for _, e := range chunk {
			data := []byte("{}")
			if e.Data != nil {
				var err error
				if data, err = json.Marshal(e.Data); err != nil {
					return fmt.Errorf("event %s: %w", e.Type, err)
				}
			}
			args = append(args, e.ID, e.Account, e.Subject, e.Type, string(data), db.Micros(e.CreatedAt), e.seq)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO event (`+columns+`) VALUES `+db.Tuples(1, len(chunk), 7), args...); err != nil {
			return fmt.Errorf("append event %s: %w", chunk[0].Type, err)
		}
	}
	return nil
}

const columns = `id, account_id, subject, type, data, created_at, seq`

// list returns a page of the account's events that the filter lets through.
func list(ctx context.Context, r db.Reader, account id.ID, f Filter, newestFirst bool, p db.Page) ([]Event, db.Listed, error) {
	l := db.List[Event]{
		Columns: columns, Table: `event`, Where: []db.Cond{db.Is(`account_id`, account)},
		Order: []db.Key{{Column: `seq`, Number: true}}, Down: newestFirst, Scan: scan,
	}
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
	default: // every place is taken
		l.Known, l.Dense = &db.Cond{
			Text: `SELECT CAST(COALESCE(MAX(last), 0) AS BIGINT) FROM event_counter WHERE account_id = ?`, Args: []any{account},
		}, newestFirst
	}
	return l.Page(ctx, r, p)
}

// after returns the account's events that come after that place, in their order, at most limit of them.
func after(ctx context.Context, r db.Reader, account id.ID, seq int64, limit int) ([]Event, error) {
	return all(ctx, r, `SELECT `+columns+` FROM event WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, account, seq, limit)
}

// last returns the account's newest event and its place; found is false where there is none.
func last(ctx context.Context, r db.Reader, account id.ID) (e id.ID, seq int64, found bool, err error) {
	return place(r.QueryRow(ctx, `SELECT id, seq FROM event WHERE account_id = $1 ORDER BY seq DESC LIMIT 1`, account))
}

// placeOf returns the place of one of the account's events.
func placeOf(ctx context.Context, r db.Reader, account, event id.ID) (seq int64, found bool, err error) {
	_, seq, found, err = place(r.QueryRow(ctx, `SELECT id, seq FROM event WHERE id = $1 AND account_id = $2`, event, account))
	return seq, found, err
}

func place(row db.Row) (e id.ID, seq int64, found bool, err error) {
	err = row.Scan(&e, &seq)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, false, nil
	}
	return e, seq, err == nil, err
}

// counters returns the places of the newest events of those accounts that have any.
func counters(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]int64, error) {
	out := make(map[id.ID]int64, len(accounts))
	for chunk := range slices.Chunk(accounts, 5*chunkRows) {
		args := make([]any, len(chunk))
		for i, a := range chunk {
			args[i] = a
		}
		rows, err := r.Query(ctx, `SELECT account_id, last FROM event_counter WHERE account_id IN `+db.In(1, len(chunk)), args...)
		if err != nil {
			return nil, fmt.Errorf("look at event counters: %w", err)
		}
		for rows.Next() {
			var account id.ID
			var last int64
			if err := rows.Scan(&account, &last); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			out[account] = last
		}
		if err := cmp.Or(rows.Err(), rows.Close()); err != nil {
			return nil, fmt.Errorf("look at event counters: %w", err)
		}
	}
	return out, nil
}

func all(ctx context.Context, r db.Reader, query string, args ...any) ([]Event, error) {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := []Event{}
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

func scan(row db.Row) (Event, error) {
	var e Event
	var data string
	var at int64
	if err := row.Scan(&e.ID, &e.Account, &e.Subject, &e.Type, &data, &at, &e.seq); err != nil {
		return Event{}, err
	}
	if err := json.Unmarshal([]byte(data), &e.Data); err != nil {
		return Event{}, fmt.Errorf("event %s: %w", e.ID, err)
	}
	e.CreatedAt = db.At(at)
	return e, nil
}
