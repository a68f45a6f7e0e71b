package volume_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
	"pgregory.net/rapid"
)

// TestVolumesMatchTheModel does to volumes whatever a tenant, the provider, ending deployments,
// debts, restarts and the clock may do, in any order, and compares with the model below after each
// step: who has which volume, and every micro-dollar of the bill.
func TestVolumesMatchTheModel(t *testing.T) {
	for _, engine := range []struct {
		name, checks string
		open         func(testing.TB, clock.Clock) *db.DB
	}{{"sqlite", "30", dbtest.SQLite}, {"postgres", "6", dbtest.Postgres}} {
		t.Run(engine.name, func(t *testing.T) {
			checks(t, engine.checks)
			rapid.Check(t, func(rt *rapid.T) {
				c := clock.NewFrozen(dbtest.Start)
				d := engine.open(t, c)
				defer func() { _ = d.Close() }()
				keep(rt, newKit(rt, d, c))
			})
		})
	}
}

// moves is the lifecycle as the package's doc.go has it.
var moves = map[volume.Status][]volume.Status{
	"creating":  {"available", "failed", "deleting"},
	"available": {"attaching", "deleting"},
	"attaching": {"attached", "detaching", "deleting"},
	"attached":  {"detaching", "deleting"},
	"detaching": {"available", "failed", "deleting"},
	"deleting":  {"deleted"},
	"failed":    {"deleted"},
}

// sized is a size and from when on it counts.
type sized struct {
	from time.Time
	gb   int64
}

// box is what the model knows of one volume.
type box struct {
	id         id.ID
	name       string
	perGB      money.Micros
	status     volume.Status
	owner      id.ID   // the deployment that has it, or is about to
	sizes      []sized // since it is there
	wanted     []int64 // every size that was asked for
	start, end *time.Time
	lost       bool // by the provider: the rest of the hour is refunded
	read       int
}

func (b *box) held() bool {
	return b.status == "attaching" || b.status == "attached" || b.status == "detaching"
}

// cost is the whole bill at that instant, from the life alone: each hour when it begins, by the
// size of that instant.
func (b *box) cost(now time.Time) (sum money.Micros, hours int) {
	if b.start == nil {
		return 0, 0
	}
	for n := 0; ; n++ {
		from := b.start.Add(time.Duration(n) * time.Hour)
		if from.After(now) || b.end != nil && !from.Before(*b.end) {
			return sum, n
		}
		gb := b.sizes[0].gb
		for _, s := range b.sizes[1:] {
			if !s.from.After(from) {
				gb = s.gb
			}
		}
		price := b.perGB * money.Micros(gb)
		sum += price
		if b.end == nil || !b.lost {
			continue
		}
		if unused := from.Add(time.Hour).Sub(*b.end); unused > 0 {
			back := new(big.Rat).SetFrac64(int64(price)*int64(unused/time.Second), 3600)
			back.Add(back, big.NewRat(1, 2))
			sum -= money.Micros(new(big.Int).Quo(back.Num(), back.Denom()).Int64())
		}
	}
}

// keeping is one account, its volumes and the machines that they can be attached to.
type keeping struct {
	*rapid.T
	r       *testKit
	credits money.Micros
	boxes   []*box
	perGB   money.Micros
	ended   map[id.ID]bool
	settled bool // every job that is due has run
}

func keep(t *rapid.T, r *testKit) {
	k := &keeping{T: t, r: r, perGB: 110, ended: map[id.ID]bool{}}
	k.credits = money.Micros(rapid.SampledFrom([]int64{30_000, 200_000, 100_000_000}).Draw(t, "credit"))
	r.open(acc, k.credits)
	k.create()
	acts := map[string]func(*rapid.T){"": func(*rapid.T) { k.check() }}
	for name, f := range map[string]func(){
		"create": k.create, "attach": k.attach, "attach again": k.attach, "detach": k.detach, "grow": k.grow,
		"delete": k.delete, "past due": k.pastDue, "machine": k.machine, "machine again": k.machine,
		"fault": k.fault, "calm": k.calm, "restart": k.restart, "time": k.time, "time again": k.time,
		"drain": k.drain, "price": k.price, "credit": k.credit,
	} {
		acts[name] = func(*rapid.T) { f() }
	}
	t.Repeat(acts)
	k.finish()
}

func pick[T any](k *keeping, what string, from ...T) T {
	return rapid.SampledFrom(from).Draw(k.T, what)
}

func (k *keeping) one() *box {
	if len(k.boxes) == 0 {
		k.Skip("there is no volume")
	}
	return k.boxes[rapid.IntRange(0, len(k.boxes)-1).Draw(k.T, "volume")]
}

// answers fails unless the error has that code; "" is success.
func (k *keeping) answers(what string, err error, want apierr.Code) {
	k.Helper()
	got := apierr.Code("")
	if err != nil {
		got = apierr.CodeOf(err)
	}
	if got != want {
		k.Fatalf("%s: %q (%v), the model says %q", what, got, err, want)
	}
	k.settled = false
}

func (k *keeping) create() {
	if len(k.boxes) > 4 {
		k.Skip("enough")
	}
	name, size, want := pick(k, "name", "a", "b", "c"), pick[int64](k, "size", 10, 100, 5000), apierr.Code("")
	for _, b := range k.boxes {
		if b.name == name && b.status != "deleted" && b.status != "failed" {
			want = apierr.Conflict
		}
	}
	if price := k.perGB * money.Micros(size); want == "" && k.r.money().Available < price {
		want = apierr.InsufficientBalance
	}
	v, err := k.r.create(acc, name, size)
	k.answers("create", err, want)
	if err == nil {
		k.boxes = append(k.boxes, &box{
			id: v.ID, name: name, perGB: k.perGB, status: "creating", sizes: []sized{{gb: size}}, wanted: []int64{size},
		})
	}
}

func (k *keeping) attach() {
	b, to := k.one(), pick(k, "to", target1, target2)
	if k.ended[to.Deployment] {
		k.Skip("package deployment refuses that")
	}
	want := apierr.Conflict
	if b.status == "available" || (b.status == "attaching" || b.status == "attached") && b.owner == to.Deployment {
		want = ""
	}
	_, err := k.r.attach(b.id, to)
	k.answers("attach", err, want)
	if err == nil {
		b.owner = to.Deployment
	}
}

func (k *keeping) detach() {
	b, want := k.one(), apierr.Code("")
	if !b.held() && b.status != "available" {
		want = apierr.Conflict
	}
	_, err := k.r.detach(b.id)
	k.answers("detach", err, want)
}

func (k *keeping) delete() {
	b, want := k.one(), apierr.Code("")
	if b.held() {
		want = apierr.Conflict
	}
	_, err := k.r.delete(b.id)
	k.answers("delete", err, want)
}

func (k *keeping) grow() {
	b, by := k.one(), pick[int64](k, "by", -1, 1, 50, 100_000)
	now := k.r.get(b.id)
	from := now.SizeGB
	if now.GrowingToGB != nil {
		from = *now.GrowingToGB
	}
	size, want := from+by, apierr.Code("")
	switch {
	case by < 0 || size > 10_000:
		want = apierr.InvalidRequest
	case b.status == "creating" || b.status == "deleting" || b.status == "deleted" || b.status == "failed":
		want = apierr.Conflict
	case k.r.money().Available < b.perGB*money.Micros(by):
		want = apierr.InsufficientBalance
	}
	_, err := k.r.grow(b.id, size)
	k.answers("grow", err, want)
	if err == nil {
		b.wanted = append(b.wanted, size)
	}
}

// pastDue is what package pastdue does in the end.
func (k *keeping) pastDue() {
	if k.r.money().Available >= 0 {
		k.Skip("there is no debt")
	}
	k.r.deleteAll()
	k.settled = false
	for _, b := range k.boxes {
		if s := k.r.get(b.id).Status; s != "deleting" && s != "deleted" && s != "failed" {
			k.Fatalf("%s is %s after all were deleted", b.id, s)
		}
	}
}

// machine changes the machine of a deployment, which may end.
func (k *keeping) machine() {
	d := pick(k, "deployment", dep1, dep2)
	state := pick(k, "state", machineStates...)
	if k.ended[d] {
		k.Skip("it has ended")
	}
	k.r.machine(d, state)
	if state == provider.MachineGone {
		k.ended[d] = true
		k.r.detachAll(d)
		k.settled = false
	}
}

func (k *keeping) fault() {
	k.r.cloud.failing(
		trouble{pick[error](k, "error", silent, silent, rejected), pick(k, "done", true, false)},
		pick(k, "call", "create", "volume", "attach", "detach", "delete", "grow", "machine"),
	)
}

func (k *keeping) calm() { k.r.cloud.failing(trouble{}) }

func (k *keeping) price() {
	k.r.cloud.set(func(c *cloud) { c.perGB = pick[money.Micros](k, "price", 10, 100, 1000) })
	k.r.sync()
	k.perGB = k.r.cloud.perGB * 11 / 10 // the operator's markup
}

func (k *keeping) credit() {
	k.credits += 50_000
	k.r.Credit(acc, 50_000, fmt.Sprint(k.credits))
}

// restart is a server that was killed and starts again: only the database and the cloud are as they
// were.
func (k *keeping) restart() {
	k.r.restart()
	k.r.Must(k.r.catalog.Load(k.Context()))
	k.drain()
}

func (k *keeping) drain() {
	k.r.Drain()
	k.settled = true
}

func (k *keeping) time() {
	span := pick(k, "time", time.Second, 10*time.Second, 59*time.Second, 16*time.Minute, time.Hour-time.Second,
		time.Hour, time.Hour, 5*time.Hour, 30*time.Hour)
	if pick(k, "meanwhile the server is", "up", "up", "down") == "down" {
		k.r.Clock.Advance(span)
		k.settled = false
		return
	}
	k.r.Pass(span)
	k.settled = true
}

// finish lets everything come to rest in a cloud that works, then deletes it.
func (k *keeping) finish() {
	k.calm()
	rest := func() {
		k.r.Pass(3 * time.Hour)
		k.settled = true
		k.check()
	}
	rest()
	for _, b := range k.boxes {
		up, there := k.r.cloud.volumes[b.id]
		switch {
		case b.status == "available" && (!there || up.AttachedTo != ""),
			b.status == "attached" && up.AttachedTo != b.owner,
			(b.status == "deleted" || b.status == "failed") && there,
			b.status == "creating", b.status == "detaching", b.status == "deleting":
			k.Fatalf("it is %s, and upstream %+v (%t)", b.status, up, there)
		case b.held() && k.ended[b.owner]:
			k.Fatalf("%s is %s, and %s has ended", b.id, b.status, b.owner)
		}
	}
	for _, d := range []id.ID{dep1, dep2} {
		k.ended[d] = true
		k.r.machine(d, provider.MachineGone)
		k.r.detachAll(d)
	}
	rest()
	for _, b := range k.boxes {
		_, err := k.r.delete(b.id)
		k.answers("delete", err, "")
	}
	rest()
	if w := k.r.money(); len(k.r.cloud.volumes) != 0 || w.Held != 0 {
		k.Fatalf("left upstream: %v, %+v", k.r.cloud.volumes, w)
	}
}

// check compares everything that can be seen with the model.
func (k *keeping) check() {
	k.Helper()
	held, spent, mine := money.Micros(0), money.Micros(0), map[id.ID]bool{}
	for _, b := range k.boxes {
		mine[b.id] = true
		k.follow(b)
		x := k.r.get(b.id)
		k.checkVolume(b, x)
		if b.status == "creating" {
			held += x.HourlyPrice
		}
		k.bill(b, x, k.r.Clock.Now())
		spent += x.CostToDate
	}
	for v := range k.r.cloud.volumes {
		if !mine[v] {
			k.Fatalf("volume %s was not requested", v)
		}
	}
	k.r.wantMoney(k.credits-spent, held)
	if w := k.r.WalletOf(acc); (w.NegativeSince != nil) != (w.Available < 0) {
		k.Fatalf("negativeSince of %+v is wrong", w)
	}
}

// checkVolume compares a volume with the model.
func (k *keeping) checkVolume(b *box, x volume.Volume) {
	k.Helper()
	gb := b.sizes[len(b.sizes)-1].gb
	if x.Status != b.status || x.SizeGB != gb || x.HourlyPricePerGB != b.perGB ||
		x.HourlyPrice != b.perGB*money.Micros(gb) {
		k.Fatalf("the volume is %+v, the model says %+v", x, *b)
	}
	if (x.AttachedTo != nil) != b.held() || b.held() && *x.AttachedTo != b.owner {
		k.Fatalf("attachedTo of %+v is not the model's: %+v", x, *b)
	}
	if x.GrowingToGB != nil && (!slices.Contains(b.wanted, *x.GrowingToGB) || *x.GrowingToGB <= gb) {
		k.Fatalf("the volume grows to a size that was not requested: %+v", x)
	}
	if up := k.r.cloud.volumes[b.id]; k.settled && b.status == "attached" && up.AttachedTo != b.owner {
		k.Fatalf("the volume is attached to %s, and upstream %+v", b.owner, up)
	}
}

// follow takes the volume on along what has happened to it since the last check.
func (k *keeping) follow(b *box) {
	k.Helper()
	var all []event.Event
	for p := 1; ; p++ {
		some, total, err := k.r.Events.List(k.Context(), k.r.DB, acc, b.id, db.Page{Number: p, Limit: 100})
		if err != nil {
			k.Fatal(err)
		}
		if all = append(all, some...); len(all) >= total.Total {
			break
		}
	}
	for _, e := range all[b.read:] {
		to, second := volume.Status(strings.TrimPrefix(e.Type, "volume.")), e.CreatedAt.Truncate(time.Second)
		switch to {
		case "grown":
			b.sizes = append(b.sizes, sized{e.CreatedAt, int64(e.Data["sizeGb"].(float64))})
			if !slices.Contains(b.wanted, b.sizes[len(b.sizes)-1].gb) {
				k.Fatalf("a size that was not requested: %+v", e)
			}
			continue
		case "created", "updated", "charged", "refunded":
			continue
		}
		if !slices.Contains(moves[b.status], to) {
			k.Fatalf("%s was %s and became %s", b.id, b.status, to)
		}
		switch {
		case to == "available" && b.start == nil:
			b.start = &second
		case (to == "deleting" || to == "failed") && b.start != nil && b.end == nil:
			b.end, b.lost = &second, to == "failed"
		}
		if b.status = to; to == "available" {
			b.owner = ""
		}
	}
	b.read = len(all)
}

// bill holds the volume's lines against the model's bill.
func (k *keeping) bill(b *box, x volume.Volume, now time.Time) {
	k.Helper()
	var cost money.Micros
	hours, counts := map[time.Time]bool{}, map[wallet.Type]int{}
	err := k.r.Wallet.Export(k.Context(), k.r.DB, acc, wallet.Filter{Subject: b.id}, func(t wallet.Transaction) error {
		counts[t.Type]++
		switch t.Type {
		case wallet.TypeCharge:
			if hours[*t.From] || t.To.Sub(*t.From) != time.Hour || t.From.After(now) || t.From.Before(*b.start) ||
				t.From.Sub(*b.start)%time.Hour != 0 {
				k.Fatalf("%+v is no hour of %+v", t, *b)
			}
			hours[*t.From] = true
			cost -= t.Amount
		case wallet.TypeRefund:
			cost -= t.Amount
		}
		return nil
	})
	if err != nil {
		k.Fatal(err)
	}
	if open := b.status == "creating"; counts[wallet.TypeHold] != 1 || counts[wallet.TypeRelease] == 0 != open {
		k.Fatalf("%v of one that is %s", counts, b.status)
	}
	if cost != x.CostToDate {
		k.Fatalf("costToDate is %s, its lines say %s", x.CostToDate, cost)
	}
	if want, n := b.cost(now); (k.settled || b.end != nil) && (cost != want || len(hours) < n) {
		k.Fatalf("%s and %d hours, the model says %s and %d: %+v", cost, len(hours), want, n, *b)
	}
}
