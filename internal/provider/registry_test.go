package provider_test

import (
	"context"
	"testing"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

type named string

func (n named) Info() provider.Info                                { return provider.Info{Slug: string(n)} }
func (named) Offers(context.Context) ([]provider.Offer, error)     { return nil, nil }
func (named) Machines(context.Context) ([]provider.Machine, error) { return nil, nil }
func (named) Terminate(context.Context, id.ID) error               { return nil }
func (named) Machine(context.Context, id.ID) (m provider.Machine, err error) {
	return m, &provider.Error{Kind: provider.KindNotFound}
}
func (named) Launch(context.Context, provider.LaunchRequest) (m provider.Machine, err error) {
	return m, &provider.Error{Kind: provider.KindRejected}
}

func TestRegistry_All(t *testing.T) {
	s := provider.NewRegistry(named("voltage-park"), named("a1"))
	all := s.All()
	all[0] = named("other")
	if p, found := s.Get("voltage-park"); !found || p != named("voltage-park") || s.All()[0] != named("voltage-park") ||
		s.All()[1] != named("a1") {
		t.Fatalf("%v", s.All())
	}
	if _, found := s.Get("other"); found {
		t.Error("a provider that was never given")
	}
}

func TestNewRegistry_PanicsOnInvalidSlugs(t *testing.T) {
	for name, slugs := range map[string][]named{
		"twice": {"a", "b", "a"}, "missing": {""}, "capitals": {"A"}, "hyphen": {"a-"}, "space": {"a b"},
		"slash": {"a/b"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			providers := make([]provider.Provider, len(slugs))
			for i, s := range slugs {
				providers[i] = s
			}
			provider.NewRegistry(providers...)
		}()
	}
}
