package meter_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// fataler is what rig needs of a test: a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

type rig struct {
	fataler
	db     *db.DB
	clock  *clock.Simulated
	ids    *id.Maker
	ledger *wallet.Ledger
	events *event.Service
	jobs   *job.Queue
	meter  *meter.Service
}

func newRig(t *testing.T, d *db.DB, c *clock.Simulated) *rig {
	ids := id.NewMaker(c, rand.Reader)
	r := &rig{fataler: t, db: d, clock: c, ids: ids, ledger: wallet.New(wallet.Config{DB: d, IDs: ids}),
		events: event.New(ids), jobs: job.NewQueue(ids)}
	r.meter = meter.New(meter.Config{DB: d, Wallet: r.ledger, Events: r.events, Jobs: r.jobs})
	return r
}

func (r *rig) tx(f func(ctx context.Context, tx *db.Tx) error) {
	r.Helper()
	if err := r.db.InTx(r.Context(), f); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) account(amount money.Micros) id.ID {
	r.Helper()
	account := r.ids.New(id.Account)
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if err := r.ledger.Open(ctx, tx, account); err != nil || amount == 0 {
			return err
		}
		_, err := r.ledger.Credit(ctx, tx, wallet.Credit{Account: account, Type: wallet.TypeTopUp, Amount: amount,
			Dedupe: string(account)})
		return err
	})
	return account
}

func (r *rig) start(s meter.Start) {
	r.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error { return r.meter.Start(ctx, tx, s) })
}

func (r *rig) stop(subject id.ID, at time.Time, rule meter.Rule) (refunded money.Micros) {
	r.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		refunded, err = r.meter.Stop(ctx, tx, subject, at, rule)
		return err
	})
	return refunded
}

// refundAt returns what a stop at that instant would refund.
func refundAt(
	ctx context.Context, m *meter.Service, r db.Reader, subject id.ID, at time.Time, rule meter.Rule,
) (money.Micros, error) {
	p, err := m.Previews(ctx, r, subject, []time.Time{at}, rule)
	if err != nil {
		return 0, err
	}
	return p[0].Refund, nil
}

func (r *rig) sweep() job.Outcome {
	r.Helper()
	outcome, err := r.meter.Sweep(r.Context(), meter.Fleet)
	if err != nil {
		r.Fatal(err)
	}
	return outcome
}

func (r *rig) cost(subject id.ID) money.Micros {
	r.Helper()
	costs, err := r.meter.Costs(r.Context(), r.db, []id.ID{subject})
	if err != nil {
		r.Fatal(err)
	}
	return costs[subject]
}

func (r *rig) available(account id.ID) money.Micros {
	r.Helper()
	w, err := r.ledger.Get(r.Context(), r.db, account)
	if err != nil {
		r.Fatal(err)
	}
	return w.Available
}

// lines are the account's charges and refunds, oldest first.
func (r *rig) lines(account id.ID) []wallet.Transaction {
	r.Helper()
	var found []wallet.Transaction
	f := wallet.Filter{Types: []wallet.Type{wallet.TypeCharge, wallet.TypeRefund}}
	err := r.ledger.Export(r.Context(), r.db, account, f, func(t wallet.Transaction) error {
		found = append([]wallet.Transaction{t}, found...)
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return found
}

func (r *rig) audited() {
	r.Helper()
	faults, err := r.ledger.Audit(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if len(faults) > 0 {
		r.Fatal(strings.Join(faults, "\n"))
	}
}

const rate = 29_600_000 // $29.60 an hour

func b200(account, subject id.ID, at time.Time) meter.Start {
	return meter.Start{
		Subject: subject, Account: account, HourlyPrice: rate, At: at, Description: "8 × NVIDIA B200",
		Labels: wallet.Labels{Provider: "voltage-park", Region: "dallas-usa-5", GPUType: "NVIDIA B200",
			Name: "my-training-run"},
	}
}

func TestStopRefundsToTheSecond(t *testing.T) {
	const all = money.Micros(rate)
	type row struct {
		after                     time.Duration // of the stop, from the start
		hours                     int64         // that are paid in the end, whole or in part
		first, current, noneSaved money.Micros  // refunded by each rule of the hour that runs
	}
	rows := []row{
		{-time.Minute, 0, 0, 0, 0},
		{0, 0, 0, 0, 0},
		{time.Second, 1, 29_591_778, 29_591_778, 0},
		{1999 * time.Millisecond, 1, 29_591_778, 29_591_778, 0}, // cut to the second
		{25 * time.Minute, 1, 17_266_667, 17_266_667, 0},
		{2366 * time.Second, 1, 10_146_222, 10_146_222, 0},
		{3599 * time.Second, 1, 8_222, 8_222, 0},
		{time.Hour, 1, 0, 0, 0}, // exactly at the boundary: the hour that begins there is not paid
		{time.Hour + 999*time.Millisecond, 1, 0, 0, 0},
		{time.Hour + time.Second, 2, 0, 29_591_778, 0},
		{2*time.Hour - time.Second, 2, 0, 8_222, 0},
		{2 * time.Hour, 2, 0, 0, 0},
		{49*time.Hour + 30*time.Minute, 50, 0, 14_800_000, 0}, // over the end of a leap February
	}
	rules := map[string]struct {
		rule meter.Rule
		of   func(row) money.Micros
	}{
		"first hour":   {meter.FirstHour, func(k row) money.Micros { return k.first }},
		"current hour": {meter.CurrentHour, func(k row) money.Micros { return k.current }},
		"no refund":    {meter.NoRefund, func(k row) money.Micros { return k.noneSaved }},
	}
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		for _, k := range rows {
			for rule, wants := range rules {
				// How far the meter had been booked when the stop was learned of makes no
				// difference.
				for _, booked := range []string{"in time", "not at all", "hours ahead"} {
					name := fmt.Sprintf("%s after %s, booked %s", rule, k.after, booked)
					account, subject := r.account(money.Dollars(5000)), r.ids.New(id.Deployment)
					begin := c.Now()
					at := begin.Truncate(time.Second).Add(k.after)
					r.start(b200(account, subject, begin))
					switch booked {
					case "in time":
						c.AdvanceTo(at)
						r.sweep()
					case "not at all":
						c.AdvanceTo(at)
					default:
						c.AdvanceTo(at.Add(3 * time.Hour))
						r.sweep()
					}
					var preview money.Micros
					var err error
					if preview, err = refundAt(t.Context(), r.meter, d, subject, at, wants.rule); err != nil {
						t.Fatal(err)
					}
					refunded := r.stop(subject, at, wants.rule)
					want := all.Times(k.hours) - wants.of(k)
					if got := r.cost(subject); got != want || r.available(account) != money.Dollars(5000)-want {
						t.Errorf("%s: cost %s, wallet %s, want %s", name, got, r.available(account), want)
					}
					charged := money.Micros(0)
					for _, l := range r.lines(account) {
						if l.Type == wallet.TypeCharge {
							charged -= l.Amount
						}
					}
					if refunded != charged-want || preview != refunded {
						t.Errorf("%s: told %s, foretold %s, of %s", name, refunded, preview, charged)
					}
					if again := r.stop(subject, at.Add(time.Hour), meter.CurrentHour); again != 0 ||
						r.cost(subject) != want {
						t.Errorf("%s: stopped again: %s", name, again)
					}
					if after, err := refundAt(t.Context(), r.meter, d, subject, at, wants.rule); err != nil ||
						after != 0 {
						t.Errorf("%s: foretold %s, %v once stopped", name, after, err)
					}
					c.Advance(2 * time.Hour)
					if r.sweep() != job.Done() || r.cost(subject) != want {
						t.Errorf("%s: charged after the stop", name)
					}
				}
			}
		}
		r.audited()
	})
}

func TestHoursAreChargedWhenTheyBegin(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, subject := r.account(money.Dollars(1000)), r.ids.New(id.Deployment)
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return r.ledger.Hold(ctx, tx, wallet.Hold{Account: account, Subject: subject, Amount: rate,
				Minimum: money.Dollars(50)})
		}); err != nil {
			t.Fatal(err)
		}
		begin := c.Now().Truncate(time.Second)
		s := b200(account, subject, c.Now())
		r.start(s)
		r.start(s)
		if w, err := r.ledger.Get(t.Context(), d, account); err != nil || w.Held != 0 || r.cost(subject) != rate ||
			w.Available != money.Dollars(1000)-rate {
			t.Fatalf("after two starts: %+v, cost %s, %v", w, r.cost(subject), err)
		}
		for _, k := range []struct {
			at    time.Duration
			hours int64
		}{
			{time.Hour - time.Microsecond, 1}, {time.Hour, 2}, {time.Hour + time.Microsecond, 2},
			{2*time.Hour - time.Microsecond, 2}, {2 * time.Hour, 3}, {9*time.Hour + time.Minute, 10},
		} {
			c.AdvanceTo(begin.Add(k.at))
			for range 2 {
				if next := r.sweep(); next != job.At(begin.Add(time.Duration(k.hours)*time.Hour)) {
					t.Errorf("at %s: next %v", k.at, next)
				}
			}
			if got := r.cost(subject); got != money.Micros(rate).Times(k.hours) {
				t.Errorf("at %s: cost %s, want %d hours", k.at, got, k.hours)
			}
		}
		lines := r.lines(account)
		if len(lines) != 10 {
			t.Fatalf("%d lines", len(lines))
		}
		for n, l := range lines {
			from := begin.Add(time.Duration(n) * time.Hour)
			if !l.From.Equal(from) || !l.To.Equal(from.Add(time.Hour)) || l.Amount != -rate ||
				*l.HourlyPrice != rate || *l.DeploymentID != subject ||
				l.Description != fmt.Sprintf("my-training-run: hour %d of 8 × NVIDIA B200 at $29.60/hr", n+1) {
				t.Errorf("hour %d: %+v", n, l)
			}
		}
		r.audited()
	})
}

func TestRefundCanBeRecomputedFromItsTransaction(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, subject := r.account(money.Dollars(1000)), r.ids.New(id.Deployment)
		begin := c.Now().Truncate(time.Second)
		r.start(b200(account, subject, begin))
		r.stop(subject, begin.Add(2366*time.Second), meter.FirstHour)
		l := r.lines(account)[1]
		if want := "my-training-run: 1,234 unused seconds of hour 1 at $29.60/hr, rounded " +
			"half-up"; l.Description != want {
			t.Errorf("%q, want %q", l.Description, want)
		}
		if l.Amount != money.ForSeconds(*l.HourlyPrice, int64(l.To.Sub(*l.From)/time.Second)) ||
			!l.From.Equal(begin.Add(2366*time.Second)) || !l.To.Equal(begin.Add(time.Hour)) {
			t.Errorf("%+v", l)
		}
		other := r.ids.New(id.Volume)
		r.start(b200(account, other, begin))
		r.stop(other, begin.Add(3599*time.Second), meter.CurrentHour)
		if l := r.lines(account)[3]; !strings.Contains(l.Description, ": 1 unused second of hour 1") ||
			*l.VolumeID != other {
			t.Errorf("%+v", l)
		}
	})
}

func TestHalfAMicroDollarIsRoundedUp(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		begin := c.Now().Truncate(time.Second)
		for _, k := range []struct {
			price, refund money.Micros
			used          time.Duration
		}{
			{1, 1, 1800 * time.Second}, {1, 0, 1801 * time.Second}, {3, 2, 1800 * time.Second},
			{3, 1, 1801 * time.Second}, {0, 0, time.Second},
		} {
			account, subject := r.account(100), r.ids.New(id.Volume)
			s := b200(account, subject, begin)
			s.HourlyPrice = k.price
			r.start(s)
			if got := r.stop(subject, begin.Add(k.used), meter.CurrentHour); got != k.refund ||
				r.cost(subject) != k.price-k.refund {
				t.Errorf("%+v: %d", k, got)
			}
		}
		r.audited()
	})
}

func TestService_RepriceAffectsLaterHoursOnly(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, subject := r.account(money.Dollars(1000)), r.ids.New(id.Volume)
		begin := c.Now().Truncate(time.Second)
		s := b200(account, subject, begin)
		s.HourlyPrice, s.Description = 100, "500 GB volume"
		r.start(s)
		reprice := func(price money.Micros, description string) {
			t.Helper()
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				return r.meter.Reprice(ctx, tx, subject, price, s.Labels, description)
			})
		}
		c.AdvanceTo(begin.Add(2*time.Hour + time.Minute)) // no sweep ran: the hours 1 and 2 began at the old price
		reprice(200, "1000 GB volume")
		c.AdvanceTo(begin.Add(3 * time.Hour)) // exactly on a boundary: the hour that begins now has the new one
		reprice(300, "1500 GB volume")
		c.AdvanceTo(begin.Add(4*time.Hour + 30*time.Minute))
		if running, err := r.meter.Rates(t.Context(), d, account); err != nil || len(running) != 1 ||
			running[0].HourlyPrice != 300 ||
			running[0].CostToDate != 300 || running[0].Subject != subject || running[0].Name != "my-training-run" {
			t.Fatalf("%+v, %v", running, err)
		}
		reprice(1000, "2000 GB volume") // must not reprice hour 4, which runs
		if refunded := r.stop(subject, begin.Add(4*time.Hour+30*time.Minute), meter.CurrentHour); refunded != 150 {
			t.Errorf("refunded %d of hour 5", refunded)
		}
		want := []money.Micros{-100, -100, -100, -300, -300, 150}
		lines := r.lines(account)
		if len(lines) != len(want) {
			t.Fatalf("%d lines", len(lines))
		}
		for i, l := range lines {
			if l.Amount != want[i] {
				t.Errorf("line %d: %+v", i, l)
			}
		}
		if lines[2].Description != "my-training-run: hour 3 of 500 GB volume at $0.0001/hr" ||
			lines[3].Description != "my-training-run: hour 4 of 1500 GB volume at $0.0003/hr" {
			t.Errorf("%q, %q", lines[2].Description, lines[3].Description)
		}
		reprice(5, "nothing")
		if running, err := r.meter.Rates(t.Context(), d, account); err != nil || running == nil || len(running) != 0 {
			t.Errorf("once stopped: %+v, %v", running, err)
		}
		r.audited()
	})
}

func TestUnmeteredSubjectsAreLeftUnchanged(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(100)
		if r.stop("dep_none", c.Now(), meter.CurrentHour) != 0 || r.cost("dep_none") != 0 {
			t.Error("an unknown subject costs money")
		}
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			return r.meter.Reprice(ctx, tx, "dep_none", 5, wallet.Labels{}, "nothing")
		})
		got, err := refundAt(t.Context(), r.meter, d, "dep_none", c.Now(), meter.CurrentHour)
		if got != 0 || err != nil {
			t.Errorf("foretold %s, %v", got, err)
		}
		if costs, err := r.meter.Costs(t.Context(), d, nil); err != nil || len(costs) != 0 {
			t.Errorf("%v, %v", costs, err)
		}
		if r.sweep() != job.Done() {
			t.Error("an empty fleet is due")
		}
		for _, s := range []meter.Start{
			{Subject: "ssh_1", Account: account}, {Subject: "dep_1"},
			{Subject: "dep_1", Account: account, HourlyPrice: -1},
			{Subject: "dep_1", Account: "acc_none", HourlyPrice: 1},
		} {
			s.At = c.Now()
			if err := d.InTx(t.Context(), func(ctx context.Context,
				tx *db.Tx) error {
				return r.meter.Start(ctx, tx, s)
			}); err == nil {
				t.Errorf("%+v was started", s)
			}
		}
	})
}

func TestBillingAppendsEvents(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(money.Dollars(1000))
		begin := c.Now().Truncate(time.Second)
		for kind, word := range map[id.Kind]string{id.Deployment: "deployment", id.Volume: "volume"} {
			subject := r.ids.New(kind)
			r.start(b200(account, subject, begin))
			r.stop(subject, begin.Add(30*time.Minute), meter.FirstHour)
			events, total, err := r.events.List(t.Context(), d, account, subject, db.Page{Number: 1, Limit: 10})
			if err != nil || total.Total != 2 {
				t.Fatalf("%d events, %v", total.Total, err)
			}
			charged, refunded := events[0], events[1]
			if charged.Type != word+".charged" || refunded.Type != word+".refunded" {
				t.Errorf("%s, %s", charged.Type, refunded.Type)
			}
			if charged.Data["amount"] != 29.6 || refunded.Data["amount"] != 14.8 ||
				refunded.Data["unusedSeconds"] != 1800.0 || refunded.Data["hourlyPrice"] != 29.6 ||
				charged.Data["hour"] != 1.0 || charged.Data["from"] != begin.Format(time.RFC3339) ||
				refunded.Data["to"] != begin.Add(time.Hour).Format(time.RFC3339) {
				t.Errorf("%v\n%v", charged.Data, refunded.Data)
			}
			if line, _ := charged.Data["transactionId"].(string); !id.ID(line).Valid(id.Transaction) {
				t.Errorf("%v", charged.Data)
			}
		}
	})
}

// TestRunnerSweepsAndEnqueuesPastDue drives the meter by nothing but the jobs that it enqueues.
func TestRunnerSweepsAndEnqueuesPastDue(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		runner := job.NewRunner(job.Config{DB: d, Queue: r.jobs, Clock: c, Real: db.Time,
			Log: slog.New(slog.DiscardHandler), Workers: 2})
		runner.Handle(meter.KindSweep, r.meter.Sweep)
		var mu sync.Mutex
		debts := map[id.ID]int{}
		runner.Handle(meter.KindPastDue, func(_ context.Context, account id.ID) (job.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			debts[account]++
			return job.Done(), nil
		})
		drain := func() {
			t.Helper()
			if err := runner.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		rich, poor, exact := r.account(money.Dollars(1000)), r.account(rate+1), r.account(2*rate)
		var subjects []id.ID
		for _, a := range []id.ID{rich, poor, exact} {
			subjects = append(subjects, r.ids.New(id.Deployment))
			r.start(b200(a, subjects[len(subjects)-1], c.Now()))
		}
		drain()
		if len(debts) != 0 {
			t.Fatalf("debts before any debt: %v", debts)
		}
		c.Advance(time.Hour)
		drain()
		if len(debts) != 1 || debts[poor] != 1 || r.available(exact) != 0 {
			t.Fatalf("debts after an hour: %v", debts)
		}
		c.Advance(time.Hour)
		drain()
		if debts[poor] != 2 || debts[exact] != 1 || debts[rich] != 0 {
			t.Fatalf("debts after two hours: %v", debts)
		}
		for _, s := range subjects {
			if r.cost(s) != 3*rate {
				t.Errorf("%s cost %s", s, r.cost(s))
			}
			r.stop(s, c.Now(), meter.FirstHour) // at the very second at which the third hour began: it is given back
		}
		c.Advance(time.Hour)
		drain()
		r.start(b200(rich, r.ids.New(id.Deployment), c.Now())) // the job had ended: a new start brings it back
		c.Advance(time.Hour)
		drain()
		if got := r.available(rich); got != money.Dollars(1000)-4*rate {
			t.Errorf("available %s", got)
		}
		// A start whose first hour leaves a debt tells so at once.
		r.start(b200(r.account(1), r.ids.New(id.Deployment), c.Now()))
		drain()
		if len(debts) != 3 {
			t.Errorf("debts: %v", debts)
		}
		r.audited()
	})
}
