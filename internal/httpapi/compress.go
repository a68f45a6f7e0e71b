package httpapi

import (
	"bytes"
	"compress/gzip"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// compressFrom is from how many bytes on compressing is worth it: what fits into one packet is not.
const compressFrom = 1400

var compressors = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// compressed is the answer as the dashboard gets it: people open it on slow lines, and a page of a list shrinks to an
// eighth. Programs, which have a key, get answers as they are: they are near, and the time counts.
func compressed(r *http.Request, a answer) answer {
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

// takesGzip reports whether the client names gzip. One that gives it no weight does not take it.
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
