package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
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
	// mac is the key of MAC.
	mac []byte
	// name identifies the key; it is no secret.
	name string
}

// New returns a Box with a key of 32 bytes.
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
	mac, err := hkdf.Expand(sha256.New, key, "billet: key of MAC", sha256.Size)
	if err != nil {
		return nil, err
	}
	return &Box{aead, mac, hex.EncodeToString(sum[:4])}, nil
}

// MAC returns the HMAC-SHA-256 of a text that anyone may read and only the holder of the key can
// have signed. A text signed for one purpose is not signed for another.
func (b *Box) MAC(purpose string, text []byte) []byte {
	m := hmac.New(sha256.New, b.mac)
	fmt.Fprintf(m, "%d %s\n", len(purpose), purpose)
	m.Write(text)
	return m.Sum(nil)
}

// Parse returns a Box with the key in the text: 32 bytes in base64.
func Parse(text string) (*Box, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != keyLength {
		return nil, errors.New("the secret key must be 32 bytes in base64, as `openssl rand -base64 32` prints them")
	}
	return New(key)
}

// Name identifies the key. It is no secret.
func (b *Box) Name() string { return b.name }

// ErrNoKey means that the directory has no key file, and none may be created.
var ErrNoKey = errors.New("there is no " + File)

// Open returns the Box whose key is in the key file of that directory. If there is no key file, it
// creates a key if create is true, and returns ErrNoKey otherwise.
func Open(dir string, create bool) (*Box, error) {
	path := filepath.Join(dir, File)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, ErrNoKey
		}
		if err := createFile(dir, path); err != nil {
			return nil, fmt.Errorf("create the secret key: %w", err)
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
		return nil, fmt.Errorf("other users can read %s (mode %o); run chmod 600 on it", path, info.Mode().Perm())
	}
	b, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// createFile creates the whole file or none, and keeps one that another process created meanwhile.
func createFile(dir, path string) error {
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
	d, err := os.Open(dir) // everything that was sealed would be lost with a key that a power failure loses
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal returns the encrypted text as printable ASCII. The purpose names what the text is and its
// owner, such as "totp/usr_…".
func (b *Box) Seal(purpose string, plain []byte) string {
	nonce := make([]byte, b.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	sealed := b.aead.Seal(nonce, nonce, plain, []byte(purpose))
	return version + "." + b.name + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open returns the text that was sealed for the same purpose.
func (b *Box) Open(purpose, sealed string) ([]byte, error) {
	parts := strings.Split(sealed, ".")
	if len(parts) != 3 || parts[0] != version {
		return nil, errors.New("secret: this is no sealed text")
	}
	if parts[1] != b.name {
		return nil, fmt.Errorf("secret: this was sealed with the key %s, and the server has the key %s; "+
			"start it with the former %s, BILLET_SECRET_KEY or --secret-key-command", parts[1], b.name, File)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(raw) < b.aead.NonceSize() {
		return nil, errors.New("secret: this is no sealed text")
	}
	n := b.aead.NonceSize()
	plain, err := b.aead.Open(nil, raw[:n], raw[n:], []byte(purpose))
	if err != nil {
		return nil, errors.New("secret: this was changed, or sealed for another purpose")
	}
	return plain, nil
}
