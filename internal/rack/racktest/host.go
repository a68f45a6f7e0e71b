package racktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/internal/rackagent"
)

// Host is an emulated server without a BMC: it has an SSH server, and can be told to start the
// agent in place of what runs on it.
type Host struct {
	*Server
	// At is where SSH answers, whatever runs.
	At string

	mu      sync.Mutex
	changed *sync.Cond
	own     ssh.Signer // host key of the operator's own system
	keys    []string   // that the operator's own system accepts
	mode    Mode
	agents  int // that run
	started int // agents, in all
	lines   []string
}

// Mode is how a Host behaves.
type Mode string

// The modes.
const (
	Answers Mode = ""
	// Silent hosts close every connection.
	Silent Mode = "silent"
	// Locked hosts do not accept our key.
	Locked Mode = "locked"
	// Hidden hosts start the agent, and their answer is lost.
	Hidden Mode = "hidden"
	// Unable hosts cannot start another kernel.
	Unable Mode = "unable"
	// Claiming hosts ask for the agent's job with its token, and do not start the agent.
	Claiming Mode = "claiming"
	// Dropping hosts end the connection when they are to start the agent.
	Dropping Mode = "dropping"
)

// Boot is what a Host is started with.
func Boot() (rackagent.Boot, error) {
	section := func(text string) *io.SectionReader {
		return io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
	}
	return rackagent.Boot{Kernel: section("kernel"), Initrd: section("initrd"), Program: []byte("program")}, nil
}

// NewHost returns a server without a BMC, with a system of the operator's own.
func NewHost(t testing.TB, calls Calls) *Host {
	t.Helper()
	h := &Host{Server: New(t, 1, calls)[0], own: hostKey("")}
	h.changed = sync.NewCond(&h.mu)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.At = l.Addr().String()
	var serving sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				h.serve(ctx, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		cancel()
		serving.Wait()
	})
	return h
}

// HostKey returns the public host key of the operator's own system.
func (h *Host) HostKey() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(h.own.PublicKey())))
}

// Reset is what an operator does by hand: the drives get a system of theirs with another host key.
func (h *Host) Reset() {
	h.erase(context.Background())
	h.with(func() { h.own = hostKey("") })
}

// Accept has the operator's own system accept a public key.
func (h *Host) Accept(key string) { h.with(func() { h.keys = append(h.keys, key) }) }

// Authorize has what is installed accept one more public key, as its root would.
func (h *Host) Authorize(key string) {
	h.Server.mu.Lock()
	defer h.Server.mu.Unlock()
	with := *h.system
	with.MetaData += "\n" + key
	h.system = &with
}

// Behave changes the mode.
func (h *Host) Behave(m Mode) { h.with(func() { h.mode = m }) }

// Started returns how many agents were started.
func (h *Host) Started() (n int) {
	h.with(func() { n = h.started })
	return n
}

// CommandLines returns the kernel command lines of all agents.
func (h *Host) CommandLines() (lines []string) {
	h.with(func() { lines = append(lines, h.lines...) })
	return lines
}

// Settle waits until no agent runs.
func (h *Host) Settle() {
	h.with(func() {
		for h.agents > 0 {
			h.changed.Wait()
		}
	})
}

func (h *Host) with(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// state returns how the host behaves, and the key and the accepted keys of what runs on it.
func (h *Host) state() (m Mode, key ssh.Signer, accepted string) {
	system, _ := h.Installed()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.agents > 0 {
		return Silent, h.own, ""
	}
	if system != nil {
		return h.mode, hostKey(system.UserData), system.MetaData
	}
	return h.mode, h.own, strings.Join(h.keys, "\n")
}

func (h *Host) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	mode, key, accepted := h.state()
	if mode == Silent {
		return
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
		if mode == Locked || !strings.Contains(accepted, line) {
			return nil, errors.New("not accepted")
		}
		return nil, nil
	}}
	config.AddHostKey(key)
	conn, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		s, requests, err := channel.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			if r.Type != "exec" {
				_ = r.Reply(false, nil)
				continue
			}
			_ = r.Reply(true, nil)
			if !h.exec(ctx, s, mode, string(r.Payload[4:])) {
				return
			}
			_, _ = s.SendRequest("exit-status", false, make([]byte, 4))
			_ = s.Close()
		}
	}
}

// exec does what a command of package sshhost asks for; false ends the connection.
func (h *Host) exec(ctx context.Context, s ssh.Channel, mode Mode, command string) bool {
	switch {
	case strings.Contains(command, "kexec_load_disabled"):
		if mode == Unable {
			fmt.Fprintln(s, "its kernel cannot start another one;")
		}
		fmt.Fprintln(s, "end")
	case strings.Contains(command, "mktemp"):
		_, _ = io.Copy(io.Discard, s)
		fmt.Fprintln(s, "/var/tmp/billet.x")
	case strings.Contains(command, "/agent kexec"):
		input, err := io.ReadAll(s)
		if err != nil || mode == Dropping {
			return false
		}
		if mode == Claiming {
			if p, err := parametersIn(input); err == nil {
				_, _ = h.calls.Job(ctx, p)
			}
			return true
		}
		if err := h.jump(ctx, input); err != nil {
			fmt.Fprintln(s.Stderr(), err)
			return true
		}
		if mode == Hidden {
			return false
		}
		fmt.Fprintln(s, rackagent.Loaded)
	}
	return true
}

// parametersIn returns the agent's parameters, which are in what a host is to start.
func parametersIn(input []byte) (p rackagent.Parameters, err error) {
	at := bytes.LastIndex(input, []byte("billet.url="))
	if at < 0 {
		return p, errors.New("there are no parameters")
	}
	// Up to the next entry of the archive, or what it is padded with.
	line, _, _ := strings.Cut(string(input[at:]), "070701")
	line, _, _ = strings.Cut(line, "\x00")
	return rackagent.ParseCommandLine(line)
}

// jump runs the agent in place of the system.
func (h *Host) jump(ctx context.Context, input []byte) error {
	first, _, _ := bytes.Cut(input, []byte("\n"))
	var l rackagent.Load
	if err := json.Unmarshal(first, &l); err != nil {
		return err
	}
	p, err := parametersIn(input)
	if err != nil {
		return err
	}
	h.with(func() {
		h.started++
		h.agents++
		h.lines = append(h.lines, l.CommandLine)
	})
	go func() {
		// An agent on a machine without a BMC restarts it, whatever comes of its job.
		_, _ = h.work(context.WithoutCancel(ctx), p)
		h.with(func() {
			h.agents--
			h.changed.Broadcast()
		})
	}()
	return nil
}
