package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"golang.org/x/crypto/ssh"
)

// Target is a node to log in to.
type Target struct {
	Endpoint provider.Endpoint
	User     string
	// HostKeys are those that the node may show, as lines without the host part.
	HostKeys []string
}

// Why a node was not checked.
var (
	errRefused = errors.New("the machine doesn't accept Billet's key")
	errHostKey = errors.New("the machine shows another SSH host key than before")
	errTooLong = errors.New("the machine sent more output than a check has")
	errNoKnown = errors.New("the machine's SSH host key isn't known")
)

// run runs a command on the node with that input, and returns what it prints, at most limit bytes.
// It ends with the context, whatever the machine does.
func run(ctx context.Context, at Target, signer ssh.Signer, command, input string, limit int64) ([]byte, error) {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return nil, err
	}
	config, err := at.config(signer)
	if err != nil {
		return nil, err
	}
	conn, err := provider.DialSSH(ctx, at.Endpoint, net.Dialer{})
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	all := &bounded{Conn: conn, left: limit + maxOverhead}
	text, err := runOver(ctx, all, at, config, command, input, limit)
	if all.over.Load() && ctx.Err() == nil {
		return nil, errTooLong // whatever that made of the SSH connection
	}
	return text, err
}

// maxOverhead is how many bytes a machine may send beside what the command prints: the protocol's
// own, and what the login shell says.
const maxOverhead = 1 << 20

// bounded is a connection that ends once the machine has sent too much. SSH has many messages that
// are read and thrown away, such as banners, what a command writes to its standard error, and
// requests; without a limit a machine could send them until the deadline.
type bounded struct {
	net.Conn
	left int64 // of one reader
	over atomic.Bool
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.over.Store(true)
		_ = b.Conn.Close()
		return 0, errTooLong
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// runOver is run over a connection.
func runOver(
	ctx context.Context, conn net.Conn, at Target, config *ssh.ClientConfig, command, input string, limit int64,
) ([]byte, error) {
	shown := false
	check := config.HostKeyCallback
	config.HostKeyCallback = func(host string, addr net.Addr, key ssh.PublicKey) error {
		err := check(host, addr, key)
		shown = err == nil
		return err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, at.Endpoint.Address, config)
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), err)
	case errors.Is(err, errHostKey):
		return nil, errHostKey
	case err != nil && shown && strings.Contains(err.Error(), "unable to authenticate"):
		return nil, errRefused
	case err != nil:
		return nil, err
	}
	client := ssh.NewClient(c, channels, requests)
	defer func() { _ = client.Close() }()
	return output(ctx, client, command, input, limit)
}

// output runs the command, and reads what it prints until it closes its output. How it exits says
// nothing: the output does.
func output(ctx context.Context, client *ssh.Client, command, input string, limit int64) ([]byte, error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	session.Stdin = strings.NewReader(input)
	if err := session.Start(command); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(out, limit+1))
	switch {
	case ctx.Err() != nil: // a connection that was closed ends the output like one that is complete
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case int64(len(text)) > limit:
		return nil, errTooLong
	}
	return text, nil
}

// config accepts the node's host keys and no other.
func (t Target) config(signer ssh.Signer) (*ssh.ClientConfig, error) {
	var known [][]byte
	var algorithms []string
	for _, line := range t.HostKeys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			continue
		}
		known = append(known, key.Marshal())
		if key.Type() == ssh.KeyAlgoRSA {
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			algorithms = append(algorithms, key.Type())
		}
	}
	if len(known) == 0 {
		return nil, errNoKnown
	}
	return &ssh.ClientConfig{
		User: t.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			shown := key.Marshal()
			if !slices.ContainsFunc(known, func(k []byte) bool { return slices.Equal(k, shown) }) {
				return errHostKey
			}
			return nil
		},
	}, nil
}

// removal is the script that deletes the line of the key from the files that sshd reads by default.
// It writes into the file, which keeps its owner and mode.
const removal = `k='%s'
for f in "$HOME/.ssh/authorized_keys" "$HOME/.ssh/authorized_keys2"; do
	[ -f "$f" ] || continue
	t=$(mktemp "$f.XXXXXX") || continue
	grep -vF "$k" "$f" > "$t"
	if [ $? -le 1 ]; then cat "$t" > "$f"; fi
	rm -f "$t"
done
`

// removalTimeout is how long the removal of a key from one node may take.
const removalTimeout = 20 * time.Second

// removeKey deletes the key's line on the node. It returns nil once the node refuses the key.
func removeKey(ctx context.Context, at Target, signer ssh.Signer) error {
	ctx, cancel := context.WithTimeout(ctx, removalTimeout)
	defer cancel()
	_, body, _ := strings.Cut(publicLine(signer.PublicKey()), " ")
	for _, script := range []string{fmt.Sprintf(removal, body), ""} {
		_, err := run(ctx, at, signer, "sh -s", script, 1<<16)
		switch {
		case errors.Is(err, errRefused):
			return nil
		case err != nil:
			return err
		}
	}
	return errors.New("the machine still accepts Billet's key after its removal")
}

func publicLine(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}
