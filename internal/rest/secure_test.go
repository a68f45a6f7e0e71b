package rest

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// lines are what a log has said.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// A panic in a handshake is logged and ends its connection; others are accepted as before.
func TestSecure_PanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logged := make(lines, 2)
	l := Secure(inner, &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("no such map") },
	}, slog.New(slog.NewTextHandler(logged, nil)))
	t.Cleanup(func() { _ = l.Close() })
	for range 2 {
		raw, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(raw, &tls.Config{ServerName: "gpu.example.com"})
		if err := c.HandshakeContext(t.Context()); err == nil {
			t.Error("the handshake succeeded")
		}
		if _, err := io.Copy(io.Discard, raw); err != nil {
			t.Errorf("the connection was not closed: %v", err)
		}
		_ = raw.Close()
		if text := <-logged; !strings.Contains(text, "no such map") || !strings.Contains(text, "secure_test.go") {
			t.Errorf("the log lacks the panic or its stack: %s", text)
		}
	}
}
