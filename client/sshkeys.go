package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// SSHKey is a saved public key.
type SSHKey struct {
	// ID has the form ssh_….
	ID string `json:"id"`
	// Name is unique in the account.
	Name string `json:"name"`
	// PublicKey is a line of an authorized_keys file, Type its key type, such as ssh-ed25519.
	PublicKey string `json:"publicKey"`
	Type      string `json:"type"`
	// Fingerprint has the form SHA256:…, as ssh-keygen -l prints it.
	Fingerprint string `json:"fingerprint"`
	// CreatedAt is when the key was saved.
	CreatedAt time.Time `json:"createdAt"`
	// CreatedBy is who saved it.
	CreatedBy Creator `json:"createdBy"`
}

// CreateSSHKey is a key to save.
type CreateSSHKey struct {
	// Name is 1 to 64 characters, unique in the account.
	Name string `json:"name"`
	// PublicKey is a line of an authorized_keys file: Ed25519, RSA of at least 2048 bits, ECDSA, or
	// a security key.
	PublicKey string `json:"publicKey"`
}

type renameSSHKey struct {
	Name string `json:"name"`
}

// SSHKeyQuery filters and sorts a list of keys.
type SSHKeyQuery struct {
	Paging
	// Name is the whole name, case-insensitive.
	Name string `query:"name"`
	// Search is part of the name or of the id, case-insensitive.
	Search string `query:"search"`
	// Sort has createdAt, name or both, separated by commas, each prefixed with a hyphen for
	// descending; "" means -createdAt.
	Sort string `query:"sort"`
}

// SSHKeyService manages saved public keys. Reading needs the scope ssh-keys:read, changes need
// ssh-keys:write.
type SSHKeyService struct{ c *Client }

func sshKey(method, id string, body any) request {
	return request{method: method, path: "/ssh-keys/" + id, id: id, field: "path.id", body: body}
}

// List returns one page of keys.
func (s *SSHKeyService) List(ctx context.Context, q SSHKeyQuery, options ...CallOption) (*Page[SSHKey], error) {
	return list[SSHKey](ctx, s.c, request{path: "/ssh-keys", query: queryOf(q)}, options)
}

// All iterates over all keys.
func (s *SSHKeyService) All(ctx context.Context, q SSHKeyQuery, options ...CallOption) iter.Seq2[SSHKey, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[SSHKey], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(k SSHKey) string { return k.ID })
}

// Get returns a key. The error is ErrNotFound if there is none.
func (s *SSHKeyService) Get(ctx context.Context, id string, options ...CallOption) (*SSHKey, error) {
	return one[SSHKey](ctx, s.c, sshKey(http.MethodGet, id, nil), options)
}

// Create saves a key. The error is ErrConflict if the name or the key exists already.
func (s *SSHKeyService) Create(ctx context.Context, in CreateSSHKey, options ...CallOption) (*SSHKey, error) {
	return one[SSHKey](ctx, s.c, request{method: http.MethodPost, path: "/ssh-keys", body: in}, options)
}

// Rename renames a key, to 1 to 64 characters. The error is ErrConflict if the name is taken.
func (s *SSHKeyService) Rename(ctx context.Context, id, name string, options ...CallOption) (*SSHKey, error) {
	return one[SSHKey](ctx, s.c, sshKey(http.MethodPatch, id, renameSSHKey{name}), options)
}

// Delete deletes a key. Running machines keep it. The error is ErrNotFound if there is none, except
// in a retry after a lost response, which means that the key was deleted.
func (s *SSHKeyService) Delete(ctx context.Context, id string, options ...CallOption) error {
	r := sshKey(http.MethodDelete, id, nil)
	r.goneIsDone = true
	return s.c.do(ctx, r, options, func(body []byte) error {
		_, err := open[SSHKey](body)
		return err
	})
}
