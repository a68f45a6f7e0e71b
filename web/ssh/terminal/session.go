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

// Code says what an Error is about.
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
)

// Error is what went wrong, for the page and for the user before it.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return e.Message }

// Phase is how far opening a session has come.
type Phase string

// The phases, in their order.
const (
	PhaseConnecting Phase = "connecting"
	PhaseHostKey    Phase = "hostKey"
	PhaseSigningIn  Phase = "signingIn"
	PhaseOpen       Phase = "open"
)

// Status tells how far opening has come.
type Status struct {
	Phase Phase
	// Fingerprint is that of the machine's host key, from PhaseHostKey on; Known tells whether it was on the list.
	Fingerprint string
	Known       bool
}

// handshakeTime is how long the machine may take from the first byte to the shell.
const handshakeTime = 30 * time.Second

// Config says whom to sign in as, and where what the machine says goes.
type Config struct {
	User string
	// HostKeys are known_hosts lines. Where there are none, whatever key the machine shows is trusted, and told to Status.
	HostKeys []string
	// PrivateKey is the text of a key file; Passphrase opens it where it has one.
	PrivateKey, Passphrase string
	Columns, Rows          int
	// Term is the terminal's type, such as xterm-256color.
	Term string
	// Data is called with what the machine says, in its order, never twice at once. It must not keep the slice.
	Data func([]byte)
	// Status is called with each phase that is reached.
	Status func(Status)
}

// Session is a shell on the machine.
type Session struct {
	client *ssh.Client
	shell  *ssh.Session
	input  io.WriteCloser
}

// output hands on what the shell writes to both of its outputs.
type output struct {
	mu   *sync.Mutex
	data func([]byte)
}

func (o output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data(p)
	return len(p), nil
}

// Open signs in over the connection and starts a shell. The error is an *Error, and the connection is closed then.
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
	timeout := time.AfterFunc(handshakeTime, func() { _ = conn.Close() })
	defer timeout.Stop()
	last := Status{}
	status := func(s Status) { last = s; c.Status(s) }
	wire, channels, requests, err := ssh.NewClientConn(conn, "", &ssh.ClientConfig{
		User: c.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: check(known, status), HostKeyAlgorithms: algorithms(known),
	})
	if err != nil {
		return nil, refusal(err, last, c.User)
	}
	s := &Session{client: ssh.NewClient(wire, channels, requests)}
	if s.shell, err = s.client.NewSession(); err == nil {
		s.input, err = s.shell.StdinPipe()
	}
	if err == nil {
		out := output{&sync.Mutex{}, c.Data}
		s.shell.Stdout, s.shell.Stderr = out, out
		err = s.shell.RequestPty(c.Term, c.Rows, c.Columns, ssh.TerminalModes{ssh.ECHO: 1})
	}
	if err == nil {
		err = s.shell.Shell()
	}
	if err != nil {
		_ = s.client.Close()
		return nil, &Error{Code: Failed, Message: "The machine lets you in but starts no shell: " + err.Error() + "."}
	}
	last.Phase = PhaseOpen
	c.Status(last)
	return s, nil
}

// refusal is what a handshake's failure means.
func refusal(err error, last Status, user string) *Error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return known
	case strings.Contains(err.Error(), "unable to authenticate"): // the library has no type for it
		return &Error{Code: SignInRefused, Message: "The machine does not let " + user + " in with this key. Use one of the deployment’s SSH keys."}
	case strings.Contains(err.Error(), "no common algorithm for host key"):
		return &Error{Code: HostKeyMismatch, Message: "What answers is not this deployment’s machine: it has no host key of the kinds that are known. Nothing was sent to it."}
	case last.Phase == PhaseSigningIn:
		return &Error{Code: Failed, Message: "The connection ended while signing in: " + err.Error() + "."}
	default:
		return &Error{Code: Unreachable, Message: "The machine could not be reached: " + err.Error() + "."}
	}
}

// Write sends input to the shell. It waits while the machine takes no more.
func (s *Session) Write(p []byte) (int, error) { return s.input.Write(p) }

// Resize tells the shell the size of the terminal, in characters.
func (s *Session) Resize(columns, rows int) error { return s.shell.WindowChange(rows, columns) }

// Wait waits for the shell's end. exited tells whether it said with which status; otherwise the connection is gone.
func (s *Session) Wait() (status int, exited bool) {
	err := s.shell.Wait()
	_ = s.client.Close()
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &exit) && exit.Signal() == "":
		return exit.ExitStatus(), true
	}
	return 0, false
}

// Close ends the session and its connection.
func (s *Session) Close() error { return s.client.Close() }
