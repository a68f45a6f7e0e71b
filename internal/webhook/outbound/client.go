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
	// Timeout limits a request as a whole, from resolving the name to the end of what is read of
	// the response.
	Timeout = 15 * time.Second
	// MaxResponse is how many characters of a response are stored.
	MaxResponse = 500
	// maxRead is how many bytes of a response are read. A connection with more to read is not used
	// again.
	maxRead = 4 << 10
	// maxHeader limits the headers of a response, in bytes.
	maxHeader = 16 << 10
	// MaxURL is the maximum length of a URL in bytes.
	MaxURL = 2000
)

// Config configures a Client. The zero value is the strictest.
type Config struct {
	// Allow are networks that may be connected to although they are not public.
	Allow []netip.Prefix
	// AllowHTTP allows requests without TLS.
	AllowHTTP bool
	// Resolver resolves names. The default is the machine's.
	Resolver *net.Resolver
	// Roots are the trusted certificate authorities. The default is the machine's.
	Roots *x509.CertPool
	// Timeout limits a whole request. The default is the constant Timeout.
	Timeout time.Duration
	// Downloads has Check speak of what is downloaded from a URL, not of what is sent to it.
	Downloads bool
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	allow     []netip.Prefix
	http      bool
	downloads bool
	timeout   time.Duration
	client    *http.Client
}

var errNotPublic = errors.New("the address is not public")

// New returns a Client.
func New(c Config) *Client {
	out := &Client{allow: c.Allow, http: c.AllowHTTP, downloads: c.Downloads, timeout: c.Timeout}
	if out.timeout == 0 {
		out.timeout = Timeout
	}
	control := func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address) // the actual address, whatever the name resolved to before
		if err != nil || !out.allowed(a.Addr()) {
			return errNotPublic
		}
		return nil
	}
	dialer := &net.Dialer{Timeout: out.timeout, Resolver: c.Resolver, Control: control}
	out.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
			TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
			TLSHandshakeTimeout:   out.timeout,
			ResponseHeaderTimeout: out.timeout, MaxIdleConns: 32, MaxIdleConnsPerHost: 1,
			IdleConnTimeout: 30 * time.Second,
		},
	}
	return out
}

// Check returns what is wrong with a tenant's URL, as the end of a sentence that begins with its
// name, or "". Whether a name resolves to public addresses is only checked when it is used.
func (c *Client) Check(address string) string {
	u, err := url.Parse(address)
	special := func(r rune) bool { return r <= ' ' || r >= utf8.RuneSelf || !unicode.IsPrint(r) }
	if err != nil || len(address) > MaxURL || strings.ContainsFunc(address, special) {
		return "must be a URL of at most " + strconv.Itoa(MaxURL) + " ASCII characters."
	}
	port, portErr := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Scheme == "http" && !c.http:
		return "must begin with https://, because " + c.words().https + "."
	case u.Scheme != "https" && u.Scheme != "http":
		return "must begin with https://."
	case u.Hostname() == "" || u.Opaque != "":
		return "must contain a host."
	case u.User != nil:
		return "must not contain a username or password; " + c.words().user + "."
	case u.Fragment != "" || strings.Contains(address, "#"):
		return "must not contain a fragment (#…), which would not be sent."
	case u.Port() != "" && (portErr != nil || port == 0):
		return "must contain a port from 1 to 65535."
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !c.allowed(a) {
		return "must be on a public address; " + c.words().private + "."
	}
	return ""
}

// words are the reasons that Check gives.
type words struct{ https, user, private string }

func (c *Client) words() words {
	if c.downloads {
		return words{
			"the networks in between could read the image", "it would be shown to everyone who can list it",
			"nothing is downloaded from private networks",
		}
	}
	return words{"events are confidential", "every request is signed", "nothing is sent to private networks"}
}

// Response is the result of a request.
type Response struct {
	// Status is the HTTP status, 0 if there was no response.
	Status int
	// Body is the beginning of the response: at most MaxResponse printable characters.
	Body string
	// RetryAfter is how long the endpoint wants no requests, from the header of a 429 or 503; else
	// 0.
	RetryAfter time.Duration
	// Problem is why there was no response, as a sentence for the tenant; "" if there was one.
	Problem string
}

// Post sends the body as JSON. It reports failures in its Response.
func (c *Client) Post(ctx context.Context, address string, header map[string]string, body []byte) Response {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return Response{Problem: "The URL cannot be used."}
	}
	if r.URL.Scheme != "https" && !c.http { // the operator may have changed the setting
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
	read, _ := io.ReadAll(io.LimitReader(resp.Body, maxRead)) // the status was received, and is the result
	out := Response{Status: resp.StatusCode, Body: plain(read)}
	if out.Status == http.StatusTooManyRequests || out.Status == http.StatusServiceUnavailable {
		out.RetryAfter = retryAfter(resp.Header, time.Now())
	}
	return out
}

// problem describes an error without an address.
func (c *Client) problem(ctx context.Context, err error) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, isRecord := errors.AsType[tls.RecordHeaderError](err)
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errNotPublic), isDNS && dns.IsNotFound:
		// One message, or a tenant could list the names of a private network.
		return "The host is unknown, or not on a public address; nothing is sent to private networks."
	case ctx.Err() != nil || isTimeout && timeout.Timeout():
		return "It took longer than " + c.timeout.String() + "."
	case isDNS:
		return "The host's name could not be resolved."
	case isCertificate:
		return "The host's certificate is not valid."
	case isRecord:
		return "The host does not speak TLS."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "The connection was refused."
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "The host cannot be reached."
	default:
		return "The connection broke before there was a response."
	}
}

// plain returns text that may be shown and stored anywhere.
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

// allowed reports whether the client may connect to the address.
func (c *Client) allowed(a netip.Addr) bool {
	for _, p := range c.allow {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return ipaddr.Public(a)
}

// retryAfter reads seconds, or a date, which is compared with the response's own date if it has
// one, because clocks differ. It returns 0 for anything else.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, at.Sub(now))
}
