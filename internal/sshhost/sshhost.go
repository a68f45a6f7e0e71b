package sshhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/rackagent"
)

const (
	// dialLimit is how long connecting and signing in may take together.
	dialLimit = 30 * time.Second
	// maxOutput is how many bytes are read of what a command prints.
	maxOutput = 4 << 10
	// maxText is how many bytes of that an error has.
	maxText = 300
)

// Kind is what an error means for the caller.
type Kind string

// The kinds of errors.
const (
	// KindUnreachable: no answer, or the connection broke. A command may have taken effect.
	KindUnreachable Kind = "unreachable"
	// KindRefused: the server shows another host key, or does not accept ours.
	KindRefused Kind = "refused"
	// KindFailed: the server is not one that the agent can be started on.
	KindFailed Kind = "failed"
)

// Error is the error of an operation.
type Error struct {
	Kind Kind
	// Message is for the operator, and has no secrets.
	Message string
	// otherKey means that the server shows another host key than the pinned one.
	otherKey bool
}

// OtherHostKey reports whether an error is that the server shows another host key than the pinned
// one: another system may run there.
func OtherHostKey(err error) bool {
	e, is := errors.AsType[*Error](err)
	return is && e.otherKey
}

func (e *Error) Error() string { return "ssh: " + string(e.Kind) + ": " + e.Message }

func failure(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Address is where a server is, and how to sign in.
type Address struct {
	Address string // host:port
	User    string // root, or one who may use sudo without a password
	HostKey string // a line without a comment: "ssh-ed25519 AAAA…"
	// Key is a private key in a format of OpenSSH, without a passphrase.
	Key []byte
}

// Host is a server that is signed in to.
type Host struct {
	client *ssh.Client
	sudo   string
}

var errHostKey = errors.New("the host key is not the pinned one")

// Open signs in. The context is for that only. Close the result.
func Open(ctx context.Context, a Address) (*Host, error) {
	if db.InsideTx(ctx) {
		return nil, errors.New("sshhost: called inside a database transaction; commit first")
	}
	key, err := ssh.ParsePrivateKey(a.Key)
	if err != nil {
		return nil, failure(KindRefused, "the private key cannot be read")
	}
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(a.HostKey))
	if err != nil {
		return nil, failure(KindRefused, "the pinned host key cannot be read")
	}
	algorithms := []string{pinned.Type()}
	if pinned.Type() == ssh.KeyAlgoRSA {
		algorithms = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.Address)
	if err != nil {
		return nil, failure(KindUnreachable, "%s does not answer: %s", a.Address, why(err))
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	known := false
	c, channels, requests, err := ssh.NewClientConn(conn, a.Address, &ssh.ClientConfig{
		User: a.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, shown ssh.PublicKey) error {
			if !bytes.Equal(shown.Marshal(), pinned.Marshal()) {
				return errHostKey
			}
			known = true
			return nil
		},
	})
	if err == nil {
		h := &Host{client: ssh.NewClient(c, channels, requests)}
		if a.User != "root" {
			h.sudo = "sudo -n "
		}
		return h, nil
	}
	_ = conn.Close()
	switch {
	case errors.Is(err, errHostKey) || strings.Contains(err.Error(), "no common algorithm for host key"):
		other := failure(KindRefused, "%s shows another host key than the pinned one", a.Address)
		other.otherKey = true
		return nil, other
	case known && strings.Contains(err.Error(), "unable to authenticate"):
		return nil, failure(KindRefused, "%s does not accept Billet's key for the user %s", a.Address, plain(a.User))
	}
	return nil, failure(KindUnreachable, "%s does not speak SSH: %s", a.Address, why(err))
}

// Close ends the connection.
func (h *Host) Close() { _ = h.client.Close() }

// check prints what keeps the agent from being started; nothing if it can be.
const check = `sh -c '
[ "$(id -u)" = 0 ] || echo "the user is not root, and may not use sudo without a password;"
[ "$(uname -sm)" = "Linux x86_64" ] || echo "it is $(uname -sm), not Linux x86_64;"
[ "$(cat /proc/sys/kernel/kexec_load_disabled 2>/dev/null || echo 1)" = 0 ] ||
	echo "its kernel cannot start another one: kernel.kexec_load_disabled is not 0, or it has no kexec;"
echo end'`

// Check returns an error of KindFailed if the agent cannot be started on the server. The end of the
// context ends the connection, too.
func (h *Host) Check(ctx context.Context) error {
	out, failed, err := h.run(ctx, h.sudo+check, nil)
	if err != nil {
		return err
	}
	wrong, whole := strings.CutSuffix(strings.TrimSpace(out), "end")
	if !whole {
		return failure(KindFailed, "the check of the server failed: %s", plain(out+" "+failed))
	}
	if wrong = strings.Trim(plain(wrong), "; "); wrong != "" {
		return failure(KindFailed, "the agent cannot be started: %s", wrong)
	}
	return nil
}

// place is what the server may call the folder of the agent.
var place = regexp.MustCompile(`^/[A-Za-z0-9/._-]{1,200}$`)

// Start starts the agent in place of the running system. Where the answer is lost, it may have been
// started. The end of the context ends the connection, too.
func (h *Host) Start(ctx context.Context, b rackagent.Boot, p rackagent.Parameters) error {
	input, err := b.Input(p)
	if err != nil {
		return err
	}
	out, failed, err := h.run(ctx, `umask 077; d=$(mktemp -d /var/tmp/billet.XXXXXX) && cat >"$d/agent" && `+
		`chmod 700 "$d/agent" && echo "$d"`, bytes.NewReader(b.Program))
	if err != nil {
		return err
	}
	folder := strings.TrimSpace(out)
	if !place.MatchString(folder) {
		return failure(KindFailed, "the agent could not be copied: %s", plain(out+" "+failed))
	}
	out, failed, err = h.run(ctx, fmt.Sprintf("%s%s/agent kexec; rm -rf %s", h.sudo, folder, folder), input)
	if err != nil {
		return err
	}
	if !strings.Contains(out, rackagent.Loaded) {
		return failure(KindFailed, "the agent could not be started: %s", plain(failed+" "+out))
	}
	return nil
}

// run runs a command with an input, and returns the beginning of what it prints. How it exits says
// nothing: the output does.
func (h *Host) run(ctx context.Context, command string, input io.Reader) (out, failed string, err error) {
	defer context.AfterFunc(ctx, h.Close)()
	s, err := h.client.NewSession()
	if err != nil {
		return "", "", failure(KindUnreachable, "the server ended the connection: %s", plain(err.Error()))
	}
	defer s.Close()
	var printed, wrong limited
	s.Stdin, s.Stdout, s.Stderr = input, &printed, &wrong
	err = s.Run(command)
	if err != nil && ctx.Err() != nil {
		return "", "", failure(KindUnreachable, "the server did not answer in time")
	}
	// A command that does not read its input to the end is no failure of the connection.
	if _, exited := errors.AsType[*ssh.ExitError](err); err != nil && !exited && !errors.Is(err, io.EOF) {
		return "", "", failure(KindUnreachable, "the connection broke: %s", plain(err.Error()))
	}
	return printed.String(), wrong.String(), nil
}

// limited keeps the first bytes of what is written.
type limited struct{ bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	if left := maxOutput - l.Len(); left > 0 {
		l.Buffer.Write(b[:min(len(b), left)])
	}
	return len(b), nil
}

// why returns the reason of a failed connection, without the ports, which differ each time.
func why(err error) string {
	if e, is := errors.AsType[*net.OpError](err); is {
		err = e.Err
	}
	return plain(err.Error())
}

// plain returns a server's own text as it may be shown.
func plain(text string) string {
	text = apierr.Visible(strings.Join(strings.Fields(text), " "))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}
