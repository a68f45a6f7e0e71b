package provider

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"strings"

	"golang.org/x/crypto/ssh"
)

// HostKey is an SSH host key that a machine gets at its launch.
type HostKey struct {
	// Private is in OpenSSH's format.
	Private string
	// Public is a line without a comment: "ssh-ed25519 AAAA…".
	Public string
}

// NewHostKey returns a new key.
func NewHostKey() (HostKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return HostKey{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return HostKey{}, err
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		return HostKey{}, err
	}
	return HostKey{
		Private: string(pem.EncodeToMemory(block)), Public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))),
	}, nil
}
