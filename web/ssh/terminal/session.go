package terminal

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Code is the kind of an Error.
type Code string

// The codes.
const (
	Unreachable       Code = "UNREACHABLE"
	HostKeyMismatch   Code = "HOST_KEY_MISMATCH"
	KeyInvalid        Code = "KEY_INVALID"
	PassphraseMissing Code = "PASSPHRASE_MISSING"
	PassphraseWrong   Code = "PASSPHRASE_WRONG"
	SignInRefused     Code = "SIGN_IN_REFUSED"
	Failed            Code = "FAILED"

	// Those of files.
	NoFiles  Code = "NO_FILES"
	NotFound Code = "NOT_FOUND"
	Exists   Code = "EXISTS"
	Denied   Code = "DENIED"
	DiskFull Code = "DISK_FULL"
	Canceled Code = "CANCELED"
)

// Error is a failure with a message for the user.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return e.Message }

// Phase is a phase of opening a session.
type Phase string

// The phases, in order.
const (
	PhaseConnecting Phase = "connecting"
	PhaseHostKey    Phase = "hostKey"
	PhaseSigningIn  Phase = "signingIn"
	PhaseOpen       Phase = "open"
)

// Status is the progress of opening a session.
type Status struct {
	Phase Phase
	// Fingerprint is the machine's host key's, from PhaseHostKey on. Known reports whether the key
	// was on the list.
	Fingerprint string
	Known       bool
	// Kept reports, in PhaseOpen, whether the shell outlives the connection, and Resumed whether it
	// did: it was opened over an earlier connection.
	Kept, Resumed bool
}

// handshakeTimeout limits the time from the first byte to the shell.
const handshakeTimeout = 30 * time.Second

// Config has the credentials, the terminal's properties and the callbacks of a session.
type Config struct {
	User string
	// HostKeys are known_hosts lines. Without any, the machine's key is trusted and reported to
	// Status.
	HostKeys []string
	// PrivateKey is the text of a key file, Passphrase its passphrase or "".
	PrivateKey, Passphrase string
	Columns, Rows          int
	// Term is the terminal's type, such as xterm-256color.
	Term string
	// Keep is the name of a shell that outlives the connection where the machine has tmux: the next
	// connection with the same name continues it. "" is for a shell that ends with the connection.
	Keep string
	// KeepAlive is how often the machine is asked for a sign of life; 0 is the default.
	KeepAlive time.Duration
	// Idle is the time without input, output or files after which the session is closed; 0 is the
	// default.
	Idle time.Duration
	// Data receives the machine's output in order, one call at a time. It must not keep the slice.
	Data func([]byte)
	// Status receives each phase.
	Status func(Status)
}

// Session is a shell on the machine.
type Session struct {
	client *ssh.Client
	shell  *ssh.Session
	input  io.WriteCloser
	life   *life
	kept   bool
}

// output merges the shell's two outputs. While it is locked, nothing is delivered.
type output struct {
	mu   *sync.Mutex
	life *life
	data func([]byte)
}

func (o output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.life.used()
	o.data(p)
	return len(p), nil
}

// Open signs in over the connection and starts a shell, or continues one. On failure it closes the
// connection and returns an *Error.
func Open(conn net.Conn, c Config) (*Session, error) {
	s, err := open(conn, c)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func open(conn net.Conn, c Config) (*Session, error) {
	key, err := signer(c.PrivateKey, c.Passphrase)
	if err != nil {
		return nil, err
	}
	known, err := hostKeys(c.HostKeys)
	if err != nil {
		return nil, err
	}
	timeout := time.AfterFunc(handshakeTimeout, func() { _ = conn.Close() })
	defer timeout.Stop()
	last := Status{}
	status := func(s Status) { last = s; c.Status(s) }
	life := newLife(conn, c)
	wire, channels, requests, err := ssh.NewClientConn(life, "", &ssh.ClientConfig{
		User:              c.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback:   check(known, status),
		HostKeyAlgorithms: algorithms(known),
	})
	if err != nil {
		return nil, refusal(err, last, c.User)
	}
	s := &Session{client: ssh.NewClient(wire, channels, requests), life: life}
	if err := s.start(c, last); err != nil {
		_ = s.client.Close()
		message := "The machine accepted the key but started no shell: " + err.Error() + "."
		return nil, &Error{Code: Failed, Message: message}
	}
	go life.watch(s.client)
	return s, nil
}

// start starts the shell, or continues the one that was kept.
func (s *Session) start(c Config, last Status) (err error) {
	last.Phase = PhaseOpen
	last.Kept, last.Resumed = keep(s.client, c)
	s.kept = last.Kept
	if s.shell, err = s.client.NewSession(); err != nil {
		return err
	}
	if s.input, err = s.shell.StdinPipe(); err != nil {
		return err
	}
	out := output{&sync.Mutex{}, s.life, c.Data}
	s.shell.Stdout, s.shell.Stderr = out, out
	if err := s.shell.RequestPty(c.Term, c.Rows, c.Columns, ssh.TerminalModes{ssh.ECHO: 1}); err != nil {
		return err
	}
	// The status comes before the first output: what is on the screen may have to go first.
	out.mu.Lock()
	defer out.mu.Unlock()
	if s.kept {
		err = s.shell.Start(attach(c.Keep, c.Rows, last.Resumed))
	} else {
		err = s.shell.Shell()
	}
	if err == nil {
		c.Status(last)
	}
	return err
}

// refusal returns the error of a failed handshake.
func refusal(err error, last Status, user string) *Error {
	if known, is := errors.AsType[*Error](err); is {
		return known
	}
	switch {
	case strings.Contains(err.Error(), "unable to authenticate"): // the library has no type for it
		return &Error{Code: SignInRefused, Message: "The machine refused this key for the user " + user +
			". Use one of the deployment’s SSH keys."}
	case strings.Contains(err.Error(), "no common algorithm for host key"):
		return &Error{Code: HostKeyMismatch, Message: "The machine has no host key of this deployment’s types. " +
			"Nothing was sent to the machine."}
	case last.Phase == PhaseSigningIn:
		return &Error{Code: Failed, Message: "The connection was closed while signing in: " + err.Error() + "."}
	default:
		return &Error{Code: Unreachable, Message: "The machine could not be reached: " + err.Error() + "."}
	}
}

// Write sends input to the shell. It blocks while the machine accepts no more.
func (s *Session) Write(p []byte) (int, error) {
	s.life.used()
	return s.input.Write(p)
}

// Resize sets the size of the terminal, in characters.
func (s *Session) Resize(columns, rows int) error { return s.shell.WindowChange(rows, columns) }

// End is how a session ended.
type End struct {
	// Exited reports whether the shell returned a status; Status is that status.
	Exited bool
	Status int
	// Lost reports whether the machine gave no sign of life. It is false where the connection's own
	// end was noticed.
	Lost bool
	// Message is the reason for the user, where this end has one.
	Message string
}

// Wait blocks until the shell ends.
func (s *Session) Wait() End {
	err := s.shell.Wait()
	_ = s.client.Close()
	end := s.life.end()
	if exit, is := errors.AsType[*ssh.ExitError](err); is && exit.Signal() == "" {
		end.Exited, end.Status = true, exit.ExitStatus()
	} else if err == nil {
		end.Exited = true
	}
	if s.kept && end.Exited && end.Status == stillRunning {
		end.Exited, end.Status = false, 0
		end.Message = "This shell was opened in another tab. It is still running."
	}
	return end
}

// Close ends the session and its connection.
func (s *Session) Close() error { return s.client.Close() }
