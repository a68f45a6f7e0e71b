package node

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	gossh "golang.org/x/crypto/ssh"
)

// hostKeyKinds are the kinds of host key that a Debian server has, in the order in which they are
// told. The first file is named as it was when there was only one.
var hostKeyKinds = []struct {
	file string // in the machine's directory
	name string // of the public key in /etc/ssh, as in ssh_host_<name>_key.pub
	make func() (crypto.PrivateKey, error)
}{
	{"host_key", "ed25519", func() (crypto.PrivateKey, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}},
	{"host_key_rsa", "rsa", func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }},
	{"host_key_ecdsa", "ecdsa", func() (crypto.PrivateKey, error) {
		return ecdsa.GenerateKey(elliptic.P256(),
			rand.Reader)
	}},
}

// rsaBits is less than ssh-keygen's 3072: making such a key takes a machine's start half a second
// of processor time.
const rsaBits = 2048

// hostKeys returns the machine's private keys (PEM) and public keys (authorized_keys form). Those
// that are missing are made: the machine may be new, or older than the kind of key.
func hostKeys(dir string) (private, public []string, err error) {
	for _, kind := range hostKeyKinds {
		path := filepath.Join(dir, kind.file)
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			text, err = makeHostKey(path, kind.make)
		}
		if err != nil {
			return nil, nil, err
		}
		signer, err := gossh.ParsePrivateKey(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		private = append(private, string(text))
		public = append(public, strings.TrimSpace(string(gossh.MarshalAuthorizedKey(signer.PublicKey()))))
	}
	return private, public, nil
}

func makeHostKey(path string, generate func() (crypto.PrivateKey, error)) ([]byte, error) {
	key, err := generate()
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	return text, replaceFile(path, text)
}

// removeHostKeys makes the next start make new ones.
func removeHostKeys(dir string) error {
	for _, kind := range hostKeyKinds {
		if err := os.Remove(filepath.Join(dir, kind.file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// signers returns host keys for the SSH server. An RSA key signs with SHA-2 only, as OpenSSH's
// server does.
func signers(private []string) ([]gossh.Signer, error) {
	var all []gossh.Signer
	for _, text := range private {
		signer, err := gossh.ParsePrivateKey([]byte(text))
		if err != nil {
			return nil, err
		}
		if signer.PublicKey().Type() == gossh.KeyAlgoRSA {
			signer, err = gossh.NewSignerWithAlgorithms(signer.(gossh.AlgorithmSigner),
				[]string{gossh.KeyAlgoRSASHA512, gossh.KeyAlgoRSASHA256})
			if err != nil {
				return nil, err
			}
		}
		all = append(all, signer)
	}
	return all, nil
}

// announceHostKeys tells a client all host keys, so that it can learn those that it does not know
// yet.
func (c *client) announceHostKeys() {
	var payload []byte
	for _, signer := range c.hostKeys {
		payload = append(payload, gossh.Marshal(struct{ Key []byte }{signer.PublicKey().Marshal()})...)
	}
	_, _, _ = c.conn.SendRequest("hostkeys-00@openssh.com", false, payload)
}

// proveHostKeys answers a client that wants proof of the keys it was told: a signature by each for
// this connection.
func (c *client) proveHostKeys(payload []byte) ([]byte, bool) {
	var proofs []byte
	for len(payload) > 0 {
		var want struct {
			Key  []byte
			Rest []byte `ssh:"rest"`
		}
		if gossh.Unmarshal(payload, &want) != nil {
			return nil, false
		}
		payload = want.Rest
		signature, err := c.prove(want.Key)
		if err != nil {
			return nil, false
		}
		proofs = append(proofs, gossh.Marshal(struct{ Signature []byte }{gossh.Marshal(signature)})...)
	}
	return proofs, len(proofs) > 0
}

func (c *client) prove(key []byte) (*gossh.Signature, error) {
	for _, signer := range c.hostKeys {
		if string(signer.PublicKey().Marshal()) != string(key) {
			continue
		}
		algorithm := signer.PublicKey().Type()
		if algorithm == gossh.KeyAlgoRSA {
			// The client expects the algorithm of the key exchange, where that was an RSA key's.
			algorithm = gossh.KeyAlgoRSASHA512
			if m, ok := c.conn.Conn.(gossh.AlgorithmsConnMetadata); ok &&
				m.Algorithms().HostKey == gossh.KeyAlgoRSASHA256 {
				algorithm = gossh.KeyAlgoRSASHA256
			}
		}
		return signer.(gossh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, gossh.Marshal(struct {
			Purpose      string
			Session, Key []byte
		}{"hostkeys-prove-00@openssh.com", c.conn.SessionID(), key}), algorithm)
	}
	return nil, errors.New("no such host key")
}
