package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/focus"
)

// A key is found where it was sent in one way, and nothing is a key that was not sent.
func FuzzCredential(f *testing.F) {
	f.Add("Bearer pk_live_x", "", uint8(1))
	f.Add("bearer  pk_live_x ", "pk_live_x", uint8(3))
	f.Add("Basic eDp5", "pk_live_x", uint8(3))
	f.Add("Bearer", "", uint8(2))
	f.Add("Bearer a b", "a", uint8(7))
	f.Add("", " ", uint8(6))
	f.Fuzz(func(t *testing.T, bearer, plain string, sent uint8) {
		r := &http.Request{Header: http.Header{}}
		for bit, header := range []struct{ name, value string }{{"Authorization", bearer}, {"X-Api-Key", plain},
			{"Authorization", bearer}, {"X-Api-Key", plain}} {
			if sent&(1<<bit) != 0 {
				r.Header[header.name] = append(r.Header[header.name], header.value)
			}
		}
		secret, err := credential(r)
		bearers, plains := len(r.Header["Authorization"]), len(r.Header["X-Api-Key"])
		scheme, token, _ := strings.Cut(bearer, " ")
		token = strings.TrimSpace(token)
		good := bearers < 2 && plains < 2 && (bearers == 0 || strings.EqualFold(scheme, "bearer") && token != "") &&
			(plains == 0 || plain != "") &&
			(bearers == 0 || plains == 0 || token == plain)
		switch {
		case good != (err == nil):
			t.Errorf("%q: %q, %v", r.Header, secret, err)
		case err != nil:
			if code := apierr.CodeOf(err); secret != "" ||
				code != apierr.InvalidAPIKey && code != apierr.InvalidRequest {
				t.Errorf("%q: %q, %v", r.Header, secret, err)
			}
		case secret == "" != (bearers+plains == 0), bearers == 1 && secret != token, plains == 1 && secret != plain:
			t.Errorf("%q: %q", r.Header, secret)
		}
	})
}

// A spreadsheet that opens the statement runs nothing, and the text can be had back.
func FuzzHarmless(f *testing.F) {
	for _, s := range []string{"", "paid in", "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "\n=1", " =1",
		"＝1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := focus.Harmless(s)
		if got != "" && strings.ContainsRune("=+-@\t\r\n", rune(got[0])) || got != s && got != "'"+s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// No body, however mangled, is answered with a fault of ours.
func FuzzCreateSSHKey(f *testing.F) {
	for _, s := range []string{`{"name":"a","publicKey":"b"}`, `{"name":{},"publicKey":[]}`, `{`, "\x00",
		`{"name":"\ud800"}`} {
		f.Add(s)
	}
	one := newWorld(f)
	one.configure(func(c *Config) { c.Limiter = allowAll{} })
	f.Fuzz(func(t *testing.T, body string) {
		w := *one
		w.t = t
		if r := w.do(w.ada, "POST", Base+"/ssh-keys", body); r.status != http.StatusBadRequest &&
			r.status != http.StatusCreated &&
			r.status != http.StatusConflict {
			t.Errorf("%q: %d %s", body, r.status, r.body)
		}
	})
}

// Whatever comes over a connection is answered with envelopes or not at all, and what is answered
// is HTTP.
func FuzzConnection(f *testing.F) {
	one := newWorld(f)
	one.configure(func(c *Config) { c.Limiter = allowAll{} })
	good := one.get(Base + "/providers")
	for _, s := range []string{
		"", "x", "\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", good, good + good,
		good + "x\r\n\r\n" + good, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
		"POST /api/v1/inventory/ssh-keys HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " +
			"chunked\r\n\r\nz\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", "CONNECT a:1 " +
			"HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nExpect: " +
			"100-continue\r\nContent-Length: 2\r\n\r\n{}", "GET http://b/ HTTP/1.1\r\nHost: a\r\nUpgrade: " +
			"h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	address := one.guardedServer()
	f.Fuzz(func(t *testing.T, said []byte) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Skip(err)
		}
		defer func() { _ = c.Close() }()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = c.Write(said)
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		heard, err := io.ReadAll(c)
		if err != nil && len(heard) == 0 {
			return // it gave up before we had said everything
		}
		for rest := heard; len(rest) > 0; {
			head, body, is := bytes.Cut(rest, []byte("\r\n\r\n"))
			text := string(head)
			if text == "HTTP/1.1 100 Continue" {
				rest = body
				continue
			}
			length := -1
			for line := range strings.SplitSeq(text, "\r\n") {
				if n, has := strings.CutPrefix(line, "Content-Length: "); has {
					length, _ = strconv.Atoi(n)
				}
			}
			if !is || !strings.HasPrefix(text, "HTTP/1.") || !strings.Contains(text, "\r\nX-Request-Id: req_") ||
				!strings.Contains(text, "\r\nX-RateLimit-Reset: ") ||
				length < 0 {
				t.Fatalf("%q is answered %q", said, heard)
			}
			if !bytes.HasPrefix(body, []byte(`{"success":`)) { // the answer to a HEAD, a page, or the document
				if !strings.Contains(text, "Content-Type: application/json") || bytes.HasPrefix(body, []byte("{")) {
					return
				}
				rest = body
				continue
			}
			if length > len(body) || !json.Valid(body[:length]) {
				t.Fatalf("%q is answered %q", said, heard)
			}
			rest = body[length:]
		}
	})
}
