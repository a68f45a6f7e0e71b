package wallet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// chunkRows is how many rows one statement takes. SQLite looks up each $n among all of its
// statement, so that 500 rows at once took nine times as long as 25 times 20; PostgreSQL
// gains little beyond 20.
const chunkRows = 20

// anySlice is the keys as arguments.
func anySlice[T any](s []T) []any {
	args := make([]any, len(s))
	for i, v := range s {
		args[i] = v
	}
	return args
}

func insertWallet(ctx context.Context, tx *db.Tx, account id.ID) error {
	_, err := tx.Exec(ctx, `INSERT INTO wallet (account_id, available, held, seq) VALUES ($1, 0, 0, 0) ON CONFLICT (account_id) DO NOTHING`, account)
	return err
}

const walletColumns = `account_id, available, held, seq, negative_since`

func scanWallet(row db.Row) (id.ID, state, error) {
	var account id.ID
	var s state
	var since sql.NullInt64
	err := row.Scan(&account, &s.available, &s.held, &s.seq, &since)
	s.negativeSince = db.AtOrNil(since)
	return account, s, err
}

func selectWallet(ctx context.Context, r db.Reader, account id.ID) (Wallet, error) {
	_, s, err := scanWallet(r.QueryRow(ctx, `SELECT `+walletColumns+` FROM wallet WHERE account_id = $1`, account))
	if errors.Is(err, sql.ErrNoRows) {
		return Wallet{}, fmt.Errorf("%w: %s", ErrNoWallet, account)
	}
	return s.wallet(account), err
}

func selectNegative(ctx context.Context, r db.Reader) ([]Wallet, error) {
	rows, err := r.Query(ctx, `SELECT `+walletColumns+` FROM wallet WHERE negative_since IS NOT NULL ORDER BY negative_since, account_id`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := []Wallet{}
	for rows.Next() {
		account, s, err := scanWallet(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, s.wallet(account))
	}
	return found, rows.Err()
}

// changeWallets applies the changes, which are sorted by account, and returns the wallets as they are then.
// A wallet that is not there or has too little is left as it is, and left out.
func changeWallets(ctx context.Context, tx *db.Tx, changes []*change) (map[id.ID]state, error) {
	if err := lockWallets(ctx, tx, changes); err != nil {
		return nil, err
	}
	after := make(map[id.ID]state, len(changes))
	for len(changes) > 0 {
		chunk := changes[:min(chunkRows, len(changes))]
		changes = changes[len(chunk):]
		args := []any{db.Micros(tx.Now)}
		for _, c := range chunk {
			args = append(args, c.account, c.available, c.held, c.lines, c.least)
		}
		// The first tuple tells PostgreSQL the types of all.
		values := `(CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT))`
		if len(chunk) > 1 {
			values += ", " + db.Tuples(7, len(chunk)-1, 5)
		}
		rows, err := tx.Query(ctx, `
			WITH change (account, available_by, held_by, lines, least) AS (VALUES `+values+`)
			UPDATE wallet SET
				available = available + change.available_by,
				held = held + change.held_by,
				seq = seq + change.lines,
				negative_since = CASE WHEN available + change.available_by < 0 THEN COALESCE(negative_since, $1) END
			FROM change
			WHERE wallet.account_id = change.account AND wallet.available >= change.least
			RETURNING `+walletColumns, args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			account, s, err := scanWallet(rows)
			if err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			after[account] = s
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return after, nil
}

// lockWallets locks several wallets in the order of their accounts, so that two changes of the same ones
// wait for each other in turn; the UPDATE alone would lock them in an order that the planner likes. One
// row needs no order, and SQLite has locked the whole database when the transaction began.
func lockWallets(ctx context.Context, tx *db.Tx, changes []*change) error {
	if len(changes) < 2 || tx.Engine() != db.Postgres {
		return nil
	}
	accounts := make([]any, len(changes))
	for i, c := range changes {
		accounts[i] = c.account
	}
	_, err := tx.Exec(ctx, `SELECT account_id FROM wallet WHERE account_id IN `+db.In(1, len(accounts))+` ORDER BY account_id FOR UPDATE`, accounts...)
	return err
}

func insertLines(ctx context.Context, tx *db.Tx, lines []*line) error {
	now := db.Micros(tx.Now)
	for len(lines) > 0 {
		chunk := lines[:min(chunkRows, len(lines))]
		lines = lines[len(chunk):]
		texts, entries := make([]any, 0, 17*len(chunk)), make([]any, 0, 6*len(chunk))
		for _, n := range chunk {
			texts = append(texts, n.id, n.account, n.seq, n.kind, n.amount, n.balanceAfter, n.availableAfter, n.description,
				sql.NullString{String: string(n.subject), Valid: n.subject != ""}, n.hour, db.MicrosOrNull(n.from), db.MicrosOrNull(n.to),
				n.hourlyPrice, n.labels.Provider, n.labels.Region, n.labels.GPUType, now)
			entries = append(entries, n.id, "wallet/"+string(n.account), n.amount, n.id, n.counterBook(), -n.amount)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO wallet_transaction (id, account_id, seq, type, amount, balance_after, available_after, description,
			subject, hour, from_at, to_at, hourly_price, provider, region, gpu_type, created_at) VALUES `+db.Tuples(1, len(chunk), 17), texts...); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO wallet_entry (transaction_id, book, amount) VALUES `+db.Tuples(1, 2*len(chunk), 3), entries...); err != nil {
			return err
		}
	}
	return nil
}

// claimCredit marks the dedupe key as used, or returns the account and amount that it was used for before.
func claimCredit(ctx context.Context, tx *db.Tx, c Credit) (first Credit, claimed bool, err error) {
	n, err := tx.Exec(ctx, `INSERT INTO wallet_credit (dedupe, account_id, amount, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (dedupe) DO NOTHING`,
		c.Dedupe, c.Account, c.Amount, db.Micros(tx.Now))
	if err != nil || n == 1 {
		return c, n == 1, err
	}
	err = tx.QueryRow(ctx, `SELECT account_id, amount FROM wallet_credit WHERE dedupe = $1`, c.Dedupe).Scan(&first.Account, &first.Amount)
	return first, false, err
}

func claimHold(ctx context.Context, tx *db.Tx, h Hold) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO wallet_hold (subject, account_id, amount, description, provider, region, gpu_type, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (subject) DO NOTHING`,
		h.Subject, h.Account, h.Amount, h.Description, h.Provider, h.Region, h.GPUType, db.Micros(tx.Now))
	return n == 1, err
}

func deleteHold(ctx context.Context, tx *db.Tx, subject id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM wallet_hold WHERE subject = $1`, subject)
	return err
}

// settleHolds ends the open holds of the subjects and returns them.
func settleHolds(ctx context.Context, tx *db.Tx, subjects []id.ID) (map[id.ID]Hold, error) {
	settled := make(map[id.ID]Hold)
	for len(subjects) > 0 {
		chunk := subjects[:min(chunkRows, len(subjects))]
		subjects = subjects[len(chunk):]
		rows, err := tx.Query(ctx, `UPDATE wallet_hold SET settled_at = $1 WHERE settled_at IS NULL AND subject IN `+db.In(2, len(chunk))+`
			RETURNING subject, account_id, amount, description, provider, region, gpu_type`, append([]any{db.Micros(tx.Now)}, anySlice(chunk)...)...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var h Hold
			if err := rows.Scan(&h.Subject, &h.Account, &h.Amount, &h.Description, &h.Provider, &h.Region, &h.GPUType); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			settled[h.Subject] = h
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return settled, nil
}

// claimCharges returns the hours that nobody has charged before.
func claimCharges(ctx context.Context, tx *db.Tx, charges []Charge) (map[hourKey]bool, error) {
	fresh := make(map[hourKey]bool, len(charges))
	for len(charges) > 0 {
		chunk := charges[:min(chunkRows, len(charges))]
		charges = charges[len(chunk):]
		args := make([]any, 0, 11*len(chunk))
		for _, c := range chunk {
			args = append(args, c.Subject, c.Hour, c.Account, c.Amount, c.HourlyPrice, db.Micros(c.From), 0, c.Provider, c.Region, c.GPUType, c.Name)
		}
		rows, err := tx.Query(ctx, `INSERT INTO wallet_charge (subject, hour, account_id, amount, hourly_price, from_at, refunded, provider, region, gpu_type, name)
			VALUES `+db.Tuples(1, len(chunk), 11)+` ON CONFLICT (subject, hour) DO NOTHING RETURNING subject, hour`, args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var k hourKey
			if err := rows.Scan(&k.subject, &k.hour); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			fresh[k] = true
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// claimRefund marks the hour as refunded, and refuses what the hour's charge does not cover. It returns what that changes of the hour's day.
func claimRefund(ctx context.Context, tx *db.Tx, f Refund) (booked, bool, error) {
	of := booked{account: f.Account, subject: f.Subject, cost: -f.Amount}
	err := tx.QueryRow(ctx, `UPDATE wallet_charge SET refunded = $1, refunded_at = $2
		WHERE subject = $3 AND hour = $4 AND account_id = $5 AND refunded_at IS NULL AND amount >= $1 RETURNING from_at, provider, gpu_type, name`,
		f.Amount, db.Micros(tx.Now), f.Subject, f.Hour, f.Account).Scan(&of.from, &of.provider, &of.gpuType, &of.name)
	if !errors.Is(err, sql.ErrNoRows) {
		return of, err == nil, err
	}
	var again bool
	err = tx.QueryRow(ctx, `SELECT refunded_at IS NOT NULL FROM wallet_charge WHERE subject = $1 AND hour = $2 AND account_id = $3`,
		f.Subject, f.Hour, f.Account).Scan(&again)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return of, false, fmt.Errorf("wallet: hour %d of %s was not charged to %s, so nothing can be refunded", f.Hour, f.Subject, f.Account)
	case err == nil && !again:
		return of, false, fmt.Errorf("wallet: a refund of %s is more than hour %d of %s was charged", f.Amount, f.Hour, f.Subject)
	}
	return of, false, err
}

func selectPaid(ctx context.Context, r db.Reader, subject id.ID, from int64) ([]Paid, error) {
	rows, err := r.Query(ctx, `SELECT hour, amount, hourly_price, refunded FROM wallet_charge WHERE subject = $1 AND hour >= $2 ORDER BY hour`, subject, from)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := []Paid{}
	for rows.Next() {
		var p Paid
		if err := rows.Scan(&p.Hour, &p.Amount, &p.HourlyPrice, &p.Refunded); err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	return found, rows.Err()
}

func selectHeld(ctx context.Context, r db.Reader, subject id.ID) (amount money.Micros, err error) {
	err = r.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM wallet_hold WHERE subject = $1 AND settled_at IS NULL`, subject).Scan(&amount)
	return amount, err
}
