package crash_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// name returns a unique name.
func (w *worker) name() string {
	w.asked++
	return fmt.Sprintf("%s-%d", w.who, w.asked)
}

// sometimes gives the intent a key with the given probability in percent.
func (w *worker) sometimes(i *intent, percent int) *intent {
	i.tenant = w.t
	if w.rng.IntN(100) < percent {
		i.key = "key-" + w.name()
	}
	return i
}

func (w *worker) deploy() {
	w.t.mu.Lock()
	alive := len(w.t.deps)
	var volumes []apiVolume
	for _, v := range sorted(w.t.vols) {
		if v.Status == "available" {
			volumes = append(volumes, v)
		}
	}
	w.t.mu.Unlock()
	if alive >= 8 {
		w.terminate()
		return
	}
	o := w.h.offers[w.rng.IntN(len(w.h.offers))]
	if w.rng.IntN(100) < 70 { // mostly where the volumes are
		var near []offer
		for _, o := range w.h.offers {
			if o.Provider == w.h.cloud.provider && o.Region == w.h.cloud.region {
				near = append(near, o)
			}
		}
		o = near[w.rng.IntN(len(near))]
	}
	i := w.sometimes(&intent{name: "d-" + w.name(), path: "/deployments"}, 70)
	i.body = map[string]any{
		"offerId": o.ID, "operatingSystem": o.OperatingSystems[w.rng.IntN(len(o.OperatingSystems))],
		"name": i.name, "ssh_public_key": w.publicKey(),
	}
	if w.rng.IntN(4) == 0 {
		i.body["autoTerminateAt"] = w.later()
	}
	if len(volumes) > 0 && o.Provider == w.h.cloud.provider && o.Region == w.h.cloud.region && w.rng.IntN(3) == 0 {
		i.body["volumeIds"] = []string{volumes[w.rng.IntN(len(volumes))].ID}
	}
	if _, answered := w.once(i); answered && i.id != "" {
		w.seen(i.first)
	}
}

// later returns an instant for an auto-termination, in whole seconds.
func (w *worker) later() time.Time {
	return time.Unix(0, w.h.now.Load()).
		UTC().
		Add(26*time.Minute + time.Duration(w.rng.Int64N(int64(8*time.Hour)))).
		Truncate(time.Second)
}

func (w *worker) publicKey() string {
	var from [ed25519.SeedSize]byte // half of all 32 bytes are no public key
	for i := range from {
		from[i] = byte(w.rng.Uint32())
	}
	point := ed25519.NewKeyFromSeed(from[:]).Public().(ed25519.PublicKey)
	blob := []byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20")
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(append(blob, point...))
}

// repeat sends an answered request again.
func (w *worker) repeat() {
	w.t.mu.Lock()
	var i *intent
	if n := len(w.t.kept); n > 0 {
		i = w.t.kept[w.rng.IntN(n)]
	}
	w.t.mu.Unlock()
	if i == nil || !i.usable(w.h) {
		w.deploy()
		return
	}
	w.once(i)
}

// some returns one of the deployments that are not known to have ended, if any.
func (w *worker) some(good func(apiDeployment) bool) (apiDeployment, bool) {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	var found []apiDeployment
	for _, d := range sorted(w.t.deps) {
		if good(d) {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return apiDeployment{}, false
	}
	return found[w.rng.IntN(len(found))], true
}

func (w *worker) someVolume(good func(apiVolume) bool) (apiVolume, bool) {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	var found []apiVolume
	for _, v := range sorted(w.t.vols) {
		if good(v) {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return apiVolume{}, false
	}
	return found[w.rng.IntN(len(found))], true
}

// sorted returns the values in the order of their keys, so that the seed decides which one is
// drawn.
func sorted[V any](m map[string]V) []V {
	var out []V
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

func whatever[T any](T) bool { return true }

func (w *worker) terminate() {
	now := time.Unix(0, w.h.now.Load())
	d, found := w.some(func(d apiDeployment) bool { return d.TerminableAt.Before(now) })
	if !found || w.rng.IntN(8) == 0 {
		d, found = w.some(whatever)
	}
	if !found {
		w.read()
		return
	}
	path := "/deployments/" + d.ID
	if w.rng.IntN(3) == 0 {
		path += "?when=earliest"
	}
	if a, answered := w.ask(http.MethodDelete, path, nil); answered && a.Status < 300 {
		got := w.seen(a)
		switch {
		case a.Status == http.StatusOK && got.BilledUntil == nil:
			w.h.fault("DELETE %s was acknowledged without the end of the bill: %s", d.ID, a.Body)
		case a.Status == http.StatusAccepted && got.AutoTerminateAt == nil:
			w.h.fault("DELETE %s was queued for no time: %s", path, a.Body)
		}
	}
}

func (w *worker) createVolume() {
	w.t.mu.Lock()
	n := len(w.t.vols)
	w.t.mu.Unlock()
	if n >= 4 {
		w.read()
		return
	}
	i := w.sometimes(&intent{name: "v-" + w.name(), path: "/volumes"}, 70)
	i.body = map[string]any{
		"name": i.name, "sizeGb": 10 + w.rng.IntN(500), "provider": w.h.cloud.provider,
		"region": w.h.cloud.region,
	}
	if _, answered := w.once(i); answered && i.id != "" {
		w.seenVolume(i.first)
	}
}

func (w *worker) attach() {
	v, found := w.someVolume(func(v apiVolume) bool { return v.Status == "available" || v.Status == "creating" })
	d, runs := w.some(
		func(d apiDeployment) bool { return d.Provider == w.h.cloud.provider && d.Region == w.h.cloud.region },
	)
	if !found || !runs {
		w.refresh()
		return
	}
	i := w.sometimes(&intent{path: "/volumes/" + v.ID + "/attach"}, 40)
	i.body = map[string]any{"deploymentId": d.ID}
	if a, answered := w.once(i); answered && a.Status < 300 {
		w.seenVolume(a)
	}
}

func (w *worker) detach() {
	v, found := w.someVolume(func(v apiVolume) bool { return v.AttachedTo != nil })
	if !found {
		w.attach()
		return
	}
	i := w.sometimes(&intent{path: "/volumes/" + v.ID + "/detach"}, 40)
	i.body = map[string]any{"deploymentId": *v.AttachedTo}
	if a, answered := w.once(i); answered && a.Status < 300 {
		w.seenVolume(a)
	}
}

func (w *worker) deleteVolume() {
	v, found := w.someVolume(func(v apiVolume) bool { return v.AttachedTo == nil })
	if !found {
		return
	}
	if a, answered := w.ask(http.MethodDelete, "/volumes/"+v.ID, nil); answered && a.Status == http.StatusOK {
		w.seenVolume(a)
		w.h.mu.Lock()
		w.h.vols[v.ID].deleted = true
		w.h.mu.Unlock()
	}
}

func (w *worker) growVolume() {
	v, found := w.someVolume(whatever)
	if !found {
		return
	}
	to := v.SizeGB + 1 + w.rng.Int64N(50)
	if a, answered := w.ask(http.MethodPatch, "/volumes/"+v.ID, map[string]any{"sizeGb": to}); answered &&
		a.Status == http.StatusOK {
		w.seenVolume(a)
	}
}

// patch changes a deployment's fields.
func (w *worker) patch() {
	d, found := w.some(whatever)
	if !found {
		return
	}
	if w.rng.IntN(3) == 0 {
		at := w.later()
		w.h.mu.Lock()
		w.h.deps[d.ID].planned = append(w.h.deps[d.ID].planned, at)
		w.h.mu.Unlock()
		if a, answered := w.ask(
			http.MethodPatch, "/deployments/"+d.ID, map[string]any{"autoTerminateAt": at},
		); answered && a.Status == http.StatusOK {
			w.seen(a)
		}
		return
	}
	tag := w.name()
	try := write{value: tag, from: w.h.moment.Add(1)}
	a, answered := w.ask(http.MethodPatch, "/deployments/"+d.ID, map[string]any{"tags": []string{tag}})
	try.to, try.answered = w.h.moment.Add(1), answered && a.Status == http.StatusOK
	if answered && a.Status != http.StatusOK {
		w.h.fault("tags of %s: %d %s", d.ID, a.Status, a.Body)
		return
	}
	w.h.mu.Lock()
	w.h.deps[d.ID].tags = append(w.h.deps[d.ID].tags, try)
	w.h.mu.Unlock()
	if answered {
		w.seen(a)
	}
}

// operate reboots a machine, or powers it off or on.
func (w *worker) operate() {
	d, found := w.some(func(d apiDeployment) bool { return d.Status == "running" || d.Status == "stopped" })
	if !found {
		w.refresh()
		return
	}
	what := "power-on"
	if d.Status == "running" {
		what = []string{"reboot", "power-off", "reinstall"}[w.rng.IntN(3)]
	}
	i := w.sometimes(&intent{path: "/deployments/" + d.ID + "/" + what}, 40)
	i.body = map[string]any{}
	if what == "reinstall" {
		i.body["eraseLocalDisks"] = true
	}
	if a, answered := w.once(i); answered && a.Status < 300 {
		w.seen(a)
	}
}

func (w *worker) saveKey() {
	i := w.sometimes(&intent{name: "s-" + w.name(), path: "/ssh-keys"}, 70)
	i.body = map[string]any{"name": i.name, "publicKey": w.publicKey()}
	w.once(i)
}

// read reads something and records it.
func (w *worker) read() {
	d, found := w.some(whatever)
	if !found {
		w.refresh()
		return
	}
	switch w.rng.IntN(8) {
	case 0, 1, 2:
		if a, answered := w.ask(http.MethodGet, "/deployments/"+d.ID, nil); answered && a.Status == http.StatusOK {
			w.seen(a)
		} else if answered {
			w.h.fault("%s was there and is not: %d %s", d.ID, a.Status, a.Body)
		}
	case 3:
		w.ask(http.MethodGet, "/wallet", nil)
	case 4:
		w.ask(http.MethodGet, "/wallet/transactions?limit=20", nil)
	case 5:
		w.ask(http.MethodGet, "/deployments/"+d.ID+"/can-terminate", nil)
	default:
		w.refresh()
	}
}
