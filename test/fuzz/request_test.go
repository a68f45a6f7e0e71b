package fuzz_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// request is one request before it is encoded.
type request struct {
	op      *operation // the intended operation
	who     *caller
	offer   map[string]any // source of the values
	method  string
	path    string // encoded
	query   []string
	headers [][2]string
	body    []byte // nil for none
	chunked bool
	version string
	raw     []byte // replaces everything else if it is no valid request
	unread  bool   // net/http refuses it before its path is known
	done    bool   // no further mutations
	spoilt  bool   // no further mutations of its body

	key string // a valid Idempotency-Key
	// bad is the reason why the request must not succeed, "" if it may.
	bad []string
	// status is the required one, unless a rate limit or authentication refuses the request first;
	// 0 if it is open.
	status int
}

// spoil records that the request must not succeed.
func (r *request) spoil(why string, args ...any) { r.bad = append(r.bad, fmt.Sprintf(why, args...)) }

func (r *request) set(name, value string) { r.headers = append(r.headers, [2]string{name, value}) }

func (r *request) drop(name string) {
	kept := r.headers[:0]
	for _, h := range r.headers {
		if !strings.EqualFold(h[0], name) {
			kept = append(kept, h)
		}
	}
	r.headers = kept
}

func (r *request) has(name string) bool {
	return slices.ContainsFunc(r.headers, func(h [2]string) bool { return strings.EqualFold(h[0], name) })
}

func (r *request) target() string {
	if len(r.query) == 0 {
		return r.path
	}
	return r.path + "?" + strings.Join(r.query, "&")
}

// bytes returns the request as it is sent.
func (r *request) bytes() []byte {
	if r.raw != nil {
		return r.raw
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/%s\r\n", r.method, r.target(), r.version)
	for _, h := range r.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	switch {
	case r.chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for part := r.body; len(part) > 0; {
			n := min(len(part), 1000)
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, part[:n])
			part = part[n:]
		}
		b.WriteString("0\r\n\r\n")
	case r.body != nil:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.body), r.body)
	default:
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// command returns the request as a shell command: with curl if possible, otherwise byte by byte.
func (r *request) command(base string) string {
	plain := func(b []byte) bool { return !bytes.ContainsFunc(b, func(c rune) bool { return c < ' ' || c > 0x7e }) }
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	whole := r.bytes()
	if r.raw != nil || len(whole) > 20_000 || r.version != "1.1" || !plain([]byte(r.method+r.target())) {
		text := strconv.QuoteToASCII(string(whole[:min(len(whole), 1000)]))
		return fmt.Sprintf("%d bytes to %s, from their beginning on: %s", len(whole), base, text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "curl -isS --path-as-is -X %s", quote(r.method))
	for _, h := range r.headers {
		fmt.Fprintf(&b, " -H %s", quote(h[0]+": "+h[1]))
	}
	if r.chunked {
		b.WriteString(" -H 'Transfer-Encoding: chunked'")
	}
	switch {
	case r.body != nil && plain(r.body):
		fmt.Fprintf(&b, " --data-binary %s", quote(string(r.body)))
	case r.body != nil:
		return fmt.Sprintf(
			"printf %s | %s --data-binary @- %s", quote(octal(r.body)), b.String(), quote(base+r.target()),
		)
	}
	return b.String() + " " + quote(base+r.target())
}

// octal encodes bytes for printf.
func octal(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		if c < ' ' || c > '~' || c == '%' || c == '\\' {
			fmt.Fprintf(&out, `\%03o`, c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// make creates the next request.
func (f *fuzzer) make() *request {
	r := &request{op: f.choose(), version: "1.1"}
	r.method = r.op.Method
	r.who = f.asks(r.op)
	r.set("Host", "localhost")
	r.set("X-Forwarded-For", f.address())
	f.identify(r)
	if r.op.ID == "listEvents" { // the list: a stream has no end to check
		r.set("Accept", "application/json")
	}
	f.fillPath(r)
	f.fillQuery(r)
	var body any
	if s := f.doc.body(r.op); s != nil && (r.op.Body.Required || !f.in(3)) {
		if body = f.valid(r, s, ""); r.op.ID == "createMachine" && !f.in(4) {
			body = f.machine()
		}
		if x := f.foreign(r.who, body); x != "" && !forOperators(r.op) {
			r.spoil("its body names %s of another account", x)
		}
	}
	f.write(r, body)
	if r.op.once() && f.in(3) {
		r.key = "k-" + strconv.FormatUint(f.Uint64(), 36)
		r.set("Idempotency-Key", r.key)
	}
	if f.in(2) {
		for range pick(f.dice, []int{1, 1, 1, 2, 3}) {
			f.mutate(r, body)
		}
	}
	f.patience(r)
	return r
}

// choose prefers operations that create something for others.
func (f *fuzzer) choose() *operation {
	for {
		o := pick(f.dice, f.doc.operations)
		if f.in(2) && !strings.HasPrefix(o.Path, "/api/v1/inventory/") {
			continue
		}
		if f.in(4) {
			want := pick(
				f.dice,
				[]string{"createDeployment", "createDeployment", "createVolume", "createSshKey", "attachVolume"},
			)
			for _, x := range f.doc.operations {
				if x.ID == want {
					o = x
				}
			}
		}
		// An ended session makes the rest uninteresting. Signing in is slow by design, and
		// advancing the clock by nature.
		if (o.ID == "signOut" || o.ID == "signIn" || o.ID == "advanceSimulator") && !f.in(8) {
			continue
		}
		return o
	}
}

// asks chooses the caller of the request.
func (f *fuzzer) asks(o *operation) *caller {
	anonymous := &caller{name: "anonymous", useless: true}
	switch {
	case forOperators(o):
		switch f.IntN(12) {
		case 0:
			return pick(f.dice, append(f.callers[:3:3], anonymous))
		case 1:
			return f.user
		}
		return f.chief
	case o.needs("bearer"):
		switch f.IntN(20) {
		case 0:
			return anonymous
		case 1, 2, 3:
			return pick(f.dice, f.callers[1:])
		case 4, 5:
			return f.callers[1]
		case 6:
			return f.user
		}
		return f.callers[0]
	case o.needs("sessionCookie"):
		if f.in(12) {
			return pick(f.dice, append(f.callers[:3:3], anonymous))
		}
		return f.user
	}
	if f.in(2) {
		return pick(f.dice, f.callers)
	}
	return anonymous
}

// identify adds the caller's credentials.
func (f *fuzzer) identify(r *request) {
	who := r.who
	switch {
	case who.cookie != "":
		r.set("Cookie", who.cookie)
	case who.key == "":
	case f.in(4):
		r.set("X-API-Key", who.key)
	case f.in(8):
		r.set("authorization", "bearer  "+who.key)
	case f.in(12):
		r.set("Authorization", "Bearer "+who.key)
		r.set("x-api-key", who.key)
	default:
		r.set("Authorization", "Bearer "+who.key)
	}
	if forOperators(r.op) && who != f.chief && who != f.user {
		r.spoil("%s is no operator", who.name)
	}
	if r.op.needs("bearer") && who.useless {
		r.spoil("%s may do nothing", who.name)
	}
	if r.op.needs("sessionCookie") && !r.op.needs("bearer") && who.cookie == "" {
		r.spoil("%s is not signed in", who.name)
	}
}

// kindAt are the kinds of ids in paths, by the segment before them.
var kindAt = map[string]string{
	"offers":      "off",
	"deployments": "dep",
	"ssh-keys":    "ssh",
	"machines":    "mac", "promo-codes": "prm", "top-ups": "top", "adjustments": "adj", "service-credits": "svc",
	"announcements": "ann", "price-rules": "prl", "payment-methods": "pmt",
	"volumes":     "vol",
	"webhooks":    "whk",
	"budgets":     "bud",
	"invoices":    "ivc",
	"deliveries":  "whd",
	"api-keys":    "key",
	"sessions":    "ses",
	"invitations": "inv",
	"passkeys":    "psk",
	"members":     "usr",
	"accounts":    "acc",
	"issues":      "iss",
	"quotes":      "quo",
}

func (f *fuzzer) fillPath(r *request) {
	segments := strings.Split(r.op.Path, "/")
	for i, s := range segments {
		if !strings.HasPrefix(s, "{") {
			continue
		}
		kind := kindAt[segments[i-1]]
		x := ""
		if kind == "off" {
			x = fmt.Sprint(pick(f.dice, f.offers)["id"])
		} else if x = f.known(r, kind); !forOperators(r.op) && f.foreign(r.who, x) != "" {
			r.spoil("its path names %s of another account", x)
		}
		if x == "" {
			x = kind + "_01jd0000000000000000000000"
			r.spoil("there is no %s", x)
		}
		segments[i] = x
	}
	r.path = strings.Join(segments, "/")
}

func (f *fuzzer) fillQuery(r *request) {
	often := pick(f.dice, []int{2, 4, 20})
	for _, p := range r.op.Parameters {
		if p.In == "query" && f.in(often) {
			r.query = append(r.query, p.Name+"="+f.queryValid(r, p))
		}
	}
}

// write encodes the body.
func (f *fuzzer) write(r *request, body any) {
	if body == nil {
		return
	}
	text, err := json.Marshal(body)
	if err != nil {
		f.t.Fatalf("%v in %#v", err, body)
	}
	r.body = text
	r.chunked = f.in(10)
	r.drop("Content-Type")
	if !f.in(15) {
		r.set(
			"Content-Type",
			pick(
				f.dice,
				[]string{
					"application/json", "application/json", "application/json; charset=utf-8",
					"Application/JSON;charset=UTF-8",
				},
			),
		)
	}
}

// patience keeps long polls short: they are tested elsewhere.
func (f *fuzzer) patience(r *request) {
	waits := false
	kept := r.query[:0]
	for _, q := range r.query {
		name, _, _ := strings.Cut(q, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if name == "timeoutSeconds" && len(r.bad) == 0 {
			continue
		}
		waits = waits || name == "waitFor"
		kept = append(kept, q)
	}
	r.query = kept
	if waits && len(r.bad) == 0 {
		if f.in(10) {
			r.query = append(r.query, "timeoutSeconds=1")
		} else {
			r.query = append(r.query, "timeoutSeconds=0")
			r.spoil("it waits for 0 seconds")
		}
	}
}
