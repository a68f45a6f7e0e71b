package billet

import (
	"context"
	"net/http"
	"net/url"

	"github.com/billetcloud/billet/internal/provider/upstream"
)

// key is a saved SSH key.
type key struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	PublicKey string `json:"publicKey"`
}

func (k key) key() string { return k.ID }

type newKey struct {
	Name      string `json:"name"`
	PublicKey string `json:"publicKey"`
}

func (b *Adapter) addKey(ctx context.Context, name, public string) (string, error) {
	k, err := send[key](ctx, b, http.MethodPost, "/ssh-keys", "", newKey{name, public})
	return k.ID, err
}

// findKey returns the id of the key with that material, or "".
func (b *Adapter) findKey(ctx context.Context, line string) (string, error) {
	list, _, err := all[key](ctx, b, "/ssh-keys", nil)
	if err != nil {
		return "", err
	}
	for _, k := range list {
		if upstream.SameKey(k.PublicKey, line) {
			return k.ID, nil
		}
	}
	return "", nil
}

// ForgetKey implements provider.KeyForgetter.
func (b *Adapter) ForgetKey(ctx context.Context, line string) error {
	known, err := b.findKey(ctx, line)
	if err != nil || known == "" {
		return err
	}
	_, err = send[key](ctx, b, http.MethodDelete, "/ssh-keys/"+url.PathEscape(known), "", nil)
	return upstream.IgnoreNotFound(err)
}
