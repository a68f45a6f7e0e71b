package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/rest"
)

// guardedServer serves the world as the real server does, and returns its address.
func (w *world) guardedServer() string {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	h := &http.Server{Handler: w.s.Router, ReadHeaderTimeout: time.Minute, DisableGeneralOptionsHandler: true}
	l = rest.Guard(h, l)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Serve(l)
	}()
	w.t.Cleanup(func() {
		_ = h.Close()
		<-done
	})
	return l.Addr().String()
}

// raw is a connection on which anything can be said.
type raw struct {
	*world
	c net.Conn
	r *bufio.Reader
}

func (w *world) dial(address string) raw {
	w.t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	return raw{w, c, bufio.NewReader(c)}
}

func (r raw) say(text string) raw {
	r.t.Helper()
	if _, err := io.WriteString(r.c, text); err != nil {
		r.t.Fatal(err)
	}
	return r
}

// hear reads the next answer and checks what holds for every answer. The path is that of the
// request, where it has one.
func (r raw) hear(path string) reply {
	r.t.Helper()
	req, err := http.NewRequest("GET", "http://localhost"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.ReadResponse(r.r, req)
	if err != nil {
		r.t.Fatalf("no answer: %v", err)
	}
	if resp.Close != (resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusRequestEntityTooLarge ||
		resp.StatusCode == http.StatusTooManyRequests) {
		r.t.Errorf("status %d, and it is said that the connection ends: %t", resp.StatusCode, resp.Close)
	}
	return r.examine(req, resp)
}

// ended checks that the connection was ended in order: after the answer comes nothing, and no
// reset.
func (r raw) ended() {
	r.t.Helper()
	if rest, err := io.ReadAll(r.r); err != nil || len(rest) > 0 {
		r.t.Errorf("after the answer: %q, %v", rest, err)
	}
}

// get is a good request.
func (w *world) get(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + w.ada.secret + "\r\n\r\n"
}

func TestWhatCannotBeReadIsAnsweredAsEverythingElse(t *testing.T) {
	w := newWorld(t)
	address := w.guardedServer()
	head := "GET " + Base + "/offers HTTP/1.1\r\nHost: localhost\r\n"
	for name, c := range map[string]struct {
		text   string
		status int
		code   apierr.Code
		field  string
	}{
		"no request at all": {"hello\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"TLS": {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400,
			apierr.InvalidRequest, "request"},
		"a space in the target":      {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"a bad escape":               {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"a method with a bracket":    {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"no version":                 {"GET /\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"a header without a colon":   {head + "nothing\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"a folded first header":      {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"a space in a header's name": {head + "X Y: z\r\n\r\n", 400, apierr.InvalidRequest, "header"},
		"NUL in a header":            {head + "X-Y: \x00\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"a bell in a header":         {head + "X-Y: \x07\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"no Host":                    {"GET / HTTP/1.1\r\n\r\n", 400, apierr.InvalidRequest, "header.Host"},
		"two Hosts":                  {head + "Host: b\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"a bad Host": {"GET / HTTP/1.1\r\nHost: a/b " +
			"c\r\n\r\n", 400, apierr.InvalidRequest, "header.Host"},
		"a length that is none": {head + "Content-Length: ten\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"two lengths": {head + "Content-Length: 1\r\nContent-Length: " +
			"2\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"an unknown transfer coding": {head + "Transfer-Encoding: gzip, " +
			"chunked\r\n\r\n", 400, apierr.InvalidRequest, "header.Transfer-Encoding"},
		"an unknown expectation": {head + "Expect: miracles\r\n\r\n", 400, apierr.InvalidRequest,
			"header.Expect"},
		"HTTP/3.0 in plain text": {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400, apierr.InvalidRequest, "request"},
		"many headers": {head + strings.Repeat("X-Y: "+strings.Repeat("z", 1000)+"\r\n", 100) + "\r\n",
			413, apierr.RequestTooLarge, ""},
		"one header that never ends": {head + "X-Y: " + strings.Repeat("z", 900_000), 413, apierr.RequestTooLarge,
			""},
		"a target that never ends": {"GET /" + strings.Repeat("z", 900_000), 413, apierr.RequestTooLarge, ""},
		"much after what is malformed": {"hello\r\n\r\n" + strings.Repeat("z", 500_000), 400, apierr.InvalidRequest,
			"request"},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			w.passMinute()
			r := w.dial(address).say(c.text)
			got := r.hear("/")
			if got.status != c.status || got.code != string(c.code) ||
				got.header.Get("Content-Type") != "application/json" ||
				got.header.Get("Date") == "" {
				t.Errorf("%d %v: %s", got.status, got.header, got.body)
			}
			if c.field != "" {
				same(t, "fields", got.fields(), []string{c.field})
			}
			r.ended()
		})
	}
}

// What stands before it on the connection is answered as ever; what stands behind it is never read.
func TestABadRequestInAPipelineSpoilsNoOther(t *testing.T) {
	w := newWorld(t)
	address := w.guardedServer()
	good := w.get(Base + "/offers")
	want := w.want(200, w.ada, "GET", Base+"/offers", nil)
	for _, n := range []int{0, 1, 5} {
		r := w.dial(address).say(strings.Repeat(good, n) + "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + good)
		for range n {
			if got := r.hear(Base + "/offers"); got.status != 200 || string(got.body) != string(want.body) {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		if got := r.hear("/"); got.status != 400 {
			t.Errorf("%d %s", got.status, got.body)
		}
		r.ended()
	}
	// The same with pauses, so that the connection rests in between.
	r := w.dial(address)
	for range 3 {
		if got := r.say(good).hear(Base + "/offers"); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if got := r.say("nonsense\r\n\r\n").hear("/"); got.status != 400 {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.ended()
}

// An answer of ours is never taken for one of net/http's, not even if it is the same, byte for byte
// and write for write.
func TestAnAnswerThatLooksLikeARefusalIsLeftAlone(t *testing.T) {
	const canned = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: " +
		"close\r\n\r\n400 Bad Request"
	w := injected(t, func(_ context.Context, w http.ResponseWriter, _ *rest.Call) (rest.Answer, error) {
		w.Header().Set("Content-Length", fmt.Sprint(3*len(canned)))
		for range 3 { // each is a write of its own to the connection, as net/http's refusals are
			if err := http.NewResponseController(w).Flush(); err != nil {
				return rest.Answer{}, err
			}
			if _, err := io.WriteString(w, canned); err != nil {
				return rest.Answer{}, err
			}
		}
		return rest.Answer{}, http.NewResponseController(w).Flush()
	})
	r := w.dial(w.guardedServer())
	for range 3 {
		got := r.say(w.get(Base + "/injected")).hear(Base + "/injected")
		if got.status != 200 || string(got.body) != strings.Repeat(canned, 3) {
			t.Fatalf("%d %q", got.status, got.body)
		}
	}
	if got := r.say(canned).hear("/"); got.status != 400 || got.code != string(apierr.InvalidRequest) {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.ended()
}

// A connection that a handler takes over is the handler's.
func TestAHijackedConnectionIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	rest.Upgrade(
		w.s.Router,
		rest.Operation{
			Method: "GET",
			Path:   Base + "/taken",
			ID:     "taken",
			Tag:    tagService,
			Scope:  string(account.ReadOffers),
		},
		func(_ context.Context, w http.ResponseWriter, _ *rest.Call, _ *rest.NoInput,
			_ []apierr.FieldError) (rest.Answer, error) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return rest.Answer{}, err
			}
			if _, err = io.WriteString(c, "not HTTP at all"); err != nil {
				return rest.Answer{}, err
			}
			_ = c.Close()
			panic(http.ErrAbortHandler) // ends the call without an answer
		},
	)
	r := w.dial(w.guardedServer()).say(w.get(Base + "/taken"))
	if got, err := io.ReadAll(r.r); err != nil || string(got) != "not HTTP at all" {
		t.Errorf("%q, %v", got, err)
	}
}

// Nonsense is limited as every request without a caller is, and shows in log and metrics.
func TestNonsenseIsLimitedAndLogged(t *testing.T) {
	w := newWorld(t)
	address := w.guardedServer()
	for n := range rest.AddressLimit + 1 {
		got := w.dial(address).say("nonsense\r\n\r\n").hear("/")
		if want := map[bool]int{true: 400, false: 429}[n < rest.AddressLimit]; got.status != want {
			t.Fatalf("request %d: %d %s", n, got.status, got.body)
		}
	}
	if log := w.log.String(); strings.Count(log, `"code":"INVALID_REQUEST"`) != rest.AddressLimit ||
		!strings.Contains(log, `"from":"127.0.0.1"`) {
		t.Errorf("the log: %.400s", log)
	}
}

// BenchmarkConnection is a small call over a real connection, as it is and guarded.
func BenchmarkConnection(b *testing.B) {
	for _, guarded := range []bool{false, true} {
		b.Run(fmt.Sprintf("guarded=%t", guarded), func(b *testing.B) {
			w := newWorld(b)
			w.configure(func(c *Config) { c.Limiter = allowAll{} })
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			h := &http.Server{Handler: w.s}
			if guarded {
				l = rest.Guard(h, l)
			}
			go func() { _ = h.Serve(l) }()
			defer func() { _ = h.Close() }()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			request, r := []byte(w.get(Base+"/providers")), bufio.NewReader(c)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil || resp.StatusCode != 200 {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
