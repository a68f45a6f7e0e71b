package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
)

func TestClient_Raw(t *testing.T) {
	var keys, bodies []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
		if r.Header.Get("Authorization") != "Bearer pk_live_x" || r.Header.Get("X-Mine") != "1" ||
			r.Header.Get("Accept") != "text/csv" ||
			r.URL.String() != "/api/v1/inventory/things?a=b" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		w.Header().Set("X-Theirs", "2")
		if len(keys) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "as it is")
	}))
	defer s.Close()
	c, err := client.New(
		client.Config{
			BaseURL: s.URL,
			APIKey:  "pk_live_x",
			Sleep:   func(context.Context, time.Duration) error { return nil },
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Raw(
		t.Context(),
		client.RawRequest{
			Method: "post",
			Path:   "things?a=b",
			Body:   []byte(`{ "b":1 }`),
			Header: http.Header{"X-Mine": {"1"}, "Accept": {"text/csv"}},
		},
	)
	if err != nil || a.StatusCode != http.StatusCreated || string(a.Body) != "as it is" ||
		a.Header.Get("X-Theirs") != "2" {
		t.Errorf("%+v %v", a, err)
	}
	if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] || bodies[0] != `{ "b":1 }` || bodies[0] != bodies[1] {
		t.Errorf("%q %q", keys, bodies)
	}
}

func TestClient_Raw_error(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"success":false,"error":{"code":"NOT_FOUND","message":"No."}}`)
	}))
	defer s.Close()
	c, err := client.New(client.Config{BaseURL: s.URL, APIKey: "pk_live_x"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Raw(t.Context(), client.RawRequest{Path: "/things"})
	if !errors.Is(err, client.ErrNotFound) || a == nil || a.StatusCode != http.StatusNotFound ||
		!strings.Contains(string(a.Body), `"No."`) {
		t.Errorf("%+v %v", a, err)
	}
}

func TestClient_Raw_rejectsOtherServers(t *testing.T) {
	asked := ""
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.URL.Path }))
	defer s.Close()
	c, err := client.New(client.Config{BaseURL: s.URL, APIKey: "pk_live_x"})
	if err != nil {
		t.Fatal(err)
	}
	for path, at := range map[string]string{
		"": "/api/v1/inventory", "/": "/api/v1/inventory",
		"offers": "/api/v1/inventory/offers", "/offers/": "/api/v1/inventory/offers",
		s.URL + "/api/v1/inventory/offers": "/api/v1/inventory/offers", s.URL + "/else": "/else",
	} {
		asked = ""
		if _, err := c.Raw(t.Context(), client.RawRequest{Path: path}); err != nil || asked != at {
			t.Errorf("%q asks for %q: %v", path, asked, err)
		}
	}
	for _, in := range []client.RawRequest{
		{Path: "https://elsewhere.example/x"}, {Path: "//elsewhere.example/x"}, {Path: "http:offers"},
		{Path: "ftp://" + strings.TrimPrefix(s.URL, "http://")},
		{Path: "http://me@" + strings.TrimPrefix(s.URL, "http://") + "/x"}, {Path: "/../x"},
		{Path: "/%2e%2e/x"}, {Path: "x#y"}, {Path: "x?a;b"}, {Path: "\x00"},
		{Method: "CONNECT"}, {Body: []byte("{")},
		{Header: http.Header{"Authorization": {"x"}}}, {Header: http.Header{"idempotency-key": {"x"}}},
	} {
		asked = "nothing"
		if a, err := c.Raw(t.Context(), in); !errors.Is(err, client.ErrInvalidRequest) || a != nil ||
			asked != "nothing" {
			t.Errorf("%+v: %v %v, asked for %q", in, a, err, asked)
		}
	}
}
