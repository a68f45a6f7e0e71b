package lambda

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/provider/upstream"
)

// addKey uploads a key. Without its text the cloud would make a pair of its own, so that is always there.
func (a *Adapter) addKey(ctx context.Context, name, public string) (string, error) {
	var made struct {
		Data struct {
			Name string `json:"name"`
		} `json:"data"`
	}
	err := a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/ssh-keys", Body: map[string]string{"name": name, "public_key": public}, Into: &made})
	if err == nil && made.Data.Name != name {
		return "", upstream.Garbage("the key's name", nil)
	}
	return made.Data.Name, err
}

// findKey returns the name of the key with that material, "" where there is none. A name that two keys have names neither.
func (a *Adapter) findKey(ctx context.Context, line string) (string, error) {
	var answer struct {
		Data *[]struct {
			Name      string `json:"name"`
			PublicKey string `json:"public_key"`
		} `json:"data"`
	}
	if err := a.client.Get(ctx, "/ssh-keys", nil, &answer); err != nil {
		return "", upstream.Looking(err)
	}
	if answer.Data == nil {
		return "", upstream.Garbage("the keys", nil)
	}
	same, other := "", map[string]bool{}
	for _, k := range *answer.Data {
		other[k.Name] = other[k.Name] || !upstream.SameKey(k.PublicKey, line)
	}
	for _, k := range *answer.Data {
		if k.Name != "" && !other[k.Name] {
			same = k.Name
		}
	}
	return same, nil
}
