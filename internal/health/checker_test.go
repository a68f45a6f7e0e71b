package health

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/id"
	"golang.org/x/crypto/ssh"
)

// print answers a command with that text.
func print(text string) func(*server) {
	return func(s *server) {
		s.exec = func(_, _ string, out io.Writer, _ <-chan struct{}) { _, _ = io.WriteString(out, text) }
	}
}

// judging is a checker that says the verdict of the node's first line.
func judging() *Checker {
	c := NewChecker()
	c.judge = func(out []byte, l gpucheck.Level, _ gpucheck.Expected) gpucheck.Report {
		v := gpucheck.Verdict(strings.TrimSpace(string(out)))
		return gpucheck.Report{Level: l, Verdict: v, Checks: []gpucheck.Check{
			{Name: gpucheck.CheckGPUCount, Verdict: v, Detail: "there are " + string(v) + " GPUs"},
		}}
	}
	return c
}

func TestChecker_Check(t *testing.T) {
	signer, private := newSigner(t)
	stranger, _ := newSigner(t)
	for name, c := range map[string]struct {
		nodes   []func(*server)
		verdict gpucheck.Verdict
		reason  string
	}{
		"one that passes": {[]func(*server){print("passed")}, gpucheck.Passed, ""},
		"one that fails":  {[]func(*server){print("failed")}, gpucheck.Failed, "there are failed GPUs"},
		"a warning among 3": {
			[]func(*server){print("passed"), print("warning"), print("passed")}, gpucheck.Warning, "Node 1: there are",
		},
		"one of 2 fails": {
			[]func(*server){print("not_checked"), print("failed")}, gpucheck.Failed, "Node 1: there are",
		},
		"one is not checked": {
			[]func(*server){print("warning"), print("not_checked")}, gpucheck.NotChecked, "Node 1: there are",
		},
		"no node": {nil, gpucheck.NotChecked, "no nodes"},
		"another key": {[]func(*server){func(s *server) {
			print("passed")(s)
			s.accepted = map[string]bool{string(stranger.PublicKey().Marshal()): true}
		}}, gpucheck.NotChecked, "The machine doesn't accept Billet's key."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := Request{Key: private, Level: gpucheck.LevelQuick, Launch: true}
			for _, prepare := range c.nodes {
				req.Nodes = append(req.Nodes, serve(t, signer.PublicKey(), prepare).target())
			}
			got, err := judging().Check(t.Context(), req)
			if err != nil || got.Verdict != c.verdict || !strings.Contains(got.Reason, c.reason) ||
				len(got.Nodes) != len(c.nodes) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// A machine that shows another host key is told nothing: not even who wants to log in.
func TestChecker_HostKeyMismatch(t *testing.T) {
	signer, private := newSigner(t)
	other, _ := newSigner(t)
	s := serve(t, signer.PublicKey(), print("passed"))
	for name, keys := range map[string][]string{
		"the machine shows another SSH host key": {publicLine(other.PublicKey())},
		"SSH host key isn't known":               nil,
	} {
		at := s.target()
		at.HostKeys = keys
		got, err := judging().Check(t.Context(), Request{Nodes: []Target{at}, Key: private, Level: 1})
		if err != nil || got.Verdict != gpucheck.NotChecked ||
			!strings.Contains(strings.ToLower(got.Reason), strings.ToLower(name)) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if logins, _ := s.counts(); logins != 0 {
		t.Errorf("%d logins", logins)
	}
}

// An address that is not on the Internet is refused, unless the provider's machines have those.
func TestChecker_PrivateAddress(t *testing.T) {
	signer, private := newSigner(t)
	s := serve(t, signer.PublicKey(), print("passed"))
	at := s.target()
	at.Endpoint.Private = false
	got, err := judging().Check(t.Context(), Request{Nodes: []Target{at}, Key: private, Level: 1})
	if err != nil || got.Verdict != gpucheck.NotChecked || !strings.Contains(got.Reason, "Internet") {
		t.Errorf("%+v, %v", got, err)
	}
}

// Endless output is cut off: the connection is closed, and nothing of it is judged.
func TestChecker_EndlessOutput(t *testing.T) {
	signer, private := newSigner(t)
	ended := make(chan int64, 1)
	s := serve(t, signer.PublicKey(), func(s *server) {
		s.exec = func(_, _ string, out io.Writer, _ <-chan struct{}) {
			line, sent := bytes.Repeat([]byte("passed\n"), 1000), int64(0)
			for {
				n, err := out.Write(line)
				sent += int64(n)
				if err != nil {
					ended <- sent
					return
				}
			}
		}
	})
	got, err := judging().Check(t.Context(), Request{Nodes: []Target{s.target()}, Key: private, Level: 1})
	if err != nil || got.Verdict != gpucheck.NotChecked || !strings.Contains(got.Reason, "more output") {
		t.Errorf("%+v, %v", got, err)
	}
	if sent := <-ended; sent > gpucheck.MaxOutput+4<<20 {
		t.Errorf("the machine could send %d bytes", sent)
	}
}

// What nothing reads is bounded, too: the standard error of the command, and messages of the
// protocol. A machine cannot send until the deadline.
func TestChecker_EndlessNoise(t *testing.T) {
	signer, private := newSigner(t)
	line := bytes.Repeat([]byte("noise\n"), 1000)
	for name, send := range map[string]func(out ssh.Channel, conn ssh.Conn) error{
		"standard error": func(out ssh.Channel, _ ssh.Conn) error {
			_, err := out.Stderr().Write(line)
			return err
		},
		"requests of the connection": func(_ ssh.Channel, conn ssh.Conn) error {
			_, _, err := conn.SendRequest("noise", false, line)
			return err
		},
		"requests of the channel": func(out ssh.Channel, _ ssh.Conn) error {
			_, err := out.SendRequest("noise", false, line)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := make(chan int, 1)
			s := serve(t, signer.PublicKey(), func(s *server) {
				s.noise = func(out ssh.Channel, conn ssh.Conn) {
					n := 0
					for send(out, conn) == nil {
						n += len(line)
					}
					sent <- n
				}
			})
			got, err := judging().Check(t.Context(), Request{Nodes: []Target{s.target()}, Key: private, Level: 1})
			if err != nil || got.Verdict != gpucheck.NotChecked || !strings.Contains(got.Reason, "more output") {
				t.Errorf("%+v, %v", got, err)
			}
			if n := <-sent; n > gpucheck.MaxOutput+16<<20 {
				t.Errorf("the machine could send %d bytes", n)
			}
		})
	}
}

// A machine that hangs, at any point, ends the check at its deadline. Nothing it has printed before
// is judged.
func TestChecker_Hangs(t *testing.T) {
	signer, private := newSigner(t)
	for name, prepare := range map[string]func(*server){
		"before the banner": func(s *server) { s.silent = true },
		"in the command": func(s *server) {
			s.exec = func(_, _ string, out io.Writer, closed <-chan struct{}) {
				_, _ = io.WriteString(out, "passed")
				<-closed
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := serve(t, signer.PublicKey(), prepare).target()
			got, err := judging().Check(t.Context(), Request{
				Nodes: []Target{at}, Key: private, Level: 1, Within: 300 * time.Millisecond,
			})
			if err != nil || got.Verdict != gpucheck.NotChecked || !strings.Contains(got.Reason, "in time") {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// A check ends with the server that runs it, as an error: it says nothing of the machine.
func TestChecker_Canceled(t *testing.T) {
	signer, private := newSigner(t)
	ctx, cancel := context.WithCancel(t.Context())
	at := serve(t, signer.PublicKey(), func(s *server) {
		s.exec = func(_, _ string, _ io.Writer, closed <-chan struct{}) { cancel(); <-closed }
	}).target()
	got, err := judging().Check(ctx, Request{Nodes: []Target{at}, Key: private, Level: 1})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Machines that run do not take the places of those that are launched.
func TestChecker_Busy(t *testing.T) {
	signer, private := newSigner(t)
	c, release := judging(), make(chan struct{})
	entered := make(chan struct{})
	at := serve(t, signer.PublicKey(), func(s *server) {
		s.exec = func(_, _ string, out io.Writer, _ <-chan struct{}) {
			entered <- struct{}{}
			<-release
			_, _ = io.WriteString(out, "passed")
		}
	}).target()
	req := Request{Nodes: []Target{at}, Key: private, Level: 1, Account: "acc_1"}
	done := make(chan error)
	start := func(req Request) {
		go func() { _, err := c.Check(t.Context(), req); done <- err }()
		<-entered
	}
	busy := func(account id.ID) {
		t.Helper()
		req.Account = account
		if _, err := c.Check(t.Context(), req); !errors.Is(err, ErrBusy) {
			t.Errorf("one more of %s: %v", account, err)
		}
	}
	start(req)
	busy("acc_1")
	req.Account = "acc_2"
	start(req)
	busy("acc_3")
	req.Launch, req.Account = true, "acc_1"
	start(req)
	start(req)
	busy("acc_1")
	for _, req.Account = range []id.ID{"acc_2", "acc_2", "acc_3", "acc_3", "acc_4", "acc_4"} {
		start(req)
	}
	busy("acc_5")
	close(release)
	for range laterAtOnce + atOnce {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if c.launched.all != 0 || c.later.all != 0 || len(c.launched.of) != 0 || len(c.later.of) != 0 {
		t.Errorf("taken after the end: %+v, %+v", c.launched.of, c.later.of)
	}
}

// The key is removed once the machine refuses it: not when the script has run.
func TestChecker_RemoveKey(t *testing.T) {
	signer, private := newSigner(t)
	for name, c := range map[string]struct {
		obeys   bool
		revoked bool // by the tenant, before
		removed bool
		runs    int
	}{
		"a machine that obeys":          {true, false, true, 1},
		"one that keeps the key":        {false, false, false, 2},
		"one that never had it anymore": {true, true, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, signer.PublicKey(), func(s *server) {
				s.exec = func(_, input string, _ io.Writer, _ <-chan struct{}) {
					_, body, _ := strings.Cut(publicLine(signer.PublicKey()), " ")
					if c.obeys && strings.Contains(input, body) {
						s.revoke(signer.PublicKey())
					}
				}
			})
			if c.revoked {
				s.revoke(signer.PublicKey())
			}
			err := judging().RemoveKey(t.Context(), []Target{s.target()}, private)
			if _, runs := s.counts(); (err == nil) != c.removed || runs != c.runs {
				t.Errorf("%v after %d commands", err, runs)
			}
		})
	}
}
