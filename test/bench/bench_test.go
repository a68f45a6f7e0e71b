package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestShortRun shows that the benchmark works. Its figures do not count.
func TestShortRun(t *testing.T) {
	o := options{
		engines: "sqlite", only: "offers,deployments,wallet,deploy,sweep,verify,growth,size", connections: 2, turns: 1,
		turn:   20 * time.Millisecond,
		offers: 50, deployments: 3, entries: 40, running: 2000, growth: []int{20, 200}, hours: 2,
	}
	if os.Getenv("BILLET_TEST_POSTGRES") != "" {
		o.engines += ",postgres"
	}
	var out bytes.Buffer
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	for engine := range strings.SplitSeq(o.engines, ",") {
		for _, what := range []string{
			"GET /offers", "GET /deployments", "GET /wallet", "POST /deployments",
			"POST /deployments, Idempotency-Key", "sweep", "ledger verify",
		} {
			found := false
			for line := range strings.Lines(out.String()) {
				found = found || strings.HasPrefix(line, what) && strings.Contains(line, engine)
			}
			if !found {
				t.Errorf("no line tells of %s on %s:\n%s", what, engine, &out)
			}
		}
	}
}

// breaking is a server that answers, and resets every third connection during its second call.
func breaking(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buffer := make([]byte, 4096)
				for calls := 1; ; calls++ {
					if _, err := conn.Read(buffer); err != nil {
						return
					}
					if n%3 == 0 && calls == 2 {
						_ = conn.(*net.TCPConn).SetLinger(0) // a reset, not a regular close
						return
					}
					fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestResetConnectionsAreCounted(t *testing.T) {
	ask := request("GET", "/", "", "")
	s, hangUp, err := callers(4, breaking(t), "200", func(int) []byte { return ask })
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp()
	for len(s.took) == 0 || s.lost == 0 {
		if err := s.turn(t.Context(), 5*time.Millisecond, true); err != nil {
			t.Fatal(err)
		}
	}
	tb := &table{}
	tb.noteLost("GET /", "sqlite", s)
	if len(tb.notes) != 1 || !strings.Contains(tb.notes[0], fmt.Sprintf("%d connections", s.lost)) {
		t.Errorf("%v", tb.notes)
	}
}

func TestRunEndsOnWrongAnswerOrLostServer(t *testing.T) {
	address := breaking(t)
	ask := request("GET", "/", "", "")
	s, hangUp, err := callers(1, address, "201", func(int) []byte { return ask })
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp()
	if err := s.turn(t.Context(), 0, true); err == nil || errors.Is(err, errLost) ||
		!strings.Contains(err.Error(), "instead of 201") {
		t.Errorf("got %v, want the status that came instead of 201", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone, hangUpGone, err := callers(1, l.Addr().String(), "200", func(int) []byte { return ask })
	if err != nil {
		t.Fatal(err)
	}
	defer hangUpGone()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_ = l.Close()
	if err := gone.turn(ctx, time.Second, true); err == nil {
		t.Error("the turn succeeded without a listener")
	}
}
