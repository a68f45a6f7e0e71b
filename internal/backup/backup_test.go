package backup_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/billetcloud/billet/internal/backup"
)

const secretKey = "c2VjcmV0IGtleSBvZiBhIHRlc3QsIDMyIGJ5dGVzISE=\n"

func database() (f *bytes.Reader, content []byte) {
	content = make([]byte, 70_000)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(content)
	return bytes.NewReader(content), content
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// read reads a whole backup.
func read(text []byte, keys ...age.Identity) (m backup.Manifest, content, key []byte, err error) {
	b, err := backup.Open(bytes.NewReader(text), keys...)
	if err != nil {
		return m, nil, nil, err
	}
	var out bytes.Buffer
	if err := b.Database(&out); err != nil {
		return m, nil, nil, err
	}
	key, err = b.SecretKey()
	return b.Manifest, out.Bytes(), key, err
}

func TestBackupIsReadAsItWasWritten(t *testing.T) {
	f, content := database()
	key, other := identity(t), identity(t)
	at := time.Date(2026, 11, 30, 4, 5, 6, 0, time.UTC)
	for name, c := range map[string]struct {
		to     []age.Recipient
		from   []age.Identity
		secret []byte
	}{
		"unencrypted":         {},
		"encrypted":           {to: []age.Recipient{key.Recipient()}, from: []age.Identity{key}},
		"with the secret key": {[]age.Recipient{key.Recipient()}, []age.Identity{other, key}, []byte(secretKey)},
		"for two": {
			to: []age.Recipient{key.Recipient(), other.Recipient()}, from: []age.Identity{other},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var text bytes.Buffer
			m, err := backup.Write(&text, f, backup.Manifest{
				CreatedAt: at, Version: "v1.2.3", Migration: 7, SecretKey: "abcd",
			}, c.secret, c.to...)
			if err != nil {
				t.Fatal(err)
			}
			got, database, secret, err := read(text.Bytes(), c.from...)
			if err != nil || !reflect.DeepEqual(got, m) || !bytes.Equal(database, content) ||
				!bytes.Equal(secret, c.secret) {
				t.Errorf("%v\nread    %+v\nwritten %+v", err, got, m)
			}
			if len(c.to) > 0 && bytes.Contains(text.Bytes(), content[:64]) {
				t.Error("the database is readable in an encrypted backup")
			}
		})
	}
}

func TestEncryptedBackupNeedsItsKey(t *testing.T) {
	f, _ := database()
	var text bytes.Buffer
	if _, err := backup.Write(&text, f, backup.Manifest{}, nil, identity(t).Recipient()); err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][]age.Identity{"no key": nil, "another key": {identity(t)}} {
		if _, _, _, err := read(text.Bytes(), keys...); !errors.Is(err, backup.ErrEncrypted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretKeyIsNeverWrittenInClear(t *testing.T) {
	f, _ := database()
	var text bytes.Buffer
	if _, err := backup.Write(&text, f, backup.Manifest{}, []byte(secretKey)); err == nil || text.Len() > 0 {
		t.Errorf("%d bytes, %v", text.Len(), err)
	}
}

// Whatever is cut off or changed is noticed before the backup was read as a whole.
func TestDamagedBackupIsRefused(t *testing.T) {
	f, _ := database()
	key := identity(t)
	for name, to := range map[string][]age.Recipient{"unencrypted": nil, "encrypted": {key.Recipient()}} {
		t.Run(name, func(t *testing.T) {
			var whole bytes.Buffer
			var secret []byte
			if to != nil {
				secret = []byte(secretKey)
			}
			if _, err := backup.Write(&whole, f, backup.Manifest{}, secret, to...); err != nil {
				t.Fatal(err)
			}
			text := whole.Bytes()
			for _, n := range []int{0, 1, 9, 100, len(text) / 2, len(text) - 9, len(text) - 1} {
				if _, _, _, err := read(text[:n], key); err == nil {
					t.Errorf("the first %d of %d bytes were accepted", n, len(text))
				}
			}
			// The header of gzip has bytes without a meaning, such as the operating system's.
			for at := 12; at < len(text); at += 1 + len(text)/97 {
				changed := bytes.Clone(text)
				changed[at] ^= 0x20
				if _, _, _, err := read(changed, key); err == nil {
					t.Errorf("a change at byte %d of %d was accepted", at, len(text))
				}
			}
		})
	}
}

func TestOtherFilesAreNoBackups(t *testing.T) {
	for _, text := range []string{"", "hello", "\x1f\x8b", "SQLite format 3\x00", "age-encryption.org/v1\n"} {
		if _, err := backup.Open(strings.NewReader(text), identity(t)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
