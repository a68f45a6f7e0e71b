package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// SSHKey is a saved public key.
type SSHKey struct {
	// ID is ssh_….
	ID string `json:"id"`
	// Name is unique in the account.
	Name string `json:"name"`
	// PublicKey is one line of an authorized_keys file, Type its kind, such as ssh-ed25519.
	PublicKey string `json:"publicKey"`
	Type      string `json:"type"`
	// Fingerprint is SHA256:…, as ssh-keygen -l shows it.
	Fingerprint string `json:"fingerprint"`
	// CreatedAt is when it was saved.
	CreatedAt time.Time `json:"createdAt"`
}

// CreateSSHKey is a key to save.
type CreateSSHKey struct {
	// Name is 1 to 64 characters, unique in the account.
	Name string `json:"name"`
	// PublicKey is one line of an authorized_keys file: ed25519, RSA of 2048 bits or more, ECDSA, or a security key's.
	PublicKey string `json:"publicKey"`
}

type renameSSHKey struct {
	Name string `json:"name"`
}

// SSHKeyQuery orders a list of keys.
type SSHKeyQuery struct {
	Paging
	// Sort is createdAt or name, with a leading hyphen downwards; -createdAt if empty.
	Sort string `query:"sort"`
}

// SSHKeyService keeps public keys. Reading needs the scope ssh-keys:read, the rest ssh-keys:write.
type SSHKeyService struct{ c *Client }

func sshKey(method, id string, body any) request {
	return request{method: method, path: "/ssh-keys/" + id, id: id, field: "path.id", body: body}
}

// List returns one page of keys.
func (s *SSHKeyService) List(ctx context.Context, q SSHKeyQuery, options ...CallOption) (*Page[SSHKey], error) {
	return list[SSHKey](ctx, s.c, request{path: "/ssh-keys", query: queryOf(q)}, options)
}

// All walks all keys.
func (s *SSHKeyService) All(ctx context.Context, q SSHKeyQuery, options ...CallOption) iter.Seq2[SSHKey, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[SSHKey], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(k SSHKey) string { return k.ID })
}

// Get returns a key; ErrNotFound where there is none.
func (s *SSHKeyService) Get(ctx context.Context, id string, options ...CallOption) (*SSHKey, error) {
	return one[SSHKey](ctx, s.c, sshKey(http.MethodGet, id, nil), options)
}

// Create saves a key. A name or a key that is there already is ErrConflict.
func (s *SSHKeyService) Create(ctx context.Context, in CreateSSHKey, options ...CallOption) (*SSHKey, error) {
	return one[SSHKey](ctx, s.c, request{method: http.MethodPost, path: "/ssh-keys", body: in}, options)
}

// Rename gives a key another name, of 1 to 64 characters. A name that is taken is ErrConflict.
func (s *SSHKeyService) Rename(ctx context.Context, id, name string, options ...CallOption) (*SSHKey, error) {
	return one[SSHKey](ctx, s.c, sshKey(http.MethodPatch, id, renameSSHKey{name}), options)
}

// Delete deletes a key; machines that run keep it. ErrNotFound where there is none. Where an answer got lost and the key is not there at the
// next try, it was deleted, and that is no error.
func (s *SSHKeyService) Delete(ctx context.Context, id string, options ...CallOption) error {
	r := sshKey(http.MethodDelete, id, nil)
	r.goneIsDone = true
	return s.c.do(ctx, r, options, func(body []byte) error {
		_, err := open[SSHKey](body)
		return err
	})
}
