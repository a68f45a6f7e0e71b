package terminal

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"
)

// comment is the comment of generated keys.
const comment = "billet-terminal"

// GenerateKey generates an ed25519 key pair: the private key in OpenSSH's file format without a
// passphrase, and the public key as a line.
func GenerateKey() (private, public string, err error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	block, err := ssh.MarshalPrivateKey(priv, comment)
	if err != nil {
		return "", "", err
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", "", err
	}
	public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " " + comment
	return string(pem.EncodeToMemory(block)), public, nil
}

// signer parses a private key in a format of OpenSSH or OpenSSL, and tolerates what pasting
// changes.
func signer(private, passphrase string) (ssh.Signer, error) {
	text := []byte(strings.TrimSpace(strings.ReplaceAll(private, "\r\n", "\n")) + "\n")
	s, err := ssh.ParsePrivateKey(text)
	if err == nil {
		return s, nil
	}
	if _, missing := errors.AsType[*ssh.PassphraseMissingError](err); missing {
		if passphrase == "" {
			return nil, &Error{Code: PassphraseMissing, Message: "This private key needs its passphrase."}
		}
		if s, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase)); err == nil {
			return s, nil
		}
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, &Error{Code: PassphraseWrong, Message: "Wrong passphrase for this private key."}
		}
	}
	return nil, &Error{Code: KeyInvalid, Message: "This is no supported private key. " +
		"Paste the whole file, such as ~/.ssh/id_ed25519, from BEGIN to END."}
}
