package sshkey

import (
	"context"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Key is a public key that an account has saved under a name.
type Key struct {
	ID          id.ID           `json:"id" doc:"Id of the key, ssh_…."`
	Name        string          `json:"name" doc:"Name, unique in the account."`
	PublicKey   string          `json:"publicKey" doc:"Key as one line of an authorized_keys file."` // PublicKey.Line
	Fingerprint string          `json:"fingerprint" doc:"SHA256:…, as ssh-keygen -l prints it."`
	Type        string          `json:"type" doc:"Type of the key, such as ssh-ed25519."`
	CreatedAt   time.Time       `json:"createdAt" doc:"When it was saved."`
	CreatedBy   creator.Creator `json:"createdBy" doc:"Who saved it."`
}

// Config is what a Service needs.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
}

// Service keeps the accounts' public keys.
type Service struct{ cfg Config }

// MaxPerAccount is the most keys of an account. Keys that are saved concurrently may exceed it by
// their number.
const MaxPerAccount = 200

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.IDs == nil {
		panic("sshkey: New needs every field of its Config")
	}
	return &Service{cfg}
}

// Check parses a name and a public key. It returns an error for each invalid field: "name" and
// "publicKey".
func Check(name, publicKey string) (PublicKey, []apierr.FieldError) {
	faults := apierr.CheckName("name", name)
	key, err := Parse(publicKey)
	if err != nil {
		faults = append(faults, apierr.FieldError{Field: "publicKey", Message: err.Error()})
	}
	return key, faults
}

// Create saves a public key under a name. It returns INVALID_REQUEST with every invalid field,
// CONFLICT with the other key's id in the details if the account has this key or this name, and
// LIMIT_REACHED if it has MaxPerAccount.
func (s *Service) Create(
	ctx context.Context, tx *db.Tx, account id.ID, name, publicKey string, by creator.Creator,
) (Key, error) {
	parsed, faults := Check(name, publicKey)
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return Key{}, err
	}
	n, err := count(ctx, tx, account)
	if err == nil && n >= MaxPerAccount {
		err = apierr.Full("sshKeys", MaxPerAccount,
			"This account has %d SSH keys; the maximum is %d. Delete one first.", n, MaxPerAccount)
	}
	if err != nil {
		return Key{}, err
	}
	k := Key{
		ID: s.cfg.IDs.New(id.SSHKey), Name: name, PublicKey: parsed.Line, Fingerprint: parsed.Fingerprint,
		Type: parsed.Type, CreatedAt: tx.Now, CreatedBy: by,
	}
	made, err := insert(ctx, tx, account, k)
	if err != nil || made {
		return k, err
	}
	other, err := clash(ctx, tx, account, k)
	if err != nil {
		return Key{}, err
	}
	if other.Fingerprint == k.Fingerprint {
		return Key{}, conflict(other.ID, "This public key is already saved as %q (%s). Use that one.", other.Name,
			other.ID)
	}
	return Key{}, nameTaken(other.ID)
}

// List returns a page of the account's keys that the filter selects, in that order.
func (s *Service) List(
	ctx context.Context, r db.Reader, account id.ID, f db.NameFilter, o db.Order, p db.Page,
) ([]Key, db.Listed, error) {
	return list(ctx, r, account, f, o, p)
}

// Get returns one key. It returns NOT_FOUND for an unknown key, and for one of another account.
func (s *Service) Get(ctx context.Context, r db.Reader, account, key id.ID) (Key, error) {
	k, found, err := byID(ctx, r, account, key)
	if err == nil && !found {
		err = notFound()
	}
	return k, err
}

// Rename changes the name of a key. It returns INVALID_REQUEST, NOT_FOUND or CONFLICT as Create and
// Get do.
func (s *Service) Rename(ctx context.Context, tx *db.Tx, account, key id.ID, name string) (Key, error) {
	if err := apierr.Invalid(apierr.CheckName("name", name)).OrNil(); err != nil {
		return Key{}, err
	}
	k, err := s.Get(ctx, tx, account, key)
	if err != nil || k.Name == name {
		return k, err
	}
	renamed, err := rename(ctx, tx, account, key, name)
	if err != nil {
		return Key{}, err
	}
	if renamed {
		k.Name = name
		return k, nil
	}
	other, err := clash(ctx, tx, account, Key{Name: name})
	if errors.Is(err, errNoClash) { // the key itself was deleted meanwhile
		return Key{}, notFound()
	}
	if err != nil {
		return Key{}, err
	}
	return Key{}, nameTaken(other.ID)
}

// Delete deletes a key, or returns NOT_FOUND. Machines with the key keep it.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, account, key id.ID) error {
	gone, err := remove(ctx, tx, account, key)
	if err == nil && !gone {
		return notFound()
	}
	return err
}

// Find returns the account's keys with these ids, in their order and each once, and the ids that
// the account does not have.
func (s *Service) Find(ctx context.Context, r db.Reader, account id.ID, ids []id.ID) (keys []Key, missing []id.ID,
	err error) {
	found, err := byIDs(ctx, r, account, ids)
	if err != nil {
		return nil, nil, err
	}
	keys, missing = []Key{}, []id.ID{}
	seen := map[id.ID]bool{}
	for _, i := range ids {
		if seen[i] {
			continue
		}
		seen[i] = true
		if k, ok := found[i]; ok {
			keys = append(keys, k)
		} else {
			missing = append(missing, i)
		}
	}
	return keys, missing, nil
}

// ByFingerprint returns the account's keys with these fingerprints, by fingerprint.
func (s *Service) ByFingerprint(ctx context.Context, r db.Reader, account id.ID,
	fingerprints []string) (map[string]Key, error) {
	return byFingerprints(ctx, r, account, fingerprints)
}

func notFound() error {
	return apierr.New(apierr.NotFound, "There is no SSH key with this id.")
}

func nameTaken(other id.ID) error {
	return conflict(other, "Another SSH key (%s) has this name. Choose another name.", other)
}

func conflict(other id.ID, format string, args ...any) error {
	e := apierr.New(apierr.Conflict, format, args...)
	e.Details = map[string]any{"id": other}
	return e
}
