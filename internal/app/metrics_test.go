package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestMetricsAnswerLoopbackNamesOnly(t *testing.T) {
	h := forLoopback(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	for host, want := range map[string]int{
		"127.0.0.1:9464": 204, "localhost:9464": 204, "LOCALHOST": 204, "[::1]:9464": 204, "127.8.9.1": 204,
		"evil.example:9464": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example:9464": 421,
		"10.0.0.1:9464": 421, "": 421, "0.0.0.0:9464": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "http://x/metrics", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", host, w.Code, want)
		}
	}
}
