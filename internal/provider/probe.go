package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/billetcloud/billet/internal/ipaddr"
	"golang.org/x/crypto/ssh"
)

const (
	// probeTimeout is how long a machine may take to answer SSH.
	probeTimeout = 5 * time.Second
	// greeting begins the first line of every SSH server (RFC 4253, 4.2).
	greeting = "SSH-"
)

// ErrPrivateAddress is the error of a connection to an address that is not on the Internet, at a
// provider that does not allow them.
var ErrPrivateAddress = errors.New("the address is loopback, private or of another special network")

// Endpoint is where a machine's SSH should answer.
type Endpoint struct {
	// Address is host:port.
	Address string
	// Private allows addresses that are not on the Internet.
	Private bool
	// WantKey requests the host key that the machine shows.
	WantKey bool
}

// DialSSH connects to a machine, and makes sure that SSH answers. It checks the resolved address.
// The caller reads the whole greeting from the connection.
func DialSSH(ctx context.Context, at Endpoint, dialer net.Dialer) (net.Conn, error) {
	if control := dialer.Control; !at.Private {
		dialer.Control = func(network, address string, c syscall.RawConn) error {
			if err := onlyPublic(address); err != nil || control == nil {
				return err
			}
			return control(network, address, c)
		}
	}
	conn, err := dialer.DialContext(ctx, "tcp", at.Address)
	if err != nil {
		return nil, err
	}
	if deadline, limited := ctx.Deadline(); limited {
		err = conn.SetReadDeadline(deadline)
	}
	first := make([]byte, len(greeting))
	if err == nil {
		_, err = io.ReadFull(conn, first)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("no SSH banner: %w", err)
	case string(first) != greeting:
		err = errors.New("the server that answers is not SSH")
	default:
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &greetedConn{conn, io.MultiReader(bytes.NewReader(first), conn)}, nil
}

// greetedConn is a connection of which the greeting was read already.
type greetedConn struct {
	net.Conn
	first io.Reader
}

func (g *greetedConn) Read(p []byte) (int, error) { return g.first.Read(p) }

func onlyPublic(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !ipaddr.Public(at.Addr()) {
		return ErrPrivateAddress
	}
	return nil
}

// ProbeSSH checks that SSH answers: a machine is running once it returns no error. It returns the
// host key that the machine has proven to hold, as a line without the host part; "" where none was
// requested, or no algorithm could be agreed on.
func ProbeSSH(ctx context.Context, at Endpoint) (hostKey string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := DialSSH(ctx, at, net.Dialer{})
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if !at.WantKey {
		return "", nil
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	// The callback runs once the server has signed the exchange with the key.
	var shown ssh.PublicKey
	stop := errors.New("the key is known")
	_, _, _, _ = ssh.NewClientConn(conn, at.Address, &ssh.ClientConfig{
		User: "root", HostKeyAlgorithms: hostKeyAlgorithms,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error { shown = key; return stop },
	})
	if shown == nil {
		return "", nil
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(shown))), nil
}

// hostKeyAlgorithms are those that clients prefer, best first.
var hostKeyAlgorithms = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512,
	ssh.KeyAlgoRSASHA256,
}
