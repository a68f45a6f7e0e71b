package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
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

// listUpTo answers with the first most of a list, all for 0, and tells people where there are more.
func listUpTo[T any](t *tool, l listing[T], from iter.Seq2[T, error], most int) error {
	var items []T
	for item, err := range from {
		if err != nil {
			return err
		}
		if most > 0 && len(items) == most {
			if t.forPeople() {
				defer t.note("There are more; --limit 0 shows all.")
			}
			break
		}
		items = append(items, item)
	}
	return list(t, l, items)
}

// dollars reads an amount of a flag.
func dollars(flag, text string) (client.Money, error) {
	m, err := client.ParseMoney(strings.TrimPrefix(text, "$"))
	if err != nil {
		return 0, usage("%s %q is no amount in US dollars, such as 12.50.", flag, text)
	}
	return m, nil
}

// idLike is how ids begin.
var idLike = regexp.MustCompile(`^(dep|vol|ssh|whk)_`)

// word is what a deployment is called in a command that is there to be copied: its name, or its id where that would be taken for something else.
func word(d client.Deployment) string {
	if aliasForm.MatchString(d.Name) && !idLike.MatchString(d.Name) {
		return d.Name
	}
	return d.ID
}

// noID tells from an error that what begins like an id is none that is known. It may be a name nevertheless.
func noID(err error) bool {
	return errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrInvalidRequest)
}

// deployment finds a deployment by its id or name. Of several with the name the one that has not ended is meant.
func deployment(ctx context.Context, c *client.Client, ref string) (*client.Deployment, error) {
	if strings.HasPrefix(ref, "dep_") {
		if d, err := c.Deployments.Get(ctx, ref); !noID(err) {
			return d, err
		}
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
		return nil, &fault{exitNotFound, "NOT_FOUND", fmt.Sprintf("there is no %s with the %s %q.", kind, map[bool]string{true: "id or name", false: "name"}[idLike.MatchString(ref)], ref)}
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
		if v, err := c.Volumes.Get(ctx, ref); !noID(err) {
			return v, err
		}
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
