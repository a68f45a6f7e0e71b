package shadeform

import (
	"context"
	"errors"
	"net/http"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// key returns the cloud's id of the tenant's key, which it uploads where the cloud does not have it.
func (a *Adapter) key(ctx context.Context, line string) (string, error) {
	found, err := a.findKey(ctx, line)
	if err != nil || found != "" {
		return found, err
	}
	var made struct {
		ID string `json:"id"`
	}
	name := upstream.KeyName(line)
	err = a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/sshkeys/add", Body: map[string]string{"name": name, "public_key": upstream.BareKey(line)}, Into: &made})
	if err == nil && made.ID == "" {
		err = garbage("the key's id", nil)
	}
	if err == nil || provider.KindOf(err) != provider.KindRejected {
		return made.ID, err
	}
	// "name must be unique": another launch has uploaded it in between. The name alone is not believed.
	if found, again := a.findKey(ctx, line); again != nil || found != "" {
		return found, again
	}
	return "", err
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
		return "", garbage("the keys", errors.New("no list"))
	}
	for _, k := range *answer.Keys {
		if k.ID != "" && upstream.SameKey(k.PublicKey, line) {
			return k.ID, nil
		}
	}
	return "", nil
}
