package deployment_test

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/wallet"
	"pgregory.net/rapid"
)

func draw[T any](m *model, what string, from ...T) T { return rapid.SampledFrom(from).Draw(m.T, what) }

func (m *model) one() *life {
	if len(m.lives) == 0 {
		m.Skip("there is no deployment yet")
	}
	return m.lives[rapid.IntRange(0, len(m.lives)-1).Draw(m.T, "deployment")]
}

// answers fails unless the error has that code; "" is success.
func (m *model) answers(what string, err error, want string) {
	m.Helper()
	if got := string(m.r.code(err)); got != want {
		m.Fatalf("%s at %s: %q (%v), the model says %q", what, m.r.clock.Now(), got, err, want)
	}
}

func (m *model) create() {
	now, req := m.r.clock.Now(), request(m)
	unended := 0
	for _, l := range m.lives {
		if !l.over() {
			unended++
		}
	}
	if unended > 3 {
		m.Skip("enough")
	}
	o, found := m.r.catalog.Default().Get(pageOffer)
	w := m.r.walletOf(m.account)
	req.DryRun = draw(m, "dry run", false, false, true)
	if found && draw(m, "with a limit", false, false, true) {
		limit := o.HourlyPrice + draw[money.Micros](m, "limit", -1, 0, 1)
		req.MaxHourlyPrice = &limit
	}
	if draw(m, "with an end", false, false, true) {
		at := now.Add(draw(m, "end", 25*time.Minute, 26*time.Minute, time.Hour, 3*time.Hour)).Truncate(time.Second)
		req.AutoTerminateAt = &at
	}
	tooLow := m.limit(&req, o.HourlyPrice)
	want := ""
	switch {
	case !m.r.catalog.Ready():
		want = "SERVICE_UNAVAILABLE"
	case tooLow:
		want = "INVALID_REQUEST"
	case !found: // the provider has not listed it for a while
		want = "NOT_FOUND"
	case !o.Available:
		want = "OFFER_UNAVAILABLE"
	case req.MaxHourlyPrice != nil && *req.MaxHourlyPrice < o.HourlyPrice:
		want = "CONFLICT"
	case w.Available < max(o.HourlyPrice, 50_000_000):
		want = "INSUFFICIENT_BALANCE"
	}
	d, err := m.r.create(m.account, req)
	m.answers("create", err, want)
	if err != nil || req.DryRun {
		if d.ID != "" {
			m.Fatalf("a dry run made %s", d.ID)
		}
		return
	}
	m.settled = false
	m.lives = append(m.lives, &life{
		id: d.ID, price: o.HourlyPrice, created: now.Truncate(time.Second), status: "pending",
		planned: req.AutoTerminateAt, maxSpend: req.MaxSpend, maxRuntime: req.MaxRuntimeMinutes,
		asked: map[deployment.Action]bool{}, expect: map[string]int{"created": 1},
	})
	if draw(m, "then the price", "stays", "stays", "changes") == "changes" {
		m.inject(sim.Fault{Kind: sim.FaultPrice, Value: draw(m, "price", "19.999999", "+35%"), ForSeconds: 7200})
		_, err := m.r.catalog.Sync(m.Context(), "provider/voltage-park")
		m.r.must(err)
	}
}

// limit may add limits to a request, and reports whether one is too low.
func (m *model) limit(req *deployment.CreateRequest, price money.Micros) (tooLow bool) {
	if price > 0 && draw(m, "with a maximum spend", false, false, true) {
		hours := draw[money.Micros](m, "hours", 1, 1, 2, 5)
		spend := price*hours + draw(m, "more", -1, 0, 0, 1, price-1)
		req.MaxSpend, tooLow = &spend, spend < price
	}
	if draw(m, "with a maximum runtime", false, false, true) {
		minutes := draw[int64](m, "minutes", 24, 25, 26, 60, 61, 180)
		req.MaxRuntimeMinutes, tooLow = &minutes, tooLow || minutes < 25
	}
	return tooLow
}

func (m *model) delete() { m.end(m.one(), draw(m, "when", "now", "now", "earliest") == "earliest") }

// missed is an auto-terminate time that passes while the server is down, and a tenant who
// terminates the deployment before its job runs.
func (m *model) missed() {
	l := m.one()
	due, planned := l.due()
	if !planned || l.over() || !due.After(m.r.clock.Now()) {
		m.Skip("no end is planned")
	}
	m.r.clock.AdvanceTo(due.Add(draw(m, "late", 0, time.Microsecond, time.Second, time.Hour, 3*time.Hour)))
	m.settled = false
	m.end(l, false)
}

func (m *model) end(l *life, earliest bool) {
	now := m.r.clock.Now()
	want, early := "", now.Before(l.terminable())
	switch {
	case l.over():
	case l.protected:
		want = "CONFLICT"
	case early && !earliest:
		want = "MINIMUM_RUNTIME_NOT_MET"
	}
	can, err := m.r.deployments.CanTerminate(m.Context(), m.r.db, m.account, l.id)
	m.r.must(err)
	x, queued, err := m.r.terminate(m.account, l.id, earliest)
	m.answers("delete", err, want)
	if err == nil && !early {
		m.billed(x, can)
	}
	switch {
	case err != nil || l.over():
	case early:
		at := l.terminable()
		l.planned = &at
		l.expect["termination_queued"]++
		if !queued || x.AutoTerminateAt == nil || !x.AutoTerminateAt.Equal(at) {
			m.Fatalf("queued: %t %+v", queued, x)
		}
	default:
		l.deletedAt, m.settled = &now, false
	}
}

// billed checks that an end costs what can-terminate said right before, and what the ledger says.
func (m *model) billed(x deployment.Deployment, can deployment.CanTerminate) {
	var cost money.Micros
	m.r.must(m.r.wallet.Export(m.Context(), m.r.db, m.account, wallet.Filter{Subject: x.ID},
		func(l wallet.Transaction) error {
			if l.Type == wallet.TypeCharge || l.Type == wallet.TypeRefund {
				cost -= l.Amount
			}
			return nil
		}))
	if x.CostToDate != cost || can.FinalBill != cost {
		m.Fatalf("the ledger says %s, terminate %s, can-terminate said %+v", cost, x.CostToDate, can)
	}
}

func (m *model) patch() {
	l := m.one()
	u, want := m.setting(l)
	if want == "" && l.over() && !u.ClearAutoTerminateAt && !u.ClearMaxSpend {
		want = "CONFLICT"
	}
	err := m.r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := m.r.deployments.Update(ctx, tx, m.account, l.id, u)
		return err
	})
	m.answers("patch", err, want)
	if err != nil {
		return
	}
	l.expect["updated"]++
	m.settled = false
	switch {
	case u.AutoTerminateAt != nil:
		l.planned = u.AutoTerminateAt
	case u.ClearAutoTerminateAt:
		l.planned = nil
	case u.MaxSpend != nil:
		l.maxSpend = u.MaxSpend
	case u.MaxRuntimeMinutes != nil:
		l.maxRuntime = u.MaxRuntimeMinutes
	case u.ClearMaxSpend:
		l.maxSpend, l.maxRuntime = nil, nil
	default:
		l.protected = *u.TerminationProtection
	}
}

// setting draws a change of the settings, and what is wrong with it.
func (m *model) setting(l *life) (u deployment.UpdateRequest, want string) {
	now := m.r.clock.Now()
	switch draw(m, "patch", "end", "end", "clear", "protect", "expose", "spend", "spend", "runtime", "unlimited") {
	case "end":
		earliest := now
		if l.terminable().After(now) {
			earliest = l.terminable()
		}
		at := earliest.Add(draw(m, "end", -time.Second, 0, time.Second, 10*time.Minute, time.Hour, 30*time.Hour)).
			Truncate(time.Second)
		u.AutoTerminateAt = &at
		if at.Before(earliest.Truncate(time.Second)) {
			want = "INVALID_REQUEST"
		}
	case "spend":
		spend := l.price*draw[money.Micros](m, "hours", 1, 2, 3, 5, 30) + draw[money.Micros](m, "more", -1, 0, 0, 1)
		u.MaxSpend = &spend
		if spend < l.begun(now) && !l.over() {
			want = "INVALID_REQUEST"
		}
	case "runtime":
		minutes := draw[int64](m, "minutes", 24, 25, 60, 90, 300)
		u.MaxRuntimeMinutes = &minutes
		ran := l.started != nil && l.started.Add(time.Duration(minutes)*time.Minute).Before(now)
		if (ran || minutes < 25) && !l.over() {
			want = "INVALID_REQUEST"
		}
	case "unlimited":
		u.ClearMaxSpend, u.ClearMaxRuntime = true, true
	case "clear":
		u.ClearAutoTerminateAt = true
	case "protect", "expose":
		on := draw(m, "protected", true, false)
		u.TerminationProtection = &on
	}
	return u, want
}

// begun is the price of the hours that have begun, or of the first where none has.
func (l *life) begun(now time.Time) money.Micros {
	sum := l.price
	for n := 1; l.started != nil && !l.started.Add(time.Duration(n)*time.Hour).After(now); n++ {
		sum += l.price
	}
	return sum
}

func (m *model) act() {
	l := m.one()
	a := draw(
		m,
		"action",
		deployment.ActionReboot,
		deployment.ActionPowerOff,
		deployment.ActionPowerOff,
		deployment.ActionPowerOn,
		deployment.ActionPowerOn,
		deployment.ActionReinstall,
	)
	from := deployment.Status("running")
	if a == deployment.ActionPowerOn {
		from = "stopped"
	}
	before := m.r.get(m.account, l.id).PendingAction
	want, repeated := "", before != nil && *before == a
	if !repeated && (before != nil || l.status != from) {
		want = "CONFLICT"
	}
	err := m.r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		switch a {
		case deployment.ActionReboot:
			_, err = m.r.deployments.Reboot(ctx, tx, m.account, l.id)
		case deployment.ActionPowerOff:
			_, err = m.r.deployments.PowerOff(ctx, tx, m.account, l.id)
		case deployment.ActionPowerOn:
			_, err = m.r.deployments.PowerOn(ctx, tx, m.account, l.id)
		default:
			all := deployment.ReinstallRequest{EraseLocalDisks: true}
			_, err = m.r.deployments.Reinstall(ctx, tx, m.account, l.id, all)
		}
		return err
	})
	m.answers(string(a), err, want)
	if err == nil && !repeated {
		l.asked[a], m.settled = true, false
		l.expect["action_requested"]++
	}
}

func (m *model) credit() {
	amount := money.Dollars(draw[int64](m, "credit", 1, 40, 200))
	m.credits += amount
	m.r.must(m.r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := m.r.wallet.Credit(
			ctx,
			tx,
			wallet.Credit{
				Account:     m.account,
				Type:        wallet.TypeTopUp,
				Amount:      amount,
				Description: "Top-up",
				Dedupe:      fmt.Sprint(m.account, m.credits),
			},
		)
		return err
	}))
	m.settled = false
}

func (m *model) fault() {
	seconds := func(n float64) sim.Span { return sim.Span{Min: n, Median: n, Max: n} }
	f := draw(
		m,
		"fault",
		sim.Fault{
			Kind:      sim.FaultLostAnswer,
			Operation: "launch",
			Count:     2,
		},
		sim.Fault{Kind: sim.FaultLostAnswer, Operation: "terminate", Count: 1},
		sim.Fault{
			Kind:       sim.FaultLostAnswer,
			ForSeconds: 120,
		},
		sim.Fault{Kind: sim.FaultUnavailable, ForSeconds: 600},
		sim.Fault{Kind: sim.FaultUnavailable, ForSeconds: 3 * 3600},
		sim.Fault{
			Kind:      sim.FaultRateLimited,
			Operation: "machine",
			Count:     2,
		},
		sim.Fault{Kind: sim.FaultGarbage, Operation: "machines", ForSeconds: 600},
		sim.Fault{
			Kind:       sim.FaultGarbled,
			ForSeconds: 600,
		},
		sim.Fault{Kind: sim.FaultFailProvisioning, Count: 1},
		sim.Fault{Kind: sim.FaultNoCapacity, Count: 1},
		sim.Fault{
			Kind:  sim.FaultNoSSH,
			Count: 1,
		},
		sim.Fault{Kind: sim.FaultMachineLost, Count: 1},
		sim.Fault{Kind: sim.FaultMachineLost, Count: 1},
		sim.Fault{
			Kind:    sim.FaultProvisioningTime,
			Seconds: seconds(1200),
			Count:   1,
		},
		sim.Fault{Kind: sim.FaultRefuseTerminate, ForSeconds: 5400},
		sim.Fault{
			Kind:    sim.FaultRefuseTerminate,
			Count:   2,
			Seconds: seconds(100),
		},
		sim.Fault{Kind: sim.FaultStaleList, Operation: "machines", ForSeconds: 3600, Seconds: seconds(300)},
		sim.Fault{Kind: sim.FaultStaleList, Operation: "offers", ForSeconds: 3600, Seconds: seconds(300)},
		sim.Fault{
			Kind:       sim.FaultPrice,
			Value:      "19.999999",
			ForSeconds: 7200,
		},
		sim.Fault{Kind: sim.FaultPrice, Value: "+35%", ForSeconds: 7200},
		sim.Fault{
			Kind:       sim.FaultScarcity,
			Offer:      string(pageOffer),
			Value:      "1",
			ForSeconds: 3600,
		},
		sim.Fault{Kind: sim.FaultScarcity, Offer: string(pageOffer), Value: "0", ForSeconds: 3600},
	)
	m.inject(f)
}

func (m *model) inject(f sim.Fault) {
	f.Provider = slug
	_, err := m.r.world.AddFault(m.Context(), f)
	m.r.must(err)
	m.injected[f.Kind]++
}

func (m *model) calm() { m.r.must(m.r.world.ClearFaults(m.Context())) }

// restart is a server that was killed and starts again: only the database and the marketplace are
// as they were.
func (m *model) restart() {
	m.r.serve()
	m.r.must(m.r.runner.TakeOver(m.Context()))
	m.drain()
}

func (m *model) drain() {
	m.r.drain()
	m.settled = true
}

// go on lets time pass, or the server be down for that long.
func (m *model) goOn(to time.Time) {
	if !to.After(m.r.clock.Now()) {
		m.Skip("that is over")
	}
	if draw(m, "meanwhile the server is", "up", "up", "down") == "down" {
		m.r.clock.AdvanceTo(to)
		m.settled = false
		return
	}
	m.r.pass(to.Sub(m.r.clock.Now()))
	m.settled = true
}

func (m *model) time() {
	span := draw(m, "time", time.Second, 3*time.Second, 10*time.Second, 20*time.Second, 59*time.Second,
		7*time.Minute, 15*time.Minute, time.Hour, 5*time.Hour, 50*time.Hour)
	m.goOn(m.r.clock.Now().Add(span))
}

// boundary goes to an instant at which something changes, or a little to its side.
func (m *model) boundary() {
	l := m.one()
	to := l.terminable()
	switch draw(m, "boundary", "minimum", "hour", "hour", "end", "launch limit") {
	case "hour":
		if l.started == nil {
			m.Skip("there are no hours yet")
		}
		to = l.started.Add(m.r.clock.Now().Sub(*l.started).Truncate(time.Hour) + time.Hour)
	case "end":
		due, planned := l.due()
		if !planned {
			m.Skip("no end is planned")
		}
		to = due
	case "launch limit":
		to = l.created.Add(m.r.fake.Info().LaunchLimit)
	}
	m.goOn(to.Add(draw(m, "beside", 0, 0, -time.Second, time.Second, -time.Microsecond, time.Microsecond)))
}

// finish has everything end in a world without faults, and checks that nothing is left.
func (m *model) finish() {
	m.calm()
	m.drain()
	m.check()
	for _, l := range m.lives {
		if l.protected && !l.over() {
			l.protected = false
			l.expect["updated"]++
			off := false
			m.r.must(m.r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := m.r.deployments.Update(
					ctx,
					tx,
					m.account,
					l.id,
					deployment.UpdateRequest{TerminationProtection: &off},
				)
				return err
			}))
		}
		early, over, now := m.r.clock.Now().Before(l.terminable()), l.over(), m.r.clock.Now()
		_, _, err := m.r.terminate(m.account, l.id, true)
		m.answers("delete", err, "")
		if at := l.terminable(); early && !over {
			l.planned = &at
			l.expect["termination_queued"]++
		} else if !over {
			l.deletedAt = &now
		}
	}
	m.settled = false
	m.check()
	for range 3 { // the watch runs at the end of each
		m.r.pass(40 * time.Minute)
	}
	m.settled = true
	m.check()
	for _, l := range m.lives {
		if !l.status.Final() {
			m.Fatalf("%s never ends: it is still %s", l.id, l.status)
		}
	}
	if left := m.r.upstream(); len(left) != 0 {
		m.Fatalf("left upstream: %v", left)
	}
}
