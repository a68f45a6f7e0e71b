package provider

import (
	"fmt"
	"slices"
)

// Registry is the providers of a running server, by slug, in the order of its configuration.
type Registry struct {
	order  []Provider
	bySlug map[string]Provider
}

// NewSet returns a set of those providers. It panics when a slug is missing,
// malformed or given twice: offers and machines are kept under it, so two
// providers of one slug would own each other's.
func NewSet(providers ...Provider) *Registry {
	s := &Registry{order: slices.Clone(providers), bySlug: make(map[string]Provider, len(providers))}
	for _, p := range providers {
		slug := p.Info().Slug
		if !ValidSlug(slug) {
			panic(fmt.Sprintf("provider: %q is not a slug: 1 to 64 lower-case letters, digits and inner hyphens", slug))
		}
		if _, taken := s.bySlug[slug]; taken {
			panic(fmt.Sprintf("provider: there are two providers with the slug %q", slug))
		}
		s.bySlug[slug] = p
	}
	return s
}

// Get returns the provider with that slug.
func (s *Registry) Get(slug string) (Provider, bool) {
	p, found := s.bySlug[slug]
	return p, found
}

// All returns every provider, in the order of NewSet's arguments. The slice is the caller's.
func (s *Registry) All() []Provider { return slices.Clone(s.order) }

// ValidSlug tells whether the text may name a provider or a region: 1 to 64
// lower-case letters, digits and hyphens, neither first nor last of which is a hyphen.
func ValidSlug(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
