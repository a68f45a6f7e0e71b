package crash_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// worker is one key of a tenant that works for one round.
type worker struct {
	h     *history
	t     *tenant
	key   string
	who   string // unique among the workers of the history
	rng   *rand.Rand
	dead  <-chan struct{}
	asked int

	arrival <-chan struct{} // of the clock, for which this worker has done so many actions:
	acted   int
}

// share is the most actions of a worker between two arrivals of the clock. Without it, a slow
// machine gets more work the slower it is: there the clock needs longer, because it stops for
// everything that the tenants have made meanwhile.
const share = 15

func newWorker(h *history, t *tenant, key, round int, dead <-chan struct{}) *worker {
	who := fmt.Sprintf("r%d-t%d-k%d", round, t.number, key)
	stream := binary.BigEndian.Uint64(sum(who))
	return &worker{h: h, t: t, key: t.keys[key], who: who, rng: rand.New(rand.NewPCG(h.seed, stream)), dead: dead}
}

func sum(s string) []byte {
	b := sha256.Sum256([]byte(s))
	return b[:]
}

// run works until the server is dead.
func (w *worker) run() {
	w.settlePending()
	w.refresh()
	for w.lives() {
		w.act()
		w.think()
	}
}

// think is a tenant's pause between two requests. It is longer while the clock advances: an
// advance stops for everything due on the way, and a round needs many advances.
func (w *worker) think() {
	most := 12 * time.Millisecond
	if w.h.travels.Load() {
		most = 100 * time.Millisecond
	}
	pause := time.NewTimer(time.Duration(w.rng.Int64N(int64(most))))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-w.dead:
	}
	if next := *w.h.arrival.Load(); next != w.arrival {
		w.arrival, w.acted = next, 0
	}
	if w.acted++; w.acted >= share {
		select {
		case <-w.arrival:
		case <-w.dead:
		}
	}
}

func (w *worker) lives() bool {
	select {
	case <-w.dead:
		return false
	default:
		return true
	}
}

// act performs one random action.
func (w *worker) act() {
	switch k := w.rng.IntN(100); {
	case k < 16:
		w.deploy()
	case k < 24:
		w.repeat()
	case k < 38:
		w.terminate()
	case k < 42:
		w.createVolume()
	case k < 54:
		w.attach()
	case k < 66:
		w.detach()
	case k < 68:
		w.deleteVolume()
	case k < 70:
		w.growVolume()
	case k < 78:
		w.patch()
	case k < 84:
		w.operate()
	case k < 85:
		w.saveKey()
	default:
		w.read()
	}
}

// ask sends a request. answered is false if the server died before the whole answer had arrived.
func (w *worker) ask(method, path string, body any, headers ...string) (a servertest.Answer, answered bool) {
	w.h.mu.Lock()
	w.h.asked++
	w.h.mu.Unlock()
	a, err := w.h.server.TryCall(w.key, method, path, body, headers...)
	if err != nil {
		if w.h.alive(w.dead) {
			w.h.fault("%s %s had no answer from a server that lives: %v", method, path, err)
		}
		w.h.mu.Lock()
		w.h.lost++
		w.h.mu.Unlock()
		return a, false
	}
	w.h.mu.Lock()
	w.h.answers[fmt.Sprintf("%s %s %d %s", method, pathless.ReplaceAllString(path, "…"), a.Status, a.Code())]++
	w.h.mu.Unlock()
	switch a.Status {
	case 200, 201, 202, 400, 402, 404, 409:
	case 503: // the marketplace's last answer is too old; nothing was done
		if a.Code() != "SERVICE_UNAVAILABLE" {
			w.h.fault("%s %s: %d %s", method, path, a.Status, a.Body)
		}
	default:
		w.h.fault("%s %s %v: %d %s", method, path, body, a.Status, a.Body)
	}
	return a, true
}

var pathless = regexp.MustCompile(`(dep|vol|top)_[0-9a-z]+|[?].*`)

// once sends a request with an effect. It records what is acknowledged, and what must be repeated.
func (w *worker) once(i *intent) (a servertest.Answer, answered bool) {
	h := w.h
	var headers []string
	if i.key != "" {
		headers = []string{"Idempotency-Key", i.key}
	}
	w.t.mu.Lock()
	if i.since == 0 {
		i.since = h.elapsed.Load()
	}
	again := i.lost && !i.answered
	w.t.mu.Unlock()
	if i.name != "" {
		h.mu.Lock()
		h.names[i.name] = i
		h.mu.Unlock()
	}
	a, answered = w.ask(http.MethodPost, i.path, i.body, headers...)
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	if !answered || a.Status == http.StatusServiceUnavailable {
		if i.key != "" && !i.answered && !slices.Contains(w.t.pending, i) {
			w.t.pending = append(w.t.pending, i)
		}
		i.lost = i.lost || !answered
		return a, false
	}
	if again {
		h.mu.Lock()
		h.retried++
		h.mu.Unlock()
	}
	i.settle(h, a)
	w.t.pending = slices.DeleteFunc(w.t.pending, func(p *intent) bool { return p == i })
	return a, true
}

// settle records the first answer, or compares this one with it. The caller holds the tenant's mu.
func (i *intent) settle(h *history, a servertest.Answer) {
	if a.Code() == "IDEMPOTENCY_KEY_REUSED" {
		h.fault("key %s was sent with one body only: %s", i.key, a.Body)
	}
	if i.answered && i.first.Status != http.StatusBadRequest { // is not kept: the same request may succeed later
		h.mu.Lock()
		h.replayed++
		h.mu.Unlock()
		if a.Status != i.first.Status || !bytes.Equal(a.Body, i.first.Body) {
			h.fault(
				"key %s of %s %s was answered %d %s and then %d %s", i.key, i.path, i.name, i.first.Status,
				i.first.Body, a.Status, a.Body,
			)
		}
		return
	}
	i.answered, i.first = true, a
	if made, is := a.Data["id"].(string); is && a.Status < 300 {
		i.id = made
	}
	if i.key != "" && a.Status != http.StatusBadRequest {
		i.tenant.kept = append(i.tenant.kept, i)
	}
}

// usable reports whether the server must still know the key.
func (i *intent) usable(h *history) bool {
	return time.Duration(h.elapsed.Load()-i.since) < window
}

// settlePending repeats requests without an answer.
func (w *worker) settlePending() {
	for w.lives() {
		w.t.mu.Lock()
		// A key that the server may have forgotten would repeat the effect.
		w.t.pending = slices.DeleteFunc(w.t.pending, func(i *intent) bool { return !i.usable(w.h) })
		if len(w.t.pending) == 0 {
			w.t.mu.Unlock()
			return
		}
		i := w.t.pending[w.rng.IntN(len(w.t.pending))]
		w.t.mu.Unlock()
		if _, answered := w.once(i); !answered {
			return
		}
	}
}

// refresh reads the tenant's current state.
func (w *worker) refresh() {
	a, answered := w.ask(http.MethodGet, "/deployments?limit=100&status=pending,deploying,running,stopped", nil)
	var deps []apiDeployment
	if answered && a.Status == http.StatusOK && data(a, &deps) == nil {
		for _, d := range deps {
			w.h.saw(d, w.t.number)
		}
		w.t.mu.Lock()
		clear(w.t.deps)
		for _, d := range deps {
			w.t.deps[d.ID] = d
		}
		w.t.mu.Unlock()
	}
	a, answered = w.ask(http.MethodGet, "/volumes?limit=100", nil)
	var vols []apiVolume
	if answered && a.Status == http.StatusOK && data(a, &vols) == nil {
		for _, v := range vols {
			w.h.sawVolume(v, w.t.number)
		}
		w.t.mu.Lock()
		clear(w.t.vols)
		for _, v := range vols {
			if v.Status != "failed" && v.Status != "deleting" {
				w.t.vols[v.ID] = v
			}
		}
		w.t.mu.Unlock()
	}
}

// seen records the deployment in an answer.
func (w *worker) seen(a servertest.Answer) apiDeployment {
	var d apiDeployment
	if err := data(a, &d); err != nil || d.ID == "" {
		w.h.fault("no deployment in %s: %v", a.Body, err)
		return d
	}
	w.h.saw(d, w.t.number)
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	if final[d.Status] || d.Status == "terminating" {
		delete(w.t.deps, d.ID)
	} else {
		w.t.deps[d.ID] = d
	}
	return d
}

func (w *worker) seenVolume(a servertest.Answer) {
	var v apiVolume
	if err := data(a, &v); err != nil || v.ID == "" {
		w.h.fault("no volume in %s: %v", a.Body, err)
		return
	}
	w.h.sawVolume(v, w.t.number)
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	if v.Status == "deleted" || v.Status == "deleting" || v.Status == "failed" {
		delete(w.t.vols, v.ID)
	} else {
		w.t.vols[v.ID] = v
	}
}
