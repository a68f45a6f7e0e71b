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

// history is a data directory through many crashes, and everything that its server has acknowledged.
type history struct {
	tally
	t       *testing.T
	cloud   cloud
	fake    *fake // nil for the simulator
	seed    uint64
	server  *servertest.Server
	tenants []*tenant
	offers  []offer

	// elapsed is at least as much simulated time as has gone by: an advance counts before it is asked for.
	elapsed atomic.Int64
	// now is the server's time when it was last told, in Unix nanoseconds.
	now atomic.Int64
	// travels tells that the clock is being moved.
	travels atomic.Bool
	// moment orders requests: each takes one number when it is sent and one when it is answered, or the server has died.
	moment atomic.Int64

	mu    sync.Mutex
	names map[string]*intent     // what was asked for, by the name it was to have
	deps  map[string]*deployment // what is known of each
	vols  map[string]*volume
}

// tenant is an account with several keys, which work beside each other.
type tenant struct {
	number int
	id     string
	keys   []string
	inbox  *inbox

	mu      sync.Mutex
	pending []*intent // asked with a key, and not answered
	kept    []*intent // answered for good
	deps    map[string]apiDeployment
	vols    map[string]apiVolume
}

// offer is what the driver knows of an offer.
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

// deployment is what the server has said of a deployment for good.
type deployment struct {
	owner                  int
	startedAt, billedUntil *time.Time
	final                  string
	tags                   []write
	planned                []time.Time // every planned end that a PATCH has asked for
}

// volume is the same of a volume.
type volume struct {
	owner   int
	deleted bool // acknowledged
}

// write is an attempt to give something a value. It has had its effect, if any, between from and to.
type write struct {
	value    string
	from, to int64 // moments
	answered bool
}

// intent is a request that makes something, or that has a key.
type intent struct {
	tenant *tenant
	// name is that of what it makes; "" where it makes nothing. Every intent that does has another.
	name string
	path string
	body map[string]any
	key  string

	// Behind the tenant's mu:
	since    int64 // elapsed, at the first attempt
	lost     bool  // an attempt had no answer
	answered bool
	first    servertest.Answer
	id       string // of what it made
}

// window is how long a key is used again: less than the server keeps it, by more than the clock is moved at once.
const window = 20 * time.Hour

var final = map[string]bool{"terminated": true, "failed": true, "interrupted": true}

func begin(t *testing.T, c cloud, seed uint64, args []string) *history {
	h := &history{
		tally: tally{hits: map[string]int{}, answers: map[string]int{}}, t: t, cloud: c, seed: seed,
		names: map[string]*intent{}, deps: map[string]*deployment{}, vols: map[string]*volume{},
	}
	dir := directory(t)
	if c.serve != nil {
		h.fake = c.serve(t)
		args = append(args, h.fake.configure(t, dir)...)
	}
	h.server = servertest.StartIn(t, dir, append(args, "--sim", "--sim-machines", "banner", "--webhook-allow-http", "--webhook-allow-networks", "127.0.0.0/8")...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", tail(h.server.Log(), 12))
		}
	})
	limits := []string{"--read-limit", "1000000", "--write-limit", "1000000", "--deploy-limit", "1000000"}
	// The last one runs out of money, so that the ways of past due are crashed on as well.
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

// directory is a data directory in memory where the system has such. What a killed process has written is there either way; on a disk, a
// commit would also wait for whoever else writes to it, at times for seconds.
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

// data reads the data of an answer.
func data(a servertest.Answer, into any) error {
	e := struct{ Data any }{into}
	return json.Unmarshal(a.Body, &e)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// fault fails the test and says where in the history.
func (h *history) fault(format string, args ...any) {
	h.t.Helper()
	h.t.Errorf("seed %d: %s", h.seed, fmt.Sprintf(format, args...))
}

// advance moves the server's clock; it fails when the server dies meanwhile.
func (h *history) advance(d time.Duration) error {
	h.elapsed.Add(int64(d))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	h.travels.Store(true)
	defer h.travels.Store(false)
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

// stayDown lets the dead server be dead for that long: hours begin, planned ends and time limits pass, and nobody is there.
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

// moveClock moves the clock for as long as the server lives, mostly by little, sometimes over hours that have to be charged.
func (h *history) moveClock(round int, dead <-chan struct{}) {
	rng := rand.New(rand.NewPCG(h.seed, uint64(round)<<32|1<<31))
	budget := 6 * time.Hour // so that keys can be used again after the crash
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

// alive tells whether the server goes on living although something that it did looks like its death.
func (h *history) alive(dead <-chan struct{}) bool {
	select {
	case <-dead:
		return false
	case <-time.After(5 * time.Second):
		return true
	}
}

var badLog = regexp.MustCompile(`(?m)^.*(level=ERROR|panic|DATA RACE).*$`)

// ended looks at the log of a server that has died.
func (h *history) ended() {
	for _, line := range badLog.FindAllString(h.server.Log(), 3) {
		h.fault("the server's log: %s", line)
	}
}

// saw takes notice of what an answer says of a deployment: what is once said of the bill stays so.
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
			h.fault("%s of %s was %s and is %s", what, d.ID, (*known).Format(time.RFC3339Nano), told.Format(time.RFC3339Nano))
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
