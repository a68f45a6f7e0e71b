package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/sshkey"
)

type sshKeyPath struct {
	ID id.ID `path:"id" doc:"Id of the key, ssh_…"`
}

type createSSHKey struct {
	Body struct {
		Name      string `json:"name" minLength:"1" maxLength:"64" example:"my-laptop" doc:"1 to 64 characters, unique in the account."`
		PublicKey string `json:"publicKey" minLength:"1" maxLength:"20000" format:"multiline" example:"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAo9RN5L/MCU9HN/cBddg6cUNHcS8P7NpuQoKnelK1a user@machine" doc:"One line of an authorized_keys file: ed25519, RSA of 2048 bits or more, ECDSA, or a security key's."`
	}
}

type renameSSHKey struct {
	sshKeyPath
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"64" example:"my-desktop"`
	}
}

func (s *server) addSSHKeys() {
	list(s, spec{
		method: http.MethodGet, path: Base + "/ssh-keys", id: "listSshKeys", tag: tagSSHKeys, scope: account.ReadSSHKeys,
		summary: "List SSH keys", text: "Newest first if no sort is given.",
	}, func(ctx context.Context, c *call, in *listQuery, p db.Page) ([]sshkey.Key, db.Listed, error) {
		return s.c.SSHKeys.List(ctx, s.c.DB, c.account, in.order(), p)
	})

	write(s, spec{
		method: http.MethodPost, path: Base + "/ssh-keys", id: "createSshKey", tag: tagSSHKeys, scope: account.WriteSSHKeys,
		summary: "Save an SSH key", status: http.StatusCreated, errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *createSSHKey) (sshkey.Key, error) {
		k, err := s.c.SSHKeys.Create(ctx, tx, c.account, in.Body.Name, in.Body.PublicKey)
		c.created(k.ID)
		return k, err
	})

	read(s, spec{
		method: http.MethodGet, path: Base + "/ssh-keys/{id}", id: "getSshKey", tag: tagSSHKeys, scope: account.ReadSSHKeys,
		summary: "Get an SSH key",
	}, func(ctx context.Context, c *call, in *sshKeyPath) (sshkey.Key, error) {
		return s.c.SSHKeys.Get(ctx, s.c.DB, c.account, in.ID)
	})

	write(s, spec{
		method: http.MethodPatch, path: Base + "/ssh-keys/{id}", id: "renameSshKey", tag: tagSSHKeys, scope: account.WriteSSHKeys,
		summary: "Rename an SSH key", errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *renameSSHKey) (sshkey.Key, error) {
		return s.c.SSHKeys.Rename(ctx, tx, c.account, in.ID, in.Body.Name)
	})

	write(s, spec{
		method: http.MethodDelete, path: Base + "/ssh-keys/{id}", id: "deleteSshKey", tag: tagSSHKeys, scope: account.WriteSSHKeys,
		summary: "Delete an SSH key", text: "Machines that run keep it. Answers the key as it was.",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *sshKeyPath) (sshkey.Key, error) {
		k, err := s.c.SSHKeys.Get(ctx, tx, c.account, in.ID)
		if err != nil {
			return sshkey.Key{}, err
		}
		return k, s.c.SSHKeys.Delete(ctx, tx, c.account, in.ID)
	})
}
