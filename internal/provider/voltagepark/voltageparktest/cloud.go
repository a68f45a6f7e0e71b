package voltageparktest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// The account's token, and the locations: Dallas has H100 on both networks and VMs, Seattle has
// B200.
const (
	Token   = "vp-test-token"
	Dallas  = "11111111-1111-4111-8111-111111111111"
	Seattle = "55555555-5555-4555-8555-555555555555"
)

const prefix = "/api/v1"

// Cloud is the fake.
type Cloud struct {
	upstreamtest.Fake
	t testing.TB

	machines []*machine // that exist
	gone     []upstreamtest.Machine
	shares   []*share
	spots    []*spot
	presets  []preset
	nameless bool
	novelty  string
	churn    func() // before each answer of a list of machines
}

// Serve starts a cloud that ends with the test.
func Serve(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{t: t}
	c.stock()
	c.Fake.Serve(t, upstreamtest.Config{
		Account: upstream.Account{
			Slug: "voltage-park", Name: "Voltage Park", BaseURL: prefix, Credential: Token,
			Settings: map[string]string{"region-names": Dallas + "=dallas-usa-5"},
		},
		Handler: c.routes(), Tick: c.pass, Machines: c.machineIDs,
	})
	return c
}

// Nameless makes the cloud refuse to list the names of its locations.
func (c *Cloud) Nameless(on bool) { c.Do(func() { c.nameless = on }) }

// Novelty adds a new field to machines.
func (c *Cloud) Novelty(field string) { c.Do(func() { c.novelty = field }) }

// Stuff adds VMs of others to the account.
func (c *Cloud) Stuff(n int) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for i := range n {
		c.launch(&machine{vm: true, name: fmt.Sprint("others-", i), spot: c.spots[0], preset: &c.presets[0]})
	}
}

// Churn makes, with each request for a page of machines, the oldest machine of others go and a new
// one come, at the other end of the list.
func (c *Cloud) Churn() {
	c.Do(func() {
		n := 0
		c.churn = func() {
			i := slices.IndexFunc(c.machines, func(m *machine) bool { return strings.HasPrefix(m.name, "others-") })
			if i < 0 {
				return
			}
			c.machines = slices.Delete(c.machines, i, i+1)
			n++
			c.launch(&machine{vm: true, name: fmt.Sprint("others-new-", n), spot: c.spots[0], preset: &c.presets[0]})
		}
	})
}

// Vanish removes a machine without a request.
func (c *Cloud) Vanish(machine string) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for _, m := range c.machines {
		if m.id == machine {
			m.ended = c.Clock.Now().Add(-endTakes)
		}
	}
}

// CloudInit returns the cloud-init of a machine, as JSON.
func (c *Cloud) CloudInit(machineID string) string {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for _, m := range c.machines {
		if m.id == machineID {
			text, _ := json.Marshal(m.init)
			return string(text)
		}
	}
	return ""
}

// machineIDs returns the ids of the machines that exist.
func (c *Cloud) machineIDs() (ids []string) {
	for _, m := range c.machines {
		ids = append(ids, m.id)
	}
	return ids
}

// Inventory returns what exists, and every machine that existed.
func (c *Cloud) Inventory() upstreamtest.Inventory {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	c.pass()
	h, now := upstreamtest.Inventory{Machines: slices.Clone(c.gone)}, c.Clock.Now()
	for _, m := range c.machines {
		h.Machines = append(h.Machines, m.entry(m.state(now)))
	}
	for _, s := range c.shares {
		v := upstreamtest.Volume{ID: s.id, Name: s.name, SizeGB: s.sizeGB, Machines: slices.Clone(s.orders)}
		h.Volumes = append(h.Volumes, v)
	}
	return h
}

// routes returns the paths, in exactly the form that the cloud answers without a redirect.
func (c *Cloud) routes() http.Handler {
	mux := http.NewServeMux()
	known := map[string]bool{}
	on := func(pattern string, f func(w http.ResponseWriter, r *http.Request)) {
		method, path, _ := strings.Cut(pattern, " ")
		public := slices.Contains(public, pattern)
		known[prefix+path] = true
		if strings.HasSuffix(path, "/") {
			path += "{$}"
		}
		mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
			if !public && (c.Revoked || r.Header.Get("Authorization") != "Bearer "+Token) {
				refuse(w, http.StatusUnauthorized, "Not authenticated")
				return
			}
			f(w, r)
		})
	}
	on("GET /bare-metal/locations", c.getSpots)
	on("GET /locations/", c.getNames)
	on("GET /virtual-machines/instant/locations", c.getVMSpots)
	on("GET /instant-deploy-presets/", c.getPresets)
	on("POST /bare-metal/", c.postRental)
	on("GET /bare-metal/", c.getMachines(false))
	on("POST /virtual-machines/instant", c.postVM)
	on("GET /virtual-machines/", c.getMachines(true))
	for path, vm := range map[string]bool{"/bare-metal/{id}": false, "/virtual-machines/{id}": true} {
		on("GET "+path, c.getMachine(vm))
		on("DELETE "+path, c.deleteMachine(vm))
		on("PUT "+path+"/power-status", c.putPower(vm))
	}
	on("POST /bare-metal/{id}/reboot", c.postReboot)
	on("GET /storage/hourly-rate", c.getRate)
	on("GET /storage/", c.getShares)
	on("POST /storage/", c.postShare)
	on("GET /storage/{id}", c.getShare)
	on("PATCH /storage/{id}", c.patchShare)
	on("DELETE /storage/{id}", c.deleteShare)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		other, slash := strings.CutSuffix(r.URL.Path, "/")
		if !slash {
			other += "/"
		}
		if known[other] {
			w.Header().Set("Location", c.URL+other)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		refuse(w, http.StatusNotFound, "Not Found")
	})
	return mux
}

// public are the requests without authentication.
var public = []string{
	"GET /bare-metal/locations", "GET /instant-deploy-presets/", "GET /virtual-machines/instant/locations",
}

func reply(w http.ResponseWriter, status int, body any) {
	upstreamtest.WriteJSON(w, status, body)
}

func refuse(w http.ResponseWriter, status int, detail string) {
	reply(w, status, map[string]string{"detail": detail})
}

// invalid answers 422, to a malformed request.
func invalid(w http.ResponseWriter, field, message string) {
	reply(w, http.StatusUnprocessableEntity, map[string]any{"detail": []map[string]any{
		{"loc": []string{"body", field}, "msg": message, "type": "value_error"},
	}})
}

// list answers with a page: 3 rows by default, at most 15.
func list(w http.ResponseWriter, r *http.Request, all []any) {
	pageOf(w, r, len(all), func(i int) any { return all[i] })
}

// pageOf answers with the requested page of that many rows.
func pageOf(w http.ResponseWriter, r *http.Request, rows int, row func(i int) any) {
	number := func(name string, otherwise, least, most int) (int, bool) {
		text := r.URL.Query().Get(name)
		if text == "" {
			return otherwise, true
		}
		n, err := strconv.Atoi(text)
		return n, err == nil && n >= least && n <= most
	}
	limit, good := number("limit", 3, 1, 15)
	offset, fine := number("offset", 0, 0, 1<<30)
	if !good || !fine {
		invalid(w, "limit", "Input should be less than or equal to 15")
		return
	}
	from := min(offset, rows)
	to := min(from+limit, rows)
	page := []any{}
	for i := from; i < to; i++ {
		page = append(page, row(i))
	}
	reply(w, http.StatusOK, map[string]any{
		"results": page, "total_result_count": rows, "has_previous": from > 0, "has_next": to < rows,
	})
}

// read decodes the body strictly, and answers where that fails. All of the fields are required.
func read(w http.ResponseWriter, r *http.Request, into any, fields ...string) bool {
	var raw json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil || r.Header.Get("Content-Type") != "application/json" {
		invalid(w, "", "JSON decode error")
		return false
	}
	var have map[string]json.RawMessage
	if json.Unmarshal(raw, &have) != nil {
		invalid(w, "", "Input should be a valid dictionary")
		return false
	}
	for _, f := range fields {
		if _, there := have[f]; !there {
			invalid(w, f, "Field required")
			return false
		}
	}
	if err := upstreamtest.DecodeStrict(bytes.NewReader(raw), into); err != nil {
		invalid(w, "", err.Error())
		return false
	}
	return true
}

func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func find[T any](all []T, is func(T) bool) (found T, there bool) {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	return found, false
}
