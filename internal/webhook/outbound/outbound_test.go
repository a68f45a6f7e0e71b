package outbound_test

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/webhook/outbound"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// counting is a server that counts who gets through to it.
func counting(t *testing.T, n *atomic.Int64) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { n.Add(1) }))
	t.Cleanup(s.Close)
	return s
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	var got atomic.Int64
	s := counting(t, &got)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	strict := outbound.New(outbound.Config{AllowHTTP: true, Resolver: resolver(t, func(name string) []netip.Addr {
		switch name {
		case "loopback.test.":
			return addrs("127.0.0.1")
		case "mapped.test.":
			return addrs("::ffff:127.0.0.1")
		case "two.test.":
			return addrs("10.255.255.1", "127.0.0.1", "::1")
		case "metadata.test.":
			return addrs("169.254.169.254")
		}
		return nil
	})})
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
		"[64:ff9b::7f00:1]", "0.0.0.0", "[::]", "10.0.0.1", "169.254.169.254", "192.168.0.1", "100.64.0.1",
		"localhost", "loopback.test", "mapped.test", "two.test", "metadata.test", "2130706433", "0x7f000001", "127.1",
		"0177.0.0.1"} {
		r := strict.Post(t.Context(), "http://"+host+":"+port, nil, []byte("{}"))
		if r.Status != 0 || r.Problem == "" {
			t.Errorf("%s: %+v", host, r)
		}
		if strings.ContainsAny(r.Problem, "0123456789") {
			t.Errorf("%s: the problem tells an address: %s", host, r.Problem)
		}
	}
	unknown := strict.Post(t.Context(), "http://unknown.test:"+port, nil, nil)
	for _, host := range []string{"loopback.test", "two.test", "mapped.test"} {
		if r := strict.Post(t.Context(), "http://"+host+":"+port, nil, nil); !strings.Contains(r.Problem, "public") ||
			r != unknown {
			t.Errorf("%s: %+v, and a name that there is not: %+v", host, r, unknown)
		}
	}
	if n := got.Load(); n != 0 {
		t.Fatalf("%d requests got through", n)
	}
}

// A name that is public when it is first resolved and private when it is used is checked by the
// address of the connection.
func TestDNSRebindingIsRefused(t *testing.T) {
	var got, asked atomic.Int64
	s := counting(t, &got)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c := outbound.New(outbound.Config{AllowHTTP: true, Timeout: time.Minute,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}, Resolver: resolver(t, func(string) []netip.Addr {
			if asked.Add(1) <= 2 { // A and AAAA of the first resolution
				return addrs("127.0.0.9") // allowed, without a listener
			}
			return addrs("127.0.0.1")
		})})
	for range 3 {
		if r := c.Post(t.Context(), "http://rebinds.test:"+port, nil, nil); r.Status != 0 {
			t.Errorf("%+v", r)
		}
	}
	if got.Load() != 0 || asked.Load() < 3 {
		t.Errorf("%d requests got through, %d questions", got.Load(), asked.Load())
	}
}

func TestAllowedNetworksAreReached(t *testing.T) {
	var got atomic.Int64
	s := counting(t, &got)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c := outbound.New(outbound.Config{AllowHTTP: true, Allow: loopback,
		Resolver: resolver(t, func(string) []netip.Addr { return addrs("127.0.0.1") })})
	for _, host := range []string{"127.0.0.1", "[::ffff:127.0.0.1]", "a.test"} {
		if r := c.Post(t.Context(), "http://"+host+":"+port, nil, nil); r.Status != 200 || r.Problem != "" {
			t.Errorf("%s: %+v", host, r)
		}
	}
}

func TestRedirectsAndProxiesAreIgnored(t *testing.T) {
	var elsewhere atomic.Int64
	other := counting(t, &elsewhere)
	t.Setenv("HTTP_PROXY", other.URL)
	t.Setenv("http_proxy", other.URL)
	t.Setenv("NO_PROXY", "")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Webhook-Id") != "evt_1" ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(s.Close)
	c := outbound.New(outbound.Config{AllowHTTP: true, Allow: loopback,
		Resolver: resolver(t, func(string) []netip.Addr { return addrs("127.0.0.1") })})
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	if r := c.Post(t.Context(), "http://a.test:"+port, map[string]string{"webhook-id": "evt_1"},
		[]byte("{}")); r.Status != 307 {
		t.Errorf("%+v", r)
	}
	if elsewhere.Load() != 0 {
		t.Error("it went elsewhere")
	}
}

func TestInvalidCertificateIsRefused(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	if r := outbound.New(outbound.Config{Allow: loopback, Roots: pool}).Post(t.Context(), s.URL, nil,
		nil); r.Status != 200 {
		t.Errorf("%+v", r)
	}
	if r := outbound.New(outbound.Config{Allow: loopback}).Post(t.Context(), s.URL, nil,
		nil); !strings.Contains(r.Problem, "certificate") {
		t.Errorf("%+v", r)
	}
	if r := outbound.New(outbound.Config{Allow: loopback}).Post(t.Context(),
		strings.Replace(s.URL, "https", "http", 1), nil, nil); r.Status != 0 {
		t.Errorf("%+v", r)
	}
}

func TestSlowReceiversTimeOut(t *testing.T) {
	end := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/hangs", func(http.ResponseWriter, *http.Request) { <-end })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for { // until the client leaves
			if _, err := io.WriteString(w, strings.Repeat("é\x00\x1b[31m\n", 1000)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/drips", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "drop")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/headers", func(w http.ResponseWriter,
		_ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", 1<<20))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(end) })
	within := func(limit time.Duration) *outbound.Client {
		return outbound.New(outbound.Config{AllowHTTP: true, Allow: loopback, Timeout: limit})
	}
	if r := within(300*time.Millisecond).Post(t.Context(), s.URL+"/hangs", nil, nil); r.Status != 0 ||
		!strings.Contains(r.Problem, "longer than 300ms") {
		t.Errorf("a receiver without an answer: got %+v, want the time limit", r)
	}
	c := within(time.Minute)
	r := c.Post(t.Context(), s.URL+"/endless", nil, nil)
	if r.Status != 200 || len([]rune(r.Body)) != outbound.MaxResponse || strings.ContainsAny(r.Body, "\x00\x1b\n") ||
		!strings.HasPrefix(r.Body, "é[31m é") {
		t.Errorf("%+v", r)
	}
	var drips outbound.Response
	// On a busy machine, not even the status arrives within a short limit.
	for limit := 100 * time.Millisecond; drips.Status == 0 && limit < time.Minute; limit *= 2 {
		drips = within(limit).Post(t.Context(), s.URL+"/drips", nil, nil)
	}
	if drips.Status != 200 || drips.Body != "drop" {
		t.Errorf("an answer that does not end: got %+v, want 200 and its begin", drips)
	}
	if r := c.Post(t.Context(), s.URL+"/headers", nil, nil); r.Status != 0 {
		t.Errorf("%+v", r)
	}
	// The system assigns port 1 to no socket.
	if r := c.Post(t.Context(), "http://127.0.0.1:1", nil, nil); !strings.Contains(r.Problem, "refused") {
		t.Errorf("%+v", r)
	}
}

func TestCheck(t *testing.T) {
	strict, open := outbound.New(outbound.Config{}), outbound.New(outbound.Config{AllowHTTP: true, Allow: loopback})
	for _, good := range []string{"https://example.com", "https://example.com:8443/a?b=c",
		"https://[2606:4700::1111]/", "https://1.1.1.1", "HTTPS://example.com"} {
		if wrong := strict.Check(good); wrong != "" {
			t.Errorf("%s: %s", good, wrong)
		}
	}
	for _, bad := range []string{"", "x", "http://example.com", "ftp://example.com", "https://", "https:///a",
		"https://u:p@example.com", "https://u@example.com", "https://example.com#x", "https://example.com#",
		"https://example.com:0",
		"https://example.com:70000", "https://127.0.0.1", "https://[::1]", "https://10.0.0.1:443",
		"https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]", "https://exa mple.com",
		"https://example.com/\n",
		"https://exämple.com", "https:example.com", "//example.com",
		"https://example.com/" + strings.Repeat("a", outbound.MaxURL)} {
		if strict.Check(bad) == "" {
			t.Errorf("%q is good", bad)
		}
	}
	if wrong := open.Check("http://127.0.0.1:1/x"); wrong != "" {
		t.Error(wrong)
	}
	if strict.Post(t.Context(), "http://example.invalid", nil, nil).Problem != "The URL must begin with https://." {
		t.Error("http:// is used although it is not allowed")
	}
}

func addrs(texts ...string) (out []netip.Addr) {
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

// resolver asks a name server of the test's, on a loopback address, which answers as it is told.
func resolver(t *testing.T, answer func(name string) []netip.Addr) *net.Resolver {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := l.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply, err := replyTo(buffer[:n], answer); err == nil {
				_, _ = l.WriteTo(reply, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", l.LocalAddr().String())
	}}
}

// replyTo is the answer to one question (RFC 1035), for A and AAAA.
func replyTo(q []byte, answer func(string) []netip.Addr) ([]byte, error) {
	if len(q) < 12 {
		return nil, io.ErrUnexpectedEOF
	}
	name, at := "", 12
	for q[at] != 0 {
		n := int(q[at])
		name += string(q[at+1:at+1+n]) + "."
		at += n + 1
	}
	kind := binary.BigEndian.Uint16(q[at+1:])
	end := at + 5
	var records []byte
	count, answers := uint16(0), answer(name)
	for _, a := range answers {
		raw := a.AsSlice()
		if (len(raw) == 4) != (kind == 1) || (kind != 1 && kind != 28) {
			continue
		}
		records = append(records, 0xc0, 12)
		records = binary.BigEndian.AppendUint16(records, kind)
		records = binary.BigEndian.AppendUint16(records, 1)
		records = binary.BigEndian.AppendUint32(records, 0)
		records = binary.BigEndian.AppendUint16(records, uint16(len(raw)))
		records = append(records, raw...)
		count++
	}
	out := append([]byte{}, q[:2]...)
	flags := uint16(0x8180)
	if answers == nil {
		flags |= 3 // there is no such name
	}
	out = binary.BigEndian.AppendUint16(out, flags)
	out = binary.BigEndian.AppendUint16(out, 1)
	out = binary.BigEndian.AppendUint16(out, count)
	out = append(out, 0, 0, 0, 0)
	out = append(out, q[12:end]...)
	return append(out, records...), nil
}

func TestRetryAfterAcceptsSecondsAndDates(t *testing.T) {
	now := time.Now()
	date := func(d time.Duration) string { return now.Add(d).UTC().Format(http.TimeFormat) }
	for _, k := range []struct {
		status           int
		header, answered string
		want             time.Duration
	}{
		{429, "3600", "", time.Hour}, {503, "7", "", 7 * time.Second}, {500, "3600", "", 0}, {200, "3600", "", 0},
		{429, "", "", 0},
		{429, "-5", "", 0}, {429, "soon", "", 0}, {429, "99999999999999", "", 0}, {429, "1.5", "", 0},
		{429, date(2 * time.Hour), date(0), 2 * time.Hour}, {503, date(-time.Hour), date(0), 0},
		{429, date(2 * time.Hour), date(time.Hour), time.Hour}, // its clock is ahead
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if k.header != "" {
				w.Header().Set("Retry-After", k.header)
			}
			if k.answered != "" {
				w.Header().Set("Date", k.answered)
			}
			w.WriteHeader(k.status)
		}))
		c := outbound.New(outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true})
		if got := c.Post(t.Context(), s.URL, nil, nil); got.Status != k.status || got.RetryAfter != k.want {
			t.Errorf("%d with %q at %q: %+v, want %s", k.status, k.header, k.answered, got, k.want)
		}
		s.Close()
	}
}

// TestCheckOfDownloads: who enters the URL of an image does not read of events.
func TestCheckOfDownloads(t *testing.T) {
	c := outbound.New(outbound.Config{Downloads: true})
	for _, bad := range []string{
		"http://images.example.com/a", "https://u:p@images.example.com/a", "https://10.0.0.1/a", "https://x/a#b", "x",
	} {
		wrong := c.Check(bad)
		for _, word := range []string{"event", "signed", "nothing is sent"} {
			if wrong == "" || strings.Contains(wrong, word) {
				t.Errorf("%s %s", bad, wrong)
			}
		}
	}
}
