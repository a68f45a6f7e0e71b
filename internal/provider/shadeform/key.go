package shadeform

import (
	"context"
	"errors"
	"net/http"

	"github.com/billetcloud/billet/internal/provider/upstream"
)

func (a *Adapter) addKey(ctx context.Context, name, public string) (string, error) {
	var made struct {
		ID string `json:"id"`
	}
	err := a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/sshkeys/add", Body: map[string]string{"name": name, "public_key": public}, Into: &made})
	return made.ID, err
}

// findKey returns the id of the key with that material, "" where there is none.
func (a *Adapter) findKey(ctx context.Context, line string) (string, error) {
	var answer struct {
		Keys *[]struct {
			ID        string `json:"id"`
			PublicKey string `json:"public_key"`
		} `json:"ssh_keys"`
	}
	if err := a.client.Get(ctx, "/sshkeys", nil, &answer); err != nil {
		return "", upstream.Looking(err)
	}
	if answer.Keys == nil {
		return "", upstream.Garbage("the keys", errors.New("no list"))
	}
	for _, k := range *answer.Keys {
		if k.ID != "" && upstream.SameKey(k.PublicKey, line) {
			return k.ID, nil
		}
	}
	return "", nil
}
