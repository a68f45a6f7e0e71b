package crash_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/money"
)

// check brings the history to rest and compares all sources.
func (h *history) check(round int) {
	h.t.Helper()
	if h.t.Failed() {
		return
	}
	h.checks++
	h.server.Restart()
	dead := h.server.Ended()
	for _, t := range h.tenants {
		w := newWorker(h, t, 0, round<<8, dead)
		w.settlePending()
		if len(t.pending) > 0 {
			h.fault("a running server did not answer %d requests, such as %+v", len(t.pending), t.pending[0])
			return
		}
		for _, i := range t.kept {
			if i.usable(h) {
				w.once(i)
			}
		}
	}
	h.settlePayments(round, dead)
	if !h.rest() {
		return
	}
	for _, t := range h.tenants {
		h.checkDelivered(t)
	}
	asked := time.Now()
	var up app.SimStatus
	if err := json.Unmarshal([]byte(h.server.Run("sim", "status", "-o", "json")), &up); err != nil {
		h.t.Fatal(err)
	}
	s := &snapshot{
		h: h, upstream: up, deps: map[string]apiDeployment{}, vols: map[string]apiVolume{},
		keys: map[string]string{},
	}
	for _, t := range h.tenants {
		s.readAPI(t)
	}
	h.refill(round)
	h.server.Kill()
	h.ended()
	if h.t.Failed() {
		return
	}
	// The clock continues during the snapshot: its time is between these two.
	s.earliest, s.latest = up.Now, up.Now.Add(time.Since(asked)+2*time.Second)
	s.readDatabase()
	if h.fake != nil {
		h.fake.ask(s)
	}
	s.readUpstream()
	s.checkAcknowledged()
	s.checkUpstream()
	s.checkDeployments()
	s.checkVolumes()
	s.checkMoney()
	s.checkPayments()
	h.deployments, h.volumes = len(s.deps), len(s.vols)
	h.machines, h.charges = len(s.upstream.Machines), 0
	for _, c := range s.charges {
		h.charges += len(c)
	}
}

// refill adds the credit that a tenant without money needs to continue; the third tenant may be
// past due for a while first.
func (h *history) refill(round int) {
	for i, t := range h.tenants {
		var w struct{ Available money.Micros }
		if h.get(t, "/wallet", &w); w.Available < 100*money.USD {
			amount := []string{"10000000", "5000", "250"}[i]
			h.server.Run(
				"wallet", "credit", "--account", t.id, "--amount", amount, "--reference",
				fmt.Sprintf("%s-%d", t.id, round),
			)
		}
	}
}

// rest advances the clock until nothing is in progress.
func (h *history) rest() bool {
	steps := []time.Duration{
		time.Second, 20 * time.Second, 2 * time.Minute, 2 * time.Minute, 10 * time.Minute, 20 * time.Minute,
		30 * time.Minute, time.Hour, time.Hour,
	}
	moving := ""
	for i, d := range steps {
		if err := h.advance(d); err != nil {
			h.fault("advance: %v", err)
			return false
		}
		if moving = h.moving(); moving == "" && i >= 3 { // the watcher of the provider's machines has run twice
			return true
		}
	}
	h.fault("after hours of rest this still moves: %s", moving)
	return false
}

// moving returns something that has not finished, or "".
func (h *history) moving() string {
	var out []string
	up := h.upstream()
	for _, t := range h.tenants {
		if e := h.undelivered(t); e != "" {
			out = append(out, e+" is not delivered to "+t.id)
		}
		deps, vols := h.list(t)
		status := map[string]string{}
		for _, d := range deps {
			status[d.ID] = d.Status
			if d.PendingAction != nil && !final[d.Status] || !final[d.Status] && d.Status != "running" &&
				d.Status != "stopped" {
				out = append(out, d.ID+" is "+d.Status)
			} else if final[d.Status] && up[d.ID] { // some clouds end no machine before a minimum runtime
				out = append(out, d.ID+" is "+d.Status+" and has a machine")
			}
		}
		for _, v := range vols {
			waits := v.Status == "attaching" && v.AttachedTo != nil &&
				status[*v.AttachedTo] == "stopped" // until it is powered on
			if v.Status != "available" && v.Status != "attached" && v.Status != "failed" && !waits ||
				v.GrowingToGB != nil {
				out = append(out, v.ID+" is "+v.Status)
			}
		}
	}
	return strings.Join(append(out, h.paymentsMove()...), ", ")
}

// list reads all deployments and volumes of a tenant.
func (h *history) list(t *tenant) (deps []apiDeployment, vols []apiVolume) {
	for page := 1; ; page++ {
		var some []apiDeployment
		h.get(t, fmt.Sprintf("/deployments?limit=100&page=%d", page), &some)
		deps = append(deps, some...)
		if len(some) < 100 {
			break
		}
	}
	h.get(t, "/volumes?limit=100", &vols)
	return deps, vols
}

func (h *history) get(t *tenant, path string, into any) {
	a := h.server.Call(t.keys[0], http.MethodGet, path, nil)
	if err := data(a, into); a.Status != http.StatusOK || err != nil {
		h.t.Fatalf("%s: %d %s %v", path, a.Status, a.Body, err)
	}
}

// readAPI reads what the tenant sees: lists, and by id everything that was ever acknowledged.
func (s *snapshot) readAPI(t *tenant) {
	h := s.h
	deps, vols := h.list(t)
	for _, d := range deps {
		h.saw(d, t.number)
		if _, twice := s.deps[d.ID]; twice {
			h.fault("%s is listed twice", d.ID)
		}
		s.deps[d.ID] = d
	}
	for _, v := range vols {
		h.sawVolume(v, t.number)
		s.vols[v.ID] = v
	}
	var keys []struct{ ID, Name string }
	for page := 1; ; page++ {
		var some []struct{ ID, Name string }
		h.get(t, fmt.Sprintf("/ssh-keys?limit=100&page=%d", page), &some)
		keys = append(keys, some...)
		if len(some) < 100 {
			break
		}
	}
	for _, k := range keys {
		s.keys[k.ID] = k.Name
	}
	for id, known := range maps.All(h.vols) { // a list omits deleted ones
		if _, listed := s.vols[id]; known.owner == t.number && !listed {
			var v apiVolume
			h.get(t, "/volumes/"+id, &v)
			s.vols[id] = v
		}
	}
	var w struct{ Balance, Held, Available money.Micros }
	h.get(t, "/wallet", &w)
	if w.Held != 0 || w.Available != w.Balance {
		h.fault("at rest nothing may be held; tenant %s has %+v", t.id, w)
	}
}
