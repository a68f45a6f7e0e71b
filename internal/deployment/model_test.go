package deployment_test

import (
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/wallet"
	"pgregory.net/rapid"
)

// checks limits how many cases rapid tries: each is a fresh database. A number given on the command
// line wins.
func checks(t *testing.T, n string) {
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return
	}
	if err := flag.Set("rapid.checks", n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("rapid.checks", f.DefValue) })
}

// TestDeploymentsMatchTheModel does to deployments whatever a tenant, the provider, the clock and
// the operator may do, in any order, and compares with the model below after each step.
func TestDeploymentsMatchTheModel(t *testing.T) {
	met := map[deployment.Cause]int{}
	begin := func(t *rapid.T, d *db.DB, c *clock.Simulated, ids *id.Maker) {
		dir, err := os.MkdirTemp("", "billet-model")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		r := &testKit{t: t, db: d, clock: c, ids: ids, pastDue: true}
		defer r.open(dir)()
		r.fake.pollEvery = 20 * time.Second
		r.serve()
		live(t, r, met)
	}
	// Ids decide how long the simulated machines take, so they follow from the case as well.
	ids := func(c *clock.Simulated) *id.Maker { return id.NewMaker(c, rand.NewChaCha8([32]byte{})) }
	t.Run("sqlite", func(t *testing.T) {
		checks(t, "25")
		rapid.Check(t, func(rt *rapid.T) {
			c := clock.NewFrozen(dbtest.Start)
			d := dbtest.SQLite(t, c)
			defer func() { _ = d.Close() }()
			begin(rt, d, c, ids(c))
		})
	})
	t.Run(
		"postgres",
		func(t *testing.T) { // to make a database takes longer than a case, so all share one; each ends what it began
			checks(t, "8")
			c := clock.NewFrozen(dbtest.Start)
			d, made := dbtest.Postgres(t, c), ids(c)
			rapid.Check(t, func(rt *rapid.T) { begin(rt, d, c, made) })
		},
	)
	t.Logf("what happened: %v", met)
}

// arrows is the lifecycle as the specification has it.
var arrows = map[deployment.Status][]deployment.Status{
	"pending":     {"deploying", "terminating"},
	"deploying":   {"running", "failed", "terminating"},
	"running":     {"stopped", "interrupted", "terminating"},
	"stopped":     {"running", "interrupted", "terminating"},
	"terminating": {"terminated"},
}

// life is what the model knows of one deployment.
type life struct {
	id             id.ID
	price          money.Micros
	created        time.Time
	status         deployment.Status
	started, ended *time.Time
	planned        *time.Time
	maxSpend       *money.Micros
	maxRuntime     *int64
	protected      bool
	deletedAt      *time.Time // when a DELETE was accepted
	whole          bool       // the unused part is refunded whichever hour it is
	asked          map[deployment.Action]bool
	expect         map[string]int // how many events of a kind there must be
	told           map[string]int // how many there were at the last check
	read           int            // how many were read
}

func (l *life) waits() bool { return l.status == "pending" || l.status == "deploying" }
func (l *life) over() bool  { return !l.waits() && l.status != "running" && l.status != "stopped" }

// terminable is when the minimum runtime is met.
func (l *life) terminable() time.Time {
	if l.started != nil {
		return l.started.Add(25 * time.Minute)
	}
	return l.created.Add(25 * time.Minute)
}

// due is when it terminates automatically.
func (l *life) due() (time.Time, bool) {
	due, _, planned := l.dueBy()
	return due, planned
}

// dueBy is due with the cause: the first of three where some are at the same instant.
func (l *life) dueBy() (due time.Time, cause deployment.Cause, planned bool) {
	consider := func(at time.Time, by deployment.Cause) {
		if at.Before(l.terminable()) {
			at = l.terminable()
		}
		if !planned || at.Before(due) {
			due, cause, planned = at, by, true
		}
	}
	if l.planned != nil {
		consider(*l.planned, deployment.CauseScheduled)
	}
	if l.started != nil && l.maxRuntime != nil {
		consider(l.started.Add(time.Duration(*l.maxRuntime)*time.Minute), deployment.CauseMaxRuntime)
	}
	if l.started != nil && l.maxSpend != nil {
		at := *l.started
		for spent := l.price; spent <= *l.maxSpend; spent += l.price {
			at = at.Add(time.Hour)
		}
		consider(at, deployment.CauseMaxSpend)
	}
	return due, cause, planned
}

// share is the price of so many seconds, rounded half-up.
func share(price money.Micros, unused time.Duration) money.Micros {
	r := new(big.Rat).SetFrac64(int64(price)*int64(unused/time.Second), 3600)
	r.Add(r, big.NewRat(1, 2))
	return money.Micros(new(big.Int).Quo(r.Num(), r.Denom()).Int64())
}

// cost is the whole bill at that instant, from the life alone. No hour begins when it is due to
// end, or later, even if the job that ends it has failed and is repeated.
func (l *life) cost(now time.Time) (sum money.Micros, hours int) {
	if l.started == nil {
		return 0, 0
	}
	due, planned := l.due()
	for n := 0; ; n++ {
		from := l.started.Add(time.Duration(n) * time.Hour)
		if from.After(now) || l.ended != nil && !from.Before(*l.ended) || planned && !from.Before(due) {
			return sum, n
		}
		sum += l.price
		if l.ended != nil && (n == 0 || l.whole) {
			sum -= share(l.price, max(0, from.Add(time.Hour).Sub(*l.ended)))
		}
	}
}

// model is one account and its deployments.
type model struct {
	*rapid.T
	r        *testKit
	account  id.ID
	credits  money.Micros
	lives    []*life
	injected map[sim.FaultKind]int // how often each kind of fault was injected
	met      map[deployment.Cause]int
	launched map[id.ID]time.Time // when the provider was last asked for a machine
	settled  bool                // every job that is due has run
}

func live(t *rapid.T, r *testKit, met map[deployment.Cause]int) {
	m := &model{
		T:        t,
		r:        r,
		launched: map[id.ID]time.Time{},
		injected: map[sim.FaultKind]int{},
		met:      map[deployment.Cause]int{},
	}
	r.fake.set(func() { r.fake.onLaunch = func(d id.ID) { m.launched[d] = r.clock.Now() } })
	m.credits = money.Dollars(rapid.SampledFrom([]int64{60, 100, 100, 300, 2000}).Draw(t, "credit"))
	m.account = r.account(m.credits)
	acts := map[string]func(*rapid.T){"": func(*rapid.T) { m.check() }}
	for name, f := range map[string]func(){
		"create": m.create, "create again": m.create, "delete": m.delete, "delete again": m.delete,
		"missed": m.missed, "patch": m.patch, "act": m.act, "act again": m.act, "credit": m.credit,
		"fault": m.fault, "fault again": m.fault, "calm": m.calm, "restart": m.restart,
		"time": m.time, "time again": m.time, "boundary": m.boundary, "boundary again": m.boundary,
	} {
		acts[name] = func(*rapid.T) { f() }
	}
	m.create()
	if draw(m, "soon", "running", "running", "running", "whatever") == "running" {
		m.r.pass(time.Minute)
		m.settled = true
	}
	t.Repeat(acts)
	m.finish()
	for cause, n := range m.met {
		met[cause] += n
	}
}

// check compares everything that can be seen with the model.
func (m *model) check() {
	m.Helper()
	now, held, spent := m.r.clock.Now(), money.Micros(0), money.Micros(0)
	mine := map[id.ID]int{}
	for _, l := range m.lives {
		mine[l.id] = 1
		m.events(l)
		m.seen(l, now)
		spent += m.lines(l, now)
		for kind, n := range l.expect {
			if l.told[kind] != n {
				m.Fatalf("%d events %s, the model says %d: %v", l.told[kind], kind, n, l.told)
			}
		}
		if l.waits() {
			held += l.price
		}
	}
	for _, u := range m.r.upstream() {
		if mine[u]--; mine[u] < 0 {
			m.Fatalf("a machine too many: %s of %v", u, m.r.upstream())
		}
	}
	w := m.r.walletOf(m.account)
	if w.Balance != m.credits-spent || w.Held != held || w.Available != w.Balance-held ||
		(w.NegativeSince != nil) != (w.Available < 0) {
		m.Fatalf("%+v, the model says %s with %s held", w, m.credits-spent, held)
	}
	m.statement(w)
	if m.settled {
		m.debts(w, now)
	}
	m.r.checkLedger()
}

// events follows what has happened to the deployment since the last check.
func (m *model) events(l *life) {
	m.Helper()
	var all []event.Event
	for p := 1; ; p++ {
		some, total, err := m.r.events.List(m.Context(), m.r.db, m.account, l.id, db.Page{Number: p, Limit: 100})
		m.r.must(err)
		if all = append(all, some...); len(all) >= total.Total {
			break
		}
	}
	if len(all) == 0 || all[0].Type != "deployment.created" {
		m.Fatalf("a history that begins with %v", all)
	}
	for i, e := range all {
		if i > 0 && (e.CreatedAt.Before(all[i-1].CreatedAt) || e.ID <= all[i-1].ID) {
			m.Fatalf("%s comes after %s", e.Type, all[i-1].Type)
		}
		if i >= l.read {
			m.change(l, e)
		}
	}
	l.read = len(all)
	l.told = map[string]int{}
	for _, e := range all {
		l.told[strings.TrimPrefix(e.Type, "deployment.")]++
	}
}

// change takes the status on, where the model allows it.
func (m *model) change(l *life, e event.Event) {
	m.Helper()
	to, at := deployment.Status(strings.TrimPrefix(e.Type, "deployment.")), e.CreatedAt
	if !slices.Contains(deployment.Statuses, to) {
		return
	}
	cause := deployment.Cause(fmt.Sprint(e.Data["cause"]))
	if fmt.Sprint(e.Data["from"]) != string(l.status) || !slices.Contains(arrows[l.status], to) {
		m.Fatalf("%s became %s from %v by %s, the model says it was %s", l.id, to, e.Data["from"], cause, l.status)
	}
	m.met[cause]++
	if !m.allows(l, cause, at) {
		m.Fatalf("%s became %s by %s at %s, which the model does not allow: %+v", l.id, to, cause, at, *l)
	}
	second := at.Truncate(time.Second)
	switch cause {
	case deployment.CauseLaunching, deployment.CauseConfirmedEnd, deployment.CauseSwitchedOff,
		deployment.CauseSwitchedOn: // the bill goes on, or has ended
	case deployment.CauseReady:
		l.started = &second
	case deployment.CauseScheduled, deployment.CauseMaxRuntime, deployment.CauseMaxSpend:
		due, _ := l.due()
		due = due.Truncate(time.Second)
		l.ended = &due
	default:
		l.ended, l.whole = &second, l.whole || cause == deployment.CauseLost
	}
	l.status = to
}

// allows reports whether the status may change for that cause now.
func (m *model) allows(l *life, cause deployment.Cause, at time.Time) bool {
	due, by, planned := l.dueBy()
	planned = planned && !due.After(at)
	switch cause {
	case deployment.CauseLaunching, deployment.CauseConfirmedEnd, deployment.CauseReady:
		return true
	case deployment.CauseSwitchedOff:
		return l.asked["power-off"]
	case deployment.CauseSwitchedOn:
		return l.asked["power-on"]
	case deployment.CauseNoCapacity:
		return m.injected[sim.FaultScarcity] > 0 || m.met[cause] <= m.injected[sim.FaultNoCapacity]
	case deployment.CauseRejected:
		return m.met[cause] <= m.injected[sim.FaultFailProvisioning]
	case deployment.CauseTimedOut:
		return !at.Before(l.created.Add(m.r.fake.Info().LaunchLimit))
	case deployment.CauseLost:
		return m.met[cause] <= m.injected[sim.FaultMachineLost]
	case deployment.CauseRequested:
		return l.deletedAt != nil && l.deletedAt.Equal(at) && !planned && !at.Before(l.terminable())
	case deployment.CauseScheduled, deployment.CauseMaxRuntime, deployment.CauseMaxSpend:
		return planned && cause == by && !due.Truncate(time.Second).Before(l.terminable())
	case deployment.CausePastDue: // protection does not prevent it; the debt is checked with the wallet
		return !planned || l.protected
	}
	return false
}

// seen compares the deployment with what the API shows.
func (m *model) seen(l *life, now time.Time) {
	m.Helper()
	x := m.r.get(m.account, l.id)
	if x.Status != l.status || x.HourlyPrice != l.price || x.TerminationProtection != l.protected ||
		(x.TerminatedAt != nil) != l.status.Final() {
		m.Fatalf("the deployment is %+v, the model says %+v", x, *l)
	}
	if !same(x.MaxSpend, l.maxSpend) || !same(x.MaxRuntimeMinutes, l.maxRuntime) {
		m.Fatalf("the limits are %v and %v, the model says %+v", x.MaxSpend, x.MaxRuntimeMinutes, *l)
	}
	var ends *time.Time
	if due, planned := l.due(); planned && !l.over() {
		ends = &due
	}
	terminable := l.terminable()
	for name, c := range map[string]struct{ got, want *time.Time }{
		"createdAt": {&x.CreatedAt, &l.created}, "startedAt": {x.StartedAt, l.started},
		"billedUntil": {x.BilledUntil, l.ended}, "autoTerminateAt": {x.AutoTerminateAt, l.planned},
		"terminableAt": {&x.TerminableAt, &terminable}, "endsAt": {x.EndsAt, ends},
	} {
		if (c.got == nil) != (c.want == nil) || c.got != nil && !c.got.Equal(*c.want) {
			m.Fatalf("%s is %v, the model says %v: %+v", name, c.got, c.want, *l)
		}
	}
	can, err := m.r.deployments.CanTerminate(m.Context(), m.r.db, m.account, l.id)
	m.r.must(err)
	if want := !l.over() && !l.protected && !now.Before(terminable); can.CanTerminate != want {
		m.Fatalf("CanTerminate = %+v, the model says %t", can, want)
	}
	m.inTime(l, now)
}

func same[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// inTime checks that the deployment was launched, and has ended, when it was due.
func (m *model) inTime(l *life, now time.Time) {
	m.Helper()
	limit := l.created.Add(m.r.fake.Info().LaunchLimit)
	if at := m.launched[l.id]; !at.Before(limit) {
		m.Fatalf("launched at %s, after its limit %s", at, limit)
	}
	if !m.settled {
		return
	}
	slack := time.Duration(0) // a run that failed is repeated within five minutes
	if len(m.injected) > 0 {
		slack = 5 * time.Minute
	}
	due, planned := l.due()
	if l.status == "pending" || planned && !l.over() && now.After(due.Add(slack)) ||
		l.status == "deploying" && now.After(limit.Add(slack)) {
		m.Fatalf("at %s the deployment is %s, planned for %s, to be launched by %s", now, l.status, due, limit)
	}
}

// export returns transactions of the account, oldest first.
func (m *model) export(f wallet.Filter) (all []wallet.Transaction) {
	m.Helper()
	m.r.must(m.r.wallet.Export(m.Context(), m.r.db, m.account, f, func(t wallet.Transaction) error {
		all = append(all, t)
		return nil
	}))
	slices.Reverse(all)
	return all
}

// bill is what the transactions of one deployment say.
type bill struct {
	charged, refunded map[time.Time]bool // by the end of the hour
	holds, releases   int
	cost              money.Micros
}

// add adds the n-th transaction, and reports whether it has a place in the bill of that life.
func (b *bill) add(n int, t wallet.Transaction, l *life, now time.Time) bool {
	switch t.Type {
	case wallet.TypeHold:
		b.holds++
		return n == 0 && t.Amount == -l.price
	case wallet.TypeRelease:
		b.releases++
		return n == 1 && t.Amount == l.price && !l.waits()
	case wallet.TypeCharge: // each hour once, in order
		hour := time.Duration(len(b.charged)) * time.Hour
		b.charged[t.To.UTC()] = true
		b.cost += l.price
		return l.started != nil && t.Amount == -l.price && *t.HourlyPrice == l.price &&
			t.From.Equal(l.started.Add(hour)) && t.To.Sub(*t.From) == time.Hour && !t.From.After(now)
	case wallet.TypeRefund:
		again := b.refunded[t.To.UTC()]
		b.refunded[t.To.UTC()] = true
		b.cost -= t.Amount
		return l.ended != nil && b.charged[t.To.UTC()] && !again && !t.From.Before(*l.ended) &&
			t.Amount == share(l.price, t.To.Sub(*t.From)) && *t.HourlyPrice == l.price
	}
	return false
}

// lines compares the deployment's transactions with its bill, and returns what it has cost.
func (m *model) lines(l *life, now time.Time) money.Micros {
	m.Helper()
	b := bill{charged: map[time.Time]bool{}, refunded: map[time.Time]bool{}}
	for n, t := range m.export(wallet.Filter{Subject: l.id}) {
		if !b.add(n, t, l, now) || *t.DeploymentID != l.id {
			m.Fatalf("transaction %d, %+v, has no place in the bill of %+v", n, t, *l)
		}
	}
	if b.holds != 1 || b.releases == 0 != l.waits() {
		m.Fatalf("%d holds and %d releases of a deployment that is %s", b.holds, b.releases, l.status)
	}
	l.expect["charged"], l.expect["refunded"] = len(b.charged), len(b.refunded)
	want, hours := l.cost(now)
	if l.maxSpend != nil && money.Micros(len(b.charged))*l.price > *l.maxSpend {
		m.Fatalf("%d hours at %s were charged, more than %s", len(b.charged), l.price, *l.maxSpend)
	}
	if (m.settled || l.ended != nil) && (b.cost != want || len(b.charged) < hours) {
		m.Fatalf("it cost %s and %d hours, the model says %s and %d: %+v", b.cost, len(b.charged), want, hours, *l)
	}
	if x := m.r.get(m.account, l.id); x.CostToDate != b.cost {
		m.Fatalf("costToDate is %s, its transactions say %s", x.CostToDate, b.cost)
	}
	return b.cost
}

// statement adds the whole statement up.
func (m *model) statement(w wallet.Wallet) {
	m.Helper()
	var available, balance money.Micros
	for _, t := range m.export(wallet.Filter{}) {
		available += t.Amount
		if t.Type != wallet.TypeHold && t.Type != wallet.TypeRelease {
			balance += t.Amount
		}
		if t.AvailableAfter != available || t.BalanceAfter != balance {
			m.Fatalf("%+v, added up %s and %s", t, available, balance)
		}
	}
	if available != w.Available || balance != w.Balance {
		m.Fatalf("%+v, added up %s and %s", w, available, balance)
	}
}

// debts checks what follows from a debt: the warning at once, the end after the grace period, the
// all-clear at once.
func (m *model) debts(w wallet.Wallet, now time.Time) {
	m.Helper()
	events, _, err := m.r.events.List(m.Context(), m.r.db, m.account, m.account, db.Page{Number: 1, Limit: 100})
	m.r.must(err)
	last := "account.recovered"
	for _, e := range events {
		last = e.Type
	}
	if (last == "account.recovered") == (w.Available < 0) {
		m.Fatalf("the last that was told is %s, with %s available", last, w.Available)
	}
	if w.NegativeSince != nil && !now.Before(w.NegativeSince.Add(pastdue.DefaultGrace)) {
		for _, l := range m.lives {
			if !l.over() {
				m.Fatalf("%s is %s after a debt since %s", l.id, l.status, w.NegativeSince)
			}
		}
	} else if m.met[deployment.CausePastDue] > 0 && last == "account.past_due" && w.Available >= 0 {
		m.Fatal("ended for a debt that is none")
	}
}
