package lambda

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// key returns the cloud's name of the tenant's key, which it uploads where the cloud does not have it.
func (a *Adapter) key(ctx context.Context, line string) (string, error) {
	found, err := a.findKey(ctx, line)
	if err != nil || found != "" {
		return found, err
	}
	// Without the key's text the cloud would make a pair of its own, so that is always there.
	var made struct {
		Data struct {
			Name string `json:"name"`
		} `json:"data"`
	}
	name := upstream.KeyName(line)
	err = a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/ssh-keys", Body: map[string]string{"name": name, "public_key": upstream.BareKey(line)}, Into: &made})
	if err == nil && made.Data.Name != name {
		err = garbage("the key's name", nil)
	}
	if err == nil || provider.KindOf(err) != provider.KindRejected {
		return made.Data.Name, err
	}
	// A duplicate: another launch has uploaded it in between. The name alone is not believed.
	if found, again := a.findKey(ctx, line); again != nil || found != "" {
		return found, again
	}
	return "", err
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
		return "", garbage("the keys", nil)
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
