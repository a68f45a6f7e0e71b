package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/billetcloud/billet/client"
)

// collect reads a list to its end.
func collect[T any](from iter.Seq2[T, error]) ([]T, error) {
	var items []T
	for item, err := range from {
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// dollars reads an amount of a flag.
func dollars(flag, text string) (client.Money, error) {
	m, err := client.ParseMoney(strings.TrimPrefix(text, "$"))
	if err != nil {
		return 0, usage("%s %q is no amount in US dollars, such as 12.50.", flag, text)
	}
	return m, nil
}

// deployment finds a deployment by its id or name. Of several with the name the one that has not ended is meant.
func deployment(ctx context.Context, c *client.Client, ref string) (*client.Deployment, error) {
	if strings.HasPrefix(ref, "dep_") {
		return c.Deployments.Get(ctx, ref)
	}
	var live, ended []client.Deployment
	for d, err := range c.Deployments.All(ctx, client.DeploymentQuery{Search: ref}) {
		if err != nil {
			return nil, err
		}
		if d.Name != ref {
			continue
		}
		if d.Status.Final() {
			ended = append(ended, d)
		} else {
			live = append(live, d)
		}
	}
	return theOne("deployment", ref, live, ended, func(d client.Deployment) string { return d.ID })
}

// theOne picks what a name means.
func theOne[T any](kind, ref string, live, ended []T, id func(T) string) (*T, error) {
	found := live
	if len(found) == 0 {
		found = ended
	}
	switch len(found) {
	case 0:
		return nil, &fault{exitNotFound, "NOT_FOUND", fmt.Sprintf("there is no %s with the name %q.", kind, ref)}
	case 1:
		return &found[0], nil
	}
	if len(live) == 0 { // lists are newest first
		return &found[0], nil
	}
	ids := make([]string, len(found))
	for i, item := range found {
		ids[i] = id(item)
	}
	return nil, usage("%d %ss have the name %q; say which by its id: %s.", len(found), kind, ref, strings.Join(ids, ", "))
}

// volume finds a volume by its id or name.
func volume(ctx context.Context, c *client.Client, ref string) (*client.Volume, error) {
	if strings.HasPrefix(ref, "vol_") {
		return c.Volumes.Get(ctx, ref)
	}
	var live, ended []client.Volume
	for v, err := range c.Volumes.All(ctx, client.VolumeQuery{}) {
		if err != nil {
			return nil, err
		}
		switch {
		case v.Name != ref:
		case v.Status.Final():
			ended = append(ended, v)
		default:
			live = append(live, v)
		}
	}
	return theOne("volume", ref, live, ended, func(v client.Volume) string { return v.ID })
}
