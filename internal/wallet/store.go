package wallet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// The tables that are read or written row by row.
var (
	wallets = db.NewTable("wallet", (*state).columns)
	lines   = db.NewTable("wallet_transaction", (*line).columns)
	entries = db.NewTable("wallet_entry", (*entry).columns)
	credits = db.NewTable("wallet_credit", (*creditRow).columns)
	holds   = db.NewTable("wallet_hold", (*holdRow).columns)
	charges = db.NewTable("wallet_charge", (*chargeRow).columns)
)

func (s *state) columns() []db.Column {
	return []db.Column{
		db.Col("account_id", &s.account),
		db.Col("available", &s.available),
		db.Col("held", &s.held),
		db.Col("seq", &s.seq),
		db.Col("negative_since", &s.negativeSince),
		db.Col("hash", &s.hash),
		db.Col("low_mark", &s.lowMark),
	}
}

func (n *line) columns() []db.Column {
	return []db.Column{
		db.Col("id", &n.id),
		db.Col("account_id", &n.account),
		db.Col("seq", &n.seq),
		db.Col("type", &n.kind),
		db.Col("amount", &n.amount),
		db.Col("balance_after", &n.balanceAfter),
		db.Col("available_after", &n.availableAfter),
		db.Col("description", &n.description),
		db.Col("subject", db.ZeroAsNull(&n.subject)),
		db.Col("hour", &n.hour),
		db.Col("from_at", &n.from),
		db.Col("to_at", &n.to),
		db.Col("hourly_price", &n.hourlyPrice),
		db.Col("provider", &n.labels.Provider),
		db.Col("region", &n.labels.Region),
		db.Col("gpu_type", &n.labels.GPUType),
		db.Col("name", &n.labels.Name),
		db.Col("reference", db.ZeroAsNull(&n.reference)),
		db.Col("created_at", &n.createdAt),
		db.Col("hash", &n.hash),
	}
}

// entry is one side of a transaction.
type entry struct {
	transaction id.ID
	book        string
	amount      money.Micros
}

func (e *entry) columns() []db.Column {
	return []db.Column{
		db.Col("transaction_id", &e.transaction),
		db.Col("book", &e.book),
		db.Col("amount", &e.amount),
	}
}

type creditRow struct {
	Credit
	createdAt time.Time
}

func (c *creditRow) columns() []db.Column {
	return []db.Column{
		db.Col("dedupe", &c.Dedupe),
		db.Col("account_id", &c.Account),
		db.Col("amount", &c.Amount),
		db.Derived("created_at", c.createdAt),
	}
}

type holdRow struct {
	Hold
	createdAt time.Time
}

func (h *holdRow) columns() []db.Column {
	return []db.Column{
		db.Col("subject", &h.Subject),
		db.Col("account_id", &h.Account),
		db.Col("amount", &h.Amount),
		db.Col("description", &h.Description),
		db.Col("provider", &h.Provider),
		db.Col("region", &h.Region),
		db.Col("gpu_type", &h.GPUType),
		db.Derived("created_at", h.createdAt),
	}
}

type chargeRow Charge

func (c *chargeRow) columns() []db.Column {
	return []db.Column{
		db.Col("subject", &c.Subject),
		db.Col("hour", &c.Hour),
		db.Col("account_id", &c.Account),
		db.Col("amount", &c.Amount),
		db.Col("hourly_price", &c.HourlyPrice),
		db.Col("from_at", &c.From),
		db.Derived("refunded", 0),
		db.Col("provider", &c.Provider),
		db.Col("region", &c.Region),
		db.Col("gpu_type", &c.GPUType),
		db.Col("name", &c.Name),
	}
}

func insertWallet(ctx context.Context, tx *db.Tx, account id.ID) error {
	_, err := wallets.InsertNew(ctx, tx, "account_id", state{account: account})
	return err
}

func selectWallet(ctx context.Context, r db.Reader, account id.ID) (Wallet, error) {
	s, found, err := wallets.Find(ctx, r, `WHERE account_id = $1`, account)
	if err == nil && !found {
		err = fmt.Errorf("%w: %s", ErrNoWallet, account)
	}
	return s.wallet(), err
}

func lockWallet(ctx context.Context, tx *db.Tx, account id.ID) (Wallet, error) {
	s, found, err := wallets.Find(ctx, tx, `WHERE account_id = $1`+db.ForUpdate(tx), account)
	if err == nil && !found {
		err = fmt.Errorf("%w: %s", ErrNoWallet, account)
	}
	return s.wallet(), err
}

func setLowMark(ctx context.Context, tx *db.Tx, account id.ID, mark *money.Micros) error {
	_, err := tx.Exec(ctx, `UPDATE wallet SET low_mark = $1 WHERE account_id = $2`, mark, account)
	return err
}

func givenAfter(
	ctx context.Context, r db.Reader, account id.ID, t time.Time, except []string,
) (sum money.Micros, err error) {
	const given = `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM wallet_transaction
		WHERE account_id = $1 AND type IN ('credit', 'adjustment') AND amount > 0 AND created_at > $2`
	if err := r.QueryRow(ctx, given, account, t).Scan(&sum); err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(except, db.ChunkRows) {
		var not money.Micros
		err := r.QueryRow(ctx, given+` AND reference IN `+db.In(3, len(chunk)),
			append([]any{account, t}, db.Args(chunk)...)...).Scan(&not)
		if err != nil {
			return 0, err
		}
		sum -= not
	}
	return sum, nil
}

func selectWallets(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]Wallet, error) {
	found, err := wallets.Select(ctx, r, `WHERE account_id IN `+db.In(1, len(accounts)), db.Args(accounts)...)
	out := make(map[id.ID]Wallet, len(found))
	for _, s := range found {
		out[s.account] = s.wallet()
	}
	return out, err
}

// lockWallets locks the wallets, which are sorted by account, and returns them. Several are locked
// in that order, so that two changes of the same wallets cannot deadlock. SQLite has locked the
// whole database when the transaction began.
func lockWallets(ctx context.Context, tx *db.Tx, changes []*change) (map[id.ID]*state, error) {
	locked := make(map[id.ID]*state, len(changes))
	for chunk := range slices.Chunk(changes, walletChunk) {
		accounts := make([]any, len(chunk))
		for i, c := range chunk {
			accounts[i] = c.account
		}
		found, err := wallets.Select(ctx, tx, `WHERE account_id IN `+db.In(1, len(chunk))+` ORDER BY account_id`+
			db.ForUpdate(tx), accounts...)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			locked[s.account] = &s
		}
	}
	return locked, nil
}

// changeWallets applies the changes to wallets that lockWallets has locked, and returns the wallets
// after them.
func changeWallets(ctx context.Context, tx *db.Tx, changes []*change) (map[id.ID]state, error) {
	after := make(map[id.ID]state, len(changes))
	for chunk := range slices.Chunk(changes, db.ChunkRows) {
		args := []any{tx.Now}
		for _, c := range chunk {
			args = append(args, c.account, c.available, c.held, c.lines, c.hash)
		}
		// The first tuple gives PostgreSQL the types of all.
		values := `(CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS TEXT))`
		if len(chunk) > 1 {
			values += ", " + db.Tuples(7, len(chunk)-1, 5)
		}
		changed, err := db.Collect(ctx, tx, wallets.Scan, `
			WITH change (account, available_by, held_by, lines, newest) AS (VALUES `+values+`)
			UPDATE wallet SET
				available = available + change.available_by,
				held = held + change.held_by,
				seq = seq + change.lines,
				negative_since = CASE WHEN available + change.available_by < 0 THEN COALESCE(negative_since, $1) END,
				hash = change.newest
			FROM change
			WHERE wallet.account_id = change.account
			RETURNING `+wallets.Columns(), args...)
		if err != nil {
			return nil, err
		}
		for _, s := range changed {
			after[s.account] = s
		}
	}
	return after, nil
}

func insertLines(ctx context.Context, tx *db.Tx, all []*line) error {
	rows, both := make([]line, len(all)), make([]entry, 0, 2*len(all))
	for i, n := range all {
		rows[i] = *n
		sides := n.entries()
		both = append(both, sides[:]...)
	}
	if err := lines.Insert(ctx, tx, rows...); err != nil {
		return err
	}
	return entries.Insert(ctx, tx, both...)
}

// claimCredit marks the dedupe key as used, or returns the credit that it was used for before.
func claimCredit(ctx context.Context, tx *db.Tx, c Credit) (first Credit, claimed bool, err error) {
	n, err := credits.InsertNew(ctx, tx, "dedupe", creditRow{c, tx.Now})
	if err != nil || n == 1 {
		return c, n == 1, err
	}
	before, _, err := credits.Find(ctx, tx, `WHERE dedupe = $1`, c.Dedupe)
	return before.Credit, false, err
}

func claimHold(ctx context.Context, tx *db.Tx, h Hold) (bool, error) {
	n, err := holds.InsertNew(ctx, tx, "subject", holdRow{h, tx.Now})
	return n == 1, err
}

func deleteHold(ctx context.Context, tx *db.Tx, subject id.ID) error {
	_, err := holds.Delete(ctx, tx, db.Is("subject", subject))
	return err
}

// settleHolds ends the open holds of the subjects and returns them. Hardly any hour but the first
// has one, so of many subjects it reads which have.
func settleHolds(ctx context.Context, tx *db.Tx, subjects []id.ID) (map[id.ID]Hold, error) {
	settled := make(map[id.ID]Hold)
	for chunk := range slices.Chunk(subjects, holdChunk) {
		open := chunk
		if len(chunk) > 1 {
			var err error
			if open, err = db.Collect(ctx, tx, db.Value[id.ID], `SELECT subject FROM wallet_hold
				WHERE settled_at IS NULL AND subject IN `+db.In(1, len(chunk)), db.Args(chunk)...); err != nil {
				return nil, err
			}
		}
		if len(open) == 0 {
			continue
		}
		some, err := db.Collect(ctx, tx, holds.Scan, `
			UPDATE wallet_hold SET settled_at = $1 WHERE settled_at IS NULL AND subject IN `+db.In(2, len(open))+`
			RETURNING `+holds.Columns(), append([]any{tx.Now}, db.Args(open)...)...)
		if err != nil {
			return nil, err
		}
		for _, h := range some {
			settled[h.Subject] = h.Hold
		}
	}
	return settled, nil
}

// holdChunk is for how many subjects one query looks up open holds.
const holdChunk = 100

func selectHeld(ctx context.Context, r db.Reader, subject id.ID) (amount money.Micros, err error) {
	err = r.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM wallet_hold
		WHERE subject = $1 AND settled_at IS NULL`, subject).Scan(&amount)
	return amount, err
}

func selectHeldAll(ctx context.Context, r db.Reader, subjects []id.ID) (map[id.ID]money.Micros, error) {
	return db.CollectMap(ctx, r, db.Pair[id.ID, money.Micros], `SELECT subject, amount FROM wallet_hold
		WHERE settled_at IS NULL AND subject IN `+db.In(1, len(subjects)), db.Args(subjects)...)
}

// claimCharges returns the hours that were not charged before.
func claimCharges(ctx context.Context, tx *db.Tx, all []Charge) (map[hourKey]bool, error) {
	rows := make([]chargeRow, len(all))
	for i, c := range all {
		rows[i] = chargeRow(c)
	}
	scan := func(row db.Row) (k hourKey, err error) {
		err = row.Scan(&k.subject, &k.hour)
		return k, err
	}
	claimed := make(map[hourKey]bool, len(all))
	for chunk := range slices.Chunk(rows, db.ChunkRows) {
		query, args := charges.InsertSQL(chunk)
		some, err := db.Collect(ctx, tx, scan, query+` ON CONFLICT (subject, hour) DO NOTHING RETURNING subject, hour`,
			args...)
		if err != nil {
			return nil, err
		}
		for _, k := range some {
			claimed[k] = true
		}
	}
	return claimed, nil
}

// claimRefund marks the hour as refunded. It returns an error where the hour's charge does not
// cover the refund, and else what the refund changes of the totals of the hour's day, and the
// region of the hour.
func claimRefund(ctx context.Context, tx *db.Tx, f Refund) (of dayChange, region string, claimed bool, err error) {
	of = dayChange{account: f.Account, subject: f.Subject, cost: -f.Amount}
	err = tx.QueryRow(ctx, `UPDATE wallet_charge SET refunded = $1, refunded_at = $2
		WHERE subject = $3 AND hour = $4 AND account_id = $5 AND refunded_at IS NULL AND amount >= $1
		RETURNING from_at, provider, region, gpu_type, name`,
		f.Amount, tx.Now, f.Subject, f.Hour, f.Account).Scan(&of.from, &of.provider, &region, &of.gpuType, &of.name)
	if !errors.Is(err, sql.ErrNoRows) {
		return of, region, err == nil, err
	}
	refunded, charged, err := db.Find(ctx, tx, db.Value[bool],
		`SELECT refunded_at IS NOT NULL FROM wallet_charge WHERE subject = $1 AND hour = $2 AND account_id = $3`,
		f.Subject, f.Hour, f.Account)
	switch {
	case err != nil:
		return of, "", false, err
	case !charged:
		return of, "", false, fmt.Errorf("wallet: hour %d of %s was not charged to %s, so it cannot be refunded",
			f.Hour, f.Subject, f.Account)
	case !refunded:
		return of, "", false, fmt.Errorf("wallet: a refund of %s exceeds the charge for hour %d of %s",
			f.Amount, f.Hour, f.Subject)
	}
	return of, "", false, nil
}

// selectPaidAll asks for so many subjects at once that both engines read each by the primary
// key.
func selectPaidAll(ctx context.Context, r db.Reader, from map[id.ID]int64) (map[id.ID][]Paid, error) {
	out := map[id.ID][]Paid{}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(from)), db.ChunkRows) {
		var either []string
		var args []any
		for _, subject := range chunk {
			args = append(args, subject, from[subject])
			either = append(either, fmt.Sprintf(`(subject = $%d AND hour >= $%d)`, len(args)-1, len(args)))
		}
		scan := func(row db.Row) (subject id.ID, err error) {
			var p Paid
			if err = row.Scan(&subject, &p.Hour, &p.Amount, &p.HourlyPrice, &p.Refunded); err == nil {
				out[subject] = append(out[subject], p)
			}
			return subject, err
		}
		if _, err := db.Collect(ctx, r, scan, `SELECT subject, hour, amount, hourly_price, refunded
			FROM wallet_charge WHERE `+strings.Join(either, ` OR `)+` ORDER BY subject, hour`, args...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func selectPaid(ctx context.Context, r db.Reader, subject id.ID, from int64) ([]Paid, error) {
	return db.Collect(ctx, r, func(row db.Row) (p Paid, err error) {
		err = row.Scan(&p.Hour, &p.Amount, &p.HourlyPrice, &p.Refunded)
		return p, err
	}, `SELECT hour, amount, hourly_price, refunded FROM wallet_charge WHERE subject = $1 AND hour >= $2 ORDER BY hour`,
		subject, from)
}
