package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

const (
	maxEnv   = 64      // variables that a client may set
	maxValue = 4 << 10 // bytes of one
	// internalSFTP is the name of the server's own SFTP service where a command is forced, as sshd
	// has it.
	internalSFTP = "internal-sftp"
)

// session is one session channel: at most one command, or shell, or SFTP.
type session struct {
	*client
	ch       gossh.Channel
	env      []string
	terminal bool   // one was asked for
	term     string // its type
	size     unix.Winsize
	modes    string        // of the client's terminal
	gone     chan struct{} // closed when the channel is
	deaf     chan struct{} // closed when the client reads no more output

	mu      sync.Mutex
	tty     *os.File // our end of the terminal while the command runs
	process *os.Process
}

// session serves the channel's requests and returns when the channel and its command's output are
// done with.
func (c *client) session(nc gossh.NewChannel) {
	ch, requests, err := nc.Accept()
	if err != nil {
		return
	}
	s := &session{client: c, ch: ch, gone: make(chan struct{}), deaf: make(chan struct{})}
	var work sync.WaitGroup
	started, deaf := false, false
	for r := range requests {
		ok := false
		switch r.Type {
		case "env":
			ok = !started && s.setenv(r.Payload)
		case "pty-req":
			ok = !started && s.wantTerminal(r.Payload)
		case "auth-agent-req@openssh.com":
			ok = !started && s.forwardAgent()
		case "window-change":
			ok = s.resize(r.Payload)
		case "signal":
			ok = s.signal(r.Payload)
		case "break":
			ok = s.sendBreak()
		case "eow@openssh.com":
			if !deaf {
				deaf = true
				close(s.deaf)
			}
		case "shell", "exec", "subsystem":
			if started {
				break
			}
			var p program
			if p, ok = s.program(r); ok {
				started = true
				// The answer must go out before the first byte of output.
				_ = r.Reply(true, nil)
				work.Go(func() { s.run(p) })
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

// program is what a session runs.
type program struct {
	path  string
	args  []string // with the name that it is called by
	env   []string // beside that of the session
	shell bool     // a login shell: nothing else was asked for
}

// program returns what a shell, exec or subsystem request asks for, or what the key forces instead.
func (s *session) program(r *gossh.Request) (program, bool) {
	var text struct{ Text string }
	if r.Type != "shell" && (gossh.Unmarshal(r.Payload, &text) != nil || strings.ContainsRune(text.Text, 0)) {
		return program{}, false
	}
	if r.Type == "subsystem" && text.Text != "sftp" {
		return program{}, false
	}
	shell := s.grant.account.shell
	name := filepath.Base(shell)
	var p program
	command, sftp := text.Text, r.Type == "subsystem"
	if s.grant.forced {
		if sftp {
			command = internalSFTP
		}
		if command != "" {
			p.env = []string{"SSH_ORIGINAL_COMMAND=" + command}
		}
		command = s.grant.command
		if command == internalSFTP && !sftp {
			return program{path: "/bin/sh", args: []string{"sh", "-c",
				"echo This service allows sftp connections only.; exit 1"}}, true
		}
		sftp = command == internalSFTP
	}
	switch {
	case sftp:
		p.path, p.args = s.m.self, []string{s.m.self, InitArg, roleFiles}
		return p, true
	case command == "" && !s.grant.forced:
		// The hyphen makes it a login shell.
		p.path, p.args, p.shell = shell, []string{"-" + name}, true
	default:
		p.path, p.args = shell, []string{name, "-c", command}
	}
	if rc := s.rcFile(); rc != "" && r.Type != "subsystem" {
		p.path, p.args = s.m.self, append([]string{s.m.self, InitArg, roleSession, rc, p.path}, p.args...)
	}
	return p, true
}

// rcFile is a script that is run before the session's program, or empty: the user's, else the
// machine's.
func (s *session) rcFile() string {
	path := filepath.Join(s.grant.account.home, ".ssh/rc")
	if _, err := os.Stat(path); err == nil && s.grant.rc {
		return path
	}
	if _, err := os.Stat("/etc/ssh/sshrc"); err == nil && s.m.cfg.Isolated {
		return "/etc/ssh/sshrc"
	}
	return ""
}

// runSession runs the script in the arguments, and then becomes the program that follows.
func runSession() error {
	if len(os.Args) < 6 {
		return errors.New("want a script and a program")
	}
	script := exec.Command("/bin/sh", os.Args[3])
	script.Stdout, script.Stderr = os.Stdout, os.Stderr
	_ = script.Run() // as with sshd, it decides nothing
	return syscall.Exec(os.Args[4], os.Args[5:], os.Environ())
}

// setenv takes the variables that Debian's sshd_config lets clients send.
func (s *session) setenv(payload []byte) bool {
	var v struct{ Name, Value string }
	if gossh.Unmarshal(payload, &v) != nil || len(s.env) >= maxEnv || len(v.Value) > maxValue ||
		strings.ContainsRune(v.Name+v.Value, 0) {
		return false
	}
	if !slices.Contains([]string{"LANG", "COLORTERM", "NO_COLOR"}, v.Name) && !strings.HasPrefix(v.Name, "LC_") ||
		strings.Contains(v.Name, "=") {
		return false
	}
	s.env = append(s.env, v.Name+"="+v.Value)
	return true
}

// signals are those that a client may send, by their names in the protocol.
var signals = map[string]syscall.Signal{
	"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP,
	"ILL": syscall.SIGILL,
	"INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE, "QUIT": syscall.SIGQUIT,
	"SEGV": syscall.SIGSEGV,
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

// run runs the command, reports how it ended, and closes the channel. A command that still runs
// when the channel closes is hung up, as by a modem; one that ignores that goes on without us.
func (s *session) run(p program) {
	defer s.ch.Close()
	cmd := &exec.Cmd{Path: p.path, Args: p.args, Dir: s.grant.account.home}
	cmd.Env = append(s.environ(), p.env...)
	if _, err := os.Stat(cmd.Dir); err != nil {
		fmt.Fprintf(s.ch.Stderr(), "Could not chdir to home directory %s: %v\r\n", cmd.Dir, reasonOf(err))
		cmd.Dir = "/"
	}
	var (
		output func() // returns when all output has been sent or no reader is left
		err    error
	)
	if s.terminal {
		output, err = s.startTerminal(cmd, s.greeting(p))
	} else {
		output, err = s.startPipes(cmd)
	}
	if err != nil {
		fmt.Fprintf(s.ch.Stderr(), "%s: %v\r\n", p.path, err)
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

// greeting is what a login shell on a terminal begins with, unless its user has silenced it.
func (s *session) greeting(p program) string {
	if _, err := os.Lstat(filepath.Join(s.grant.account.home, ".hushlogin")); err == nil || !p.shell {
		return ""
	}
	if s.m.cfg.Isolated {
		if text, err := os.ReadFile("/etc/motd"); err == nil {
			return string(text)
		}
	}
	return s.m.motd
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
	name := "SIG@openssh.com" // one that the protocol has no name for
	for known, sig := range signals {
		if sig == status.Signal() {
			name = known
		}
	}
	_, _ = s.ch.SendRequest("exit-signal", false, gossh.Marshal(struct {
		Name     string
		Core     bool
		Message  string
		Language string
	}{name, status.CoreDump(), "", ""}))
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
		if _, err := io.Copy(ours[0], s.ch); errors.Is(err, syscall.EPIPE) {
			_, _ = s.ch.SendRequest("eow@openssh.com", false, nil) // the command reads no more
		}
		ours[0].Close()
	}()
	done := make(chan struct{})
	go func() {
		select {
		case <-s.deaf:
			ours[1].Close()
		case <-done:
		}
	}()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(s.ch, ours[1]) })
	both.Go(func() { _, _ = io.Copy(s.ch.Stderr(), ours[2]) })
	go func() {
		both.Wait()
		close(done)
	}()
	return func() {
		// A process left in the background keeps these open; its output is wanted as long as the
		// client is there.
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
