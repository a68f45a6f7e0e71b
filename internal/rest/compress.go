package rest

import (
	"bytes"
	"compress/gzip"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// compressFrom is the size from which compression pays: a smaller response fits into one packet.
const compressFrom = 1400

var compressors = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// compressed is the response as the dashboard gets it: it may be on a slow line, and a page of a
// list shrinks to an eighth. Programs, which have an API key, get plain responses: for them the
// time counts.
func compressed(r *http.Request, a Answer) Answer {
	if len(a.Body) < compressFrom || a.Header["Content-Encoding"] != "" || a.Header["ETag"] != "" || !takesGzip(r) {
		return a
	}
	var out bytes.Buffer
	w := compressors.Get().(*gzip.Writer)
	defer compressors.Put(w)
	w.Reset(&out)
	if _, err := w.Write(a.Body); err != nil || w.Close() != nil {
		return a
	}
	header := maps.Clone(a.Header)
	if header == nil {
		header = map[string]string{}
	}
	header["Content-Encoding"], header["Vary"] = "gzip", "Accept-Encoding"
	a.Header, a.Body = header, out.Bytes()
	return a
}

// takesGzip reports whether the client accepts gzip. A weight of zero means that it does not.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q := strings.ReplaceAll(weight, " ", "")
			return strings.TrimRight(q, "0.") != "q="
		}
	}
	return false
}
