package provider

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
)

// Registry has the providers of a running server, by slug, in the order of its configuration. They
// can be replaced while it runs. It is safe for concurrent use.
type Registry struct{ now atomic.Pointer[registered] }

// registered is what a Registry has at one time. It is never changed.
type registered struct {
	version int64
	order   []Provider
	bySlug  map[string]Provider
	uses    map[string]Use
}

// Use is what a provider is used for beside its machines and volumes, which are always kept.
type Use string

// The uses.
const (
	// Sells is the use of a provider that new deployments may choose.
	Sells Use = ""
	// Paused lists the offers, none of which is available.
	Paused Use = "paused"
	// Draining does not list the offers.
	Draining Use = "draining"
)

// NewRegistry returns a Registry of those providers. It panics as Replace does.
func NewRegistry(providers ...Provider) *Registry {
	r := &Registry{}
	r.Replace(providers...)
	return r
}

// Replace makes those the registry's providers, all at once. What a caller got before stays usable.
// It panics where a slug is missing, malformed or used twice: offers and machines are stored under
// it.
func (r *Registry) Replace(providers ...Provider) { r.ReplaceAll(providers, nil) }

// ReplaceAll is Replace for providers of which some have another use than Sells, by slug.
func (r *Registry) ReplaceAll(providers []Provider, uses map[string]Use) {
	next := &registered{
		uses: maps.Clone(uses), order: slices.Clone(providers),
		bySlug: make(map[string]Provider, len(providers)),
	}
	for _, p := range providers {
		slug := p.Info().Slug
		if !ValidSlug(slug) {
			panic(
				fmt.Sprintf("provider: %q is not a slug of 1 to 64 lower-case letters, digits and inner hyphens", slug),
			)
		}
		if _, taken := next.bySlug[slug]; taken {
			panic(fmt.Sprintf("provider: two providers have the slug %q", slug))
		}
		next.bySlug[slug] = p
	}
	for {
		before := r.now.Load()
		if before != nil {
			next.version = before.version + 1
		}
		if r.now.CompareAndSwap(before, next) {
			return
		}
	}
}

// Use returns what the provider is used for.
func (r *Registry) Use(slug string) Use { return r.now.Load().uses[slug] }

// Version changes with every Replace.
func (r *Registry) Version() int64 { return r.now.Load().version }

// Get returns the provider with that slug.
func (r *Registry) Get(slug string) (Provider, bool) {
	p, found := r.now.Load().bySlug[slug]
	return p, found
}

// All returns every provider, in the order of NewRegistry's or Replace's arguments. The slice is
// the caller's to change.
func (r *Registry) All() []Provider { return slices.Clone(r.now.Load().order) }

// Chosen returns those of All that have one of the slugs, or all of them for none.
func (r *Registry) Chosen(slugs []string) []Provider {
	all := r.All()
	if len(slugs) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(p Provider) bool { return !slices.Contains(slugs, p.Info().Slug) })
}

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
