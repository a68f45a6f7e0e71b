package fuzz_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// atLimit is the maximum number of bytes of a body.
const atLimit = 1 << 20

// mutate changes a request in one way.
func (f *fuzzer) mutate(r *request, body any) {
	if r.done {
		return
	}
	switch f.IntN(10) {
	case 0, 1, 2, 3:
		f.mutateBody(r, body)
	case 4, 5:
		f.mutateQuery(r)
	case 6, 7:
		f.mutateHeaders(r)
	case 8:
		f.mutatePath(r)
	default:
		f.mutateForm(r)
	}
}

// mutateBody makes the body's values, or its text, invalid.
func (f *fuzzer) mutateBody(r *request, body any) {
	if r.spoilt { // a second change could make it valid again
		return
	}
	r.spoilt = true
	s := f.doc.body(r.op)
	object, _ := body.(map[string]any)
	if s != nil && len(s.Properties) > 0 && f.in(2) {
		f.mutateField(r, s, object)
		return
	}
	text := r.body
	if text == nil {
		text = []byte("{}")
	}
	if n := f.IntN(14); n <= 7 {
		f.mutateText(r, text, n)
	} else {
		f.mutateContent(r, text, n)
	}
}

// mutateField leaves out, adds or changes a field of the body.
func (f *fuzzer) mutateField(r *request, s *schema, object map[string]any) {
	changed := map[string]any{}
	maps.Copy(changed, object)
	name := pick(f.dice, sortedKeys(s.Properties))
	switch f.IntN(4) {
	case 0:
		if len(s.Required) > 0 {
			name = pick(f.dice, s.Required)
			delete(changed, name)
			r.spoil("its body lacks %s", name)
		}
	case 1:
		name += pick(f.dice, []string{"s", "_", "x", " ", "."})
		changed[name] = 1
		r.spoil("its body has %s", name)
	default:
		if f.doc.resolve(s.Properties[name]).kind() == "" { // any value is valid
			return
		}
		changed[name] = f.against(s.Properties[name])
		r.spoil("%s is %.60v", name, changed[name])
	}
	f.write(r, changed)
}

// spoilBody replaces the body by one that must be refused.
func (f *fuzzer) spoilBody(r *request, spoilt []byte, why string) {
	f.write(r, bare("1"))
	r.body = spoilt
	r.spoil("its body %s", why)
}

// mutateText makes the body invalid JSON, or no object of reasonable size.
func (f *fuzzer) mutateText(r *request, text []byte, n int) {
	must := func(spoilt []byte, why string) { f.spoilBody(r, spoilt, why) }
	first := func(b byte) int { return bytes.IndexByte(text, b) }
	switch n {
	case 0:
		must(text[:len(text)-1], "breaks off")
	case 1:
		must(
			append(slices.Clone(text), pick(f.dice, []string{"{}", "x", "\x00", ",", "]"})...),
			"goes on behind its end",
		)
	case 2:
		if i := first(':'); i > 0 { // the first member twice
			j := bytes.IndexByte(text, '"')
			must([]byte("{"+string(text[j:i])+":1,"+string(text[1:])), "has a name twice")
		}
	case 3:
		must([]byte(strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)), "is nested deeply")
	case 4:
		must([]byte(strings.Repeat(`{"a":`, 40)+"1"+strings.Repeat("}", 40)), "is nested deeply")
	case 5:
		if i := first('"'); i > 0 {
			must(slices.Insert(slices.Clone(text), i+1, pick(f.dice, []byte{0xff, 0xc0, 0x80, 0xfe})), "is not UTF-8")
		}
	case 6:
		must(
			[]byte(pick(
				f.dice,
				[]string{
					"[]", `"x"`, "7", "true", "null", "[{}]", "\ufeff{}", "NaN", "{'a':1}", "{a:1}", `{"a":1,}`,
					"\x00",
				},
			)),
			"is no object",
		)
	default:
		must(append(slices.Clone(text), bytes.Repeat([]byte(" "), atLimit+1-len(text))...), "is larger than a mebibyte")
	}
}

// mutateContent changes what the body has.
func (f *fuzzer) mutateContent(r *request, text []byte, n int) {
	must := func(spoilt []byte, why string) { f.spoilBody(r, spoilt, why) }
	switch n {
	case 8:
		if r.body != nil { // of maximum size
			r.body = append(slices.Clone(text), bytes.Repeat([]byte(" "), atLimit-len(text))...)
		}
	case 9:
		if r.op.Body != nil && r.op.Body.Required {
			r.body = nil
			r.spoil("it has no body")
		}
	case 10:
		if i := bytes.IndexByte(text, '"'); i > 0 {
			must(slices.Insert(slices.Clone(text), i+1, []byte(`\u0000`)...), "has a name with NUL in it")
		}
	case 11:
		must(
			[]byte(`{"`+draw(f.dice, rapid.StringMatching(`[a-z]{8,12}Q`))+`":`+string(text)+`}`),
			"has an unknown field",
		)
	case 12: // any JSON
		text, err := json.Marshal(draw(f.dice, anyJSON()))
		if err != nil {
			f.t.Fatal(err)
		}
		f.write(r, bare(text))
		if _, is := bodyOf(text).(map[string]any); !is {
			r.spoil("its body is no object")
		}
	default: // any bytes
		noise := draw(f.dice, rapid.SliceOfN(rapid.Byte(), 1, 200))
		must(append([]byte("{\xff"), noise...), "is noise")
	}
}

func bodyOf(text []byte) (v any) {
	_ = json.Unmarshal(text, &v)
	return v
}

// anyJSON generates a value of any shape.
func anyJSON() *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Int64().AsAny(),
		rapid.Float64Range(-1e300, 1e300).AsAny(), rapid.SampledFrom(odd).AsAny(),
	)
	names := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"name", "offerId", "publicKey", "tags", "sizeGb"}))
	inner := rapid.OneOf(leaf, rapid.SliceOfN(leaf, 0, 4).AsAny(), rapid.MapOfN(names, leaf, 0, 4).AsAny())
	return rapid.OneOf(inner, rapid.SliceOfN(inner, 0, 4).AsAny(), rapid.MapOfN(names, inner, 0, 6).AsAny())
}

func (f *fuzzer) mutateQuery(r *request) {
	var mine []parameter
	for _, p := range r.op.Parameters {
		if p.In == "query" {
			mine = append(mine, p)
		}
	}
	without := func(name string) {
		r.query = slices.DeleteFunc(r.query, func(q string) bool { return strings.HasPrefix(q, name+"=") })
	}
	n := f.IntN(6)
	if len(mine) == 0 {
		n = f.IntN(3)
	}
	switch n {
	case 0:
		name := pick(f.dice, []string{"x", "Page", "limit[]", "page ", "q", "constructor", "%00", "%ff", "", "\u00a0"})
		r.query = append(r.query, url.QueryEscape(name)+"=1")
		r.spoil("it has the parameter %q", name)
	case 1:
		text := pick(f.dice, []string{"%zz=1", "%=1", "page=%", "page=1;limit=2", "%2", "a=%u0041"})
		r.query = append(r.query, text)
		r.spoil("its query has %s", text)
	case 2:
		r.query = append(r.query, "", "") // && is harmless
	case 3:
		p := pick(f.dice, mine)
		text := f.queryAgainst(p.Schema)
		without(p.Name)
		r.query = append(r.query, p.Name+"="+text)
		r.spoil("%s is %s", p.Name, text)
	case 4:
		p := pick(f.dice, mine)
		value := f.queryValid(r, p)
		without(p.Name)
		r.query = append(r.query, p.Name+"="+value, p.Name+"="+value)
		if p.Schema.kind() != "array" {
			r.spoil("%s is there twice", p.Name)
		}
	default:
		p := pick(f.dice, mine)
		without(p.Name)
		r.query = append(
			r.query,
			p.Name+"="+url.QueryEscape(draw(f.dice, rapid.OneOf(rapid.SampledFrom(odd), rapid.String()))),
		)
	}
}

// mutateHeaders changes the headers in one of sixteen ways.
func (f *fuzzer) mutateHeaders(r *request) {
	switch n := f.IntN(16); {
	case n <= 1:
		f.mutateContentHeaders(r, n)
	case n <= 5:
		f.mutateCredentials(r, n)
	case n <= 7:
		f.mutateIdempotencyKey(r, n)
	case n == 12 || n == 13:
		f.mutateSession(r, n)
	default:
		f.mutateOtherHeaders(r, n)
	}
}

// authenticates reports whether the request's operation needs a key or a session.
func (r *request) authenticates() bool { return r.op.needs("bearer") || r.op.needs("sessionCookie") }

func (f *fuzzer) mutateContentHeaders(r *request, n int) {
	switch n {
	case 0:
		if len(r.body) > 0 {
			r.drop("Content-Type")
			r.set(
				"Content-Type",
				pick(
					f.dice,
					[]string{
						"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
						"application/json; charset=latin1", "application/xml", "*/*", ";", "application/json;;",
						"application/merge-patch+json",
					},
				),
			)
			r.spoil("its body is not said to be JSON")
			r.spoilt = true // rewriting it would do so
		}
	default:
		if len(r.body) > 0 {
			r.set("Content-Encoding", pick(f.dice, []string{"gzip", "br", "deflate", "x"}))
			r.spoil("its body is compressed")
			r.spoilt = true
		}
	}
}

func (f *fuzzer) mutateCredentials(r *request, n int) {
	switch n {
	case 2:
		if r.who.key != "" {
			r.drop("Authorization")
			r.set("Authorization", "Bearer "+r.who.key)
			r.set("Authorization", "Bearer "+r.who.key)
			if r.op.needs("bearer") {
				r.spoil("its key is there twice")
			}
		}
	case 3:
		r.drop("X-API-Key")
		r.drop("Authorization")
		r.set("Authorization", "Bearer "+f.callers[0].key)
		r.set("X-API-Key", f.callers[1].key)
		if r.op.needs("bearer") {
			r.spoil("it has two keys")
		}
	case 4:
		r.drop("X-API-Key")
		r.drop("Authorization")
		r.set(
			"Authorization",
			pick(
				f.dice,
				[]string{
					"Basic eDp5", "Bearer", "Bearer ", "Token " + f.callers[0].key, f.callers[0].key,
					"Bearer " + f.callers[0].key + " x", "Bearer pk_live_", "Bearer \xff",
					"Bearer " + strings.Repeat("a", 5000),
				},
			),
		)
		if r.op.needs("bearer") {
			r.spoil("its Authorization is none")
		}
	default:
		r.set("X-API-Key", "")
		if r.op.needs("bearer") {
			r.spoil("its X-API-Key is empty")
		}
	}
}

func (f *fuzzer) mutateIdempotencyKey(r *request, n int) {
	if !r.op.once() || !r.authenticates() {
		return
	}
	r.key = ""
	if n == 6 {
		r.drop("Idempotency-Key")
		bad := pick(f.dice, []string{"", strings.Repeat("k", 256), "a b", "é", "\xff", "a\tb"})
		r.set("Idempotency-Key", bad)
		r.spoil("its Idempotency-Key is %q", bad)
		return
	}
	r.set("Idempotency-Key", "once")
	r.set("Idempotency-Key", "once")
	r.spoil("its Idempotency-Key is there twice")
}

func (f *fuzzer) mutateSession(r *request, n int) {
	switch n {
	case 12:
		r.drop("Cookie")
		r.set(
			"Cookie",
			pick(
				f.dice,
				[]string{
					"billet_session=", "billet_session=x", "billet_session=\xff", `billet_session="`,
					"billet_session=" + strings.Repeat("a", 3000), ";;;=", "billet_session=a; billet_session=b",
				},
			),
		)
		if r.who.key == "" && r.authenticates() {
			r.spoil("its session is none")
		}
	default:
		r.set("Origin", "https://elsewhere.example")
		r.set("Sec-Fetch-Site", "cross-site")
		if r.who.cookie != "" && r.authenticates() && r.method != "GET" {
			r.spoil("it comes from another site")
		}
	}
}

func (f *fuzzer) mutateOtherHeaders(r *request, n int) {
	switch n {
	case 8:
		r.set("X-Request-Id", "req_of_a_client")
		r.set("X-Forwarded-Proto", "https")
		r.set("X-HTTP-Method-Override", "DELETE")
	case 9:
		r.drop("X-Forwarded-For")
		r.set(
			"X-Forwarded-For",
			pick(
				f.dice,
				[]string{
					"", ",", "unknown", "::1", "2001:db8::1", "1.2.3.4, 5.6.7.8",
					strings.Repeat("1.2.3.4, ", 500), "\xff", "256.1.1.1", "fe80::1%eth0", "203.0.113.9:80",
				},
			),
		)
	case 10:
		r.set("X-Long", strings.Repeat("z", 80_000))
		r.spoil("its headers are too large")
		r.status, r.unread = 413, true // also where it is over the limit: no path was read
	case 11:
		r.set("Accept", pick(f.dice, []string{"text/html", "*/*;q=0", "image/png", ""}))
		r.set("Accept-Encoding", "gzip, br, zstd")
		r.set("Range", "bytes=0-10")
		r.set("If-None-Match", "*")
	case 14:
		r.set("Expect", "100-continue")
	default:
		r.set("X-Noise", strings.Map(func(c rune) rune {
			if c < ' ' || c == 0x7f {
				return -1
			}
			return c
		}, draw(f.dice, rapid.String())))
	}
}

func (f *fuzzer) mutatePath(r *request) {
	segments := strings.Split(r.path, "/")
	at := -1
	for i, s := range strings.Split(r.op.Path, "/") {
		if strings.HasPrefix(s, "{") {
			at = i
		}
	}
	if at < 0 || f.in(3) {
		r.path = pick(f.dice, []string{
			r.path + "/", "/" + r.path, strings.Replace(
				r.path, "/v1/", "/v1/../v1/", 1,
			), strings.Replace(r.path, "/v1/", "//v1/", 1), r.path + "/..", r.path + "/.",
			r.path + "/" + "x", strings.Replace(
				r.path, "/v1/", "/%2e%2e/v1/", 1,
			), r.path + "%2f", r.path + "%00", r.path + ";x=1", "/API/v1/inventory", "/api", "/", "/.git/config",
			"/metrics", r.path + "/%ff",
			"/docs", "/docs/../openapi.json", "/api/v1/inventory/../../..", "/debug/pprof/",
		})
		r.bad, r.key, r.done = nil, "", true // it may be any operation now, or none
		return
	}
	x := pick(f.dice, []string{
		"..", ".", "%2e%2e", "%00", "%ff", "a%2Fb", "..%2f..%2fetc%2fpasswd", strings.Repeat("x", 5000),
		segments[at] + "%20", "%20" + segments[at], strings.ToUpper(segments[at]),
		segments[at] + "x", "dep_", "ssh_01JD", "1", "-1", "null", "%F0%9F%A4%96", "'%20OR%201=1--", "*", "{id}",
		"ssh_%01", "%25", "dep_01jd0000000000000000000000", "pricing", "%C4%B0",
	})
	segments[at] = x
	r.path = strings.Join(segments, "/")
	if x != "pricing" {
		r.spoil("its path names %q", x)
	}
}

// mutateForm changes the HTTP syntax.
func (f *fuzzer) mutateForm(r *request) {
	refused := func(text string) {
		r.raw, r.status, r.done = []byte(text), 400, true
		r.spoil("it is no request")
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\n", r.method, r.target())
	switch f.IntN(14) {
	case 0:
		r.method = pick(
			f.dice,
			[]string{
				"HEAD", "PUT", "OPTIONS", "TRACE", "BREW", "get", "PROPFIND", "POST", "DELETE", "PATCH", "GET",
				strings.Repeat("A", 200),
			},
		)
		if r.method != r.op.Method { // the error may not apply to that method
			r.bad, r.key, r.done = nil, "", true
		}
	case 1:
		if r.op.Method == "GET" {
			r.method = "HEAD"
		}
	case 2:
		r.version, r.chunked, r.done = "1.0", false, true
	case 3:
		r.path, r.done = "http://localhost"+r.path, true
	case 4:
		r.raw = nil
		r.chunked = r.body != nil
	case 5:
		refused(head + "X-Bad\r\n\r\n")
	case 6:
		refused(head + "Host: again\r\n\r\n")
	case 7:
		refused(head + "Transfer-Encoding: gzip\r\n\r\n")
	case 8:
		refused(head + "Content-Length: -1\r\n\r\n")
	case 9:
		refused(head + "Expect: x\r\n\r\n")
	case 10:
		refused(strings.Replace(head, "HTTP/1.1", "HTTP/9.9", 1) + "\r\n")
	case 11:
		refused(string(draw(f.dice, rapid.SliceOfN(rapid.Byte(), 1, 100))) + "\x01\r\n\r\n")
	case 12:
		refused(strings.Replace(head, " HTTP/1.1", " x HTTP/1.1", 1) + "\r\n")
	default:
		r.method, r.path, r.query = "OPTIONS", "*", nil
		r.bad, r.key, r.done = nil, "", true
	}
}
