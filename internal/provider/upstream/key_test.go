package upstream_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// keyCloud has keys by id.
type keyCloud struct {
	keys    map[string]string
	added   []string
	refuse  error                            // by Add
	instead func(c *keyCloud, public string) // called by an Add that is refused or returns no id
	silent  bool                             // Add returns no id
}

func (c *keyCloud) open() *upstream.Keys {
	return &upstream.Keys{
		Find: func(_ context.Context, line string) (string, error) {
			for key, public := range c.keys {
				if upstream.SameKey(public, line) {
					return key, nil
				}
			}
			return "", nil
		},
		Add: func(_ context.Context, name, public string) (string, error) {
			c.added = append(c.added, name+" "+public)
			if c.instead != nil {
				c.instead(c, public)
			}
			if c.refuse != nil || c.silent {
				return "", c.refuse
			}
			c.keys["k1"] = public
			return "k1", nil
		},
	}
}

const keyA, keyB = "ssh-ed25519 AAAAa", "ssh-ed25519 AAAAb"

func TestKeys_IDs(t *testing.T) {
	c := &keyCloud{keys: map[string]string{"k0": keyB + " of old"}}
	k := c.open()
	var together sync.WaitGroup
	for range 5 {
		together.Go(func() {
			ids, err := k.IDs(t.Context(), []string{keyA + " me@example.com", keyA})
			if err != nil || !slices.Equal(ids, []string{"k1"}) {
				t.Errorf("%v, %v", ids, err)
			}
		})
	}
	together.Wait()
	if ids, err := k.IDs(t.Context(), []string{keyB, keyA}); err != nil || !slices.Equal(ids, []string{"k0", "k1"}) {
		t.Errorf("%v, %v", ids, err)
	}
	if want := []string{upstream.KeyName(keyA) + " " + keyA}; !slices.Equal(c.added, want) {
		t.Errorf("uploaded %q, want %q", c.added, want)
	}
}

func TestKeys_IDRefusals(t *testing.T) {
	rejected := &provider.Error{Kind: provider.KindRejected, Cause: errors.New("a duplicate")}
	faster := func(c *keyCloud, public string) { c.keys["k9"] = public }
	for name, c := range map[string]struct {
		cloud keyCloud
		want  string
		kind  provider.Kind
	}{
		"another was faster":     {keyCloud{refuse: rejected, instead: faster}, "k9", ""},
		"created without an id":  {keyCloud{silent: true, instead: faster}, "k9", ""},
		"no id, and not created": {keyCloud{silent: true}, "", provider.KindUnavailable},
		"another key of the name": {keyCloud{
			refuse: rejected, instead: func(c *keyCloud, _ string) { c.keys["k9"] = keyB },
		}, "", provider.KindRejected},
		"no answer, whatever came of it": {keyCloud{
			refuse: &provider.Error{Kind: provider.KindUnavailable}, instead: faster,
		}, "", provider.KindUnavailable},
		"the account has as many as it may": {keyCloud{
			refuse: &provider.Error{Kind: provider.KindQuota},
		}, "", provider.KindQuota},
	} {
		c.cloud.keys = map[string]string{}
		got, err := c.cloud.open().ID(t.Context(), keyA)
		if got != c.want || c.kind == "" && err != nil || c.kind != "" && provider.KindOf(err) != c.kind ||
			len(c.cloud.added) != 1 {
			t.Errorf("%s: %q, %v after %d uploads", name, got, err, len(c.cloud.added))
		}
		if e, is := errors.AsType[*provider.Error](err); c.kind == provider.KindRejected && (!is || e.Message == "") {
			t.Errorf("%s: %v has no message for the tenant", name, err)
		}
	}
}
