package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/incident"
)

func logoFile(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 120, 40))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var totalOf = regexp.MustCompile(`"total":\d+`)

// fetchFile gets what is no call of the API.
func fetchFile(w *world, path string, options ...option) *httptest.ResponseRecorder {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, w.request(tenant{}, "GET", path, nil, options...))
	return rec
}

func TestBranding(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op, logo, site := w.operator(), settingsPath+"/logo", PublicBase+"/site"
		before := w.want(200, tenant{}, "GET", site, nil)
		same(t, "name", before.text("name"), "Billet")
		if got := before.data.(map[string]any); got["logo"] != nil || got["primaryColor"] != nil {
			t.Errorf("%s", before.body)
		}
		if r := w.do(tenant{}, "GET", "/branding/logo", nil); r.status != http.StatusNotFound {
			t.Errorf("without a logo: %d %s", r.status, r.body)
		}
		file := logoFile(t)
		w.want(200, op, "PUT", logo, map[string]any{"content": base64.StdEncoding.EncodeToString(file)})
		w.want(200, op, "PATCH", settingsPath, map[string]any{"branding": map[string]any{"primaryColor": "#1F6FEB"}})
		now := w.want(200, tenant{}, "GET", site, nil).data.(map[string]any)
		same(t, "colors", []any{now["primaryColor"], now["textColor"]}, []any{"#1f6feb", "#ffffff"})
		url := now["logo"].(map[string]any)["url"].(string)
		for path, age := range map[string]string{url: "31536000", "/branding/logo": "300"} {
			rec := fetchFile(w, path)
			if rec.Code != 200 || !bytes.Equal(rec.Body.Bytes(), file) ||
				rec.Header().Get("Content-Type") != "image/png" ||
				rec.Header().Get("X-Content-Type-Options") != "nosniff" ||
				rec.Header().Get("Cache-Control") != "public, max-age="+age ||
				!strings.Contains(rec.Header().Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("%s: %d %v", path, rec.Code, rec.Header())
			}
			again := fetchFile(w, path, header("If-None-Match", rec.Header().Get("ETag")))
			if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
				t.Errorf("%s with its ETag: %d, %d bytes", path, again.Code, again.Body.Len())
			}
		}
		for _, content := range []string{"<svg/>", "not base64!", ""} {
			body := base64.StdEncoding.EncodeToString([]byte(content))
			if content == "not base64!" {
				body = content
			}
			r := w.refused("INVALID_REQUEST", op, "PUT", logo, map[string]any{"content": body})
			same(t, "fields", r.fields(), []string{"content"})
		}
		r := w.refused("INVALID_REQUEST", op, "PATCH", settingsPath,
			map[string]any{"branding": map[string]any{"primaryColor": "#7c7c7c"}})
		same(t, "fields", r.fields(), []string{"branding.primaryColor"})
		w.want(200, op, "DELETE", logo, nil)
		w.want(200, op, "DELETE", logo, nil)
		if got := w.want(200, tenant{}, "GET", site, nil).data.(map[string]any); got["logo"] != nil {
			t.Errorf("%v", got)
		}
	})
}

func TestPublicPrices(t *testing.T) {
	w := newWorld(t)
	op, at := w.operator(), PublicBase+"/prices"
	w.refused("NOT_FOUND", tenant{}, "GET", at, nil)
	w.want(200, op, "PATCH", settingsPath, map[string]any{"publicPages": map[string]any{"prices": true}})
	r := w.want(200, tenant{}, "GET", at, nil)
	same(t, "Cache-Control", r.header.Get("Cache-Control"), "public, max-age=30")
	groups := r.data.(map[string]any)["gpuTypes"].([]any)
	if len(groups) == 0 {
		t.Fatalf("%s", r.body)
	}
	offers := 0.0
	for _, g := range groups {
		group := g.(map[string]any)
		offers += group["offers"].(float64)
		within := 0.0
		for _, region := range group["regions"].([]any) {
			within += region.(map[string]any)["offers"].(float64)
		}
		same(t, "offers in regions", within, group["offers"])
	}
	all := w.want(200, w.ada, "GET", Base+"/offers?limit=1", nil)
	same(t, "offers", fmt.Sprintf(`"total":%v`, offers), totalOf.FindString(string(all.body)))
	w.refused("NOT_FOUND", tenant{}, "GET", PublicBase+"/status", nil)
}

// outage is a world whose provider fails and answers.
type outage struct{ *world }

// status returns the public status, which is not cached.
func (o outage) status() map[string]any {
	o.t.Helper()
	o.time.pass(keepStatus)
	r := o.want(200, tenant{}, "GET", PublicBase+"/status", nil)
	if got := r.header.Get("Cache-Control"); got != "public, max-age=15" {
		o.t.Errorf("Cache-Control: %s", got)
	}
	return r.data.(map[string]any)
}

// incidents returns those of the public status.
func (o outage) incidents(want int) []map[string]any {
	o.t.Helper()
	var all []map[string]any
	for _, i := range o.status()["incidents"].([]any) {
		all = append(all, i.(map[string]any))
	}
	if len(all) != want {
		o.t.Fatalf("incidents: %v, want %d", all, want)
	}
	return all
}

// watch runs the jobs of incidents, twice where that must make no difference.
func (o outage) watch() {
	o.t.Helper()
	if _, err := o.c.Incidents.Watch(o.t.Context(), incident.Fleet); err != nil {
		o.t.Fatal(err)
	}
	recent, err := o.c.Incidents.Recent(o.t.Context(), o.d, o.clock.Now().Add(-time.Hour))
	if err != nil {
		o.t.Fatal(err)
	}
	for _, i := range append(recent, recent...) {
		if _, err := o.c.Incidents.Tell(o.t.Context(), i.ID); err != nil {
			o.t.Fatal(err)
		}
	}
}

// sync asks the provider after a time.
func (o outage) sync(after time.Duration) {
	o.t.Helper()
	o.clock.Advance(after)
	if _, err := o.c.Catalog.Sync(o.t.Context(), "provider/voltage-park"); err != nil {
		o.t.Fatal(err)
	}
	o.watch()
}

// told returns what the account was told, newest first.
func (o outage) told(who tenant) (types []string) {
	o.t.Helper()
	for _, e := range o.want(200, who, "GET", Base+"/events?limit=100", nil).list {
		if kind := e.(map[string]any)["type"].(string); strings.HasPrefix(kind, "account.provider_") {
			types = append(types, kind)
		}
	}
	return types
}

// While the status cannot be made, all get the last one, and only one of them tries within
// keepStatus.
func TestPublicStatusThatCannotBeMade(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		o := outage{newWorldOn(t, d, c)}
		o.want(200, o.operator(), "PATCH", settingsPath, map[string]any{"publicPages": map[string]any{"status": true}})
		o.status()
		rename := func(from, to string) {
			t.Helper()
			if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.Exec(ctx, `ALTER TABLE `+from+` RENAME TO `+to)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		server := func(want string) {
			t.Helper()
			r := o.want(200, tenant{}, "GET", PublicBase+"/status", nil)
			same(t, "server", r.data.(map[string]any)["server"], map[string]any{"status": want})
		}
		rename("provider_incident", "elsewhere")
		server("operational") // it is kept
		o.time.pass(keepStatus)
		server("degraded")
		rename("elsewhere", "provider_incident")
		server("degraded")
		o.time.pass(keepStatus)
		server("operational")
	})
}

func TestPublicStatusAndOutage(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		o := outage{newWorldOn(t, d, c)}
		public := map[string]any{"publicPages": map[string]any{"status": true}}
		o.want(200, o.operator(), "PATCH", settingsPath, public)
		o.settle(o.deploy(o.ada))
		first := o.status()
		same(t, "server", first["server"], map[string]any{"status": "operational"})
		provider := first["providers"].([]any)[0].(map[string]any)
		if provider["status"] != "up" || len(provider["regions"].([]any)) == 0 {
			t.Errorf("%v", first)
		}
		o.cloud.down = true
		o.sync(10 * time.Second) // for a moment
		o.incidents(0)
		for range 20 {
			o.sync(time.Minute)
		}
		one := o.incidents(1)[0]
		if one["kind"] != "no_answer" || one["endedAt"] != nil || one["provider"] != "voltage-park" {
			t.Errorf("%v", one)
		}
		same(t, "Ada was told", o.told(o.ada), []string{"account.provider_outage"})
		same(t, "Bob was told", len(o.told(o.bob)), 0)
		o.cloud.down = false
		o.sync(time.Minute)
		if got := o.incidents(1)[0]; got["endedAt"] != nil {
			t.Errorf("over after one answer: %v", got)
		}
		o.sync(6 * time.Minute)
		if got := o.incidents(1)[0]; got["endedAt"] == nil {
			t.Errorf("not over: %v", got)
		}
		same(t, "Ada was told", o.told(o.ada), []string{"account.provider_recovered", "account.provider_outage"})
		c.Advance(100 * 24 * time.Hour)
		o.watch()
		if all, err := o.c.Incidents.Recent(t.Context(), d, dbtest.Start.Add(-time.Hour)); err != nil || len(all) > 0 {
			t.Errorf("kept %v, %v", all, err)
		}
	})
}

// What a price rule hides from everyone is not named to the public: neither the provider, nor its
// regions and incidents.
func TestPublicPagesDoNotNameWhatIsHidden(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		o := outage{newWorldOn(t, d, c)}
		op := o.operator()
		o.want(200, op, "PATCH", settingsPath,
			map[string]any{"publicPages": map[string]any{"status": true, "prices": true}})
		o.settle(o.deploy(o.ada)) // a launch that is counted
		o.cloud.down = true
		for range 20 {
			o.sync(time.Minute)
		}
		named := func(path string) bool {
			t.Helper()
			o.time.pass(keepStatus)
			if err := o.c.Catalog.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			body := string(o.want(200, tenant{}, "GET", PublicBase+path, nil).body)
			return strings.Contains(body, "voltage-park") || strings.Contains(body, "Voltage Park") ||
				strings.Contains(body, "dallas-usa-5")
		}
		same(t, "the status names it", named("/status"), true)
		o.incidents(1)
		rule := o.want(201, op, "POST", OperatorBase+"/price-rules",
			map[string]any{"provider": "voltage-park", "hidden": true})
		same(t, "the status names it while it is down", named("/status"), false)
		o.incidents(0)
		o.cloud.down = false
		o.sync(time.Minute)
		same(t, "the status names it", named("/status"), false)
		same(t, "the prices name it", named("/prices"), false)
		o.want(200, op, "DELETE", OperatorBase+"/price-rules/"+rule.data.(map[string]any)["id"].(string), nil)
		same(t, "the status names it again", named("/status"), true)
		same(t, "the prices name it again", named("/prices"), true)
	})
}
