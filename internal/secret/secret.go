package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// File is the name of the key file in the data directory.
	File = "secret.key"
	// keyLength is that of AES-256, in bytes.
	keyLength = 32
	version   = "v1"
)

// Box seals and opens texts with one key. It is safe for concurrent use.
type Box struct {
	aead cipher.AEAD
	// name tells this key from others; it is no secret.
	name string
}

// New returns a Box with that key of 32 bytes.
func New(key []byte) (*Box, error) {
	if len(key) != keyLength {
		return nil, fmt.Errorf("the secret key has %d bytes; it must have %d", len(key), keyLength)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("billet: name of a key\n"), key...))
	return &Box{aead, hex.EncodeToString(sum[:4])}, nil
}

// Parse returns a Box with the key that the text, 32 bytes in base64, stands for.
func Parse(text string) (*Box, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != keyLength {
		return nil, errors.New("a secret key is 32 bytes in base64, as `openssl rand -base64 32` prints them")
	}
	return New(key)
}

// Name tells the key from others. It is no secret.
func (b *Box) Name() string { return b.name }

// ErrNoKey is a folder without a key file where no key may be made.
var ErrNoKey = errors.New("there is no " + File)

// Open returns the Box whose key is in the file of that folder. Where there is no file it makes a key and the file if make is true, and
// returns ErrNoKey otherwise.
func Open(dir string, make bool) (*Box, error) {
	path := filepath.Join(dir, File)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !make {
			return nil, ErrNoKey
		}
		if err := create(dir, path); err != nil {
			return nil, fmt.Errorf("make the secret key: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the secret key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %o); run chmod 600 on it", path, info.Mode().Perm())
	}
	b, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// create makes the file whole or not at all, and leaves one that another process made meanwhile.
func create(dir, path string) error {
	key := make([]byte, keyLength)
	_, _ = rand.Read(key)                   // never fails
	f, err := os.CreateTemp(dir, File+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir) // a key that a power failure loses takes with it all that it sealed
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal returns the text encrypted, as printable ASCII. purpose says what it is and whose, such as "totp/usr_…".
func (b *Box) Seal(purpose string, plain []byte) string {
	nonce := make([]byte, b.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	sealed := b.aead.Seal(nonce, nonce, plain, []byte(purpose))
	return version + "." + b.name + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open returns what Seal was given with the same purpose.
func (b *Box) Open(purpose, sealed string) ([]byte, error) {
	parts := strings.Split(sealed, ".")
	if len(parts) != 3 || parts[0] != version {
		return nil, errors.New("secret: this is nothing that was sealed")
	}
	if parts[1] != b.name {
		return nil, fmt.Errorf("secret: this was sealed with the key %s, and the key here is %s; give the server its old %s, BILLET_SECRET_KEY or --secret-key-command", parts[1], b.name, File)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(raw) < b.aead.NonceSize() {
		return nil, errors.New("secret: this is nothing that was sealed")
	}
	n := b.aead.NonceSize()
	plain, err := b.aead.Open(nil, raw[:n], raw[n:], []byte(purpose))
	if err != nil {
		return nil, errors.New("secret: this was changed, or sealed for something else")
	}
	return plain, nil
}
