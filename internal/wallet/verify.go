package wallet

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Problem is a row of the ledger that was changed, removed or added after it was written.
type Problem struct {
	// Account, Seq and Transaction are those of the transaction that the row belongs to; empty
	// where the row belongs to none.
	Account     id.ID  `json:"account"`
	Seq         int64  `json:"seq"`
	Transaction id.ID  `json:"transaction"`
	Table       string `json:"table"`
	// Row is the row's key.
	Row     string `json:"row"`
	Problem string `json:"problem"`
}

// String names the row and says what is wrong.
func (p Problem) String() string {
	where := ""
	if p.Account != "" {
		where = fmt.Sprintf("account %s, ", p.Account)
	}
	if p.Seq > 0 {
		where += fmt.Sprintf("seq %d, ", p.Seq)
	}
	if p.Transaction != "" && string(p.Transaction) != p.Row {
		where += fmt.Sprintf("%s, ", p.Transaction)
	}
	return fmt.Sprintf("%s%s %s: %s", where, p.Table, p.Row, p.Problem)
}

// MaxProblems is how many problems Verify describes. It counts the others.
const MaxProblems = 1000

// Verified is what Verify has read and found.
type Verified struct {
	Accounts     int64     `json:"accounts"`
	Transactions int64     `json:"transactions"`
	Problems     []Problem `json:"problems"`
	// More are problems beyond MaxProblems: at least so many, where very much was changed.
	More int64 `json:"more"`
}

// Add adds problems.
func (v *Verified) Add(all ...Problem) {
	for _, p := range all {
		if len(v.Problems) < MaxProblems {
			v.Problems = append(v.Problems, p)
		} else {
			v.More++
		}
	}
}

// VerifyOptions configure Verify.
type VerifyOptions struct {
	// Progress is called from time to time with how many transactions of how many were read, and
	// may be nil.
	Progress func(done, of int64)
}

// Verify reads the whole ledger, of one instant, and recomputes everything in it: the hashes, the
// sequences and balances of each account, the amounts of hours by their rate and interval, both
// entries of each transaction, and the tables that repeat what transactions say. It writes nothing,
// holds no locks, and may run beside a server.
//
// It does not verify wallet_charge.ended_at, which says when what was paid is earned, and
// what wallet_subject says besides what was spent: the project and tags may change.
func Verify(ctx context.Context, d *db.DB, o VerifyOptions) (v Verified, err error) {
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	err = d.Snapshots(ctx, 2, ledgerState, func(ctx context.Context, all []*db.Tx) error {
		v = Verified{Problems: []Problem{}}
		return verify(ctx, all[0], all[1], o, &v)
	})
	return v, err
}

// verify reads the transactions by one Tx and the other tables by the other.
func verify(ctx context.Context, a, b *db.Tx, o VerifyOptions, v *Verified) error {
	seed := maphash.MakeSeed()
	w, rows, err := readBoth(ctx, a, b, o, seed, nil)
	if err != nil {
		return err
	}
	v.Accounts, v.Transactions = w.accounts, w.transactions
	v.Add(w.problems...)
	v.More += w.more
	differing, others := w.facts.differing(rows, maxKept)
	v.More += others
	if differing != nil && len(v.Problems) < MaxProblems {
		// The second pass keeps the facts of those sums, to name the rows.
		w, rows, err := readBoth(ctx, a, b, VerifyOptions{Progress: func(int64, int64) {}}, seed, differing)
		if err != nil {
			return err
		}
		v.compare(w.facts, rows)
	} else {
		v.More += int64(len(differing))
	}
	return verifySpent(ctx, b, v)
}

// readBoth walks through the transactions and the other tables at the same time.
func readBoth(
	ctx context.Context, a, b *db.Tx, o VerifyOptions, seed maphash.Seed, only map[uint64]bool,
) (*walk, *facts, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, read := newFacts(seed, only), make(chan error, 1)
	go func() {
		err := readRows(ctx, b, rows)
		if err != nil {
			cancel()
		}
		read <- err
	}()
	w := &walk{facts: newFacts(seed, only), progress: o.Progress}
	err := w.run(ctx, a)
	if err != nil {
		cancel()
	}
	other := <-read
	if other != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = other
	}
	return w, rows, err
}

// walk goes through all transactions, account by account in the order of seq.
type walk struct {
	facts    *facts
	progress func(done, of int64)

	accounts, transactions int64
	problems               []Problem
	more                   int64

	wallets map[id.ID]state // of accounts that were not reached yet
	now     state           // of the account that is read, after the last line
	debt    debt
	days    map[dayKey]money.Micros
	names   map[subjectDayKey]subjectDayOf
	spent   map[id.ID]money.Micros // by subject of the account
	// begins are when the first hour of each of the account's subjects began.
	begins map[id.ID]time.Time
	buf    []byte
}

// debt follows when available fell below zero. The ledger notes that after all lines of one change,
// so that a hold which is captured in debt ends no debt between its two lines. Lines do not say
// which of one time were one change: where that matters, each time that it may be is right.
type debt struct {
	at     time.Time    // created_at of the last line
	before money.Micros // available before the lines of that time
	paid   bool         // a line of that time left no debt
	now    money.Micros // available after the last line
	since  []time.Time  // that may be negative_since if there was a debt before that time
}

// line goes on to the next line.
func (d *debt) line(at time.Time, available money.Micros) {
	if !at.Equal(d.at) {
		d.since = d.possible()
		d.at, d.before, d.paid = at, d.now, false
	}
	d.now = available
	d.paid = d.paid || available >= 0
}

// possible returns what negative_since may be after the last line; nothing without a debt.
func (d *debt) possible() []time.Time {
	switch {
	case d.now >= 0:
		return nil
	case d.before >= 0:
		return []time.Time{d.at}
	case d.paid:
		return append(slices.Clip(d.since), d.at)
	}
	return d.since
}

// isSince reports whether that may be negative_since after the last line.
func (d *debt) isSince(at *time.Time) bool {
	if at == nil {
		return d.now >= 0
	}
	return slices.ContainsFunc(d.possible(), at.Equal)
}

type dayKey struct {
	day               int64
	provider, gpuType string
}

type subjectDayKey struct {
	day     int64
	subject id.ID
}

type subjectDayOf struct {
	name string
	cost money.Micros
}

func (w *walk) problem(p Problem) {
	if len(w.problems) < MaxProblems {
		w.problems = append(w.problems, p)
	} else {
		w.more++
	}
}

func (w *walk) run(ctx context.Context, tx *db.Tx) error {
	var err error
	if w.wallets, err = selectAllWallets(ctx, tx); err != nil {
		return err
	}
	w.accounts = int64(len(w.wallets))
	var total int64
	for _, s := range w.wallets {
		total += s.seq
	}
	err = readLines(ctx, tx, func(lines []rawLine) {
		for i := range lines {
			w.line(&lines[i])
		}
		w.transactions += int64(len(lines))
		w.progress(w.transactions, max(total, w.transactions))
	})
	if err != nil {
		return err
	}
	w.endAccount()
	for account, s := range w.wallets { // those without transactions
		w.now, w.debt = state{account: account}, debt{}
		w.wallet(s)
	}
	return nil
}

// line checks the next transaction.
func (w *walk) line(raw *rawLine) {
	n, readable := raw.line()
	if w.days == nil || n.account != w.now.account {
		w.endAccount()
		w.now, w.debt = state{account: n.account}, debt{}
		w.days, w.names = map[dayKey]money.Micros{}, map[subjectDayKey]subjectDayOf{}
		w.begins, w.spent = map[id.ID]time.Time{}, map[id.ID]money.Micros{}
	}
	wrong := n.follows(w.now)
	if !readable {
		wrong = "was changed: a field has another type"
	}
	w.advance(n)
	for _, text := range []string{wrong, n.recompute(), w.misplaced(n)} {
		if text != "" {
			w.problem(Problem{Account: n.account, Seq: n.seq, Transaction: n.id, Table: "wallet_transaction",
				Row: string(n.id), Problem: text})
		}
	}
	w.expect(n)
}

// follows returns why the line does not follow from the state before it, or "".
func (n *line) follows(before state) string {
	switch held := before.held + n.held(); {
	case n.seq == before.seq+2:
		return fmt.Sprintf("seq %d before it is missing, so its hash could not be checked", before.seq+1)
	case n.seq != before.seq+1:
		return fmt.Sprintf("seq %d to %d before it are missing, so its hash could not be checked", before.seq+1,
			n.seq-1)
	case n.hash != chain(before.hash, n.digest()) && before.seq == 0:
		return "was changed: its hash does not match its fields and its entries"
	case n.hash != chain(before.hash, n.digest()):
		return fmt.Sprintf("its hash does not match its fields, its entries and the hash of seq %d: "+
			"it or the hash of seq %d was changed", before.seq, before.seq)
	case n.availableAfter != before.available+n.amount:
		return fmt.Sprintf("availableAfter is %s; the transactions so far add up to %s", n.availableAfter,
			before.available+n.amount)
	case n.balanceAfter != n.availableAfter+held:
		return fmt.Sprintf("balanceAfter is %s; available and held add up to %s", n.balanceAfter,
			n.availableAfter+held)
	case held < 0:
		return fmt.Sprintf("releases %s more than was held", -held)
	}
	return ""
}

// advance goes on to the state after the line. After a gap it believes the line, so that a problem
// is reported once.
func (w *walk) advance(n *line) {
	w.debt.line(n.createdAt, n.availableAfter)
	w.now.seq, w.now.hash = n.seq, n.hash
	w.now.available, w.now.held = n.availableAfter, n.balanceAfter-n.availableAfter
}

// recompute returns what is wrong with the line by itself, or "".
func (n *line) recompute() string {
	switch {
	case !slices.Contains(Types, n.kind):
		return fmt.Sprintf("%q is not a type of transaction", n.kind)
	case n.amount > MaxAmount || n.amount < -MaxAmount:
		return fmt.Sprintf("an amount of %s is out of bounds", n.amount)
	case n.kind == TypeCharge || n.kind == TypeRefund:
		return n.recomputeHour()
	case n.from != nil || n.to != nil || n.hour != nil || n.hourlyPrice != nil:
		return fmt.Sprintf("a %s has no interval and no rate", n.kind)
	case n.subject == "" && n.reference == "":
		return fmt.Sprintf("a %s needs a subject or a reference", n.kind)
	}
	return ""
}

// recomputeHour is recompute for a charge or refund: the rate times the seconds of the interval.
func (n *line) recomputeHour() string {
	if n.from == nil || n.to == nil || n.hour == nil || n.hourlyPrice == nil || n.subject == "" {
		return fmt.Sprintf("a %s needs a subject, an interval and a rate", n.kind)
	}
	seconds := int64(n.to.Sub(*n.from) / time.Second)
	if n.kind == TypeCharge && n.to.Sub(*n.from) != time.Hour {
		return fmt.Sprintf("an hour is charged from its begin to its end; this is %s", n.to.Sub(*n.from))
	}
	if seconds <= 0 || seconds > money.HourSeconds || *n.hourlyPrice < 0 || *n.hourlyPrice > MaxAmount {
		return fmt.Sprintf("%d seconds at %s/hr are out of bounds", seconds, *n.hourlyPrice)
	}
	want := money.ForSeconds(*n.hourlyPrice, seconds)
	if n.kind == TypeCharge {
		want = -want
	}
	if n.amount != want {
		return fmt.Sprintf("the amount is %s; %d seconds at %s/hr, rounded half-up, are %s",
			n.amount, seconds, *n.hourlyPrice, want)
	}
	return ""
}

// misplaced returns why the line is not of its hour of the subject, or "": hour n begins n hours
// after the first.
func (w *walk) misplaced(n *line) string {
	if n.kind != TypeCharge && n.kind != TypeRefund || n.hour == nil || n.from == nil || n.to == nil {
		return "" // others have no hour, or it is reported
	}
	hour := time.Duration(*n.hour) * time.Hour
	if *n.hour < 0 || *n.hour > maxHour {
		return fmt.Sprintf("hour %d is out of bounds", *n.hour)
	}
	begin := n.to.Add(-time.Hour - hour) // of the first hour: the unused part of an hour is its end
	first, known := w.begins[n.subject]
	if !known {
		w.begins[n.subject] = begin
		return ""
	}
	if !begin.Equal(first) {
		return fmt.Sprintf("hour %d ends at %s; by the other hours of %s it ends at %s", *n.hour,
			n.to.Format(time.RFC3339Nano), n.subject, first.Add(hour+time.Hour).Format(time.RFC3339Nano))
	}
	return ""
}

// maxHour is far beyond the age of any subject, and within what a time.Duration can be.
const maxHour = 1_000_000

// endAccount compares the account that was read with its wallet.
func (w *walk) endAccount() {
	if w.days == nil {
		return
	}
	w.expectDays()
	s, has := w.wallets[w.now.account]
	if !has {
		w.problem(Problem{Account: w.now.account, Seq: w.now.seq, Table: "wallet", Row: string(w.now.account),
			Problem: "is missing; the account has transactions"})
		return
	}
	delete(w.wallets, w.now.account)
	w.wallet(s)
}

// wallet compares a wallet's row with the transactions.
func (w *walk) wallet(s state) {
	p := Problem{Account: s.account, Seq: w.now.seq, Table: "wallet", Row: string(s.account)}
	say := func(format string, args ...any) {
		p.Problem = fmt.Sprintf(format, args...)
		w.problem(p)
	}
	switch {
	case s.seq < 0:
		say("was changed: a field has another type")
	case s.seq > w.now.seq:
		say("its newest transaction is seq %d; those after seq %d are missing", s.seq, w.now.seq)
	case s.seq < w.now.seq:
		say("its newest transaction is seq %d; seq %d was added, or the wallet changed", s.seq, w.now.seq)
	case s.hash != w.now.hash:
		say("its hash is not that of its newest transaction")
	case s.available != w.now.available || s.held != w.now.held:
		say("has %s available and %s held; its transactions add up to %s and %s", s.available, s.held,
			w.now.available, w.now.held)
	case !w.debt.isSince(s.negativeSince):
		say("negative_since is not when available fell below zero")
	}
}
