package httpapi

import (
	"net/http/httptest"
	"testing"
)

// BenchmarkListOffers is the whole way of the call that dashboards and scripts make most.
func BenchmarkListOffers(b *testing.B) {
	w := newWorld(b)
	w.s.c.Limiter = allowAll{}
	r := w.request(w.ada, "GET", Base+"/offers?available=true", nil)
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		w.s.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Code)
		}
	}
}
