package httpapi

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// Programs get answers as they are, and the dashboard gets them compressed.
func TestOnlyTheDashboardGetsCompressedAnswers(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	cookie := w.signIn(w.ada)
	encoding := func(name, value string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", site.URL+Base+"/offers", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip") // so that the client leaves it to us
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set(name, value)
		resp, err := site.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %s %v", resp.StatusCode, b, err)
		}
		if bytes.HasPrefix(b, []byte("\x1f\x8b")) != (resp.Header.Get("Content-Encoding") == "gzip") {
			t.Errorf("%q is no %q", b[:2], resp.Header.Get("Content-Encoding"))
		}
		return resp.Header.Get("Content-Encoding")
	}
	same(t, "to the dashboard", encoding("Cookie", cookie), "gzip")
	same(t, "to a program", encoding("Authorization", "Bearer "+w.ada.secret), "")
}
