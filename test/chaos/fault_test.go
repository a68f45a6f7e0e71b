package chaos_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/test/servertest"
)

// faults are what happens to the fleet. Each returns when it has ended.
var faults = map[string]func(*fleet){
	"a server is killed":              (*fleet).kill,
	"a server is stopped":             (*fleet).freeze,
	"a server's clock is wrong":       (*fleet).misread,
	"servers are replaced one by one": (*fleet).roll,
	"a planned stop of all servers":   func(f *fleet) { f.travel(30*time.Minute + f.some(40*time.Minute)) },
	"the primary crashes":             func(f *fleet) { f.failOver(false) },
	"the primary vanishes":            func(f *fleet) { f.failOver(true) },
	"the database is cut off":         func(f *fleet) { f.cutOff((*replica).databases) },
	"the database is silent":          func(f *fleet) { f.silence((*replica).databases) },
	"its connections are half-open":   func(f *fleet) { f.forget((*replica).databases) },
	"Redis is cut off":                func(f *fleet) { f.cutOff((*replica).caches) },
	"Redis is silent":                 func(f *fleet) { f.silence((*replica).caches) },
	"Redis's are half-open":           func(f *fleet) { f.forget((*replica).caches) },
	"Redis is emptied":                func(f *fleet) { f.redis.do("FLUSHALL") },
	"Redis is restarted":              (*fleet).restartRedis,
}

// tally counts what happened.
type tally struct {
	mu      sync.Mutex
	Faults  map[string]int
	Answers map[string]int
	Slowest map[string]time.Duration // recovery after each fault

	events, charged int
	found           string // what there was at the end
}

func (f *fleet) note(method, path string, a servertest.Answer) {
	f.tally.mu.Lock()
	defer f.tally.mu.Unlock()
	what, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	what, _, _ = strings.Cut(what, "?")
	f.Answers[fmt.Sprintf("%s %s %d %s", method, what, a.Status, a.Code())]++
}

func (r *replica) databases() []*link { return r.dbs }

func (r *replica) caches() []*link { return []*link{r.cache} }

func (f *fleet) some(most time.Duration) time.Duration {
	return time.Duration(f.rng.Int64N(int64(most)))
}

// a while is how long a fault lasts; in a long run sometimes longer than the lease of a job.
func (f *fleet) aWhile() time.Duration {
	if *rounds > 0 && f.rng.IntN(5) == 0 {
		return 30*time.Second + f.some(10*time.Second)
	}
	return 500*time.Millisecond + f.some(2*time.Second)
}

func (f *fleet) one() *replica { return f.servers[f.rng.IntN(len(f.servers))] }

// links returns those of one server, or of all.
func (f *fleet) links(kind func(*replica) []*link) (all []*link) {
	if f.rng.IntN(2) == 0 {
		return kind(f.one())
	}
	for _, r := range f.servers {
		all = append(all, kind(r)...)
	}
	return all
}

func (f *fleet) wait(d time.Duration) { pause(context.Background(), d) }

func (f *fleet) kill() {
	r := f.one()
	f.down(r, r.Kill)
	f.wait(f.aWhile())
	f.start(r)
}

func (f *fleet) freeze() {
	r := f.one()
	_ = syscall.Kill(r.PID(), syscall.SIGSTOP)
	f.wait(f.aWhile())
	_ = syscall.Kill(r.PID(), syscall.SIGCONT)
}

// misread gives the server with the wrong clock another one.
func (f *fleet) misread() {
	r := f.servers[2]
	f.down(r, r.Stop)
	r.skew = []string{"40s", "-40s", "130s", "-130s", "1h", "-1h"}[f.rng.IntN(6)]
	f.start(r)
}

func (f *fleet) roll() {
	for _, r := range f.servers {
		f.down(r, r.Stop)
		f.start(r)
	}
}

// travel moves the time of all servers and the cloud while none runs.
func (f *fleet) travel(by time.Duration) {
	var all sync.WaitGroup
	for _, r := range f.servers {
		all.Go(func() { f.down(r, r.Stop) })
	}
	all.Wait()
	f.ahead.Add(int64(by))
	for _, r := range f.servers {
		f.start(r)
	}
}

// failOver ends the primary, promotes the standby, and makes a new one. If the primary vanishes,
// the connections to it stay open and silent.
func (f *fleet) failOver(vanishes bool) {
	was := f.pair.primary.address()
	each := func(do func(*link)) {
		for _, r := range f.servers {
			for _, k := range r.dbs {
				if vanishes && k.target == was {
					do(k)
				}
			}
		}
	}
	each(func(k *link) { k.stall(true) })
	f.pair.failOver()
	each(func(k *link) {
		k.halfOpen()
		k.stall(false)
	})
	f.pair.rebuild()
}

func (f *fleet) cutOff(kind func(*replica) []*link) {
	all := f.links(kind)
	for _, k := range all {
		k.doCut(true)
	}
	f.wait(f.aWhile())
	for _, k := range all {
		k.doCut(false)
	}
}

func (f *fleet) silence(kind func(*replica) []*link) {
	all := f.links(kind)
	for _, k := range all {
		k.stall(true)
	}
	f.wait(f.aWhile())
	for _, k := range all {
		k.stall(false)
	}
}

func (f *fleet) forget(kind func(*replica) []*link) {
	for _, k := range f.links(kind) {
		k.halfOpen()
	}
}

func (f *fleet) restartRedis() {
	f.redis.end(syscall.SIGKILL)
	f.wait(f.aWhile())
	f.redis.start()
}

// order returns the kinds of faults for the rounds: all of them, again and again, in an order that
// is drawn each time.
func (f *fleet) order(n int) (all []string) {
	kinds := slices.Sorted(maps.Keys(faults))
	for len(all) < n {
		for _, i := range f.rng.Perm(len(kinds)) {
			all = append(all, kinds[i])
		}
	}
	return all[:n]
}

// round lets one fault happen; in a long run sometimes while a server is down or stopped, which
// then returns to a world that has changed.
func (f *fleet) round(n int, kind string) {
	f.t.Helper()
	happen := faults[kind]
	if *rounds > 0 && !strings.Contains(kind, "server") && f.rng.IntN(3) == 0 {
		r := f.one()
		if f.rng.IntN(2) == 0 {
			kind += ", a server is down"
			f.down(r, r.Kill)
			happen(f)
			f.start(r)
		} else {
			kind += ", a server is stopped"
			_ = syscall.Kill(r.PID(), syscall.SIGSTOP)
			happen(f)
			_ = syscall.Kill(r.PID(), syscall.SIGCONT)
		}
	} else {
		happen(f)
	}
	took := f.recover(n, kind)
	f.tally.mu.Lock()
	f.Faults[kind]++
	f.Slowest[kind] = max(f.Slowest[kind], took)
	f.tally.mu.Unlock()
	f.countMachines(kind)
	f.cloud.Restock(10_000)
}

// recover waits until each server reads and writes again, which it must in time.
func (f *fleet) recover(n int, kind string) time.Duration {
	f.t.Helper()
	began := time.Now()
	w := &worker{rng: f.rng}
	var all sync.WaitGroup
	for _, r := range f.servers {
		body := map[string]any{"name": fmt.Sprintf("probe-%d-%d", n, r.number), "publicKey": w.publicKey()}
		all.Go(func() {
			ctx, cancel := context.WithDeadline(context.Background(), began.Add(recovery()))
			defer cancel()
			last, works := f.probe(ctx, r, body)
			for ; !works && ctx.Err() == nil; last, works = f.probe(ctx, r, body) {
				pause(ctx, 100*time.Millisecond)
			}
			if !works {
				f.t.Errorf("%s after %q, server %d: %d %s\n%s", recovery(), kind, r.number, last.Status, last.Body,
					tail(r.Log(), 30))
			}
		})
	}
	all.Wait()
	if f.t.Failed() {
		f.t.FailNow()
	}
	return time.Since(began)
}

// probe has a server create something, delete it and read, and reports whether it did.
func (f *fleet) probe(ctx context.Context, r *replica, body map[string]any) (last servertest.Answer, works bool) {
	call := func(method, path string, body any, headers ...string) bool {
		ctx, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		var err error
		last, err = r.CallWith(ctx, f.tenants[0].key, method, path, body, headers...)
		// An end whose answer was lost may have had its effect.
		return err == nil && (last.Status < 300 || method == http.MethodDelete && last.Status == http.StatusNotFound)
	}
	if !call(http.MethodPost, "/ssh-keys", body, "Idempotency-Key", body["name"].(string)) {
		return last, false
	}
	made, _ := last.Data["id"].(string)
	works = call(http.MethodDelete, "/ssh-keys/"+made, nil) && call(http.MethodGet, "/wallet", nil)
	return last, works
}

// countMachines: no deployment ever had two machines.
func (f *fleet) countMachines(after string) {
	f.t.Helper()
	had := map[id.ID][]string{}
	for _, m := range f.cloud.Inventory().Machines {
		of := upstream.ParseMark(id.Deployment, m.Name)
		had[of] = append(had[of], fmt.Sprintf("%s made %s, %s", m.ID, m.Made.Format(time.RFC3339), m.State))
	}
	for of, all := range had {
		if len(all) > 1 {
			f.t.Fatalf("after %q %s had %d machines: %s", after, of, len(all), strings.Join(all, "; "))
		}
	}
}
