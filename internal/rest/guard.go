package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
)

// net/http refuses some requests before any handler sees them: a malformed request line, too many
// headers, a bad Host, an unknown transfer coding or Expect. It writes a line of plain text then,
// and closes the connection. Guard answers such requests as all others are answered.

// maxHeaders is how many bytes the request line and the headers may have, all in all. net/http
// grants 4 KiB on top.
const maxHeaders = 64 << 10

// lingerTime and lingerBytes limit what is still read from a client whose request was refused. If
// the connection closed with unread bytes, the client would see a reset and never read the
// response.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)

// Guard prepares a server that was not started yet, whose Handler is a Router, and returns the
// listener to start it on. From then on what net/http would answer by itself has an envelope, a
// request id and the headers of the limits, too. Connections are told apart by their state and
// never by what is written, so responses of handlers are not inspected. Guard sets the server's
// Handler, ConnContext and ConnState. A listener of TLS connections is one of Secure, guarded
// outside of TLS; net/http itself answers those of HTTP/2, which has no malformed first lines.
func Guard(h *http.Server, l net.Listener) net.Listener {
	rr := h.Handler.(*Router)
	h.MaxHeaderBytes = maxHeaders
	h.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	h.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, is := r.Context().Value(connKey{}).(*guarded); is {
			c.handled.Store(true)
			if secure, is := c.Conn.(*tls.Conn); is { // which net/http does not see behind the guard
				state := secure.ConnectionState()
				r.TLS = &state
			}
		}
		rr.ServeHTTP(w, r)
	})
	h.ConnState = func(c net.Conn, state http.ConnState) {
		if c, is := c.(*guarded); is && state == http.StateIdle {
			c.handled.Store(false) // the response is written as a whole, and the next request not yet read
		}
	}
	return guard{l, rr}
}

type connKey struct{}

type guard struct {
	net.Listener
	router *Router
}

func (g guard) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if secure, is := c.(*tls.Conn); is && secure.ConnectionState().NegotiatedProtocol == "h2" {
		return c, nil
	}
	return &guarded{Conn: c, router: g.router}, nil
}

// guarded is a connection of a client.
type guarded struct {
	net.Conn
	router *Router
	// handled is true while a handler has the request, or its response is on its way. Whatever is
	// written at any other time is net/http's own.
	handled atomic.Bool
	// refused is true once net/http has refused a request and closes the connection. One goroutine
	// uses it.
	refused bool
}

func (c *guarded) Write(b []byte) (int, error) {
	if c.handled.Load() {
		return c.Conn.Write(b)
	}
	if c.refused {
		return len(b), nil
	}
	c.refused = true
	if _, err := c.Conn.Write(c.router.refusal(c.RemoteAddr(), b)); err != nil {
		return 0, err
	}
	c.linger()
	return len(b), nil
}

// CloseWrite is called by net/http before it closes a connection from which it has not read
// everything.
func (c *guarded) CloseWrite() error {
	if half, can := c.Conn.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return nil
}

// linger lets the client read the response before the connection closes.
func (c *guarded) linger() {
	if c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
}

// refusal makes the whole response, from its status line on, to a request that net/http refuses
// with this text.
func (rr *Router) refusal(peer net.Addr, text []byte) []byte {
	r := (&http.Request{URL: &url.URL{}, Header: http.Header{}, RemoteAddr: peer.String()}).WithContext(
		context.Background(),
	)
	w := &written{header: http.Header{}}
	rr.handle(w, r, func(w *recorder, _ *http.Request, c *Call) { rr.refuse(w, c, refusalOf(text)) })
	w.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var out bytes.Buffer
	_ = (&http.Response{
		StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Close: true,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
	}).Write(&out) // a buffer takes everything
	return out.Bytes()
}

// refusalOf translates net/http's refusal. Its reason is a text of its own that has nothing of the
// client's.
func refusalOf(response []byte) error {
	line, rest, _ := strings.Cut(string(response), "\r\n")
	_, text, _ := strings.Cut(rest, "\r\n\r\n")
	invalid := func(field, message string) error {
		return apierr.Invalid([]apierr.FieldError{{Field: field, Message: message}})
	}
	_, status, _ := strings.Cut(line, " ")
	switch status, _, _ = strings.Cut(status, " "); status {
	case "417":
		return invalid("header.Expect", "must be 100-continue; or omit it.")
	case "431":
		return apierr.New(
			apierr.RequestTooLarge,
			"The request line and the headers exceed 64 KiB (65,536 bytes) together.",
		)
	case "501":
		return invalid("header.Transfer-Encoding", "must be chunked; or send Content-Length instead.")
	case "505":
		return invalid("request", "uses an unsupported version of HTTP; use HTTP/1.1.")
	}
	switch _, reason, _ := strings.Cut(text, ": "); reason {
	case "missing required Host header":
		return invalid("header.Host", "is required; send it once.")
	case "malformed Host header":
		return invalid("header.Host", "must be the name or address of a host.")
	case "invalid header name", "invalid header value":
		return invalid("header", "has a name or a value with invalid characters.")
	}
	return invalid("request", "is not HTTP: its first line or its headers are malformed.")
}

// written keeps a response that is sent to a connection in one piece.
type written struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *written) Header() http.Header         { return w.header }
func (w *written) WriteHeader(status int)      { w.status = status }
func (w *written) Write(b []byte) (int, error) { return w.body.Write(b) }
