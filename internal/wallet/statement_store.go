package wallet

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// list returns the account's transactions that match the filter, newest first. A filtered list is
// ordered by time, so that an index serves an interval of it. Transactions of one wallet that two
// replicas wrote at the same time may then differ from the order of seq.
func (f Filter) list(account id.ID) db.List[Transaction] {
	l := db.List[Transaction]{
		Columns: lines.Columns(), Table: `wallet_transaction`, Where: []db.Cond{db.Is(`account_id`, account)},
		Down: true,
		Scan: func(row db.Row) (Transaction, error) {
			n, err := lines.Scan(row)
			return n.transaction(), err
		},
	}
	if len(f.Types) == 0 && f.Subject == "" && f.From.IsZero() && f.To.IsZero() { // the wallet has the number of all
		l.Order, l.Dense = []db.Key{{Column: `seq`, Number: true}}, true
		l.Known = &db.Cond{
			Text: `SELECT CAST(COALESCE(SUM(seq), 0) AS BIGINT), 0 FROM wallet WHERE account_id = ?`,
			Args: []any{account},
		}
		return l
	}
	l.Order = []db.Key{{Column: `created_at`, Number: true}, {Column: `seq`, Number: true}}
	if !f.From.IsZero() {
		l.Where = append(l.Where, db.Cond{Text: `created_at >= ?`, Args: []any{f.From}})
	}
	if !f.To.IsZero() {
		l.Where = append(l.Where, db.Cond{Text: `created_at < ?`, Args: []any{f.To}})
	}
	if f.Subject != "" {
		l.Where = append(l.Where, db.Is(`subject`, f.Subject))
	}
	if len(f.Types) > 0 {
		types := db.IsOneOf(`type`, f.Types)
		if f.Subject != "" {
			l.Rest = append(l.Rest, types)
		} else {
			l.Each = &types
		}
	}
	return l
}

// audits are queries that each find what breaks one invariant.
var audits = []struct{ problem, query string }{
	{"the entries do not sum to zero, or are not two", `
		SELECT t.id FROM wallet_transaction t LEFT JOIN wallet_entry e ON e.transaction_id = t.id
		GROUP BY t.id HAVING COUNT(e.book) <> 2 OR SUM(e.amount) <> 0`},
	{"an entry without a transaction", `
		SELECT e.transaction_id FROM wallet_entry e LEFT JOIN wallet_transaction t ON t.id = e.transaction_id
			WHERE t.id IS NULL`},
	{"a transaction that disagrees with its entry in the wallet's book", `
		SELECT t.id FROM wallet_transaction t LEFT JOIN wallet_entry e ON e.transaction_id = t.id
			AND e.book = 'wallet/' || t.account_id
		WHERE e.amount IS NULL OR e.amount <> t.amount`},
	{"a wallet that disagrees with its entries", `
		SELECT w.account_id FROM wallet w
		LEFT JOIN (SELECT book, SUM(amount) AS amount FROM wallet_entry
			GROUP BY book) a ON a.book = 'wallet/' || w.account_id
		LEFT JOIN (SELECT book, SUM(amount) AS amount FROM wallet_entry
			GROUP BY book) h ON h.book = 'hold/' || w.account_id
		WHERE w.available <> COALESCE(a.amount, 0) OR w.held <> COALESCE(h.amount, 0)
		OR CASE WHEN w.available < 0 THEN 1 ELSE 0 END <> CASE WHEN w.negative_since IS NULL THEN 0 ELSE 1 END`},
	{"a wallet that disagrees with its newest transaction", `
		SELECT w.account_id FROM wallet w LEFT JOIN wallet_transaction t ON t.account_id = w.account_id
			AND t.seq = w.seq
		WHERE w.available <> COALESCE(t.available_after, 0) OR w.available + w.held <> COALESCE(t.balance_after, 0)`},
	{"a transaction that does not follow from the one before", `
		SELECT t.id FROM wallet_transaction t LEFT JOIN wallet_transaction p ON p.account_id = t.account_id
			AND p.seq = t.seq - 1
		WHERE (t.seq > 1 AND p.id IS NULL) OR t.available_after <> COALESCE(p.available_after, 0) + t.amount
		OR t.balance_after <> COALESCE(p.balance_after, 0) + CASE WHEN t.type IN ('hold',
			'release') THEN 0 ELSE t.amount END`},
	{"an hour that disagrees with its charge and refund", `
		SELECT c.subject || '/' || CAST(c.hour AS TEXT) FROM wallet_charge c
		LEFT JOIN (SELECT subject, hour, SUM(CASE WHEN type = 'charge' THEN -amount ELSE 0 END) AS charged,
			SUM(CASE WHEN type = 'refund' THEN amount ELSE 0 END) AS refunded,
				SUM(CASE WHEN type = 'charge' THEN 1 ELSE 0 END) AS charges
			FROM wallet_transaction WHERE hour IS NOT NULL GROUP BY subject, hour) t ON t.subject = c.subject
				AND t.hour = c.hour
		WHERE t.charges IS NULL OR t.charges <> 1 OR t.charged <> c.amount OR t.refunded <> c.refunded
			OR c.refunded > c.amount`},
	{"a day of an account that disagrees with its hours", `
		SELECT account_id || '/' || CAST(day AS TEXT) FROM (
			SELECT account_id, day, provider, gpu_type, cost FROM wallet_day
			UNION ALL SELECT account_id, from_at / 86400000000 AS day, provider, gpu_type, refunded - amount
				FROM wallet_charge) AS t
		GROUP BY account_id, day, provider, gpu_type HAVING SUM(cost) <> 0`},
	{"a day of a subject that disagrees with its hours", `
		SELECT subject || '/' || CAST(day AS TEXT) FROM (
			SELECT account_id, day, subject, cost FROM wallet_day_subject
			UNION ALL SELECT account_id, from_at / 86400000000 AS day, subject, refunded - amount
				FROM wallet_charge) AS t
		GROUP BY account_id, day, subject HAVING SUM(cost) <> 0`},
	{"a subject whose cost disagrees with its hours", `
		SELECT subject FROM (
			SELECT subject, spent AS cost FROM wallet_subject
			UNION ALL SELECT subject, refunded - amount FROM wallet_charge) AS t
		GROUP BY subject HAVING SUM(cost) <> 0`},
	{"a kind of subjects whose cost disagrees with theirs", `
		SELECT account_id || '/' || project || '/' || tags || '/' || creator_id FROM (
			SELECT account_id, project, tags, creator_type, creator_id, cost FROM wallet_spent
			UNION ALL SELECT account_id, project, tags, creator_type, creator_id, -spent FROM wallet_subject) AS t
		GROUP BY account_id, project, tags, creator_type, creator_id HAVING SUM(cost) <> 0`},
	{"a wallet whose held money is not the sum of its open holds", `
		SELECT w.account_id FROM wallet w
		LEFT JOIN (SELECT account_id, SUM(amount) AS amount FROM wallet_hold WHERE settled_at IS NULL
			GROUP BY account_id) h ON h.account_id = w.account_id
		WHERE w.held <> COALESCE(h.amount, 0)`},
}

// Totals are sums over all wallets.
type Totals struct {
	// Held is what is on hold.
	Held money.Micros
	// PastDue is how many accounts have less than 0, and Owed what these owe.
	PastDue int64
	Owed    money.Micros
}

// Sum returns the totals. It reads every wallet.
func Sum(ctx context.Context, r db.Reader) (t Totals, err error) {
	err = r.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(held), 0) AS BIGINT),
		CAST(COALESCE(SUM(CASE WHEN available < 0 THEN -available ELSE 0 END), 0) AS BIGINT),
		CAST(COALESCE(SUM(CASE WHEN available < 0 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM wallet`).
		Scan(&t.Held, &t.Owed, &t.PastDue)
	return t, err
}
