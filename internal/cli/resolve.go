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

// collect reads a whole list.
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

// listLimited prints the first limit items of a list, or all for 0, and notes if there are more.
func listLimited[T any](t *tool, l listing[T], from iter.Seq2[T, error], limit int) error {
	var items []T
	for item, err := range from {
		if err != nil {
			return err
		}
		if limit > 0 && len(items) == limit {
			if t.humanOutput() {
				defer t.note("There are more. Use --limit 0 to show all.")
			}
			break
		}
		items = append(items, item)
	}
	return list(t, l, items)
}

// dollars parses the value of a flag as an amount.
func dollars(flag, text string) (client.Money, error) {
	m, err := client.ParseMoney(strings.TrimPrefix(text, "$"))
	if err != nil {
		return 0, usageError("%s must be an amount in US dollars, such as 12.50, not %q.", flag, text)
	}
	return m, nil
}

// idLike matches the prefixes of ids.
var idLike = regexp.MustCompile(`^(dep|vol|ssh|whk)_`)

// copyableName returns the name of a deployment for a command that users copy, or its id if the
// name is ambiguous or needs quoting.
func copyableName(d client.Deployment) string {
	if aliasForm.MatchString(d.Name) && !idLike.MatchString(d.Name) {
		return d.Name
	}
	return d.ID
}

// isUnknownID reports whether an error means that a reference is no known id. It can still be a
// name.
func isUnknownID(err error) bool {
	return errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrInvalidRequest)
}

// deployment finds a deployment by id or name. It prefers one that has not ended.
func deployment(ctx context.Context, c *client.Client, ref string) (*client.Deployment, error) {
	if strings.HasPrefix(ref, "dep_") {
		if d, err := c.Deployments.Get(ctx, ref); !isUnknownID(err) {
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
	return resolve("deployment", ref, live, ended, func(d client.Deployment) string { return d.ID })
}

// resolve picks the only match of a name: of live items if there are any, else the newest ended
// one.
func resolve[T any](kind, ref string, live, ended []T, id func(T) string) (*T, error) {
	found := live
	if len(found) == 0 {
		found = ended
	}
	switch len(found) {
	case 0:
		by := "name"
		if idLike.MatchString(ref) {
			by = "ID or name"
		}
		return nil, &cliError{exitNotFound, "NOT_FOUND", fmt.Sprintf("no %s with %s %q.", kind, by, ref)}
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
	return nil, usageError("%d %ss are named %q. Use an ID: %s.", len(found), kind, ref, strings.Join(ids, ", "))
}

// volume finds a volume by id or name.
func volume(ctx context.Context, c *client.Client, ref string) (*client.Volume, error) {
	if strings.HasPrefix(ref, "vol_") {
		if v, err := c.Volumes.Get(ctx, ref); !isUnknownID(err) {
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
	return resolve("volume", ref, live, ended, func(v client.Volume) string { return v.ID })
}
