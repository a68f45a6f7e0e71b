package crash_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/test/servertest"
)

// history is a data directory through many crashes, with everything that its server has
// acknowledged.
type history struct {
	tally
	t       *testing.T
	cloud   cloud
	fake    *fake // nil for the simulator
	till    *till
	seed    uint64
	server  *servertest.Server
	tenants []*tenant
	offers  []offer

	// elapsed is at least the simulated time that has passed: an advance counts before it is
	// requested.
	elapsed atomic.Int64
	// now is the server's last known time, in Unix nanoseconds.
	now atomic.Int64
	// travels is true while the clock is being advanced.
	travels atomic.Bool
	// arrival is closed and replaced when an advance of the clock ends.
	arrival atomic.Pointer[chan struct{}]
	// moment orders requests: each takes a number when it is sent and another when it is answered
	// or the server has died.
	moment atomic.Int64

	mu    sync.Mutex
	names map[string]*intent     // requested objects by name
	deps  map[string]*deployment // known deployments
	vols  map[string]*volume
}

// tenant is an account with several keys that work concurrently.
type tenant struct {
	number int
	id     string
	keys   []string
	inbox  *inbox

	mu      sync.Mutex
	pending []*intent // with a key and without an answer
	kept    []*intent // with a final answer
	deps    map[string]apiDeployment
	vols    map[string]apiVolume
}

// offer is the test's knowledge of an offer.
type offer struct {
	ID, Provider, Region string
	InstanceType         string
	OperatingSystems     []string
	HourlyPrice          money.Micros
	Capabilities         struct{ Volumes, Power, Reboot bool }
}

type apiDeployment struct {
	ID, Name, Status, Provider, Region      string
	HourlyPrice, CostToDate                 money.Micros
	PendingAction                           *string
	CreatedAt, TerminableAt                 time.Time
	StartedAt, BilledUntil, AutoTerminateAt *time.Time
	Tags, VolumeIDs                         []string
	Capabilities                            struct{ Volumes, Power, Reboot bool }
}

type apiVolume struct {
	ID, Name, Status, Provider, Region string
	SizeGB                             int64
	GrowingToGB                        *int64
	AttachedTo                         *string
	CostToDate                         money.Micros
}

// deployment is what the server has acknowledged of a deployment.
type deployment struct {
	owner                  int
	startedAt, billedUntil *time.Time
	final                  string
	tags                   []write
	planned                []time.Time // every auto-termination that a PATCH has requested
}

// volume is the same for a volume.
type volume struct {
	owner   int
	deleted bool // acknowledged
}

// write is an attempt to set a value. Its effect, if any, is between from and to.
type write struct {
	value    string
	from, to int64 // moments
	answered bool
}

// intent is a request that creates something, or that has a key.
type intent struct {
	tenant *tenant
	// name is that of the created object, and unique; "" if it creates nothing.
	name string
	path string
	body map[string]any
	key  string

	// Protected by the tenant's mu:
	since    int64 // elapsed at the first attempt
	lost     bool  // an attempt had no answer
	answered bool
	first    servertest.Answer
	id       string // of the created object
}

// advanceLimit is how long an advance of the clock may take, in real time: a busy machine is no
// fault of the server.
const advanceLimit = 10 * time.Minute

// window is how long a key is repeated: less than the server keeps it, by more than the clock
// advances at once.
const window = 20 * time.Hour

var final = map[string]bool{"terminated": true, "failed": true, "interrupted": true}

func begin(t *testing.T, c cloud, seed uint64, args []string) *history {
	h := &history{
		tally: tally{hits: map[string]int{}, answers: map[string]int{}}, t: t, cloud: c, seed: seed,
		names: map[string]*intent{}, deps: map[string]*deployment{}, vols: map[string]*volume{},
	}
	h.renewArrival()
	dir := directory(t)
	h.till = openTill(t, dir)
	args = append(args, "--stripe-url", h.till.fake.URL)
	if c.serve != nil {
		h.fake = c.serve(t)
		args = append(args, h.fake.configure(t, dir)...)
	}
	h.server = servertest.StartIn(
		t, dir,
		append(
			args, "--sim", "--sim-machines", "banner", "--webhook-allow-http", "--webhook-allow-networks",
			"127.0.0.0/8",
		)...,
	)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", tail(h.server.Log(), 12))
		}
	})
	limits := []string{"--read-limit", "1000000", "--write-limit", "1000000", "--deploy-limit", "1000000"}
	// The last tenant runs out of money, so that past due is tested with crashes, too.
	for i, credit := range []string{"10000000", "5000", "250"} {
		tn := &tenant{number: i, deps: map[string]apiDeployment{}, vols: map[string]apiVolume{}}
		var key string
		tn.id, key = h.server.Key(credit, limits...)
		tn.keys = []string{key}
		if i < 2 {
			tn.keys = append(tn.keys, h.server.KeyOf(tn.id, limits...))
		}
		h.subscribe(tn)
		h.tenants = append(h.tenants, tn)
	}
	h.setUpPayments(limits...)
	if err := h.advance(time.Second); err != nil {
		t.Fatal(err)
	}
	a := h.server.Call(h.tenants[0].keys[0], "GET", "/offers?limit=100", nil)
	err := data(a, &h.offers)
	if h.fake != nil {
		h.offers = slices.DeleteFunc(h.offers, func(o offer) bool { return o.Provider != c.provider })
	}
	if err != nil || len(h.offers) < 5 {
		t.Fatalf("offers: %d %s %v", a.Status, a.Body, err)
	}
	h.server.Kill()
	return h
}

// directory returns a data directory in memory if the system has such. Data of a killed process
// are kept there as on a disk; on a disk, commits would also wait for other writers, sometimes for
// seconds.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "billet-crash-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// data decodes the data of an answer.
func data(a servertest.Answer, into any) error {
	e := struct{ Data any }{into}
	return json.Unmarshal(a.Body, &e)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// fault fails the test with the position in the history.
func (h *history) fault(format string, args ...any) {
	h.t.Helper()
	h.t.Errorf("seed %d: %s", h.seed, fmt.Sprintf(format, args...))
}

// advance advances the server's clock; it fails if the server dies meanwhile.
func (h *history) advance(d time.Duration) error {
	h.elapsed.Add(int64(d))
	ctx, cancel := context.WithTimeout(context.Background(), advanceLimit)
	defer cancel()
	h.travels.Store(true)
	defer func() {
		h.travels.Store(false)
		close(*h.renewArrival())
	}()
	t0 := time.Now()
	s, err := app.SimAdvance(ctx, h.server.Dir, d)
	h.mu.Lock()
	h.advances++
	h.travel += time.Since(t0)
	h.mu.Unlock()
	if err == nil {
		h.now.Store(s.Now.UnixNano())
	}
	return err
}

// renewArrival makes the channel of the next arrival, and returns the one before.
func (h *history) renewArrival() *chan struct{} {
	next := make(chan struct{})
	return h.arrival.Swap(&next)
}

// stayDown lets time pass while the server is down: hours begin, auto-terminations and time limits
// pass.
func (h *history) stayDown(d time.Duration) {
	h.t.Helper()
	h.elapsed.Add(int64(d))
	path := filepath.Join(h.server.Dir, "sim-clock.json")
	var clock struct {
		OffsetNanoseconds int64 `json:"offsetNanoseconds"`
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &clock)
	}
	if err == nil {
		clock.OffsetNanoseconds += int64(d)
		text, err = json.Marshal(clock)
	}
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	if h.fake != nil {
		h.fake.Clock.AdvanceTo(time.Now().Add(time.Duration(clock.OffsetNanoseconds)))
	}
}

// moveClock advances the clock while the server runs, mostly by little, sometimes by hours that
// must be charged.
func (h *history) moveClock(round int, dead <-chan struct{}) {
	rng := rand.New(rand.NewPCG(h.seed, uint64(round)<<32|1<<31))
	budget := 6 * time.Hour // so that keys can be repeated after the crash
	for {
		d := time.Second + time.Duration(rng.Int64N(int64(14*time.Second)))
		switch k := rng.IntN(10); {
		case budget <= 0 && k > 0:
		case k == 0:
			d = 30*time.Minute + time.Duration(rng.Int64N(int64(time.Hour)))
		case k < 4:
			d = time.Minute + time.Duration(rng.Int64N(int64(29*time.Minute)))
		}
		budget -= d
		err := h.advance(d)
		pause := time.NewTimer(time.Duration(2+rng.IntN(20)) * time.Millisecond)
		select {
		case <-dead:
			pause.Stop()
			return
		case <-pause.C:
		}
		if err != nil && h.alive(dead) {
			h.fault("the clock of a server that lives could not be moved: %v", err)
			return
		}
	}
}

// alive reports whether the server still runs although an error resembled its death.
func (h *history) alive(dead <-chan struct{}) bool {
	select {
	case <-dead:
		return false
	case <-time.After(time.Minute):
		return true
	}
}

var badLog = regexp.MustCompile(`(?m)^.*(level=ERROR|panic|DATA RACE).*$`)

// ended checks the log of a server that has died.
func (h *history) ended() {
	for _, line := range badLog.FindAllString(h.server.Log(), -1) {
		if strings.Contains(line, "route=hook status=503 ") { // Stripe has a trouble, and sends its event again
			continue
		}
		h.fault("the server's log: %s", line)
	}
}

// saw records what an answer contains about a deployment: billing facts never change.
func (h *history) saw(d apiDeployment, owner int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.deps[d.ID]
	if k == nil {
		k = &deployment{owner: owner}
		h.deps[d.ID] = k
	}
	once := func(what string, known **time.Time, told *time.Time) {
		switch {
		case told == nil:
		case *known == nil:
			*known = told
		case !(*known).Equal(*told):
			h.fault(
				"%s of %s was %s and is %s", what, d.ID, (*known).Format(time.RFC3339Nano),
				told.Format(time.RFC3339Nano),
			)
		}
	}
	once("startedAt", &k.startedAt, d.StartedAt)
	once("billedUntil", &k.billedUntil, d.BilledUntil)
	if final[d.Status] {
		if k.final != "" && k.final != d.Status {
			h.fault("%s was %s for good and is %s", d.ID, k.final, d.Status)
		}
		k.final = d.Status
	}
	if k.owner != owner {
		h.fault("%s is shown to two tenants", d.ID)
	}
}

func (h *history) sawVolume(v apiVolume, owner int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.vols[v.ID]
	if k == nil {
		k = &volume{owner: owner}
		h.vols[v.ID] = k
	}
	if k.owner != owner {
		h.fault("%s is shown to two tenants", v.ID)
	}
}
