package crash_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
	"github.com/billetcloud/billet/test/servertest"
)

const (
	// perFleet is the number of rounds of one database; shortFleet that of the short form.
	perFleet, shortFleet = 25, 4
	// slowest limits the delay of a fourth of the cloud's answers, quick that for half of the
	// fleets: a launch is several requests.
	slowest, quick = 5 * time.Second, time.Second
	// lease is a job's lease, as in package job: a server that is stopped for longer has lost its
	// jobs.
	lease = 30 * time.Second
	// fast is how much faster than real time the fake's machines start and end.
	fast = 4
	// restTime is how long everything may take to finish: a launch without an answer is waited
	// for.
	restTime = 15 * time.Minute
)

// TestReplicas runs three servers on one PostgreSQL database. The clock of one machine is wrong by
// more than four leases, and the cloud takes up to five seconds for an answer. Servers are killed,
// and stopped for longer than a lease. No deployment ever has two machines. Everything is in real
// time except the fake's machines.
func TestReplicas(t *testing.T) {
	base := *seed
	if base == 0 {
		base = uint64(time.Now().UnixMicro())
	}
	t.Run("replicas", func(t *testing.T) {
		t.Parallel()
		dbtest.PostgresURL(t) // skips without a server
		all := *rounds
		if all == 0 {
			all = shortFleet
		}
		var mu sync.Mutex
		var total fleetTally
		t.Run("all", func(t *testing.T) {
			for done, n := 0, uint64(0); done < all; done, n = done+perFleet, n+1 {
				t.Run(fmt.Sprintf("seed-%d", base+n), func(t *testing.T) {
					t.Parallel()
					f := beginFleet(t, base+n)
					for range min(perFleet, all-done) {
						f.round()
					}
					if *rounds > 0 {
						f.rest()
					}
					mu.Lock()
					defer mu.Unlock()
					total.add(f.fleetTally)
				})
			}
		})
		t.Logf("%+v", total)
		if total.Machines < total.Rounds || total.Deployments < total.Rounds {
			t.Errorf("too little happened to show anything: %+v", total)
		}
	})
}

var publicKeyLine = (&worker{rng: rand.New(rand.NewPCG(1, 1))}).publicKey()

// fleetTally counts what happened to fleets.
type fleetTally struct{ Rounds, Deployments, Machines, Kills, Stops, Retries, TakenOver int }

func (t *fleetTally) add(o fleetTally) {
	t.Rounds, t.Deployments = t.Rounds+o.Rounds, t.Deployments+o.Deployments
	t.Machines, t.Kills = t.Machines+o.Machines, t.Kills+o.Kills
	t.Stops, t.Retries, t.TakenOver = t.Stops+o.Stops, t.Retries+o.Retries, t.TakenOver+o.TakenOver
}

// fleet is three servers on one database, and their cloud.
type fleet struct {
	fleetTally
	t       *testing.T
	rng     *rand.Rand
	cloud   *voltageparktest.Cloud
	servers []*member
	key     string
	offers  []offer
	// each is the number of deployments per round.
	each int
	// most limits the delay of a fourth of the cloud's answers.
	most atomic.Int64

	mu    sync.Mutex
	alive []string // deployments without a requested end
}

// member is one of the servers.
type member struct {
	*servertest.Server
	env     []string
	stopped atomic.Pointer[time.Time] // until when it is stopped; nil while it runs
}

func beginFleet(t *testing.T, seed uint64) *fleet {
	f := &fleet{t: t, rng: rand.New(rand.NewPCG(seed, 7)), cloud: voltageparktest.Serve(t)}
	f.cloud.Lag(lag)
	f.each = 20 // many at once, for races of milliseconds
	f.most.Store(int64(quick))
	if *rounds > 0 && seed%2 == 0 { // and some slow ones, for longer races
		f.each = 6
		f.most.Store(int64(slowest))
	}
	began := time.Now()
	f.cloud.Follow(func() (time.Time, bool) { return began.Add(fast * time.Since(began)), true })
	account := f.cloud.Account()
	account.Settings["requests-per-minute"] = "60000"
	account.BaseURL = f.slow(account.BaseURL, seed)
	database := dbtest.PostgresURL(t)
	skew := []string{"130s", "-130s", "1h"}[f.rng.IntN(3)]
	for i := range 3 {
		m := &member{}
		dir := directory(t)
		if i > 0 { // they share the key of encrypted values
			b, err := os.ReadFile(filepath.Join(f.servers[0].Dir, "secret.key"))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "secret.key"), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if i == 2 {
			m.env = []string{crashpoint.SkewVariable + "=" + skew}
		}
		args := append((&fake{account: account}).write(t, dir), "--database-url", database, "--max-clock-skew", "2h")
		m.Server = servertest.Prepare(t, dir, args...)
		f.servers = append(f.servers, m)
		f.start(m, "")
	}
	t.Cleanup(func() {
		if t.Failed() {
			for i, m := range f.servers {
				t.Logf(
					"the end of the log of server %d (the third one's clock is wrong by %s):\n%s", i+1, skew,
					tail(m.Log(), 15),
				)
			}
		}
	})
	_, f.key = f.servers[0].Key(
		"10000000", "--read-limit", "1000000", "--write-limit", "1000000", "--deploy-limit", "1000000",
	)
	for deadline := time.Now().Add(time.Minute); len(f.offers) == 0; {
		a := f.servers[0].Call(f.key, "GET", "/offers?limit=100&available=true", nil)
		err := data(a, &f.offers)
		failed := err != nil || a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable
		if failed && time.Now().After(deadline) {
			t.Fatalf("offers: %d %s %v", a.Status, a.Body, err)
		}
		// The others need port 22.
		f.offers = slices.DeleteFunc(f.offers, func(o offer) bool { return o.InstanceType != "VM" })
		<-time.After(100 * time.Millisecond)
	}
	return f
}

// slow is a proxy that delays a request before the cloud gets it, and the answer before it is
// forwarded.
func (f *fleet) slow(target string, seed uint64) string {
	to, err := url.Parse(target)
	if err != nil {
		f.t.Fatal(err)
	}
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 8))
	pause := func(r *http.Request) {
		mu.Lock()
		d := time.Duration(rng.Int64N(int64(100 * time.Millisecond)))
		if rng.IntN(4) == 0 {
			d = time.Duration(rng.Int64N(max(1, f.most.Load()/2)))
		}
		mu.Unlock()
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pause(r)
		// A request that has arrived has its effect, even if the client disconnected.
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
		pause(r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = io.Copy(w, answer.Body)
	}))
	f.t.Cleanup(s.Close)
	return s.URL
}

// start starts a server that crashes at the step, or at none.
func (f *fleet) start(m *member, step string) {
	f.t.Helper()
	env := slices.Clone(m.env)
	if step != "" {
		env = append(env, crashpoint.Variable+"="+step)
	}
	if !m.TryRestart(0, env...) && step == "" {
		f.t.Fatalf("billetd ended:\n%s", m.Log())
	}
}

func (m *member) up() bool {
	select {
	case <-m.Ended():
		return false
	default:
		return m.stopped.Load() == nil
	}
}

// round makes requests while one of the servers is killed, stopped or left alone.
func (f *fleet) round() {
	f.t.Helper()
	f.Rounds++
	f.cloud.Restock(100)
	for _, m := range f.servers {
		f.revive(m)
	}
	var work sync.WaitGroup
	for i := range f.each {
		work.Go(f.deploy(fmt.Sprintf("r%d-%d", f.Rounds, i)))
	}
	for range f.rng.IntN(4) {
		work.Go(f.terminate())
	}
	moment := time.NewTimer(time.Duration(200+f.rng.IntN(2800)) * time.Millisecond)
	<-moment.C
	f.befall(f.servers[f.rng.IntN(len(f.servers))])
	work.Wait()
	f.audit()
}

// revive restarts or continues a server that was killed, or stopped for long enough. One server
// always runs.
func (f *fleet) revive(m *member) {
	select {
	case <-m.Ended():
		f.TakenOver += strings.Count(m.Log(), "taken over while it ran") + strings.Count(
			m.Log(), "lease could not be extended",
		)
		m.stopped.Store(nil)
		step := ""
		if f.rng.IntN(3) == 0 {
			step = fmt.Sprintf(
				"%s:%d",
				[]string{
					crashpoint.LaunchBeforeCall, crashpoint.LaunchAfterCall, crashpoint.TerminateBeforeCall,
					crashpoint.JobBeforeFinish,
				}[f.rng.IntN(4)],
				1+f.rng.IntN(5),
			)
		}
		f.start(m, step)
	default:
		if until := m.stopped.Load(); until != nil && time.Now().After(*until) {
			_ = syscall.Kill(m.PID(), syscall.SIGCONT)
			m.stopped.Store(nil)
		}
	}
}

func (f *fleet) befall(m *member) {
	up := 0
	for _, m := range f.servers {
		if m.up() {
			up++
		}
	}
	switch n := f.rng.IntN(10); {
	case !m.up() || up < 2:
	case n < 4:
		m.Kill()
		f.Kills++
	case n < 7: // its leases end meanwhile
		_ = syscall.Kill(m.PID(), syscall.SIGSTOP)
		m.stopped.Store(new(time.Now().Add(lease + time.Duration(2+f.rng.IntN(8))*time.Second)))
		f.Stops++
	}
}

// ask calls the servers, one after the other, until one answers.
func (f *fleet) ask(first int, method, path string, body any, headers ...string) servertest.Answer {
	for try := first; try < first+30; try++ {
		m := f.servers[try%len(f.servers)]
		if !m.up() {
			continue
		}
		a, err := m.TryCall(f.key, method, path, body, headers...)
		if err == nil && a.Status < 500 && a.Code() != "IDEMPOTENCY_KEY_IN_USE" {
			return a
		}
		f.mu.Lock()
		f.Retries++
		f.mu.Unlock()
		<-time.After(200 * time.Millisecond)
	}
	return servertest.Answer{}
}

func (f *fleet) deploy(name string) func() {
	o, first := f.offers[f.rng.IntN(len(f.offers))], f.rng.IntN(3)
	return func() {
		a := f.ask(first, "POST", "/deployments", map[string]any{
			"offerId": o.ID, "operatingSystem": o.OperatingSystems[0], "name": name, "ssh_public_key": publicKeyLine,
		}, "Idempotency-Key", "key-"+name)
		f.mu.Lock()
		defer f.mu.Unlock()
		if made, is := a.Data["id"].(string); is && a.Status == http.StatusCreated {
			f.Deployments++
			f.alive = append(f.alive, made)
		} else if a.Status != 0 {
			f.t.Errorf("deploy %s: %d %s", name, a.Status, a.Body)
		}
	}
}

// terminate ends one of the newest deployments if it does not run yet: otherwise its minimum
// runtime is not over.
func (f *fleet) terminate() func() {
	n, first := f.rng.Uint64(), f.rng.IntN(3)
	return func() {
		f.mu.Lock()
		if len(f.alive) == 0 {
			f.mu.Unlock()
			return
		}
		i := len(f.alive) - 1 - int(n%uint64(min(len(f.alive), 8))) // one that may still be starting
		d := f.alive[i]
		f.alive = slices.Delete(f.alive, i, i+1)
		f.mu.Unlock()
		f.ask(first, "DELETE", "/deployments/"+d, nil)
	}
}

// audit counts the machines that each deployment ever had.
func (f *fleet) audit() {
	f.t.Helper()
	had := map[id.ID][]string{}
	all := f.cloud.Inventory().Machines
	f.Machines = len(all)
	for _, m := range all {
		of := upstream.ParseMark(id.Deployment, m.Name)
		had[of] = append(had[of], fmt.Sprintf("%s made %s (%s)", m.ID, m.Made.Format(time.TimeOnly+".000"), m.State))
	}
	for of, machines := range had {
		if len(machines) > 1 {
			f.t.Fatalf("in round %d, %s had %d machines: %s", f.Rounds, of, len(machines), strings.Join(machines, ", "))
		}
	}
}

// rest waits until everything has finished, and checks what is left.
func (f *fleet) rest() {
	f.t.Helper()
	f.most.Store(int64(quick / 10))
	for _, m := range f.servers {
		m.stopped.Store(new(time.Now().Add(-time.Second)))
		_ = syscall.Kill(m.PID(), syscall.SIGCONT)
		m.Kill() // some crash at a step
		m.stopped.Store(nil)
		f.start(m, "")
	}
	var left []apiDeployment
	for deadline := time.Now().Add(restTime); ; {
		a := f.ask(0, "GET", "/deployments?limit=100&status=pending,deploying,terminating", nil)
		if err := data(a, &left); err != nil {
			f.t.Fatalf("%d %s %v", a.Status, a.Body, err)
		}
		f.audit()
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%d deployments come to nothing: %+v", len(left), left)
		}
		<-time.After(time.Second)
	}
	has := map[id.ID]bool{}
	for _, m := range f.cloud.Inventory().Has() {
		if m.State != provider.MachineTerminating {
			has[upstream.ParseMark(id.Deployment, m.Name)] = true
		}
	}
	for page := 1; ; page++ {
		a := f.ask(0, "GET", fmt.Sprintf("/deployments?limit=100&page=%d&status=running,stopped", page), nil)
		var some []apiDeployment
		if err := data(a, &some); err != nil {
			f.t.Fatalf("%d %s %v", a.Status, a.Body, err)
		}
		for _, d := range some {
			if !has[id.ID(d.ID)] {
				f.t.Errorf("%s is %s and has no machine", d.ID, d.Status)
			}
		}
		if len(some) < 100 {
			return
		}
	}
}
