package billet

import (
	"context"
	"net/http"
	"strings"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
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

// keyIDs returns the ids of the keys, saving those that are not: several can be given to a deploy only by id.
func (b *Adapter) keyIDs(ctx context.Context, lines []string) ([]string, error) {
	ids := make([]string, 0, len(lines))
	for _, l := range lines {
		k, err := b.keyID(ctx, l)
		if err != nil {
			return nil, err
		}
		ids = append(ids, k)
	}
	return ids, nil
}

func (b *Adapter) keyID(ctx context.Context, line string) (string, error) {
	name := upstream.KeyName(line)
	done, err := b.keying.Take(ctx, id.ID(name))
	if err != nil {
		return "", err
	}
	defer done()
	if known, err := b.saved(ctx, line); err != nil || known != "" {
		return known, err
	}
	fields := strings.Fields(line) // the comment is the tenant's own
	k, err := send[key](ctx, b, http.MethodPost, "/ssh-keys", "", newKey{name, strings.Join(fields[:min(len(fields), 2)], " ")})
	if err == nil {
		return k.ID, nil
	}
	if provider.KindOf(err) != provider.KindRejected {
		return "", err
	}
	known, again := b.saved(ctx, line) // somebody else was faster
	if again != nil {
		return "", again
	}
	if known == "" {
		return "", rejected("The provider does not take this SSH key. Use another one.")
	}
	return known, nil
}

func (b *Adapter) saved(ctx context.Context, line string) (string, error) {
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
