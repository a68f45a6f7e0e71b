package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/sshkey"
)

// sshKeys are an account's saved SSH keys.
type sshKeys struct {
	db  *db.DB
	svc *sshkey.Service
}

func (h sshKeys) routes(r *rest.Router) {
	const all, one = Base + "/ssh-keys", Base + "/ssh-keys/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listSshKeys", Tag: tagSSHKeys, Scope: string(account.ReadSSHKeys),
		Summary: "List SSH keys", Description: "Newest first by default.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createSshKey", Tag: tagSSHKeys, Scope: string(account.WriteSSHKeys),
		Status: http.StatusCreated, Summary: "Add an SSH key",
		Errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, h.create)
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getSshKey", Tag: tagSSHKeys, Scope: string(account.ReadSSHKeys),
		Summary: "Get an SSH key",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: one, ID: "renameSshKey", Tag: tagSSHKeys, Scope: string(account.WriteSSHKeys),
		Summary: "Rename an SSH key", Errors: []apierr.Code{apierr.Conflict},
	}, h.rename)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "deleteSshKey", Tag: tagSSHKeys, Scope: string(account.WriteSSHKeys),
		Summary: "Delete an SSH key", Description: "Running machines keep it. Returns the deleted key.",
	}, h.delete)
}

type sshKeyPath struct {
	ID id.ID `path:"id" doc:"Id of the key, ssh_…"`
}

type createSSHKey struct {
	Body struct {
		Name      string `json:"name" minLength:"1" maxLength:"64" example:"my-laptop" doc:"1 to 64 characters, unique in the account."`
		PublicKey string `json:"publicKey" minLength:"1" maxLength:"20000" format:"multiline" example:"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAo9RN5L/MCU9HN/cBddg6cUNHcS8P7NpuQoKnelK1a user@machine" doc:"One line of an authorized_keys file: Ed25519, RSA with at least 2048 bits, ECDSA, or a security key."`
	}
}

type renameSSHKey struct {
	sshKeyPath
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"64" example:"my-desktop"`
	}
}

func (h sshKeys) list(
	ctx context.Context, c *rest.Call, in *rest.ListQuery, p db.Page,
) ([]sshkey.Key, db.Listed, error) {
	return h.svc.List(ctx, h.db, c.Caller.Account, in.NameFilter(), in.Order(), p)
}

func (h sshKeys) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createSSHKey) (sshkey.Key, error) {
	k, err := h.svc.Create(ctx, tx, c.Caller.Account, in.Body.Name, in.Body.PublicKey, creatorOf(c))
	c.Created(k.ID)
	return k, err
}

func (h sshKeys) get(ctx context.Context, r db.Reader, c *rest.Call, in *sshKeyPath) (sshkey.Key, error) {
	return h.svc.Get(ctx, r, c.Caller.Account, in.ID)
}

func (h sshKeys) rename(ctx context.Context, tx *db.Tx, c *rest.Call, in *renameSSHKey) (sshkey.Key, error) {
	return h.svc.Rename(ctx, tx, c.Caller.Account, in.ID, in.Body.Name)
}

func (h sshKeys) delete(ctx context.Context, tx *db.Tx, c *rest.Call, in *sshKeyPath) (sshkey.Key, error) {
	k, err := h.svc.Get(ctx, tx, c.Caller.Account, in.ID)
	if err != nil {
		return sshkey.Key{}, err
	}
	c.Change.Name = k.Name
	return k, h.svc.Delete(ctx, tx, c.Caller.Account, in.ID)
}
