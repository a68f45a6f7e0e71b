package httpapi

import (
	"net/http/httptest"
	"testing"
)

// bench measures the whole way of a call, without the network.
func bench(b *testing.B, prepare func(w *world), target string) {
	w := newWorld(b)
	prepare(w)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	r := w.request(w.ada, "GET", target, nil)
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		w.s.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Code)
		}
	}
}

// BenchmarkListOffers is the call that dashboards and scripts make most.
func BenchmarkListOffers(b *testing.B) {
	bench(b, func(*world) {}, Base+"/offers?available=true")
}

func BenchmarkWallet(b *testing.B) {
	bench(b, func(w *world) { w.settle(w.deploy(w.ada)) }, Base+"/wallet")
}

func BenchmarkListDeployments(b *testing.B) {
	bench(b, func(w *world) { w.settle(w.deploy(w.ada)) }, Base+"/deployments")
}
