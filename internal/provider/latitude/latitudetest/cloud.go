package latitudetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// The account.
const (
	Credential  = "lat-key-of-the-team"
	ProjectID   = "proj_Vk1Xq0"
	ProjectSlug = "billet"
)

const (
	defaultPage, largestPage = 20, 50
	readsAMinute             = 60
	writesAMinute            = 20
)

// Cloud is the fake.
type Cloud struct {
	upstreamtest.Fake

	next      int
	servers   []*server
	keys      []map[string]any
	data      []map[string]any
	uncounted bool
	limitless bool
	eager     bool
	reserved  bool
	counted   map[string][]time.Time // reads and writes of the last minute
	throttled int
	reshape   func(path string, body map[string]any)
}

// Serve starts a cloud that ends, with its machines, with the test.
func Serve(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{counted: map[string][]time.Time{}}
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(w http.ResponseWriter, r *http.Request){
		"GET /plans": c.list(c.plans), "GET /plans/operating_systems": c.list(c.systems),
		"GET /regions":  c.list(c.regions),
		"GET /projects": c.list(c.projects),
		"GET /servers":  c.list(c.listServers, "hostname", "project", "status"), "GET /servers/{id}": c.getServer,
		"POST /servers": c.createServer, "DELETE /servers/{id}": c.deleteServer,
		"POST /servers/{id}/actions": c.act, "POST /servers/{id}/reinstall": c.reinstall,
		"GET /ssh_keys": c.list(func() []map[string]any { return c.keys }), "POST /ssh_keys": c.createKey,
		"GET /user_data": c.list(func() []map[string]any { return c.data }), "POST /user_data": c.createData,
		"DELETE /user_data/{id}": c.delete(&c.data), "DELETE /ssh_keys/{id}": c.delete(&c.keys),
	} {
		mux.HandleFunc(pattern, h)
	}
	c.Fake.Serve(t, upstreamtest.Config{
		Account: upstream.Account{
			Slug: "latitude", Name: "Latitude.sh", Credential: Credential,
			Settings: map[string]string{"project": ProjectSlug},
		},
		Handler: c.gate(mux), Tick: c.tick, Machines: c.machineIDs,
	})
	return c
}

// Uncount removes the counts of lists.
func (c *Cloud) Uncount() { c.Do(func() { c.uncounted = true }) }

// Limitless removes the request limits.
func (c *Cloud) Limitless() { c.Do(func() { c.limitless = true }) }

// Reserve makes the project one of reserved machines, which are billed by the year.
func (c *Cloud) Reserve() { c.Do(func() { c.reserved = true }) }

func (c *Cloud) projects() []map[string]any {
	kind := "on_demand"
	if c.reserved {
		kind = "reserved"
	}
	return []map[string]any{
		resource(
			"projects", "proj_other", map[string]any{"name": "Other", "slug": "other", "provisioning_type": "reserved"},
		),
		resource(
			"projects", ProjectID, map[string]any{"name": "Billet", "slug": ProjectSlug, "provisioning_type": kind},
		),
	}
}

// Eager makes the response to a create, and reads in the first seconds, show that the server is on.
func (c *Cloud) Eager() { c.Do(func() { c.eager = true }) }

// Reshape calls f with the body of every response.
func (c *Cloud) Reshape(f func(path string, body map[string]any)) {
	c.Do(func() { c.reshape = f })
}

// Throttled returns how many requests exceeded the limits.
func (c *Cloud) Throttled() (n int) {
	c.Do(func() { n = c.throttled })
	return n
}

// gate checks what every request must have.
func (c *Cloud) gate(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write := r.Method != http.MethodGet
		switch {
		case c.Revoked || r.Header.Get("Authorization") != Credential:
			refuse(w, http.StatusUnauthorized, "unauthorized", "Unauthorized", "The API key is not valid.")
		case !c.admits(write):
			c.throttled++
			answer(w, http.StatusTooManyRequests, map[string]any{"errors": []any{map[string]any{
				"code": "RATE_LIMIT_EXCEEDED", "status": "429", "title": "Too many requests", "detail": "Slow down.",
				"meta": map[string]any{"retry_after": 60},
			}}})
		case r.Header.Get("Accept") != "application/vnd.api+json":
			refuse(w, http.StatusNotAcceptable, "not_acceptable", "Not acceptable", "")
		case write && r.ContentLength > 0 && r.Header.Get("Content-Type") != "application/json":
			refuse(w, http.StatusUnsupportedMediaType, "unsupported", "Unsupported media type", "")
		default:
			if _, pattern := mux.Handler(r); pattern == "" {
				refuse(w, http.StatusNotFound, "not_found", "Not found", r.URL.Path)
			} else {
				mux.ServeHTTP(reshaper{w, r.URL.Path, c.reshape}, r)
			}
		}
	})
}

// reshaper lets a test change what is written.
type reshaper struct {
	http.ResponseWriter
	path    string
	reshape func(path string, body map[string]any)
}

func (w reshaper) Write(b []byte) (int, error) {
	var body map[string]any
	if w.reshape != nil && json.Unmarshal(b, &body) == nil {
		w.reshape(w.path, body)
		changed, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		_, err = w.ResponseWriter.Write(changed)
		return len(b), err
	}
	return w.ResponseWriter.Write(b)
}

// admits enforces the limits, in any minute.
func (c *Cloud) admits(write bool) bool {
	kind, most, now := "reads", readsAMinute, c.Clock.Now()
	if write {
		kind, most = "writes", writesAMinute
	}
	c.counted[kind] = slices.DeleteFunc(c.counted[kind], func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	if len(c.counted[kind]) >= most && !c.limitless {
		return false
	}
	c.counted[kind] = append(c.counted[kind], now)
	return true
}

func (c *Cloud) id(kind string) string {
	c.next++
	return fmt.Sprintf("%s_%06d", kind, c.next)
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/vnd.api+json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func refuse(w http.ResponseWriter, status int, code, title, detail string) {
	answer(
		w, status,
		map[string]any{
			"errors": []any{
				map[string]any{"code": code, "status": strconv.Itoa(status), "title": title, "detail": detail},
			},
		},
	)
}

func resource(kind, id string, attributes map[string]any) map[string]any {
	return map[string]any{"id": id, "type": kind, "attributes": attributes}
}

// list answers with pages of what all returns.
func (c *Cloud) list(all func() []map[string]any, filters ...string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		size, number, stats := defaultPage, 1, false
		things := slices.Clone(all())
		for name, values := range r.URL.Query() {
			n, err := strconv.Atoi(values[0])
			filter, isFilter := strings.CutPrefix(strings.TrimSuffix(name, "]"), "filter[")
			switch {
			case name == "page[size]" && err == nil && n > 0:
				size = min(n, largestPage)
			case name == "page[number]" && err == nil && n > 0:
				number = n
			case name == "stats[total]" && values[0] == "count":
				stats = !c.uncounted
			case isFilter && slices.Contains(filters, filter):
				things = slices.DeleteFunc(
					things,
					func(t map[string]any) bool { return t["attributes"].(map[string]any)[filter] != values[0] },
				)
			default:
				refuse(w, http.StatusBadRequest, "bad_request", "Bad request", "Unknown parameter "+name)
				return
			}
		}
		body := map[string]any{"meta": map[string]any{}}
		if stats {
			body["meta"] = map[string]any{"stats": map[string]any{"total": map[string]any{"count": len(things)}}}
		}
		from := min((number-1)*size, len(things))
		body["data"] = append([]map[string]any{}, things[from:min(from+size, len(things))]...)
		answer(w, http.StatusOK, body)
	}
}

// read decodes a body of that type into attributes, and refuses unknown fields.
func read(w http.ResponseWriter, r *http.Request, kind string, attributes any) bool {
	var body struct {
		Data struct {
			Type       string          `json:"type"`
			Attributes json.RawMessage `json:"attributes"`
		} `json:"data"`
	}
	if err := upstreamtest.ReadJSON(r, &body); err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", "Bad request", err.Error())
		return false
	}
	if body.Data.Type != kind {
		refuse(w, http.StatusUnprocessableEntity, "unprocessable", "Unprocessable entity", "type must be "+kind)
		return false
	}
	if err := upstreamtest.DecodeStrict(bytes.NewReader(body.Data.Attributes), attributes); err != nil {
		refuse(w, http.StatusUnprocessableEntity, "unpermitted_parameter", "Unpermitted parameter", err.Error())
		return false
	}
	return true
}
