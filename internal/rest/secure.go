package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// handshakeTime limits a handshake, so that silent clients do not collect. How many run at once is
// not limited: otherwise silent clients could keep others out.
const handshakeTime = 10 * time.Second

// notTLS answers a client that does not speak TLS, as net/http does.
const notTLS = "HTTP/1.0 400 Bad Request\r\n\r\nThis address serves https only.\n"

// protocols are what a Router serves on a TLS connection.
var protocols = []string{"h2", "http/1.1"}

// Secure returns a listener of TLS connections whose handshake is done, so that Guard can tell
// HTTP/2 from HTTP/1.1. Connections for other protocols, such as a challenge's, end with the
// handshake.
func Secure(l net.Listener, config *tls.Config, log *slog.Logger) net.Listener {
	config = config.Clone()
	config.NextProtos = append(slices.Clone(protocols), config.NextProtos...)
	s := &secure{
		Listener: l, config: config, log: log, ready: make(chan net.Conn), ended: make(chan struct{}),
	}
	go s.run()
	return s
}

type secure struct {
	net.Listener
	config *tls.Config
	log    *slog.Logger
	ready  chan net.Conn
	// ended is closed when the inner listener fails for good, with err set.
	ended chan struct{}
	err   error
	once  sync.Once
}

// run accepts connections until the listener is closed.
func (s *secure) run() {
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			if temporary, is := err.(interface{ Temporary() bool }); is && temporary.Temporary() {
				time.Sleep(5 * time.Millisecond) // as net/http does when there are too many open files
				continue
			}
			s.end(err)
			return
		}
		go s.handshake(c)
	}
}

func (s *secure) end(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.ended)
	})
}

func (s *secure) handshake(raw net.Conn) {
	c := tls.Server(raw, s.config)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	// A panic, for example while a certificate is selected, ends this connection, not the server.
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(ctx, "a TLS handshake panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			_ = raw.Close()
		}
	}()
	err := c.HandshakeContext(ctx)
	if p := c.ConnectionState().NegotiatedProtocol; err != nil || (p != "" && !slices.Contains(protocols, p)) {
		if plain, is := errors.AsType[tls.RecordHeaderError](err); is && plain.Conn != nil {
			_ = raw.SetWriteDeadline(time.Now().Add(lingerTime))
			_, _ = io.WriteString(raw, notTLS)
		}
		_ = raw.Close()
		return
	}
	select {
	case s.ready <- c:
	case <-s.ended:
		_ = c.Close()
	}
}

// Accept returns the next connection whose handshake is done.
func (s *secure) Accept() (net.Conn, error) {
	select {
	case c := <-s.ready:
		return c, nil
	case <-s.ended:
		return nil, s.err
	}
}

// Close closes the listener. Handshakes that run end within their time.
func (s *secure) Close() error {
	err := s.Listener.Close()
	s.end(net.ErrClosed)
	return err
}
