package wallet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/netstring"
)

// ledgerState changes with every change of the ledger: each adds transactions.
const ledgerState = `SELECT CAST(COALESCE(SUM(seq), 0) AS BIGINT) + COUNT(*) FROM wallet`

// selectAllWallets returns all wallets. One that cannot be read has the seq -1, which none has.
func selectAllWallets(ctx context.Context, tx *db.Tx) (map[id.ID]state, error) {
	all := map[id.ID]state{}
	err := eachRaw(ctx, tx, `SELECT account_id, available, held, seq, negative_since, hash FROM wallet`, func(
		v []any,
	) {
		ok := raw(true)
		s := state{
			account: id.ID(ok.text(v[0])), available: money.Micros(ok.number(v[1])),
			held: money.Micros(ok.number(v[2])),
			seq:  ok.number(v[3]), negativeSince: ok.timeOrNull(v[4]), hash: ok.text(v[5]),
		}
		if !ok {
			s.seq = -1
		}
		all[s.account] = s
	})
	return all, err
}

// rawLine is a row as the driver returns it: to convert each field through database/sql takes
// longer than all that is computed with it.
type rawLine [20]any

const rawColumns = `account_id, seq, id, type, amount, balance_after, available_after, description, subject, hour,
	from_at, to_at, hourly_price, provider, region, gpu_type, name, reference, created_at, hash`

// raw reads fields of rows. A field of another type makes it false.
type raw bool

func (ok *raw) text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	*ok = false
	return fmt.Sprint(v)
}

func (ok *raw) textOrNull(v any) string {
	if v == nil {
		return ""
	}
	s := ok.text(v)
	*ok = *ok && s != "" // "" is kept as NULL
	return s
}

func (ok *raw) number(v any) int64 {
	n, is := v.(int64)
	*ok = *ok && raw(is)
	return n
}

func (ok *raw) numberOrNull(v any) *int64 {
	if v == nil {
		return nil
	}
	n := ok.number(v)
	return &n
}

func (ok *raw) timeOrNull(v any) *time.Time {
	if v == nil {
		return nil
	}
	t := time.UnixMicro(ok.number(v)).UTC()
	return &t
}

// line returns the row, and false if a field has another type than the column.
func (r *rawLine) line() (*line, bool) {
	ok := raw(true)
	n := &line{
		account: id.ID(ok.text(r[0])), seq: ok.number(r[1]), id: id.ID(ok.text(r[2])), kind: Type(ok.text(r[3])),
		amount: money.Micros(ok.number(r[4])), balanceAfter: money.Micros(ok.number(r[5])),
		availableAfter: money.Micros(ok.number(r[6])), description: ok.text(r[7]), subject: id.ID(ok.textOrNull(r[8])),
		hour: ok.numberOrNull(r[9]), from: ok.timeOrNull(r[10]), to: ok.timeOrNull(r[11]),
		hourlyPrice: (*money.Micros)(ok.numberOrNull(r[12])),
		labels: Labels{Provider: ok.text(r[13]), Region: ok.text(r[14]), GPUType: ok.text(r[15]),
			Name: ok.text(r[16])},
		reference: ok.textOrNull(r[17]), createdAt: time.UnixMicro(ok.number(r[18])).UTC(), hash: ok.text(r[19]),
	}
	return n, bool(ok)
}

// readChunk is how many transactions are handed over at once.
const readChunk = 512

// readLines calls each with all transactions, by account and in the order of seq, in chunks. The
// next ones are read meanwhile.
func readLines(ctx context.Context, tx *db.Tx, each func([]rawLine)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks, done := make(chan []rawLine, 4), make(chan error, 1)
	go func() {
		defer close(chunks)
		done <- func() error {
			rows, err := tx.Query(ctx, `SELECT `+rawColumns+` FROM wallet_transaction ORDER BY account_id, seq`)
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }()
			chunk := make([]rawLine, 0, readChunk)
			into := make([]any, len(rawLine{}))
			for rows.Next() {
				chunk = append(chunk, rawLine{})
				last := &chunk[len(chunk)-1]
				for i := range into {
					into[i] = &last[i]
				}
				if err := rows.Rows.Scan(into...); err != nil {
					return err
				}
				if len(chunk) < readChunk {
					continue
				}
				select {
				case chunks <- chunk:
				case <-ctx.Done():
					return ctx.Err()
				}
				chunk = make([]rawLine, 0, readChunk)
			}
			if err := rows.Err(); err != nil {
				return err
			}
			chunks <- chunk
			return nil
		}()
	}()
	for chunk := range chunks {
		each(chunk)
	}
	return <-done
}

// The tables that repeat what transactions say.
const (
	entryTable, creditTable, holdTable, chargeTable = "wallet_entry", "wallet_credit", "wallet_hold", "wallet_charge"
	dayTable, subjectDayTable                       = "wallet_day", "wallet_day_subject"
	subjectTable, spentTable                        = "wallet_subject", "wallet_spent"
)

// The facts that rows and transactions have in common. Each begins with a letter of its own.

func entryFact(b []byte, transaction, book string, amount int64) []byte {
	b = append(b[:0], 'e')
	b = netstring.Text(b, transaction)
	b = netstring.Text(b, book)
	return netstring.Number(b, amount)
}

func creditFact(b []byte, reference, account string, amount, createdAt int64) []byte {
	b = append(b[:0], 'm')
	b = netstring.Text(b, reference)
	b = netstring.Text(b, account)
	b = netstring.Number(b, amount)
	return netstring.Number(b, createdAt)
}

func holdFact(b []byte, subject, account string, amount int64, description string, l Labels, createdAt int64) []byte {
	b = append(b[:0], 'h')
	b = netstring.Text(b, subject)
	b = netstring.Text(b, account)
	b = netstring.Number(b, amount)
	b = netstring.Text(b, description)
	b = netstring.Text(b, l.Provider)
	b = netstring.Text(b, l.Region)
	b = netstring.Text(b, l.GPUType)
	return netstring.Number(b, createdAt)
}

func releaseFact(b []byte, subject, account string, amount, settledAt int64) []byte {
	b = append(b[:0], 'u')
	b = netstring.Text(b, subject)
	b = netstring.Text(b, account)
	b = netstring.Number(b, amount)
	return netstring.Number(b, settledAt)
}

func chargeFact(b []byte, subject string, hour int64, account string, amount, price, from int64, l Labels) []byte {
	b = append(b[:0], 'c')
	b = netstring.Text(b, subject)
	b = netstring.Number(b, hour)
	b = netstring.Text(b, account)
	b = netstring.Number(b, amount)
	b = netstring.Number(b, price)
	b = netstring.Number(b, from)
	b = netstring.Text(b, l.Provider)
	b = netstring.Text(b, l.Region)
	b = netstring.Text(b, l.GPUType)
	return netstring.Text(b, l.Name)
}

// refundFact is that a hour, which begins at from, was refunded. Its amount is at most the charge,
// because the refunded seconds are at most the charged ones at the same rate.
func refundFact(b []byte, subject string, hour int64, account string, refunded, price, from, refundedAt int64) []byte {
	b = append(b[:0], 'r')
	b = netstring.Text(b, subject)
	b = netstring.Number(b, hour)
	b = netstring.Text(b, account)
	b = netstring.Number(b, refunded)
	b = netstring.Number(b, price)
	b = netstring.Number(b, from)
	return netstring.Number(b, refundedAt)
}

func dayFact(b []byte, account string, day int64, provider, gpuType string, cost int64) []byte {
	b = append(b[:0], 'd')
	b = netstring.Text(b, account)
	b = netstring.Number(b, day)
	b = netstring.Text(b, provider)
	b = netstring.Text(b, gpuType)
	return netstring.Number(b, cost)
}

func subjectDayFact(b []byte, account string, day int64, subject, name string, cost int64) []byte {
	b = append(b[:0], 's')
	b = netstring.Text(b, account)
	b = netstring.Number(b, day)
	b = netstring.Text(b, subject)
	b = netstring.Text(b, name)
	return netstring.Number(b, cost)
}

// spentFact is what a subject spent. One that spent nothing has none: it may have no charges, and
// may be gone.
func spentFact(b []byte, account, subject string, cost int64) []byte {
	b = append(b[:0], 'p')
	b = netstring.Text(b, account)
	b = netstring.Text(b, subject)
	return netstring.Number(b, cost)
}

const hourMicros = int64(money.HourSeconds) * 1e6

// expect adds what the other tables must say because of a transaction.
func (w *walk) expect(n *line) {
	of := factOf{account: n.account, seq: n.seq, id: n.id, number: -1}
	as := func(table, key string, number int64) factOf {
		of.table, of.key, of.number = table, key, number
		return of
	}
	add := func(fact []byte, where factOf) {
		w.buf = fact
		w.facts.add(fact, where)
	}
	for _, e := range n.entries() {
		add(entryFact(w.buf, string(e.transaction), e.book, int64(e.amount)), as(entryTable, string(n.id), -1))
	}
	account, subject, at := string(n.account), string(n.subject), n.createdAt.UnixMicro()
	switch n.kind {
	case TypeTopUp, TypeCredit, TypeAdjustment:
		add(creditFact(w.buf, n.reference, account, int64(n.amount), at), as(creditTable, n.reference, -1))
	case TypeHold:
		add(holdFact(w.buf, subject, account, -int64(n.amount), n.description, n.labels, at),
			as(holdTable, subject, -1))
	case TypeRelease:
		add(releaseFact(w.buf, subject, account, int64(n.amount), at), as(holdTable, subject, -1))
	case TypeCharge, TypeRefund:
		if n.hour == nil || n.from == nil || n.to == nil || n.hourlyPrice == nil {
			return // reported
		}
		from, price := n.from.UnixMicro(), int64(*n.hourlyPrice)
		where := as(chargeTable, subject, *n.hour)
		if n.kind == TypeCharge {
			add(chargeFact(w.buf, subject, *n.hour, account, -int64(n.amount), price, from, n.labels), where)
		} else {
			from = n.to.UnixMicro() - hourMicros // the hour's, not that of its unused part
			add(refundFact(w.buf, subject, *n.hour, account, int64(n.amount), price, from, at), where)
		}
		day := from / dayMicros
		w.days[dayKey{day, n.labels.Provider, n.labels.GPUType}] -= n.amount
		key := subjectDayKey{day, n.subject}
		s := w.names[key]
		s.cost -= n.amount
		if n.kind == TypeCharge { // a refund takes from the hour, under whatever name
			s.name = max(s.name, n.labels.Name)
		}
		w.names[key] = s
		w.spent[n.subject] -= n.amount
	}
}

// expectDays adds the totals of the account's days.
func (w *walk) expectDays() {
	account := string(w.now.account)
	of := factOf{account: w.now.account, table: dayTable}
	for k, cost := range w.days {
		w.buf = dayFact(w.buf, account, k.day, k.provider, k.gpuType, int64(cost))
		of.key, of.number = account+"/"+k.provider+"/"+k.gpuType, k.day
		w.facts.add(w.buf, of)
	}
	of.table, of.number = subjectTable, -1
	for subject, cost := range w.spent {
		if cost != 0 {
			w.buf, of.key = spentFact(w.buf, account, string(subject), int64(cost)), string(subject)
			w.facts.add(w.buf, of)
		}
	}
	of.table = subjectDayTable
	for k, s := range w.names {
		w.buf = subjectDayFact(w.buf, account, k.day, string(k.subject), s.name, int64(s.cost))
		of.key, of.number = account+"/"+string(k.subject), k.day
		w.facts.add(w.buf, of)
	}
}

// readRows adds what the other tables say.
func readRows(ctx context.Context, tx *db.Tx, f *facts) error {
	var b []byte
	var ok raw = true
	add := func(fact []byte, of factOf) {
		if b = fact; !ok { // a field of another type is a fact that no transaction has
			b, ok = append(b, '!'), true
		}
		f.add(b, of)
	}
	for _, t := range []struct {
		columns, table string
		row            func(v []any)
	}{
		{`transaction_id, book, amount`, entryTable, func(v []any) {
			txn := ok.text(v[0])
			add(entryFact(b, txn, ok.text(v[1]), ok.number(v[2])), factOf{table: entryTable, key: txn, number: -1})
		}},
		{`dedupe, account_id, amount, created_at`, creditTable, func(v []any) {
			key, account := reference(ok.text(v[0])), ok.text(v[1])
			add(creditFact(b, key, account, ok.number(v[2]), ok.number(v[3])),
				factOf{table: creditTable, key: key, number: -1, account: id.ID(account)})
		}},
		{`subject, account_id, amount, description, provider, region, gpu_type, created_at, settled_at`, holdTable,
			func(v []any) {
				subject, account, amount := ok.text(v[0]), ok.text(v[1]), ok.number(v[2])
				of := factOf{table: holdTable, key: subject, number: -1, account: id.ID(account)}
				l := Labels{Provider: ok.text(v[4]), Region: ok.text(v[5]), GPUType: ok.text(v[6])}
				add(holdFact(b, subject, account, amount, ok.text(v[3]), l, ok.number(v[7])), of)
				if v[8] != nil {
					add(releaseFact(b, subject, account, amount, ok.number(v[8])), of)
				}
			}},
		{`subject, hour, account_id, amount, hourly_price, from_at, provider, region, gpu_type, name, refunded,
			refunded_at`, chargeTable, func(v []any) {
			subject, hour, account := ok.text(v[0]), ok.number(v[1]), ok.text(v[2])
			of := factOf{table: chargeTable, key: subject, number: hour, account: id.ID(account)}
			price, from, refunded := ok.number(v[4]), ok.number(v[5]), ok.number(v[10])
			l := Labels{Provider: ok.text(v[6]), Region: ok.text(v[7]), GPUType: ok.text(v[8]), Name: ok.text(v[9])}
			add(chargeFact(b, subject, hour, account, ok.number(v[3]), price, from, l), of)
			switch {
			case v[11] != nil:
				add(refundFact(b, subject, hour, account, refunded, price, from, ok.number(v[11])), of)
			case refunded != 0:
				add(refundFact(b, subject, hour, account, refunded, price, from, 0), of)
			}
		}},
		{`account_id, day, provider, gpu_type, cost`, dayTable, func(v []any) {
			account, day, provider, gpuType := ok.text(v[0]), ok.number(v[1]), ok.text(v[2]), ok.text(v[3])
			add(dayFact(b, account, day, provider, gpuType, ok.number(v[4])),
				factOf{table: dayTable, key: account + "/" + provider + "/" + gpuType, number: day,
					account: id.ID(account)})
		}},
		{`account_id, day, subject, name, cost`, subjectDayTable, func(v []any) {
			account, day, subject := ok.text(v[0]), ok.number(v[1]), ok.text(v[2])
			add(subjectDayFact(b, account, day, subject, ok.text(v[3]), ok.number(v[4])),
				factOf{table: subjectDayTable, key: account + "/" + subject, number: day, account: id.ID(account)})
		}},
		{`account_id, subject, spent`, subjectTable + ` WHERE spent <> 0`, func(v []any) {
			account, subject := ok.text(v[0]), ok.text(v[1])
			add(spentFact(b, account, subject, ok.number(v[2])),
				factOf{table: subjectTable, key: subject, number: -1, account: id.ID(account)})
		}},
	} {
		if err := eachRaw(ctx, tx, `SELECT `+t.columns+` FROM `+t.table, t.row); err != nil {
			return fmt.Errorf("read %s: %w", t.table, err)
		}
	}
	return nil
}

// verifySpent compares what is kept by description with the sums of the subjects that have it.
func verifySpent(ctx context.Context, tx *db.Tx, v *Verified) error {
	say := func(account, row, text string) {
		v.Add(Problem{Account: id.ID(account), Table: spentTable, Row: row, Problem: text})
	}
	var ok raw = true
	err := eachRaw(ctx, tx, `SELECT account_id, project, tags, creator_type, creator_id, MAX(kind),
			CAST(SUM(cost) AS BIGINT) FROM (
				SELECT account_id, project, tags, creator_type, creator_id, kind, cost FROM wallet_spent
				UNION ALL SELECT account_id, project, tags, creator_type, creator_id, '', -spent FROM wallet_subject
			) AS t GROUP BY account_id, project, tags, creator_type, creator_id`, func(row []any) {
		s := Subject{Account: id.ID(ok.text(row[0])), Project: ok.text(row[1]), CreatedBy: creator.Creator{
			Type: creator.Type(ok.text(row[3])), ID: id.ID(ok.text(row[4])),
		}}
		readable := json.Unmarshal([]byte(ok.text(row[2])), &s.Tags) == nil
		want, kind := kindOf(s).kind, ok.text(row[5])
		sum, is := row[6].(int64)
		switch {
		case !readable || !is:
			say(string(s.Account), kind, "was changed: a field has another type")
		case sum != 0:
			say(string(s.Account), want, fmt.Sprintf("differs by %s from what its subjects spent", money.Micros(sum)))
		case kind != "" && kind != want:
			say(string(s.Account), kind, fmt.Sprintf("was changed: its description has the kind %s", want))
		}
	})
	if err != nil {
		return fmt.Errorf("compare %s: %w", spentTable, err)
	}
	return nil
}

// eachRaw calls f with each row as the driver returns it. f must not keep it.
func eachRaw(ctx context.Context, tx *db.Tx, query string, f func([]any)) (err error) {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Rows.Scan(into...); err != nil {
			return err
		}
		f(row)
	}
	return rows.Err()
}
