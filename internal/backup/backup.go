package backup

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"
)

// Names of the members of an archive.
const (
	manifestName = "backup.json"
	databaseName = "billet.db"
	keyName      = "secret.key"
)

const (
	// Format is the version of the format that is written and read.
	Format = 1
	// maxSmall is the most bytes of a member that is not the database.
	maxSmall = 64 << 10
	intro    = "age-encryption.org/"
)

// Manifest describes a backup.
type Manifest struct {
	Format int `json:"format"`
	// CreatedAt is when the copy of the database was begun: everything that was committed before is
	// in it.
	CreatedAt time.Time `json:"createdAt"`
	// Version is the billetd that made the backup, Migration the last one of the database.
	Version   string `json:"version"`
	Migration int64  `json:"migration"`
	// SecretKey is the name of the key that encrypts the database's secrets, "" if it has none.
	SecretKey string `json:"secretKey"`
	// FormerSecretKeys are the names of those with which some secrets may be encrypted instead,
	// while the key is replaced.
	FormerSecretKeys []string `json:"formerSecretKeys,omitempty"`
	// WithSecretKey is whether the keys are in the backup.
	WithSecretKey bool `json:"withSecretKey"`
	// Bytes and SHA256 (in hex) are of the database.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// ErrEncrypted is returned for an encrypted backup that none of the identities can decrypt.
var ErrEncrypted = errors.New("the backup is encrypted to another recipient")

// Write writes a backup of the database in f to w, encrypted to the recipients if there are any. It
// fills in the manifest's format, length and SHA-256, and returns it. secretKey is the text of the
// key file, or nil; it is refused without recipients.
func Write(w io.Writer, f io.ReadSeeker, m Manifest, secretKey []byte, to ...age.Recipient) (done Manifest, err error) {
	if len(to) == 0 && secretKey != nil {
		return m, errors.New("backup: the secret key is only written to an encrypted backup")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return m, err
	}
	sum := sha256.New()
	if m.Bytes, err = io.Copy(sum, f); err != nil {
		return m, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return m, err
	}
	m.Format, m.SHA256, m.WithSecretKey = Format, hex.EncodeToString(sum.Sum(nil)), secretKey != nil
	out := w
	var sealed io.WriteCloser
	if len(to) > 0 {
		if sealed, err = age.Encrypt(w, to...); err != nil {
			return m, err
		}
		out = sealed
	}
	zipped, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return m, err
	}
	archive := tar.NewWriter(zipped)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	if err := add(archive, manifestName, int64(len(text)), m.CreatedAt, strings.NewReader(string(text))); err != nil {
		return m, err
	}
	if err := add(archive, databaseName, m.Bytes, m.CreatedAt, f); err != nil {
		return m, err
	}
	if secretKey != nil {
		key := strings.NewReader(string(secretKey))
		if err := add(archive, keyName, int64(len(secretKey)), m.CreatedAt, key); err != nil {
			return m, err
		}
	}
	err = errors.Join(archive.Close(), zipped.Close())
	if sealed != nil {
		err = errors.Join(err, sealed.Close())
	}
	return m, err
}

func add(w *tar.Writer, name string, size int64, at time.Time, from io.Reader) error {
	h := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: at, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.CopyN(w, from, size)
	return err
}

// Reader reads a backup: Open, then Database, then SecretKey.
type Reader struct {
	// Manifest is not verified before Database has returned.
	Manifest Manifest

	zipped  *gzip.Reader
	archive *tar.Reader
}

// Open begins to read a backup, with the identities that may decrypt it. It returns ErrEncrypted if
// none can, and an error that says so for what is no backup, or one of a newer format.
func Open(r io.Reader, identities ...age.Identity) (*Reader, error) {
	in := bufio.NewReader(r)
	var from io.Reader = in
	if start, _ := in.Peek(len(intro)); string(start) == intro {
		if len(identities) == 0 {
			return nil, ErrEncrypted
		}
		var err error
		if from, err = age.Decrypt(in, identities...); err != nil {
			if errors.As(err, new(*age.NoIdentityMatchError)) {
				return nil, ErrEncrypted
			}
			return nil, fmt.Errorf("decrypt the backup: %w", err)
		}
	}
	zipped, err := gzip.NewReader(from)
	if err != nil {
		return nil, errors.New("this is no backup of Billet")
	}
	b := &Reader{zipped: zipped, archive: tar.NewReader(zipped)}
	text, err := b.small(manifestName)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &b.Manifest); err != nil {
		return nil, fmt.Errorf("read the backup's manifest: %w", err)
	}
	if b.Manifest.Format != Format {
		return nil, fmt.Errorf("the backup has the format %d, and this billetd reads %d: use billetd %q or a later one",
			b.Manifest.Format, Format, b.Manifest.Version)
	}
	return b, nil
}

// member goes to the next member, which must have that name.
func (b *Reader) member(name string) (*tar.Header, error) {
	h, err := b.archive.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the backup is incomplete: it ends before %s", name)
	case err != nil:
		return nil, fmt.Errorf("read %s of the backup: %w", name, err)
	case h.Name != name || h.Typeflag != tar.TypeReg:
		return nil, fmt.Errorf("this is no backup of Billet: it has %q where %s belongs", h.Name, name)
	}
	return h, nil
}

func (b *Reader) small(name string) ([]byte, error) {
	h, err := b.member(name)
	if err != nil {
		return nil, err
	}
	if h.Size > maxSmall {
		return nil, fmt.Errorf("%s of the backup has %d bytes; at most %d are read", name, h.Size, maxSmall)
	}
	text, err := io.ReadAll(b.archive)
	if err != nil {
		return nil, fmt.Errorf("read %s of the backup: %w", name, err)
	}
	return text, nil
}

// Database writes the database to w. It returns an error if the database is not the one of the
// manifest, so use what was written only after it returned nil.
func (b *Reader) Database(w io.Writer) error {
	h, err := b.member(databaseName)
	if err != nil {
		return err
	}
	if h.Size != b.Manifest.Bytes {
		return fmt.Errorf("the backup is damaged: its database has %d bytes, and the manifest says %d", h.Size,
			b.Manifest.Bytes)
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w, sum), b.archive, h.Size); err != nil {
		return fmt.Errorf("the backup is incomplete or damaged: %w", err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != b.Manifest.SHA256 {
		return errors.New("the backup is damaged: its database is not the one that was written")
	}
	return nil
}

// SecretKey returns the text of the key file, nil if it is not in the backup, and verifies the
// backup's end.
func (b *Reader) SecretKey() (text []byte, err error) {
	if b.Manifest.WithSecretKey {
		if text, err = b.small(keyName); err != nil {
			return nil, err
		}
	}
	if _, err := b.archive.Next(); !errors.Is(err, io.EOF) {
		return nil, errors.Join(errors.New("the backup has more in it than it should"), err)
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(b.zipped, maxSmall)); err != nil { // its checksum is at the end
		return nil, fmt.Errorf("the backup is incomplete or damaged: %w", err)
	}
	return text, nil
}

// ParseRecipients reads recipients as age's own program does: one for each line of the text.
func ParseRecipients(text string) ([]age.Recipient, error) {
	return age.ParseRecipients(strings.NewReader(text))
}

// ParseIdentities reads identities: one for each line of the text, as age-keygen writes them.
func ParseIdentities(text string) ([]age.Identity, error) {
	return age.ParseIdentities(strings.NewReader(text))
}
