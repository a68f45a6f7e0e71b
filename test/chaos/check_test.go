package chaos_test

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/test/servertest"
)

const hour = int64(time.Hour / time.Microsecond)

// final are the states in which a deployment has ended.
var final = map[string]bool{"terminated": true, "failed": true, "interrupted": true}

// rest ends the work and lets time pass until nothing is in progress: requests without an answer
// are repeated, deployments are ended, and hours begin.
func (f *fleet) rest() {
	f.t.Helper()
	if f.t.Failed() {
		return
	}
	for _, tn := range f.tenants {
		w := &worker{f: f, tn: tn}
		for _, i := range tn.doubts {
			until(f.t, i.path+" "+i.name+" has an answer", patience, func() bool { return w.attempt(i) })
		}
	}
	f.settle(30 * time.Minute)
	for _, tn := range f.tenants { // half of those that run
		w := &worker{f: f, tn: tn}
		for d, name := range tn.deps {
			if sum := sha256.Sum256([]byte(name)); sum[0]%2 == 0 {
				w.about(question{key: w.key(name), op: "end"}, http.MethodDelete, "/deployments/"+d, nil)
			}
		}
	}
	f.settle(61 * time.Minute)
}

// settle lets time pass, again and again, until nothing moves.
func (f *fleet) settle(by time.Duration) {
	f.t.Helper()
	what := ""
	for range 20 {
		f.travel(by)
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); f.wait(200 * time.Millisecond) {
			if what = f.moving(); what == "" {
				return
			}
		}
	}
	f.t.Fatalf("after hours of rest this still moves: %s\n%s", what, tail(f.servers[0].Log(), 20))
}

// moving returns something that has not finished, or "".
func (f *fleet) moving() (what string) {
	now := time.Now().Add(time.Duration(f.ahead.Load())).UnixMicro()
	f.pair.read(`SELECT d.id, d.status, d.started_at, COALESCE(m.hours, -1), d.released_at FROM deployment d
		LEFT JOIN meter m ON m.subject = d.id`, func(scan func(...any) error) error {
		var d, status string
		var started, released *int64
		var hours int64
		err := scan(&d, &status, &started, &hours, &released)
		switch {
		case !final[status] && status != "running":
			what = d + " is " + status
		case status == "running" && hours < begun(*started, now):
			what = fmt.Sprintf("%s has %d hours", d, hours)
		}
		return err
	})
	f.pair.read(`SELECT id, status FROM volume`, func(scan func(...any) error) error {
		var v, status string
		err := scan(&v, &status)
		if status != "available" && status != "attached" {
			what = v + " is " + status
		}
		return err
	})
	for _, m := range f.cloud.Inventory().Has() {
		if m.State == provider.MachineTerminating {
			what = "the machine " + m.ID + " ends"
		}
	}
	return what
}

// begun returns how many hours of a meter begin before an instant, both in microseconds.
func begun(from, at int64) int64 {
	if at <= from {
		return 0
	}
	return (at-from-1)/hour + 1
}

// check compares everything. It ends the streams and the servers.
func (f *fleet) check() {
	f.t.Helper()
	if f.t.Failed() {
		return
	}
	for _, tn := range f.tenants {
		f.checkEvents(tn)
		f.checkBill(tn)
	}
	f.unwatch()
	deployments := f.checkDeployments()
	f.checkVolumes()
	for _, tn := range f.tenants {
		for _, fault := range f.lost(tn, deployments) {
			f.t.Error(fault)
		}
	}
	f.countMachines("the end")
	f.checkCharges()
	if out, err := f.servers[0].TryRun("ledger", "verify"); err != nil {
		f.t.Errorf("ledger verify: %v\n%s", err, out)
	}
	for _, r := range f.servers {
		f.down(r, r.Stop)
		for _, line := range r.faultyLines {
			f.t.Errorf("the log of server %d: %s", r.number, line)
		}
	}
	for _, wrong := range f.record.judge() {
		f.t.Errorf("no order of these answers is possible:\n%s", wrong)
	}
}

// checkEvents: each event was sent to the webhook, and the stream showed each once, in order.
func (f *fleet) checkEvents(tn *tenant) {
	f.t.Helper()
	var all []string
	query := `SELECT id FROM event WHERE account_id = '` + tn.account + `' ORDER BY seq`
	collect := func(scan func(...any) error) error {
		var e string
		err := scan(&e)
		all = append(all, e)
		return err
	}
	f.pair.read(query, collect)
	want := len(all)
	missing := func() (these []string) {
		tn.mu.Lock()
		defer tn.mu.Unlock()
		for _, e := range all {
			if !tn.before[e] && !tn.inbox[e] {
				these = append(these, e)
			}
		}
		return these
	}
	// A delivery that failed waits longer each time. Time goes on as long as that helps, however
	// slow the machine is.
	for n, left := 0, missing(); len(left) > 0 && n < 6; n++ {
		for end := time.Now().Add(10 * time.Second); len(missing()) > 0 && time.Now().Before(end); {
			f.wait(100 * time.Millisecond)
		}
		now := missing()
		if len(now) < len(left) {
			n = -1
		}
		if left = now; len(left) > 0 {
			f.travel(10 * time.Minute)
		}
	}
	if left := missing(); len(left) > 0 {
		f.t.Errorf("the webhook of %s never got %v", tn.account, left)
	}
	shown := func() []string {
		tn.mu.Lock()
		defer tn.mu.Unlock()
		return slices.Clone(tn.watched)
	}
	until(f.t, "the stream of "+tn.account+" is complete", patience, func() bool { return len(shown()) >= want })
	all = nil
	f.pair.read(query, collect) // meanwhile hours may have begun
	if got := shown(); len(got) > len(all) || !slices.Equal(got, all[:len(got)]) {
		f.t.Errorf("the stream of %s showed\n%v, and there is\n%v", tn.account, got, all)
	}
	f.events += want
}

// checkBill: the tenant's own copy of the bill proves itself.
func (f *fleet) checkBill(tn *tenant) {
	f.t.Helper()
	bill := filepath.Join(f.t.TempDir(), "bill.jsonl")
	export := exec.Command(servertest.Client(f.t), "bill", "export")
	export.Env = append(os.Environ(), "BILLET_URL="+f.balancer.URL, "BILLET_API_KEY="+tn.key)
	text, err := export.Output()
	if err == nil {
		err = os.WriteFile(bill, text, 0o600)
	}
	if err != nil {
		f.t.Errorf("bill export: %v", err)
		return
	}
	if out, err := exec.Command(servertest.Client(f.t), "bill", "verify", bill).CombinedOutput(); err != nil {
		f.t.Errorf("bill verify: %v\n%s", err, out)
	}
}

// stored is a deployment in the database.
type stored struct {
	account, name, status string
	started, until        *int64
}

// checkDeployments: each running deployment has its machine, and no other machine is there.
func (f *fleet) checkDeployments() map[string]stored {
	f.t.Helper()
	all := map[string]stored{}
	f.pair.read(`SELECT id, account_id, name, status, started_at, billed_until FROM deployment`,
		func(scan func(...any) error) error {
			var d string
			var s stored
			err := scan(&d, &s.account, &s.name, &s.status, &s.started, &s.until)
			all[d] = s
			return err
		})
	has := map[string]bool{}
	for _, m := range f.cloud.Inventory().Has() {
		d := string(upstream.ParseMark(id.Deployment, m.Name))
		has[d] = true
		if all[d].status != "running" {
			f.t.Errorf("the machine %s is there for %s, which is %q", m.ID, d, all[d].status)
		}
	}
	names := map[string]string{}
	for d, s := range all {
		if s.status == "running" && !has[d] {
			f.t.Errorf("%s runs and has no machine", d)
		}
		if s.status == "interrupted" || s.status == "failed" && s.started != nil {
			f.t.Errorf("%s ran and is %s, and no machine was lost here", d, s.status)
		}
		if twin := names[s.account+s.name]; twin != "" {
			f.t.Errorf("%s was asked for once, and is there as %s and %s", s.name, twin, d)
		}
		names[s.account+s.name] = d
	}
	f.found = fmt.Sprintf("%d deployments, %d with a machine", len(all), len(has))
	return all
}

// checkVolumes: each volume is at the cloud once, attached where the database says.
func (f *fleet) checkVolumes() {
	f.t.Helper()
	there := map[string]upstreamVolume{}
	alive := map[string]string{}
	for _, m := range f.cloud.Inventory().Has() {
		alive[m.ID] = string(upstream.ParseMark(id.Deployment, m.Name))
	}
	for _, v := range f.cloud.Inventory().Volumes {
		is := upstreamVolume{count: there[string(upstream.ParseMark(id.Volume, v.Name))].count + 1}
		for _, m := range v.Machines {
			if alive[m] != "" {
				is.holders = append(is.holders, alive[m])
			}
		}
		there[string(upstream.ParseMark(id.Volume, v.Name))] = is
	}
	f.pair.read(`SELECT id, status, deployment_id FROM volume`, func(scan func(...any) error) error {
		var v, status, holder string
		err := scan(&v, &status, &holder)
		var want []string
		if status == "attached" {
			want = []string{holder}
		}
		if is := there[v]; is.count != 1 || !slices.Equal(is.holders, want) {
			f.t.Errorf("%s is %s to %q, and at the cloud %+v", v, status, holder, is)
		}
		delete(there, v)
		return err
	})
	for v := range there {
		f.t.Errorf("the volume %s is at the cloud and belongs to no tenant", v)
	}
}

type upstreamVolume struct {
	count   int
	holders []string
}

// lost returns what the tenant was told exists and is not there, or is there twice, or was never
// asked for.
func (f *fleet) lost(tn *tenant, deployments map[string]stored) (faults []string) {
	f.t.Helper()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for d, name := range tn.deps {
		if s := deployments[d]; s.account != tn.account || s.name != name {
			fault("%s was acknowledged to %s as %s, and is %+v", d, tn.account, name, s)
		}
	}
	keys := map[string]string{}
	f.pair.read(`SELECT name, id FROM ssh_key WHERE account_id = '`+tn.account+`'`,
		func(scan func(...any) error) error {
			var name, k string
			err := scan(&name, &k)
			keys[name] = k
			return err
		})
	for name, k := range tn.sshKeys {
		if keys[name] != k {
			fault("the key %s was acknowledged as %s, and is %q", name, k, keys[name])
		}
	}
	credits := map[string]int{}
	f.pair.read(`SELECT description FROM wallet_transaction WHERE description LIKE 'credit-%'
		AND account_id = '`+tn.account+`'`, func(scan func(...any) error) error {
		var text string
		err := scan(&text)
		credits[text]++
		return err
	})
	for reference, acknowledged := range tn.credits {
		if n := credits[reference]; n > 1 || acknowledged && n != 1 {
			fault("%s was acknowledged: %t, and is in the wallet %d times", reference, acknowledged, n)
		}
		delete(credits, reference)
	}
	for reference := range credits {
		fault("%s is in the wallet of %s, and was never sent", reference, tn.account)
	}
	return faults
}

// hours are the charges of one deployment or volume, by hour.
type hours struct {
	price, refunded []int64
	from            []int64
}

// checkCharges: each hour is charged once, for exactly the time that it ran, and the meters agree.
func (f *fleet) checkCharges() {
	f.t.Helper()
	all := map[string]*hours{}
	f.pair.read(`SELECT subject, hour, amount, hourly_price, from_at, refunded FROM wallet_charge
		ORDER BY subject, hour`, func(scan func(...any) error) error {
		var subject string
		var n, amount, price, from, refunded int64
		err := scan(&subject, &n, &amount, &price, &from, &refunded)
		h := all[subject]
		if h == nil {
			h = &hours{}
			all[subject] = h
		}
		if n != int64(len(h.price)) || amount != price {
			f.t.Errorf("%s: charge %d is of hour %d, %d of %d", subject, len(h.price), n, amount, price)
		}
		h.price, h.refunded, h.from = append(h.price, price), append(h.refunded, refunded), append(h.from, from)
		return err
	})
	f.pair.read(`SELECT subject, hours, cost, started_at, stopped_at FROM meter`, func(scan func(...any) error) error {
		var subject string
		var booked, cost, started int64
		var stopped *int64
		if err := scan(&subject, &booked, &cost, &started, &stopped); err != nil {
			return err
		}
		h := all[subject]
		if h == nil {
			h = &hours{}
		}
		delete(all, subject)
		f.checkMeter(subject, h, booked, cost, started, stopped)
		f.charged += len(h.price)
		return nil
	})
	for subject := range all {
		f.t.Errorf("%s was charged and has no meter", subject)
	}
	f.found += fmt.Sprintf(", %d hours charged, %d events, %d attempts\n", f.charged, f.events, len(f.record.all))
}

// checkMeter computes what is due without the server's code.
func (f *fleet) checkMeter(subject string, h *hours, booked, cost, started int64, stopped *int64) {
	f.t.Helper()
	due := begun(started, time.Now().Add(time.Duration(f.ahead.Load())+time.Minute).UnixMicro())
	if stopped != nil {
		due = begun(started, *stopped)
	}
	var sum int64
	for n := range h.price {
		refund := int64(0)
		switch {
		case int64(n) >= due: // booked, and the hour never began
			refund = h.price[n]
			if stopped == nil {
				f.t.Errorf("%s runs, and hour %d is charged too early", subject, n)
			}
		case stopped != nil && n == 0 && due == 1 && strings.HasPrefix(subject, "dep_"): // the minimum runtime
			unused := new(big.Int).Mul(big.NewInt(h.price[n]), big.NewInt((started+hour-*stopped)/1e6))
			refund = unused.Add(unused, big.NewInt(1800)).Div(unused, big.NewInt(3600)).Int64()
		}
		if h.refunded[n] != refund || h.from[n] != started+int64(n)*hour {
			f.t.Errorf("%s, from %d until %v: hour %d begins at %d and %d is refunded, not %d", subject, started,
				stopped, n, h.from[n], h.refunded[n], refund)
		}
		sum += h.price[n] - h.refunded[n]
	}
	if int64(len(h.price)) < due && stopped != nil || booked != int64(len(h.price)) || cost != sum {
		f.t.Errorf("%s: the meter has %d hours and %d, the charges %d and %d; due are %d hours", subject, booked, cost,
			len(h.price), sum, due)
	}
}
