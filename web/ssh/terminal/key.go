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

// comment is what keys that are made here are called.
const comment = "billet-terminal"

// GenerateKey makes an ed25519 key pair: the private key as OpenSSH keeps it in a file, without a passphrase, and the
// public key as a line.
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
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " " + comment, nil
}

// signer reads a private key in one of the forms that OpenSSH and OpenSSL write. What pasting does to a text is forgiven.
func signer(private, passphrase string) (ssh.Signer, error) {
	text := []byte(strings.TrimSpace(strings.ReplaceAll(private, "\r\n", "\n")) + "\n")
	s, err := ssh.ParsePrivateKey(text)
	var missing *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return s, nil
	case errors.As(err, &missing) && passphrase == "":
		return nil, &Error{Code: PassphraseMissing, Message: "This private key has a passphrase. Type it to use the key."}
	case errors.As(err, &missing):
		if s, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase)); err == nil {
			return s, nil
		}
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, &Error{Code: PassphraseWrong, Message: "The passphrase does not fit this private key."}
		}
	}
	return nil, &Error{Code: KeyInvalid, Message: "This is not a private key that can be used here. Paste the whole file, such as ~/.ssh/id_ed25519, from BEGIN to END."}
}
