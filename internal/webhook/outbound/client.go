package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/ipaddr"
)

const (
	// Timeout is how long a request may take as a whole, from the name to the end of what is read of the answer.
	Timeout = 15 * time.Second
	// MaxResponse is how many characters of an answer are kept.
	MaxResponse = 500
	// maxRead is how many bytes of an answer are read; a connection with more to come is not used again.
	maxRead = 4 << 10
	// maxHeader bounds the headers of an answer, in bytes.
	maxHeader = 16 << 10
	// MaxURL is the longest URL, in bytes.
	MaxURL = 2000
)

// Config is what a Client may do. The zero value is the strictest.
type Config struct {
	// Allow are networks that may be connected to although they are not public.
	Allow []netip.Prefix
	// AllowHTTP lets requests go out without TLS.
	AllowHTTP bool
	// Resolver finds the addresses of names; nil for the machine's.
	Resolver *net.Resolver
	// Roots are who may vouch for a host; nil for those whom the machine trusts.
	Roots *x509.CertPool
	// Timeout is for a whole request; 0 for the constant of that name.
	Timeout time.Duration
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	allow   []netip.Prefix
	http    bool
	timeout time.Duration
	client  *http.Client
}

var errNotPublic = errors.New("the address is not public")

// New returns a Client.
func New(c Config) *Client {
	out := &Client{allow: c.Allow, http: c.AllowHTTP, timeout: c.Timeout}
	if out.timeout == 0 {
		out.timeout = Timeout
	}
	dialer := &net.Dialer{Timeout: out.timeout, Resolver: c.Resolver, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address) // what is connected to in fact, whatever the name said before
		if err != nil || !out.may(a.Addr()) {
			return errNotPublic
		}
		return nil
	}}
	out.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots}, TLSHandshakeTimeout: out.timeout,
			ResponseHeaderTimeout: out.timeout, MaxIdleConns: 32, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
		},
	}
	return out
}

// Check returns what is wrong with an address that a tenant gives, as the end of a sentence that begins with it; "" for a good one. That a
// name resolves to public addresses is seen only when it is used.
func (c *Client) Check(address string) string {
	u, err := url.Parse(address)
	if err != nil || len(address) > MaxURL || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= utf8.RuneSelf || !unicode.IsPrint(r) }) {
		return "is not a URL of at most " + strconv.Itoa(MaxURL) + " ASCII characters."
	}
	port, portErr := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Scheme == "http" && !c.http:
		return "must begin with https://: what is sent is the account's alone."
	case u.Scheme != "https" && u.Scheme != "http":
		return "must begin with https://."
	case u.Hostname() == "" || u.Opaque != "":
		return "names no host."
	case u.User != nil:
		return "must not have a name or a password in it; every request is signed."
	case u.Fragment != "" || strings.Contains(address, "#"):
		return "must not have a fragment (#…): it would not be sent."
	case u.Port() != "" && (portErr != nil || port == 0):
		return "has a port that there is not."
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !c.may(a) {
		return "is not on a public address; nothing is sent to private networks."
	}
	return ""
}

// Response is what came of a request.
type Response struct {
	// Status is that of the answer, 0 where there was none.
	Status int
	// Body is the beginning of the answer, at most MaxResponse characters without any that cannot be printed.
	Body string
	// RetryAfter is how long the address wants no requests, where it answered 429 or 503 with that header; else 0.
	RetryAfter time.Duration
	// Problem is why there was no answer, as a sentence for the tenant; "" where there was one.
	Problem string
}

// Post sends the body as JSON. It never fails otherwise than in its Response.
func (c *Client) Post(ctx context.Context, address string, header map[string]string, body []byte) Response {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return Response{Problem: "The URL cannot be used."}
	}
	if r.URL.Scheme != "https" && !c.http { // the operator may have changed their mind
		return Response{Problem: "The URL must begin with https://."}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Billet-Webhooks/1")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return Response{Problem: c.problem(ctx, err)}
	}
	defer func() { _ = resp.Body.Close() }()
	read, _ := io.ReadAll(io.LimitReader(resp.Body, maxRead)) // the status has come, and is the answer
	out := Response{Status: resp.StatusCode, Body: plain(read)}
	if out.Status == http.StatusTooManyRequests || out.Status == http.StatusServiceUnavailable {
		out.RetryAfter = retryAfter(resp.Header, time.Now())
	}
	return out
}

// problem says what went wrong without an address in it.
func (c *Client) problem(ctx context.Context, err error) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var timeout net.Error
	switch {
	case errors.Is(err, errNotPublic), errors.As(err, &dns) && dns.IsNotFound: // alike, or a tenant could list the names of a private network
		return "The host is unknown, or not on a public address; nothing is sent to private networks."
	case ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout():
		return "It took longer than " + c.timeout.String() + "."
	case errors.As(err, &dns):
		return "The host's name could not be resolved."
	case errors.As(err, &certificate):
		return "The host's certificate is not valid."
	case errors.As(err, &record):
		return "The host does not speak TLS."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "The connection was refused."
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "The host cannot be reached."
	default:
		return "The connection broke before there was an answer."
	}
}

// plain is text that may be shown and kept anywhere.
func plain(b []byte) string {
	out := make([]rune, 0, MaxResponse)
	for _, r := range string(b) {
		switch {
		case len(out) == MaxResponse:
			return string(out)
		case r == '\n' || r == '\t':
			out = append(out, ' ')
		case r != utf8.RuneError && unicode.IsPrint(r):
			out = append(out, r)
		}
	}
	return string(out)
}

// may tells whether the client may connect to the address.
func (c *Client) may(a netip.Addr) bool {
	for _, p := range c.allow {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return ipaddr.Public(a)
}

// retryAfter reads seconds or a date, which is compared with the answer's own where that has one: clocks differ. What is no such thing is 0.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if said, err := http.ParseTime(h.Get("Date")); err == nil {
		now = said
	}
	return max(0, at.Sub(now))
}
