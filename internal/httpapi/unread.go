package httpapi

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
)

// net/http refuses some requests before any handler sees them: a malformed request line, too many headers, a bad Host, a
// transfer coding or an Expect that it does not know. It writes a line of plain text then, and ends the connection. Guard
// has such requests answered as all others are.

// maxHeaders is how many bytes the request line and the headers may have, all in all. net/http grants 4 KiB on top.
const maxHeaders = 64 << 10

// lingerTime and lingerBytes bound what is still read from a client whose request could not be: were the connection closed with unread bytes,
// the client would be told of the reset and never read the answer.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)

// Guard prepares a server that was not started yet, whose Handler is from New, and returns the listener to start it on. From
// then on what net/http would answer by itself has an envelope, a request id and the headers of the limits, too.
// Connections are told apart by their state and never by what is written, so an answer of ours is not looked at. Guard sets
// the server's ConnContext and ConnState. A listener of TLS connections has to be guarded inside of TLS, where it loses HTTP/2.
func Guard(h *http.Server, l net.Listener) net.Listener {
	s := h.Handler.(*server)
	h.MaxHeaderBytes = maxHeaders
	h.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	h.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Context().Value(connKey{}).(*guarded).handled.Store(true)
		s.ServeHTTP(w, r)
	})
	h.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateIdle { // the answer is written as a whole, and the next request not yet read
			c.(*guarded).handled.Store(false)
		}
	}
	return guard{l, s}
}

type connKey struct{}

type guard struct {
	net.Listener
	s *server
}

func (g guard) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guarded{Conn: c, s: g.s}, nil
}

// guarded is a client's connection.
type guarded struct {
	net.Conn
	s *server
	// handled is true while a handler has the request, or what it wrote is on its way. Whatever is written at
	// any other time is net/http's own.
	handled atomic.Bool
	refused bool // net/http has spoken, and ends the connection; used by its one goroutine for the connection
}

func (c *guarded) Write(b []byte) (int, error) {
	if c.handled.Load() {
		return c.Conn.Write(b)
	}
	if c.refused {
		return len(b), nil
	}
	c.refused = true
	if _, err := c.Conn.Write(c.s.unread(c.RemoteAddr(), b)); err != nil {
		return 0, err
	}
	c.linger()
	return len(b), nil
}

// CloseWrite is what net/http looks for before it ends a connection from which it has not read everything.
func (c *guarded) CloseWrite() error {
	if half, can := c.Conn.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return nil
}

// linger lets the client read the answer before the connection ends.
func (c *guarded) linger() {
	if c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
}

// unread makes the whole answer, from its first line on, to a request that net/http refuses with these words.
func (s *server) unread(peer net.Addr, words []byte) []byte {
	r := (&http.Request{URL: &url.URL{}, Header: http.Header{}, RemoteAddr: peer.String()}).WithContext(context.Background())
	w := &written{header: http.Header{}}
	s.handle(w, r, func(w *recorder, r *http.Request, c *call) { s.refuse(w, r, c, refusalOf(words)) })
	w.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var out bytes.Buffer
	_ = (&http.Response{
		StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Close: true,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
	}).Write(&out) // a buffer takes everything
	return out.Bytes()
}

// refusalOf says in our words what net/http says in its own. What it gives as a reason are words of its own, and none of the client's.
func refusalOf(words []byte) error {
	line, rest, _ := strings.Cut(string(words), "\r\n")
	_, text, _ := strings.Cut(rest, "\r\n\r\n")
	invalid := func(field, message string) error {
		return apierr.Invalid([]apierr.FieldError{{Field: field, Message: message}})
	}
	_, status, _ := strings.Cut(line, " ")
	switch status, _, _ = strings.Cut(status, " "); status {
	case "417":
		return invalid("header.Expect", "is nothing but 100-continue here; leave it out.")
	case "431":
		return apierr.New(apierr.RequestTooLarge, "The request line and the headers are larger than 64 KiB (65,536 bytes) together.")
	case "501":
		return invalid("header.Transfer-Encoding", "is nothing but chunked here; or send Content-Length in its place.")
	case "505":
		return invalid("request", "is of a version of HTTP that is not spoken here; use HTTP/1.1.")
	}
	switch _, reason, _ := strings.Cut(text, ": "); reason {
	case "missing required Host header":
		return invalid("header.Host", "is required, and may be given once.")
	case "malformed Host header":
		return invalid("header.Host", "is not the name or address of a host.")
	case "invalid header name", "invalid header value":
		return invalid("header", "has a name or a value with characters that none can have.")
	}
	return invalid("request", "is not HTTP: its first line or its headers are malformed.")
}

// written keeps an answer that goes to a connection as one piece.
type written struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *written) Header() http.Header         { return w.header }
func (w *written) WriteHeader(status int)      { w.status = status }
func (w *written) Write(b []byte) (int, error) { return w.body.Write(b) }
