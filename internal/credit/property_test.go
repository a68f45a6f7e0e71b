package credit_test

import (
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"pgregory.net/rapid"
)

// checks limits how many cases rapid tries, unless a number is given on the command line.
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

// naive is an account that pays each dollar by itself.
type naive struct {
	available, spent int
	payers           []id.ID // of each dollar that was spent; "" is other money
	credits          []*naiveCredit
}

type naiveCredit struct {
	id        id.ID
	expiresAt time.Time
	left      int
	expired   int
	closed    bool
	closedAt  time.Time
	next      time.Time // when the job runs; zero for never
}

// clone lets the model tell what follows without changing it.
func (n *naive) clone() *naive {
	c := *n
	c.payers, c.credits = slices.Clone(n.payers), nil
	for _, of := range n.credits {
		c.credits = append(c.credits, new(*of))
	}
	return &c
}

func (n *naive) find(of id.ID) *naiveCredit {
	return n.credits[slices.IndexFunc(n.credits, func(c *naiveCredit) bool { return c.id == of })]
}

// settle pays dollar by dollar what was spent, or gives back.
func (n *naive) settle() {
	for len(n.payers) > n.spent {
		last := n.payers[len(n.payers)-1]
		n.payers = n.payers[:len(n.payers)-1]
		if last != "" {
			n.find(last).left++
		}
	}
	for len(n.payers) < n.spent {
		payer := id.ID("")
		for _, c := range n.credits {
			if c.left > 0 {
				payer = c.id
				c.left--
				break
			}
		}
		n.payers = append(n.payers, payer)
	}
}

// give adds a credit, which pays a debt first.
func (n *naive) give(of id.ID, amount int, expiresAt time.Time) {
	n.settle()
	c := &naiveCredit{id: of, expiresAt: expiresAt, left: amount, next: expiresAt}
	debt := max(0, -n.available)
	for i := len(n.payers) - 1; i >= 0 && debt > 0 && c.left > 0; i-- {
		if n.payers[i] == "" {
			n.payers[i] = of
			c.left--
			debt--
		}
	}
	n.available += amount
	n.credits = append(n.credits, c)
	slices.SortStableFunc(n.credits, func(a, b *naiveCredit) int { return a.expiresAt.Compare(b.expiresAt) })
}

// shown is what is left of each credit that can be spent.
func (n *naive) shown() map[id.ID]int {
	missing := -max(0, n.available)
	out := map[id.ID]int{}
	for _, c := range n.credits {
		missing += c.left
		out[c.id] = c.left
	}
	for _, c := range n.credits {
		for missing > 0 && out[c.id] > 0 {
			out[c.id]--
			missing--
		}
	}
	return out
}

// expire takes what is left of a credit that expired, or has returned since.
func (n *naive) expire(c *naiveCredit, now time.Time) {
	if c.expiresAt.After(now) || c.closed && now.Sub(c.closedAt) > 180*24*time.Hour {
		return
	}
	settled := n.clone()
	settled.settle()
	taken := settled.shown()[c.id]
	if !c.closed {
		c.closed, c.closedAt = true, now
	} else if taken == 0 {
		return
	}
	n.settle()
	c.expired += taken
	c.left -= taken
	n.available -= taken
}

// again is when the job of a credit runs next.
func (n *naive) again(c *naiveCredit, now time.Time) time.Time {
	settled := n.clone()
	settled.settle()
	left, ago := settled.find(c.id).left, now.Sub(c.closedAt)
	switch {
	case left == 0 && !slices.Contains(settled.payers, c.id), left == 0 && ago >= 48*time.Hour, ago >= 180*24*time.Hour:
		return time.Time{}
	case ago < time.Hour:
		return now.Add(time.Hour)
	case ago < 24*time.Hour:
		return now.Add(ago)
	}
	return now.Add(24 * time.Hour)
}

// pass lets credits expire, each at its time.
func (n *naive) pass(now time.Time) {
	for {
		var first *naiveCredit
		for _, c := range n.credits {
			if !c.next.IsZero() && !c.next.After(now) && (first == nil || c.next.Before(first.next)) {
				first = c
			}
		}
		if first == nil {
			return
		}
		at := first.next
		n.expire(first, at)
		first.next = n.again(first, at)
	}
}

// propertyRun does the same on the service and on the model.
type propertyRun struct {
	*world
	account id.ID
	n       *naive
	charged map[id.ID]int
	held    map[id.ID]int
}

func dollars(t *rapid.T) int { return rapid.IntRange(1, 12).Draw(t, "dollars") }

func usd(n int) money.Micros { return money.Micros(n) * money.USD }

func (x *propertyRun) credit(t *rapid.T) {
	amount, days := dollars(t), rapid.IntRange(0, 20).Draw(t, "days")
	c := x.give(x.account, usd(amount), time.Duration(days)*24*time.Hour)
	if days > 0 {
		x.n.give(c.ID, amount, x.Clock.Now().Add(time.Duration(days)*24*time.Hour))
	} else {
		x.n.available += amount
	}
}

// correct is a top-up, or what takes money out, such as a dispute.
func (x *propertyRun) correct(t *rapid.T) {
	amount := rapid.IntRange(-12, 12).Filter(func(n int) bool { return n != 0 }).Draw(t, "correction")
	x.Credit(x.account, usd(amount), string(x.IDs.New(id.Request)))
	x.n.available += amount
}

func (x *propertyRun) chargeNew(t *rapid.T) {
	amount := dollars(t)
	x.charged[x.charge(x.account, usd(amount))] = amount
	x.n.available, x.n.spent = x.n.available-amount, x.n.spent+amount
}

func (x *propertyRun) refundOne(t *rapid.T) {
	of := some(t, x.charged)
	amount := rapid.IntRange(1, x.charged[of]).Draw(t, "refund")
	delete(x.charged, of)
	x.refund(x.account, of, usd(amount))
	x.n.available, x.n.spent = x.n.available+amount, x.n.spent-amount
}

func (x *propertyRun) holdNew(t *rapid.T) {
	if x.n.available < 1 {
		t.Skip("nothing is available")
	}
	amount := rapid.IntRange(1, min(12, x.n.available)).Draw(t, "hold")
	x.held[x.hold(x.account, usd(amount))] = amount
	x.n.available, x.n.spent = x.n.available-amount, x.n.spent+amount
}

func (x *propertyRun) releaseOne(t *rapid.T) {
	of := some(t, x.held)
	x.release(of)
	x.n.available, x.n.spent = x.n.available+x.held[of], x.n.spent-x.held[of]
	delete(x.held, of)
}

func (x *propertyRun) captureOne(t *rapid.T) {
	of := some(t, x.held)
	x.chargeHour(x.account, of, usd(x.held[of]))
	x.charged[of] = x.held[of]
	delete(x.held, of)
}

func (x *propertyRun) timePasses(t *rapid.T) {
	unit := rapid.SampledFrom([]time.Duration{time.Hour, 24 * time.Hour, 24 * time.Hour, 50 * 24 * time.Hour})
	x.Pass(time.Duration(rapid.IntRange(1, 8).Draw(t, "number")) * unit.Draw(t, "unit"))
	x.n.pass(x.Clock.Now())
}

// runAgain runs the job of any credit once more, as after a crash, twice: the second changes
// nothing.
func (x *propertyRun) runAgain(t *rapid.T) {
	all := x.list(x.account, "")
	if len(all) == 0 {
		t.Skip("there is no credit")
	}
	c := rapid.SampledFrom(all).Draw(t, "credit")
	if c.ExpiresAt == nil {
		return
	}
	x.n.expire(x.n.find(c.ID), x.Clock.Now())
	for range 2 {
		_, err := x.svc.Expire(x.Context(), c.ID)
		x.Must(err)
	}
}

func some(t *rapid.T, of map[id.ID]int) id.ID {
	if len(of) == 0 {
		t.Skip("there is none")
	}
	all := make([]id.ID, 0, len(of))
	for k := range of {
		all = append(all, k)
	}
	slices.Sort(all)
	return rapid.SampledFrom(all).Draw(t, "one")
}

func (x *propertyRun) check(t *rapid.T) {
	x.wantAvailable(x.account, usd(x.n.available))
	want := x.n.clone()
	want.settle()
	left, sum := want.shown(), money.Micros(0)
	for _, got := range x.list(x.account, "") {
		if got.ExpiresAt == nil {
			if got.Remaining != nil || got.State != credit.Permanent {
				t.Fatalf("a permanent credit is %s with %v left", got.State, got.Remaining)
			}
			continue
		}
		c := want.find(got.ID)
		state := credit.Used
		switch {
		case c.expired > 0:
			state = credit.Expired
		case left[got.ID] > 0 && !c.closed:
			state = credit.Active
		}
		if *got.Remaining != usd(left[got.ID]) || got.ExpiredAmount != usd(c.expired) || got.State != state {
			t.Fatalf("%s is %s with %s left and %s expired, want %s with %d and %d", got.ID, got.State, got.Remaining,
				got.ExpiredAmount, state, left[got.ID], c.expired)
		}
		sum += *got.Remaining
		if in := x.list(x.account, got.State); !slices.ContainsFunc(in, func(c credit.Credit) bool {
			return c.ID == got.ID && c.State == got.State
		}) {
			t.Fatalf("%s is not in the list of those that are %s", got.ID, got.State)
		}
	}
	if sum > max(0, usd(x.n.available)) {
		t.Fatalf("%s are left of %d that are available", sum, x.n.available)
	}
}

// What is left of credits is what a model says that pays each dollar by itself, whatever is
// charged, refunded, held, released and corrected, before and after a credit expires.
func TestCreditsMatchTheModel(t *testing.T) {
	checks(t, "25")
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		rapid.Check(t, func(t *rapid.T) {
			x := &propertyRun{world: newWorld(t, d, c), n: &naive{}, charged: map[id.ID]int{}, held: map[id.ID]int{}}
			x.account = x.NewAccount(0)
			t.Repeat(map[string]func(*rapid.T){
				"credit": x.credit, "correct": x.correct, "charge": x.chargeNew, "refund": x.refundOne,
				"hold": x.holdNew, "release": x.releaseOne, "capture": x.captureOne, "time passes": x.timePasses,
				"run again": x.runAgain, "": x.check,
			})
			x.CheckLedger()
		})
		var sum money.Micros
		if err := d.QueryRow(t.Context(), `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM wallet_entry`).Scan(
			&sum); err != nil || sum != 0 {
			t.Errorf("all entries sum to %s, %v; want 0", sum, err)
		}
	})
}
