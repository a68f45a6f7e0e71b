package payment

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// row is a top-up with its internal state.
type row struct {
	OperatorTopUp
	saveMethod        bool
	returnURL, intent string
	method            id.ID
	attempt, tries    int64
	checkoutURL       string
	expiresAt         time.Time
	failure           struct{ code, message string }
	// problemIntent is the money that has the problem, or had it before an operator closed the
	// top-up. closed are the problems that operators have decided about, one a line.
	problemIntent, closed string
}

// confirms reports whether its page stands in for an automatic top-up that the bank wants to be
// confirmed. Others with a page have no method.
func (r *row) confirms() bool { return !r.Automatic && r.method != "" }

func (r *row) columns() []db.Column {
	return []db.Column{
		db.Col("id", &r.ID),
		db.Col("account_id", &r.AccountID),
		db.Col("processor", &r.Processor),
		db.Col("status", &r.Status),
		db.Col("automatic", &r.Automatic),
		db.Col("amount", &r.Amount),
		db.Col("save_method", &r.saveMethod),
		db.Col("return_url", &r.returnURL),
		db.Col("method_id", &r.method),
		db.Col("attempt", &r.attempt),
		db.Col("tries", &r.tries),
		db.Col("reference", db.ZeroAsNull(&r.Reference)),
		db.Col("intent", db.ZeroAsNull(&r.intent)),
		db.Col("checkout_url", db.ZeroAsNull(&r.checkoutURL)),
		db.Col("expires_at", &r.expiresAt),
		db.Col("received", &r.Received),
		db.Col("fee", &r.Fee),
		db.Col("failure_code", &r.failure.code),
		db.Col("failure_message", &r.failure.message),
		db.Col("problem", &r.Problem),
		db.Col("problem_intent", &r.problemIntent),
		db.Col("closed", &r.closed),
		db.Col("creator_type", &r.CreatedBy.Type),
		db.Col("creator_id", &r.CreatedBy.ID),
		db.Col("creator_name", &r.CreatedBy.Name),
		db.Col("created_at", &r.CreatedAt),
		db.Col("completed_at", &r.CompletedAt),
	}
}

var topUps = db.NewTable("top_up", (*row).columns)

// changing are the columns that change after a top-up was created.
var changing = []string{
	"status", "attempt", "tries", "reference", "intent", "checkout_url", "expires_at", "received", "fee",
	"failure_code", "failure_message", "problem", "problem_intent", "closed", "completed_at", "method_id",
}

// loaded sets what follows from the columns.
func (r row) loaded() row {
	r.Account = r.AccountID
	r.FailureCode, r.FailureMessage = nil, nil
	if r.failure.code != "" {
		r.FailureCode, r.FailureMessage = new(r.failure.code), new(r.failure.message)
	}
	return r
}

func insert(ctx context.Context, tx *db.Tx, r row) error {
	r.AccountID = r.Account
	return topUps.Insert(ctx, tx, r)
}

func update(ctx context.Context, tx *db.Tx, r row) error {
	r.failure.code, r.failure.message = "", ""
	if r.FailureCode != nil {
		r.failure.code, r.failure.message = *r.FailureCode, *r.FailureMessage
	}
	_, err := topUps.Update(ctx, tx, &r, changing, db.Is("id", r.ID))
	return err
}

// find returns a top-up of any account. In a transaction that writes, the row is locked.
func find(ctx context.Context, r db.Reader, topUp id.ID) (row, bool, error) {
	t, found, err := topUps.Find(ctx, r, `WHERE id = $1`+db.ForUpdate(r), topUp)
	return t.loaded(), found, err
}

func countPending(ctx context.Context, r db.Reader, account id.ID) (n int, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM top_up WHERE account_id = $1 AND status = 'pending'`, account).Scan(&n)
	return n, err
}

func pendingAutomatic(ctx context.Context, r db.Reader, account id.ID) (n int, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM top_up
		WHERE account_id = $1 AND status = 'pending' AND automatic = 1`, account).Scan(&n)
	return n, err
}

// automaticSince returns what automatic top-ups since a time have brought or may bring: also those
// that expired after a charge of which no answer came, and those that an operator closed, which
// were paid.
func automaticSince(ctx context.Context, r db.Reader, account id.ID, since time.Time) (sum money.Micros, err error) {
	err = r.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM top_up
		WHERE account_id = $1 AND automatic = 1 AND created_at >= $2
		AND (status NOT IN ('failed', 'expired') OR status = 'expired' AND tries > 0 AND reference IS NULL
			OR closed <> '')`,
		account, since).Scan(&sum)
	return sum, err
}

// paidAfter returns what top-ups that were credited after a time have brought, without what was
// refunded or disputed of each.
func paidAfter(ctx context.Context, r db.Reader, account id.ID, t time.Time) (sum money.Micros, err error) {
	err = r.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(net), 0) AS BIGINT) FROM (
			SELECT received
				- COALESCE((SELECT SUM(f.amount) FROM top_up_refund f
					WHERE f.top_up_id = t.id AND f.status <> 'failed'), 0)
				- COALESCE((SELECT SUM(d.amount) FROM top_up_dispute d
					WHERE d.top_up_id = t.id AND d.status <> 'won'), 0) AS net
			FROM top_up t WHERE t.account_id = $1 AND t.received > 0 AND t.completed_at > $2
		) AS later WHERE net > 0`, account, t).Scan(&sum)
	return sum, err
}

// givenBack returns the keys of what failed refunds and won disputes gave back to the account.
func givenBack(ctx context.Context, r db.Reader, account id.ID) ([]string, error) {
	failed, err := db.Collect(ctx, r, db.Value[id.ID], `SELECT f.id FROM top_up t
		JOIN top_up_refund f ON f.top_up_id = t.id WHERE t.account_id = $1 AND f.status = 'failed'`, account)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(failed))
	for i, f := range failed {
		keys[i] = keyOfFailed(f)
	}
	won, err := db.Collect(ctx, r, func(row db.Row) (key string, err error) {
		var processor, dispute string
		err = row.Scan(&processor, &dispute)
		return keyOfWon(processor, dispute), err
	}, `SELECT t.processor, d.reference FROM top_up t
		JOIN top_up_dispute d ON d.top_up_id = t.id WHERE t.account_id = $1 AND d.status = 'won'`, account)
	return append(keys, won...), err
}

func list(ctx context.Context, r db.Reader, f Filter, p db.Page) ([]row, db.Listed, error) {
	var where, rest []db.Cond
	if f.Reference != "" {
		where = append(where, db.IsOneOf("reference", f.references()))
	}
	// An index serves one of these, with the status where that is an equality too.
	add := func(given bool, c db.Cond) {
		switch {
		case !given:
		case len(where) == 0:
			where = append(where, c)
		default:
			rest = append(rest, c)
		}
	}
	add(f.Account != "", db.Is("account_id", f.Account))
	add(f.Problem, db.Cond{Text: "problem <> ''"})
	if f.Status != "" && f.Reference == "" && !f.Problem {
		where = append(where, db.Is("status", f.Status))
	} else {
		add(f.Status != "", db.Is("status", f.Status))
	}
	add(f.Processor != "", db.Is("processor", f.Processor))
	l := topUps.List(where...)
	l.Rest = rest
	l.Order, l.Down = []db.Key{{Column: "id"}}, true
	rows, of, err := l.Page(ctx, r, p)
	for i := range rows {
		rows[i] = rows[i].loaded()
	}
	return rows, of, err
}

// refundRow is a refund of a part of a top-up.
type refundRow struct {
	ID          id.ID
	TopUp       id.ID
	Account     id.ID
	reference   string
	Amount      money.Micros
	Reason      string
	Status      RefundStatus
	Message     string
	CreatedAt   time.Time
	CompletedAt *time.Time

	// outside is true for one that was made at the processor and is not stored yet.
	outside bool
}

func (f *refundRow) columns() []db.Column {
	return []db.Column{
		db.Col("id", &f.ID),
		db.Col("top_up_id", &f.TopUp),
		db.Col("account_id", &f.Account),
		db.Col("reference", db.ZeroAsNull(&f.reference)),
		db.Col("amount", &f.Amount),
		db.Col("reason", &f.Reason),
		db.Col("status", &f.Status),
		db.Col("message", &f.Message),
		db.Col("created_at", &f.CreatedAt),
		db.Col("completed_at", &f.CompletedAt),
	}
}

var refunds = db.NewTable("top_up_refund", (*refundRow).columns)

// disputeRow is a dispute about a top-up.
type disputeRow struct {
	Dispute
	topUp     id.ID
	createdAt time.Time
}

func (d *disputeRow) columns() []db.Column {
	return []db.Column{
		db.Col("top_up_id", &d.topUp),
		db.Col("reference", &d.Reference),
		db.Col("amount", &d.Amount),
		db.Col("status", &d.Status),
		db.Col("reason", &d.Reason),
		db.Col("created_at", &d.createdAt),
	}
}

var disputes = db.NewTable("top_up_dispute", (*disputeRow).columns)

// load returns what is known about a top-up. In a transaction that writes, the top-up is locked.
func load(ctx context.Context, r db.Reader, topUp id.ID) (k known, found bool, err error) {
	if k.topUp, found, err = find(ctx, r, topUp); err != nil || !found {
		return k, found, err
	}
	all, err := withMoney(ctx, r, []row{k.topUp})
	if err != nil {
		return k, false, err
	}
	return all[0], true, nil
}

// withMoney adds their refunds and disputes to top-ups, with one statement each.
func withMoney(ctx context.Context, r db.Reader, rows []row) ([]known, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids, at := make([]id.ID, len(rows)), map[id.ID]int{}
	out := make([]known, len(rows))
	for i, t := range rows {
		ids[i], at[t.ID], out[i].topUp = t.ID, i, t
	}
	in := `WHERE top_up_id IN ` + db.In(1, len(ids))
	given, err := refunds.Select(ctx, r, in+` ORDER BY id`, db.Args(ids)...)
	if err != nil {
		return nil, err
	}
	for _, f := range given {
		k := &out[at[f.TopUp]]
		k.refunds = append(k.refunds, f)
	}
	disputed, err := disputes.Select(ctx, r, in+` ORDER BY top_up_id, reference`, db.Args(ids)...)
	if err != nil {
		return nil, err
	}
	for _, d := range disputed {
		k := &out[at[d.topUp]]
		k.disputes = append(k.disputes, d)
	}
	return out, nil
}

// save writes what is known now, after that was known before. Refunds and disputes are only added.
func save(ctx context.Context, tx *db.Tx, before, now known) error {
	if err := update(ctx, tx, now.topUp); err != nil {
		return err
	}
	for i, f := range now.refunds { // there are few
		var err error
		switch {
		case i >= len(before.refunds):
			err = refunds.Insert(ctx, tx, f)
		case f != before.refunds[i]:
			_, err = refunds.Update(ctx, tx, &f, []string{"reference", "status", "message", "completed_at"},
				db.Is("id", f.ID))
		}
		if err != nil {
			return err
		}
	}
	for i, d := range now.disputes {
		var err error
		switch {
		case i >= len(before.disputes):
			err = disputes.Insert(ctx, tx, d)
		case d.Status != before.disputes[i].Status:
			_, err = disputes.Update(ctx, tx, &d, []string{"status"}, db.Is("top_up_id", d.topUp),
				db.Is("reference", d.Reference))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func insertRefund(ctx context.Context, tx *db.Tx, f refundRow) error {
	return refunds.Insert(ctx, tx, f)
}

func findRefund(ctx context.Context, r db.Reader, refund id.ID) (refundRow, bool, error) {
	return refunds.Find(ctx, r, `WHERE id = $1`+db.ForUpdate(r), refund)
}

// byIntents returns the credited top-ups of payments.
func byIntents(ctx context.Context, r db.Reader, processor string, intents []string) (map[string]known, error) {
	out := map[string]known{}
	for chunk := range slices.Chunk(intents, db.ChunkRows) {
		rows, err := topUps.Select(ctx, r, `WHERE processor = $1 AND intent IN `+db.In(2, len(chunk)),
			append([]any{processor}, db.Args(chunk)...)...)
		if err != nil {
			return nil, err
		}
		all, err := withMoney(ctx, r, rows)
		if err != nil {
			return nil, err
		}
		for _, k := range all {
			out[k.topUp.intent] = k
		}
	}
	return out, nil
}

// decidedIntents returns the payments that have brought money that is not credited, and that an
// operator has decided about by closing its top-up. Closed top-ups are few.
func decidedIntents(ctx context.Context, r db.Reader, processor string) (map[string]bool, error) {
	all, err := db.Collect(ctx, r, db.Value[string], `SELECT closed FROM top_up
		WHERE processor = $1 AND problem_intent <> '' AND closed <> ''`, processor)
	out := map[string]bool{}
	for _, closed := range all {
		for line := range strings.Lines(closed) {
			intent, _, _ := strings.Cut(line, ": ")
			out[intent] = true
		}
	}
	return out, err
}

// creditedBetween returns the top-ups that were credited at or after a time and before another.
func creditedBetween(ctx context.Context, r db.Reader, processor string, from, to time.Time) ([]row, error) {
	return topUps.Select(ctx, r, `WHERE processor = $1 AND completed_at >= $2 AND completed_at < $3 AND received > 0`,
		processor, from, to)
}

// usedProcessors returns the processors that have top-ups. It reads one row of the index for each.
func usedProcessors(ctx context.Context, r db.Reader) ([]string, error) {
	return db.Collect(ctx, r, db.Value[string], `WITH RECURSIVE used(name) AS (
			SELECT MIN(processor) FROM top_up
			UNION ALL
			SELECT (SELECT MIN(processor) FROM top_up WHERE processor > used.name) FROM used WHERE used.name IS NOT NULL
		) SELECT name FROM used WHERE name IS NOT NULL`)
}
