package observe

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/billetcloud/billet/internal/id"
)

// TestWhereSpansAreSent: an endpoint is a base URL, as OpenTelemetry's own variable has it.
func TestWhereSpansAreSent(t *testing.T) {
	for endpoint, want := range map[string]string{
		"":                  "/v1/traces",
		"/":                 "/v1/traces",
		"/otlp":             "/otlp/v1/traces",
		"/otlp/":            "/otlp/v1/traces",
		"/v1/traces":        "/v1/traces",
		"/v1/traces/":       "/v1/traces/", // as it was written
		"/otlp/v1/traces":   "/otlp/v1/traces",
		"/api/notv1/traces": "/api/notv1/traces/v1/traces",
	} {
		t.Run(endpoint, func(t *testing.T) {
			paths := make(chan string, 1)
			s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				paths <- r.URL.EscapedPath()
			}))
			defer s.Close()
			traces, err := OpenTraces(t.Context(), TracesConfig{
				Endpoint: s.URL + endpoint, Share: 1, Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			_, end := traces.Request(httptest.NewRequest(http.MethodGet, "/", nil), id.ID("req_1"))
			end("/", http.MethodGet, http.StatusOK)
			if err := traces.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-paths:
				if got != want {
					t.Errorf("spans are sent to %s, want %s", got, want)
				}
			default:
				t.Error("no spans were sent")
			}
		})
	}
}

func TestEndpointsThatAreRefused(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"http://localhost:4318": true, "https://collector.example.com/otlp": true, "http://[::1]:4318": true,
		"localhost:4317": false, "collector": false, "grpc://localhost:4317": false, "http://": false,
		"http://:4318": false, "https://user:password@example.com": false, "http://localhost?a=b": false,
		"unix:///run/otlp": false, "%": false,
	} {
		if err := CheckEndpoint(endpoint); (err == nil) != ok {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
