package provider

import (
	"fmt"
	"slices"
)

// Registry has the providers of a running server, by slug, in the order of its configuration.
type Registry struct {
	order  []Provider
	bySlug map[string]Provider
}

// NewRegistry returns a Registry of those providers. It panics where a slug is missing, malformed
// or used twice: offers and machines are stored under it.
func NewRegistry(providers ...Provider) *Registry {
	r := &Registry{order: slices.Clone(providers), bySlug: make(map[string]Provider, len(providers))}
	for _, p := range providers {
		slug := p.Info().Slug
		if !ValidSlug(slug) {
			panic(
				fmt.Sprintf("provider: %q is not a slug of 1 to 64 lower-case letters, digits and inner hyphens", slug),
			)
		}
		if _, taken := r.bySlug[slug]; taken {
			panic(fmt.Sprintf("provider: two providers have the slug %q", slug))
		}
		r.bySlug[slug] = p
	}
	return r
}

// Get returns the provider with that slug.
func (r *Registry) Get(slug string) (Provider, bool) {
	p, found := r.bySlug[slug]
	return p, found
}

// All returns every provider, in the order of NewRegistry's arguments. The slice is the caller's to
// change.
func (r *Registry) All() []Provider { return slices.Clone(r.order) }

// ValidSlug reports whether the text may name a provider or a region: 1 to 64 lower-case letters,
// digits and hyphens, without a hyphen at either end.
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
