package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

const (
	maxEnv   = 64      // variables that a client may set
	maxValue = 4 << 10 // bytes of one
	// drainTime is how long a terminal is read after its shell has ended while a background process keeps it open.
	drainTime = 50 * time.Millisecond
	drainMost = 5 * time.Second
)

// session is one session channel: at most one command, or shell, or SFTP.
type session struct {
	*client
	ch   gossh.Channel
	env  []string
	term string // terminal type; a terminal was asked for when it is not empty
	size unix.Winsize
	gone chan struct{} // closed when the channel is

	mu      sync.Mutex
	tty     *os.File // our end of the terminal while the command runs
	process *os.Process
}

// session serves the channel's requests and returns when the channel and its command's output are done with.
func (c *client) session(nc gossh.NewChannel) {
	ch, requests, err := nc.Accept()
	if err != nil {
		return
	}
	s := &session{client: c, ch: ch, gone: make(chan struct{})}
	var work sync.WaitGroup
	started := false
	for r := range requests {
		ok := false
		switch r.Type {
		case "env":
			ok = s.setenv(r.Payload)
		case "pty-req":
			ok = !started && s.wantTerminal(r.Payload)
		case "window-change":
			ok = s.resize(r.Payload)
		case "signal":
			ok = s.signal(r.Payload)
		case "shell", "exec", "subsystem":
			if started {
				break
			}
			var args []string
			if args, ok = s.command(r); ok {
				started = true
				// The answer must go out before the first byte of output.
				_ = r.Reply(true, nil)
				work.Go(func() { s.run(args, r.Type == "shell") })
				continue
			}
		}
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
	}
	close(s.gone)
	work.Wait()
	ch.Close()
}

// command returns the arguments of what a shell, exec or subsystem request asks for.
func (s *session) command(r *gossh.Request) ([]string, bool) {
	var text struct{ Text string }
	if r.Type != "shell" && gossh.Unmarshal(r.Payload, &text) != nil {
		return nil, false
	}
	switch {
	case r.Type == "shell":
		return []string{s.m.shell, "-l"}, true
	case r.Type == "exec":
		return []string{s.m.shell, "-c", text.Text}, !strings.ContainsRune(text.Text, 0)
	default:
		return []string{s.m.self, InitArg, roleFiles}, text.Text == "sftp"
	}
}

// setenv takes what ssh clients send for the user's comfort and nothing that changes what is executed.
func (s *session) setenv(payload []byte) bool {
	var v struct{ Name, Value string }
	if gossh.Unmarshal(payload, &v) != nil || len(s.env) >= maxEnv || len(v.Value) > maxValue || strings.ContainsRune(v.Name+v.Value, 0) {
		return false
	}
	if !slices.Contains([]string{"LANG", "COLORTERM", "NO_COLOR", "TZ"}, v.Name) && !strings.HasPrefix(v.Name, "LC_") || strings.Contains(v.Name, "=") {
		return false
	}
	s.env = append(s.env, v.Name+"="+v.Value)
	return true
}

func (s *session) wantTerminal(payload []byte) bool {
	var v struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if gossh.Unmarshal(payload, &v) != nil || strings.ContainsRune(v.Term, 0) || len(v.Term) > 64 {
		return false
	}
	if s.term = v.Term; s.term == "" {
		s.term = "dumb"
	}
	s.size = winsize(v.Columns, v.Rows, v.Width, v.Height)
	return true
}

func winsize(columns, rows, width, height uint32) unix.Winsize {
	return unix.Winsize{Col: uint16(columns), Row: uint16(rows), Xpixel: uint16(width), Ypixel: uint16(height)}
}

func (s *session) resize(payload []byte) bool {
	var v struct{ Columns, Rows, Width, Height uint32 }
	if gossh.Unmarshal(payload, &v) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = winsize(v.Columns, v.Rows, v.Width, v.Height)
	return s.tty == nil || setSize(s.tty, &s.size) == nil
}

// signals are those that a client may send, by their names in the protocol.
var signals = map[string]syscall.Signal{
	"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP, "ILL": syscall.SIGILL,
	"INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE, "QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV,
	"TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

func (s *session) signal(payload []byte) bool {
	var v struct{ Name string }
	if gossh.Unmarshal(payload, &v) != nil {
		return false
	}
	sig, ok := signals[v.Name]
	return ok && s.kill(sig)
}

// kill signals the command's process group while the command has not been waited for.
func (s *session) kill(sig syscall.Signal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process != nil && syscall.Kill(-s.process.Pid, sig) == nil
}

// run runs the command, reports how it ended, and closes the channel. A command that still runs when the channel
// closes is hung up, as by a modem; one that ignores that goes on without us.
func (s *session) run(args []string, shell bool) {
	defer s.ch.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = s.m.home
	local, remote := s.conn.LocalAddr().(*net.TCPAddr), s.conn.RemoteAddr().(*net.TCPAddr)
	cmd.Env = append(s.m.environ(), fmt.Sprintf("SSH_CONNECTION=%s %d %s %d", remote.IP, remote.Port, local.IP, local.Port))
	cmd.Env = append(cmd.Env, s.env...)
	var (
		output func() // returns when all output has been sent or nobody wants it
		err    error
	)
	if s.term != "" {
		output, err = s.startTerminal(cmd, shell)
	} else {
		output, err = s.startPipes(cmd)
	}
	if err != nil {
		fmt.Fprintf(s.ch.Stderr(), "%s: %v\r\n", args[0], err)
		s.exit(127)
		return
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-s.gone:
			s.kill(syscall.SIGHUP)
		case <-ended:
		}
	}()
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_ = cmd.Wait()
		s.mu.Lock()
		s.process = nil
		s.mu.Unlock()
		s.m.finish(cmd)
		close(ended)
	}()
	select {
	case <-waited:
	case <-s.gone:
	}
	output()
	select {
	case <-waited:
		s.report(cmd.ProcessState)
	default: // the client is gone and the command goes on
	}
}

func (s *session) exit(code int) {
	_, _ = s.ch.SendRequest("exit-status", false, gossh.Marshal(struct{ Code uint32 }{uint32(code)}))
}

// report tells the client how the command ended.
func (s *session) report(state *os.ProcessState) {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		s.exit(state.ExitCode())
		return
	}
	for name, sig := range signals {
		if sig == status.Signal() {
			_, _ = s.ch.SendRequest("exit-signal", false, gossh.Marshal(struct {
				Name     string
				Core     bool
				Message  string
				Language string
			}{name, status.CoreDump(), sig.String(), ""}))
			return
		}
	}
	s.exit(128 + int(status.Signal()))
}

// startPipes starts the command with input, output and errors as three streams.
func (s *session) startPipes(cmd *exec.Cmd) (output func(), err error) {
	var ours, theirs [3]*os.File
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ours[:])
			closeAll(theirs[:])
			return nil, err
		}
		ours[i], theirs[i] = r, w
		if i == 0 {
			ours[i], theirs[i] = w, r
		}
	}
	defer closeAll(theirs[:])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := s.m.start(cmd); err != nil {
		closeAll(ours[:])
		return nil, err
	}
	s.mu.Lock()
	s.process = cmd.Process
	s.mu.Unlock()
	go func() {
		_, _ = io.Copy(ours[0], s.ch)
		ours[0].Close()
	}()
	done := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(s.ch, ours[1]) })
	both.Go(func() { _, _ = io.Copy(s.ch.Stderr(), ours[2]) })
	go func() {
		both.Wait()
		close(done)
	}()
	return func() {
		// A process left in the background keeps these open; its output is wanted as long as the client is there.
		select {
		case <-done:
		case <-s.gone:
		}
		closeAll(ours[1:])
		<-done
	}, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// startTerminal starts the command on a new terminal.
func (s *session) startTerminal(cmd *exec.Cmd, shell bool) (output func(), err error) {
	tty, theirs, err := openTerminal()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	_ = setSize(tty, &s.size)
	cmd.Env = append(cmd.Env, "TERM="+s.term, "SSH_TTY="+theirs.Name())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if shell {
		_, _ = io.WriteString(s.ch, strings.ReplaceAll(s.m.motd, "\n", "\r\n"))
	}
	if err := s.m.start(cmd); err != nil {
		tty.Close()
		return nil, err
	}
	s.mu.Lock()
	s.tty, s.process = tty, cmd.Process
	// The client may have changed the size since.
	_ = setSize(tty, &s.size)
	s.mu.Unlock()
	go func() { _, _ = io.Copy(tty, s.ch) }()
	done := make(chan struct{})
	go func() {
		copyTerminal(s.ch, tty)
		close(done)
	}()
	return func() {
		canStop := tty.SetReadDeadline(time.Now().Add(drainTime)) == nil
		if canStop {
			select {
			case <-done:
			case <-s.gone:
			}
		}
		s.mu.Lock()
		s.tty = nil
		s.mu.Unlock()
		tty.Close()
		select {
		case <-done:
		case <-time.After(drainTime): // no deadlines on this system's terminals, and a process holds this one
		}
	}, nil
}

// openTerminal makes a terminal whose first end can be read with a deadline. The pty package leaves its file in a
// mode where reads cannot be stopped, and puts it back there whenever it sets the size.
func openTerminal() (ours, theirs *os.File, err error) {
	blocking, theirs, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), "terminal"), theirs, nil
}

func setSize(tty *os.File, size *unix.Winsize) error {
	c, err := tty.SyscallConn()
	if err != nil {
		return err
	}
	failed := c.Control(func(fd uintptr) { err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
	return errors.Join(failed, err)
}

// copyTerminal copies a terminal's output to its end. Once a read deadline is set, because the shell has ended, it
// also stops when nothing comes for drainTime, or after drainMost: a background process may keep the terminal.
func copyTerminal(w io.Writer, tty *os.File) {
	b := make([]byte, 32<<10)
	var ended time.Time
	idle := false
	for {
		n, err := tty.Read(b)
		if n > 0 {
			idle = false
			if _, err := w.Write(b[:n]); err != nil {
				return
			}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			now := time.Now()
			if ended.IsZero() {
				ended = now
			}
			if idle || now.Sub(ended) > drainMost || tty.SetReadDeadline(now.Add(drainTime)) != nil {
				return
			}
			idle = true
		case err != nil:
			return
		}
	}
}
