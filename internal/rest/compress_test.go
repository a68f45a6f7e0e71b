package rest

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http/httptest"
	"testing"
)

func TestCompressed(t *testing.T) {
	long := bytes.Repeat([]byte(`{"gpuType":"NVIDIA B200"},`), 200)
	for _, c := range []struct {
		name, accepts string
		a             Answer
		want          bool
	}{
		{"a browser", "gzip, deflate, br", Answer{Body: long}, true},
		{"with weights", "br;q=1, gzip; q=0.5", Answer{Body: long}, true},
		{"no weight", "gzip;q=0", Answer{Body: long}, false},
		{"no weight, with decimals", "gzip; q=0.000", Answer{Body: long}, false},
		{"not named", "br", Answer{Body: long}, false},
		{"nothing accepted", "", Answer{Body: long}, false},
		{"short", "gzip", Answer{Body: []byte("{}")}, false},
		{"compared by ETag", "gzip", Answer{Body: long, Header: map[string]string{"ETag": `"1"`}}, false},
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
		if b, err := io.ReadAll(plain); err != nil || !bytes.Equal(b, long) || len(got.Body) > len(long)/4 ||
			got.Header["Vary"] != "Accept-Encoding" {
			t.Errorf("%s: %d bytes, %v %v", c.name, len(got.Body), got.Header, err)
		}
	}
}
