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
	"slices"
	"strings"
	"sync"
)

const (
	// keyLength is that of AES-256, in bytes.
	keyLength = 32
	version   = "v1"
)

// Box seals and opens texts. It may have several keys, of which one seals; texts of all of them
// open. It is safe for concurrent use.
type Box struct {
	// file is read again when a text names a key that is not known yet; "" for keys that are fixed.
	file string

	mu   sync.RWMutex
	keys []*key // never fewer than before
	// seals is one of them.
	seals *key
}

type key struct {
	aead cipher.AEAD
	// mac is the key of MAC.
	mac []byte
	// name identifies the key; it is no secret.
	name string
}

// New returns a Box with keys of 32 bytes each, of which the first seals.
func New(keys ...[]byte) (*Box, error) {
	if len(keys) == 0 {
		return nil, errors.New("there is no secret key")
	}
	b := &Box{}
	for _, text := range keys {
		k, err := newKey(text)
		if err != nil {
			return nil, err
		}
		b.keys = append(b.keys, k)
	}
	b.seals = b.keys[0]
	return b, nil
}

func newKey(text []byte) (*key, error) {
	if len(text) != keyLength {
		return nil, fmt.Errorf("the secret key has %d bytes; it must have %d", len(text), keyLength)
	}
	block, err := aes.NewCipher(text)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("billet: name of a key\n"), text...))
	mac, err := hkdf.Expand(sha256.New, text, "billet: key of MAC", sha256.Size)
	if err != nil {
		return nil, err
	}
	return &key{aead, mac, hex.EncodeToString(sum[:4])}, nil
}

// Parse returns a Box with the keys in the text, the newest first: each is 32 bytes in base64, and
// spaces or line ends are between them. The first seals.
func Parse(text string) (*Box, error) {
	var keys [][]byte
	for _, f := range strings.Fields(text) {
		k, err := base64.StdEncoding.DecodeString(f)
		if err != nil || len(k) != keyLength {
			return nil, errNoKey
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errNoKey
	}
	return New(keys...)
}

var errNoKey = errors.New("the secret key must be 32 bytes in base64, as `openssl rand -base64 32` prints them")

// Name identifies the key that seals. It is no secret.
func (b *Box) Name() string { return b.sealing().name }

func (b *Box) sealing() *key {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.seals
}

// Names identify all keys, the newest first.
func (b *Box) Names() []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	names := make([]string, len(b.keys))
	for i, k := range b.keys {
		names[i] = k.name
	}
	return names
}

// Use makes the key of that name the one that seals.
func (b *Box) Use(name string) error {
	k, err := b.find(name)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seals = k
	return nil
}

// Has reports whether there is a key of that name.
func (b *Box) Has(name string) bool {
	_, err := b.find(name)
	return err == nil
}

// find returns a key. It reads the key file again for one that is not known, so that a key which
// was added to it is known wherever it is first met.
func (b *Box) find(name string) (*key, error) {
	if k := b.known(name); k != nil {
		return k, nil
	}
	err := b.reread()
	if k := b.known(name); k != nil {
		return k, nil
	}
	return nil, errors.Join(fmt.Errorf("the secret key %s is not among those of the server, %s", name,
		strings.Join(b.Names(), ", ")), err)
}

func (b *Box) known(name string) *key {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if i := slices.IndexFunc(b.keys, func(k *key) bool { return k.name == name }); i >= 0 {
		return b.keys[i]
	}
	return nil
}

// reread adds the keys that are new in the key file.
func (b *Box) reread() error {
	if b.file == "" {
		return nil
	}
	now, err := readFile(b.file)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range slices.Backward(now.keys) {
		if !slices.ContainsFunc(b.keys, func(o *key) bool { return o.name == k.name }) {
			b.keys = slices.Insert(b.keys, 0, k)
		}
	}
	return nil
}

// MAC returns the HMAC-SHA-256 of a text that anyone may read and only the holder of the key can
// have signed. A text signed for one purpose is not signed for another.
func (b *Box) MAC(purpose string, text []byte) []byte { return b.sealing().sign(purpose, text) }

// CheckMAC reports whether MAC returned that of the text, with the key that seals now or another.
func (b *Box) CheckMAC(purpose string, text, mac []byte) bool {
	check := func() bool {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return slices.ContainsFunc(b.keys, func(k *key) bool { return hmac.Equal(k.sign(purpose, text), mac) })
	}
	return check() || b.reread() == nil && check() // by a key that another server has begun to use
}

func (k *key) sign(purpose string, text []byte) []byte {
	m := hmac.New(sha256.New, k.mac)
	fmt.Fprintf(m, "%d %s\n", len(purpose), purpose)
	m.Write(text)
	return m.Sum(nil)
}

// Seal returns the encrypted text as printable ASCII. The purpose names what the text is and its
// owner, such as "totp/usr_…".
func (b *Box) Seal(purpose string, plain []byte) string {
	k := b.sealing()
	nonce := make([]byte, k.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	sealed := k.aead.Seal(nonce, nonce, plain, []byte(purpose))
	return sealedBy(k.name) + base64.RawURLEncoding.EncodeToString(sealed)
}

// sealedBy is what every text begins with that the key of that name sealed.
func sealedBy(name string) string { return version + "." + name + "." }

// Open returns the text that was sealed for the same purpose.
func (b *Box) Open(purpose, sealed string) ([]byte, error) {
	parts := strings.Split(sealed, ".")
	if len(parts) != 3 || parts[0] != version {
		return nil, errors.New("secret: this is no sealed text")
	}
	k, err := b.find(parts[1])
	if err != nil {
		return nil, fmt.Errorf("secret: this was sealed with another key; start the server with the former %s, "+
			"BILLET_SECRET_KEY or --secret-key-command: %w", File, err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(raw) < k.aead.NonceSize() {
		return nil, errors.New("secret: this is no sealed text")
	}
	n := k.aead.NonceSize()
	plain, err := k.aead.Open(nil, raw[:n], raw[n:], []byte(purpose))
	if err != nil {
		return nil, errors.New("secret: this was changed, or sealed for another purpose")
	}
	return plain, nil
}
