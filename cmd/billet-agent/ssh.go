//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/internal/rackagent"
)

const (
	// maxConnections, that have signed in, and maxSessions, of one connection, are refused beyond.
	maxConnections, maxSessions = 16, 16
	// maxStrangers is how many connections may be signing in, and maxStrangersOf from one address.
	maxStrangers, maxStrangersOf = 512, 8
	handshakeLimit               = 20 * time.Second
	// drainLimit is how long a terminal is read after its shell has ended: a process in the
	// background may keep it.
	drainLimit = 300 * time.Millisecond
)

// sshServer serves shells, programs and SFTP to who has one of the keys.
type sshServer struct {
	home     string
	environ  []string
	sftp     []string // the program that serves SFTP
	greeting string
	start    func(*exec.Cmd) (wait func() syscall.WaitStatus, err error)
	config   *ssh.ServerConfig
}

// configure has the server accept the keys, and show the host key.
func (s *sshServer) configure(shell rackagent.Shell) error {
	allowed := map[string]bool{}
	for _, line := range shell.AuthorizedKeys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return fmt.Errorf("a key of the tenant's: %w", err)
		}
		allowed[string(key.Marshal())] = true
	}
	host, err := ssh.ParsePrivateKey([]byte(shell.HostKey))
	if err != nil {
		return fmt.Errorf("the host key: %w", err)
	}
	secure := ssh.SupportedAlgorithms()
	s.config = &ssh.ServerConfig{
		Config: ssh.Config{
			KeyExchanges: secure.KeyExchanges, Ciphers: secure.Ciphers, MACs: secure.MACs,
		},
		PublicKeyAuthAlgorithms: secure.PublicKeyAuths,
		MaxAuthTries:            20, // clients offer every key that they have
		PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if c.User() == "root" && allowed[string(key.Marshal())] {
				return nil, nil
			}
			return nil, errors.New("not one of the deployment's keys")
		},
	}
	s.config.AddHostKey(host)
	return nil
}

// strangers counts the connections that have not signed in. They have no place of those that have,
// and no address has all of theirs.
type strangers struct {
	mu   sync.Mutex
	all  int
	from map[netip.Prefix]int
}

// networkOf returns whose connections count together: a host has many addresses of IPv6.
func networkOf(a net.Addr) netip.Prefix {
	at, _ := netip.ParseAddrPort(a.String())
	ip, bits := at.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}

func (s *strangers) enter(a net.Addr) bool {
	of := networkOf(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStrangers || s.from[of] >= maxStrangersOf {
		return false
	}
	s.all++
	s.from[of]++
	return true
}

func (s *strangers) leave(a net.Addr) {
	of := networkOf(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.from[of]--; s.from[of] == 0 {
		delete(s.from, of)
	}
}

// serve accepts connections until the listener is closed.
func (s *sshServer) serve(l net.Listener) {
	open, outside := make(chan struct{}, maxConnections), strangers{from: map[netip.Prefix]int{}}
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // it does not last
			continue
		}
		if !outside.enter(c.RemoteAddr()) {
			c.Close()
			continue
		}
		go func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(handshakeLimit))
			conn, channels, requests, err := ssh.NewServerConn(c, s.config)
			outside.leave(c.RemoteAddr())
			if err != nil {
				return
			}
			defer conn.Close()
			select {
			case open <- struct{}{}:
				defer func() { <-open }()
				_ = c.SetDeadline(time.Time{})
				s.connection(channels, requests)
			default:
			}
		}()
	}
}

// connection serves one that has signed in.
func (s *sshServer) connection(channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	go ssh.DiscardRequests(requests)
	open := make(chan struct{}, maxSessions)
	var work sync.WaitGroup
	for n := range channels {
		if n.ChannelType() != "session" {
			_ = n.Reject(ssh.UnknownChannelType, "not supported")
			continue
		}
		select {
		case open <- struct{}{}:
			work.Go(func() {
				defer func() { <-open }()
				s.session(n)
			})
		default:
			_ = n.Reject(ssh.ResourceShortage, "too many sessions")
		}
	}
	work.Wait()
}

// terminal is what a client says of its own.
type terminal struct {
	Name                         string
	Columns, Rows, Width, Height uint32
	Modes                        string
}

func (t terminal) valid() bool { return len(t.Name) <= 64 && !strings.ContainsAny(t.Name, "\x00=") }

// session is one channel: at most one shell, program or SFTP.
type session struct {
	*sshServer
	ch   ssh.Channel
	gone chan struct{} // closed with the channel
	term *terminal     // that was asked for; nil for none

	mu  sync.Mutex
	tty *os.File
}

func (s *sshServer) session(n ssh.NewChannel) {
	ch, requests, err := n.Accept()
	if err != nil {
		return
	}
	c := &session{sshServer: s, ch: ch, gone: make(chan struct{})}
	var work sync.WaitGroup
	started := false
	for r := range requests {
		ok := false
		switch r.Type {
		case "pty-req":
			var t terminal
			if ok = !started && ssh.Unmarshal(r.Payload, &t) == nil && t.valid(); ok {
				c.term = &t
			}
		case "window-change":
			ok = c.resize(r.Payload)
		case "shell", "exec", "subsystem":
			cmd := c.command(r)
			if started || cmd == nil {
				break
			}
			started = true
			_ = r.Reply(true, nil) // before the first byte of output
			work.Go(func() { c.run(cmd, r.Type == "shell") })
			continue
		}
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
	}
	close(c.gone)
	work.Wait()
	ch.Close()
}

// command returns what a request asks for; nil for what there is not.
func (c *session) command(r *ssh.Request) *exec.Cmd {
	var text struct{ Text string }
	if r.Type != "shell" && (ssh.Unmarshal(r.Payload, &text) != nil || strings.ContainsRune(text.Text, 0)) {
		return nil
	}
	cmd := &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", text.Text}, Dir: c.home, Env: c.environ}
	switch {
	case r.Type == "shell":
		cmd.Args = []string{"-sh"} // the hyphen makes it a login shell
	case r.Type == "subsystem" && text.Text != "sftp":
		return nil
	case r.Type == "subsystem":
		cmd.Path, cmd.Args = c.sftp[0], c.sftp
	}
	return cmd
}

// run runs the program, reports how it ended, and closes the channel. What still runs when the
// channel closes is hung up.
func (c *session) run(cmd *exec.Cmd, shell bool) {
	defer c.ch.Close()
	begin := c.pipes
	if c.term != nil {
		begin = c.onTerminal
		if shell {
			_, _ = io.WriteString(c.ch, strings.ReplaceAll(c.greeting, "\n", "\r\n"))
		}
	}
	wait, output, err := begin(cmd)
	if err != nil {
		fmt.Fprintf(c.ch.Stderr(), "%s: %v\r\n", cmd.Path, err)
		c.exit(127)
		return
	}
	ended := make(chan syscall.WaitStatus, 1)
	go func() { ended <- wait() }()
	select {
	case status := <-ended:
		output()
		c.report(status)
	case <-c.gone:
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP)
		output()
	}
}

func (c *session) exit(code uint32) {
	_, _ = c.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
}

// report tells the client how the program ended.
func (c *session) report(status syscall.WaitStatus) {
	if !status.Signaled() {
		c.exit(uint32(status.ExitStatus()))
		return
	}
	names := map[syscall.Signal]string{
		syscall.SIGHUP: "HUP", syscall.SIGINT: "INT", syscall.SIGKILL: "KILL", syscall.SIGPIPE: "PIPE",
		syscall.SIGQUIT: "QUIT", syscall.SIGSEGV: "SEGV", syscall.SIGTERM: "TERM", syscall.SIGABRT: "ABRT",
	}
	name, known := names[status.Signal()]
	if !known {
		name = "SIG@openssh.com"
	}
	_, _ = c.ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
		Name              string
		Core              bool
		Message, Language string
	}{name, status.CoreDump(), "", ""}))
}

// pipes starts the program with three streams.
func (c *session) pipes(cmd *exec.Cmd) (wait func() syscall.WaitStatus, output func(), err error) {
	var files []*os.File // an end of ours and one of the program's for each stream
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(files)
			return nil, nil, err
		}
		files = append(files, r, w)
	}
	input, stdout, stderr := files[1], files[2], files[4]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[3], files[5]
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	wait, err = c.start(cmd)
	closeAll([]*os.File{files[0], files[3], files[5]})
	if err != nil {
		closeAll([]*os.File{input, stdout, stderr})
		return nil, nil, err
	}
	go func() {
		_, _ = io.Copy(input, c.ch)
		input.Close()
	}()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(c.ch, stdout) })
	both.Go(func() { _, _ = io.Copy(c.ch.Stderr(), stderr) })
	sent := make(chan struct{})
	go func() {
		both.Wait()
		close(sent)
	}()
	return wait, func() {
		select { // what a process in the background still writes is for a client that is there
		case <-sent:
		case <-c.gone:
		}
		closeAll([]*os.File{stdout, stderr})
	}, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// onTerminal starts the program on a new terminal.
func (c *session) onTerminal(cmd *exec.Cmd) (wait func() syscall.WaitStatus, output func(), err error) {
	tty, theirs, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	setSize(tty, c.term.Columns, c.term.Rows)
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "TERM="+c.term.Name, "SSH_TTY="+theirs.Name())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if wait, err = c.start(cmd); err != nil {
		tty.Close()
		return nil, nil, err
	}
	c.mu.Lock()
	c.tty = tty
	c.mu.Unlock()
	go func() { _, _ = io.Copy(tty, c.ch) }()
	sent := make(chan struct{})
	go func() {
		_, _ = io.Copy(c.ch, tty) // ends when no process has the terminal
		close(sent)
	}()
	return wait, func() {
		select {
		case <-sent:
		case <-time.After(drainLimit):
		}
		c.mu.Lock()
		c.tty = nil
		c.mu.Unlock()
		tty.Close()
	}, nil
}

func setSize(tty *os.File, columns, rows uint32) {
	_ = pty.Setsize(tty, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)})
}

func (c *session) resize(payload []byte) bool {
	var v struct{ Columns, Rows, Width, Height uint32 }
	if ssh.Unmarshal(payload, &v) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tty != nil {
		setSize(c.tty, v.Columns, v.Rows)
	}
	return true
}
