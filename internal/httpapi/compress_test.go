package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCompressed(t *testing.T) {
	long := bytes.Repeat([]byte(`{"gpuType":"NVIDIA B200"},`), 200)
	for _, c := range []struct {
		name, accepts string
		a             answer
		want          bool
	}{
		{"a browser", "gzip, deflate, br", answer{Body: long}, true},
		{"with weights", "br;q=1, gzip; q=0.5", answer{Body: long}, true},
		{"no weight", "gzip;q=0", answer{Body: long}, false},
		{"no weight, with decimals", "gzip; q=0.000", answer{Body: long}, false},
		{"not named", "br", answer{Body: long}, false},
		{"nothing accepted", "", answer{Body: long}, false},
		{"short", "gzip", answer{Body: []byte("{}")}, false},
		{"compared by ETag", "gzip", answer{Body: long, Header: map[string]string{"ETag": `"1"`}}, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if c.accepts != "" {
			r.Header.Set("Accept-Encoding", c.accepts)
		}
		got := compressed(r, c.a)
		if is := got.Header["Content-Encoding"] == "gzip"; is != c.want {
			t.Errorf("%s: %v", c.name, got.Header)
			continue
		}
		if !c.want {
			continue
		}
		plain, err := gzip.NewReader(bytes.NewReader(got.Body))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(plain); err != nil || !bytes.Equal(b, long) || len(got.Body) > len(long)/4 || got.Header["Vary"] != "Accept-Encoding" {
			t.Errorf("%s: %d bytes, %v %v", c.name, len(got.Body), got.Header, err)
		}
	}
}

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
