package certificate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/secret"
)

// storage is where certmagic keeps its account and its challenges: sealed rows of the database,
// which all replicas share.
type storage struct {
	locks
	secrets *secret.Box

	mu   sync.Mutex
	held map[string]*held // by the name of the lock
}

var _ certmagic.Storage = (*storage)(nil)

// purpose binds a sealed value to its name.
func purpose(name string) string { return "acme/" + name }

// Lock waits for the lock until the context ends.
func (s *storage) Lock(ctx context.Context, name string) error {
	h, err := s.wait(ctx, name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[name] = h
	return nil
}

// Unlock releases the lock.
func (s *storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	h := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if h == nil {
		return fmt.Errorf("the lock %q is not held", name)
	}
	return h.release(ctx)
}

// Store seals and stores the value.
func (s *storage) Store(ctx context.Context, name string, value []byte) error {
	sealed := s.secrets.Seal(purpose(name), value)
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, err := s.time(ctx, tx)
		if err != nil {
			return err
		}
		return entries.Put(ctx, tx, []string{"name"}, entry{name, sealed, now})
	})
}

// Load returns the value, or fs.ErrNotExist. A value that was sealed with another key is gone: a
// new ACME account costs nothing.
func (s *storage) Load(ctx context.Context, name string) ([]byte, error) {
	value, _, err := s.load(ctx, name)
	return value, err
}

func (s *storage) load(ctx context.Context, name string) ([]byte, entry, error) {
	e, found, err := findEntry(ctx, s.db, name)
	if err != nil {
		return nil, e, err
	}
	if !found {
		return nil, e, fs.ErrNotExist
	}
	value, err := s.secrets.Open(purpose(name), e.sealed)
	if err != nil {
		return nil, e, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return value, e, nil
}

// Delete deletes the value, and all below it.
func (s *storage) Delete(ctx context.Context, name string) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return deleteEntries(ctx, tx, name) })
}

// Exists reports whether there is a value of that name or below it.
func (s *storage) Exists(ctx context.Context, name string) bool {
	_, err := s.Stat(ctx, name)
	return err == nil
}

// List returns the names below the prefix: all of them, or only the next level.
func (s *storage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	names, err := listEntries(ctx, s.db, prefix)
	if err != nil || recursive {
		return names, err
	}
	var level []string
	for _, name := range names {
		child, _, _ := strings.Cut(name[len(prefix):], "/")
		if child = prefix + child; len(level) == 0 || level[len(level)-1] != child { // the names are sorted
			level = append(level, child)
		}
	}
	return level, nil
}

// Stat describes a value, or what is above values.
func (s *storage) Stat(ctx context.Context, name string) (certmagic.KeyInfo, error) {
	value, e, err := s.load(ctx, name)
	if err == nil {
		return certmagic.KeyInfo{Key: name, Modified: e.modified, Size: int64(len(value)), IsTerminal: true}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, err
	}
	below, err := listEntries(ctx, s.db, name+"/")
	if err == nil && len(below) == 0 {
		err = fs.ErrNotExist
	}
	return certmagic.KeyInfo{Key: name}, err
}

// Sealed are the columns with sealed texts.
var Sealed = []secret.Column{
	{Table: "acme_entry", Column: "value", Key: "name", Purpose: purpose},
	{Table: "certificate", Column: "private_key", Key: "domain", Purpose: sealedFor},
}
