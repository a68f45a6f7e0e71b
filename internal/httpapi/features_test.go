package httpapi

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/google/go-cmp/cmp"
)

func TestUnknownOfferFiltersAreReported(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string][]apierr.FieldError{
		"provider=Voltage-Park&region=dallas-usa-5&gpuType=nvidia%20b200": nil,
		"provider=voltage-prak": {{
			Field: "query.provider", Message: "is unknown; see GET /providers. Did you mean voltage-park?",
		}},
		"gpuType=NVIDIA%20B2000&region=atlantis": {
			{Field: "query.region", Message: "is unknown; see GET /regions."},
			{Field: "query.gpuType", Message: "is unknown; see GET /gpu-types. Did you mean NVIDIA B200?"},
		},
	} {
		for range 2 { // the second response is cached
			r := w.want(200, w.ada, "GET", Base+"/offers?"+query, nil)
			var got struct{ Warnings []apierr.FieldError }
			if err := json.Unmarshal(r.body, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Warnings); diff != "" {
				t.Errorf("warnings of %q (-want +got):\n%s", query, diff)
			}
			if empty := len(r.list) == 0; empty != (want != nil) {
				t.Errorf("%q: got %d offers", query, len(r.list))
			}
		}
	}
}

func TestVolumeCanBeWaitedFor(t *testing.T) {
	w := newWorld(t)
	volume := w.want(201, w.ada, "POST", Base+"/volumes", map[string]any{
		"name": "data", "sizeGb": 100, "provider": "voltage-park", "region": "dallas-usa-5",
	}).text("id")
	at := Base + "/volumes/" + volume
	if got := w.want(200, w.ada, "GET", at+"?waitFor=creating", nil).text("status"); got != "creating" {
		t.Errorf("got status %q, want creating at once", got)
	}
	start := time.Now()
	got := w.want(200, w.ada, "GET", at+"?waitFor=available&timeoutSeconds=1", nil).text("status")
	if got != "creating" || time.Since(start) < time.Second {
		t.Errorf("got status %q after %s, want creating after the timeout", got, time.Since(start))
	}
	for _, query := range []string{"timeoutSeconds=5", "waitFor=running", "waitFor=available&timeoutSeconds=61"} {
		w.refused("INVALID_REQUEST", w.ada, "GET", at+"?"+query, nil)
	}
	w.refused("NOT_FOUND", w.bob, "GET", at+"?"+url.Values{"waitFor": {"available"}}.Encode(), nil)
}
