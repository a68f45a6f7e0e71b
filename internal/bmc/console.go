package bmc

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// ConsoleKind is how a BMC gives the serial console of its server over SSH.
type ConsoleKind string

// The kinds of consoles.
const (
	ConsoleOff     ConsoleKind = "off"
	ConsoleOpenBMC ConsoleKind = "openbmc" // port 2200 is the console
	ConsoleIDRAC   ConsoleKind = "idrac"   // the command "console com2"
	ConsoleILO     ConsoleKind = "ilo"     // the command "vsp"
)

// ConsoleKinds lists every kind.
var ConsoleKinds = []ConsoleKind{ConsoleOff, ConsoleOpenBMC, ConsoleIDRAC, ConsoleILO}

// consoles are what differs between the kinds.
var consoles = map[ConsoleKind]struct {
	port    int
	command string // "" where the connection itself is the console
	// leave is what has the BMC go from the console to its own command line. It is one or two
	// bytes long, or empty where leaving the console ends the connection.
	leave string
}{
	ConsoleOpenBMC: {port: 2200},
	ConsoleIDRAC:   {port: 22, command: "console com2", leave: "\x1c"},
	ConsoleILO:     {port: 22, command: "vsp", leave: "\x1b("},
}

// ConsoleAddress is where the serial console of a server is, and how to sign in.
type ConsoleAddress struct {
	Kind ConsoleKind
	Host string
	// Port is that of SSH; 0 for the kind's own.
	Port int
	// User and Password are of an account that should have the right to the console only.
	User, Password string
	// HostKey is the only host key that is accepted: a line of an authorized_keys file.
	HostKey string
	// Timeout limits connecting and signing in; 30 s where it is 0.
	Timeout time.Duration
}

// CheckHostKey returns the host key of a line without a comment; false if it is none.
func CheckHostKey(line string) (key string, valid bool) {
	parsed, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(line)))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return line, false
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(parsed))), true
}

// Console is an open serial console. One goroutine may read and another write.
type Console struct {
	client *ssh.Client
	output io.Reader
	input  *typed
	close  func() error
}

// OpenConsole connects to a serial console. The context is for connecting only. Close the result.
//
// A shell is only asked for where the port has nothing but the console, as that of OpenBMC. What
// would leave the console is not passed on: what a tenant types must not reach the command line of
// a BMC.
func OpenConsole(ctx context.Context, a ConsoleAddress) (*Console, error) {
	return openConsole(ctx, a, ssh.Password(a.Password), ssh.KeyboardInteractive(
		func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = a.Password
			}
			return answers, nil
		},
	))
}

func openConsole(ctx context.Context, a ConsoleAddress, auth ...ssh.AuthMethod) (*Console, error) {
	kind, known := consoles[a.Kind]
	if !known {
		return nil, failure(KindUnsupported, "the server has no serial console")
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(a.HostKey))
	if err != nil {
		return nil, failure(KindRejected, "the host key of the console is not a key")
	}
	if a.Port == 0 {
		a.Port = kind.port
	}
	if a.Timeout == 0 {
		a.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	client, err := signIn(ctx, a, key, auth)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	c, err := start(client, kind.command, kind.leave)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = client.Close()
		return nil, &Error{Kind: KindRejected, Message: "the BMC does not open the console", Cause: err}
	}
	return c, nil
}

// signIn connects by SSH.
func signIn(
	ctx context.Context, a ConsoleAddress, key ssh.PublicKey, auth []ssh.AuthMethod,
) (*ssh.Client, error) {
	at := net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	conn, err := d.DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, &Error{Kind: KindUnreachable, Message: "the console does not answer", Cause: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	wrongKey := false
	sent, channels, requests, err := ssh.NewClientConn(conn, at, &ssh.ClientConfig{
		User: a.User, Auth: auth,
		HostKeyCallback: func(host string, remote net.Addr, shown ssh.PublicKey) error {
			err := ssh.FixedHostKey(key)(host, remote, shown)
			wrongKey = err != nil
			return err
		},
		HostKeyAlgorithms: algorithms(key.Type()),
	})
	if err == nil {
		return ssh.NewClient(sent, channels, requests), nil
	}
	_ = conn.Close()
	switch {
	case wrongKey || strings.Contains(err.Error(), "no common algorithm for host key"):
		return nil, &Error{
			Kind: KindUnauthorized, Message: "the console shows another host key than the machine's", Cause: err,
		}
	case strings.Contains(err.Error(), "unable to authenticate"):
		return nil, &Error{Kind: KindUnauthorized, Message: "the console does not accept the password", Cause: err}
	}
	return nil, &Error{Kind: KindUnreachable, Message: "the console does not answer", Cause: err}
}

// algorithms are those by which a server can prove that it has a key of the type.
func algorithms(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return []string{keyType}
}

// start opens the console over a connection.
func start(client *ssh.Client, command, leave string) (*Console, error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	// The modes are those of a terminal that echoes nothing: the server's own system does.
	err = session.RequestPty("vt100", 24, 80, ssh.TerminalModes{
		ssh.ECHO: 0, ssh.ICANON: 0, ssh.ISIG: 0, ssh.ISTRIP: 0, ssh.IXON: 0,
	})
	if err != nil {
		return nil, err
	}
	input, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if command == "" {
		err = session.Shell()
	} else {
		err = session.Start(command)
	}
	return &Console{
		client: client, output: output, input: &typed{to: input, leave: leave},
		close: sync.OnceValue(func() error { return errors.Join(ignoreEOF(session.Close()), client.Close()) }),
	}, err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Read reads what the server writes to its console. Nothing is kept beyond the window of SSH: a
// reader that is slow makes the BMC wait.
func (c *Console) Read(b []byte) (int, error) { return c.output.Read(b) }

// Write types on the console.
func (c *Console) Write(b []byte) (int, error) { return c.input.Write(b) }

// Close ends the connection.
func (c *Console) Close() error { return c.close() }

// typed passes on what is typed, without what would leave the console.
type typed struct {
	to    io.Writer
	leave string
	last  byte
}

// Write implements io.Writer. The number of bytes counts those that are not passed on.
func (t *typed) Write(b []byte) (int, error) {
	if t.leave == "" {
		return t.to.Write(b)
	}
	pass := make([]byte, 0, len(b))
	end := t.leave[len(t.leave)-1]
	for _, c := range b {
		// What the BMC got last stays the same, so that a second end of a pair is dropped, too.
		if c == end && (len(t.leave) == 1 || t.last == t.leave[0]) {
			continue
		}
		pass, t.last = append(pass, c), c
	}
	if len(pass) == 0 {
		return len(b), nil
	}
	if _, err := t.to.Write(pass); err != nil {
		return 0, err
	}
	return len(b), nil
}
