package monitoring

import (
	"crypto/ed25519"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/crypto/ssh"
	"google.golang.org/protobuf/proto"
)

// receiver is an OTLP receiver: it decodes with the types of the OpenTelemetry project.
type receiver struct {
	url string

	mu    sync.Mutex
	spans []*trace.Span
	bad   []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil || req.URL.Path != "/v1/traces" || req.Method != http.MethodPost {
			r.bad = append(r.bad, req.Method+" "+req.URL.Path)
		}
		for _, resource := range export.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
		answer, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}))
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

// find returns the first span that has the name and every attribute.
func (r *receiver) find(name string, attributes map[string]string) *trace.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, span := range r.spans {
		if span.Name == name && has(span, attributes) {
			return span
		}
	}
	return nil
}

func has(span *trace.Span, attributes map[string]string) bool {
	for key, value := range attributes {
		if attribute(span, key) != value {
			return false
		}
	}
	return true
}

func attribute(span *trace.Span, key string) string {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// TestTracesGoFromTheRequestToTheProvider: what a request leads to, its job and the call of the
// provider in that, is one trace, in which the request has the id that the client was told.
func TestTracesGoFromTheRequestToTheProvider(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		r := newReceiver(t)
		s := servertest.Start(t, append([]string{
			"--sim", "--sim-machines", "banner", "--traces-endpoint", r.url,
		}, args...)...)
		_, key := s.Key("1000")
		const name = "tenants-own-name"
		public, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		line, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		a := s.Call(key, "POST", "/deployments", map[string]any{
			"provider": "voltage-park", "offerId": "off_abc123", "gpuType": "NVIDIA B200", "gpuCount": 8,
			"region": "dallas-usa-5", "operatingSystem": "Ubuntu 22.04", "instanceType": "BARE_METAL",
			"ssh_public_key": string(ssh.MarshalAuthorizedKey(line)), "name": name,
		})
		if a.Status != http.StatusCreated {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		id, request := a.Data["id"].(string), a.Header.Get("X-Request-Id")
		s.Running(key, id)
		s.Stop() // which sends what is left
		post := r.find("POST /api/v1/inventory/deployments", map[string]string{"billet.request_id": request})
		if post == nil {
			t.Fatalf("no span of the request %s among %d", request, len(r.spans))
		}
		of := map[string][]*trace.Span{}
		for _, span := range r.spans {
			if string(span.TraceId) == string(post.TraceId) {
				of[span.Name] = append(of[span.Name], span)
			}
			for _, a := range span.Attributes {
				if strings.Contains(a.Value.GetStringValue(), name) || strings.Contains(a.Value.GetStringValue(), key) {
					t.Errorf("the attribute %s of %s has what the tenant wrote", a.Key, span.Name)
				}
			}
		}
		launches := of["provider launch"]
		if len(launches) != 1 || attribute(launches[0], "billet.provider") == "" {
			t.Fatalf("the trace has %d launches, want 1 with its provider: %v", len(launches), of)
		}
		in := slices.IndexFunc(of["job deployment"], func(s *trace.Span) bool {
			return string(s.SpanId) == string(launches[0].ParentSpanId)
		})
		if in < 0 {
			t.Fatal("the launch is in no job of the trace")
		}
		run := of["job deployment"][in]
		if attribute(run, "billet.job.subject") != id || string(run.ParentSpanId) != string(post.SpanId) {
			t.Errorf("the job %v does not follow from the request", run)
		}
		if len(r.bad) > 0 {
			t.Errorf("malformed: %v", r.bad)
		}
	})
}
