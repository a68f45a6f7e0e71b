package catalog

import (
	"cmp"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Query filters offers. Zero fields do not filter. Texts are compared without regard to case.
type Query struct {
	// Search contains words that must all occur in the GPU type, the provider, the region, or the
	// interconnect.
	Search       string
	Provider     string
	GPUType      string
	Region       string
	InstanceType string
	GPUCount     *int
	MinGPUCount  *int
	// MaxHourlyPrice is for the whole offer, inclusive.
	MaxHourlyPrice *money.Micros
	Available      *bool
	// Sort are the keys, the first of which counts most; DefaultSort if there are none.
	Sort []SortKey
	// Page selects a page; with a Limit of 0 it is everything.
	db.Page
}

// SortField is what offers can be sorted by.
type SortField string

// Enum lists the fields.
func (SortField) Enum() []SortField {
	return []SortField{"price", "pricePerGpu", "gpuCount", "gpuMemoryGb", "name", "provider", "region"}
}

// SortKey is a SortField, with a leading hyphen for descending order.
type SortKey string

// Enum lists the keys.
func (SortKey) Enum() (keys []SortKey) {
	for _, f := range SortField("").Enum() {
		keys = append(keys, SortKey(f), SortKey("-"+f))
	}
	return keys
}

// DefaultSort is by price, lowest first.
const DefaultSort SortKey = "price"

// compare returns the order of two offers by the key. Ties are by ID, ascending in both directions.
func (k SortKey) compare(a, b *Offer) int {
	name, down := strings.CutPrefix(string(k), "-")
	if down {
		a, b = b, a
	}
	return comparisons[SortField(name)](a, b)
}

// comparisons are the ascending orders.
var comparisons = map[SortField]func(a, b *Offer) int{
	"price":       func(a, b *Offer) int { return cmp.Compare(a.HourlyPrice, b.HourlyPrice) },
	"pricePerGpu": func(a, b *Offer) int { return cmp.Compare(a.HourlyPricePerGPU, b.HourlyPricePerGPU) },
	"gpuCount":    func(a, b *Offer) int { return cmp.Compare(a.GPUCount, b.GPUCount) },
	"gpuMemoryGb": func(a, b *Offer) int { return cmp.Compare(a.GPUMemoryGB, b.GPUMemoryGB) },
	"name":        func(a, b *Offer) int { return cmp.Compare(strings.ToLower(a.GPUType), strings.ToLower(b.GPUType)) },
	"provider":    func(a, b *Offer) int { return cmp.Compare(a.Provider, b.Provider) },
	"region":      func(a, b *Offer) int { return cmp.Compare(a.Region, b.Region) },
}

// List returns a page of the offers that match, and how many match in all.
func (m Market) List(q Query) (page []Offer, total int) {
	page, total, _ = m.list(q)
	return page, total
}

// Part is List with the next page's cursor: after the last offer, wherever that is then.
func (m Market) Part(q Query) ([]Offer, db.Listed) {
	page, total, more := m.list(q)
	of := db.All(total)
	if more {
		of.Next = q.Next([]any{string(page[len(page)-1].ID)}, len(page), of)
	}
	return page, of
}

func (m Market) list(q Query) (page []Offer, total int, more bool) {
	s := m.s
	wanted := matcher{q: q, search: strings.Fields(strings.ToLower(q.Search))}
	wanted.q.Provider, wanted.q.GPUType = strings.ToLower(q.Provider), strings.ToLower(q.GPUType)
	wanted.q.Region, wanted.q.InstanceType = strings.ToLower(q.Region), strings.ToLower(q.InstanceType)
	from, limit := 0, len(s.offers)
	if q.Limit > 0 {
		from, limit = max(q.Offset(), 0), q.Limit
	}
	// First scan all offers in memory order to count the matches, then follow the order as far as
	// the page goes.
	matched := make([]bool, len(s.texts))
	for i := range s.texts {
		matched[i] = wanted.matchesTexts(&s.texts[i])
	}
	match := make([]bool, len(s.facts))
	for i := range s.facts {
		if f := &s.facts[i]; matched[f.texts] && wanted.matchesFacts(f) {
			match[i] = true
			total++
		}
	}
	skip, passed, after := from, true, ""
	if q.After != nil {
		if after, _ = q.After.Keys[0].(string); after != "" {
			_, exists := s.byID[id.ID(after)]
			skip, passed = 0, !exists
			if !exists { // it is no longer sold: skip as many offers as came before
				skip = q.After.Rows
			}
		}
	}
	page = make([]Offer, 0, max(min(limit, total-skip), 0))
	for _, i := range s.sorted(q.Sort) {
		if !passed {
			passed = string(s.offers[i].ID) == after
			continue
		}
		if len(page) == cap(page) {
			break
		}
		if !match[i] {
			continue
		}
		if skip--; skip < 0 {
			page = append(page, s.offer(i))
		}
	}
	rows := len(page) + from
	if q.After != nil {
		rows = len(page) + q.After.Rows
	}
	return page, total, len(page) > 0 && len(page) == limit && rows < total
}

type matcher struct {
	q      Query // its texts in lower case
	search []string
}

// matchesFacts reports whether the numbers match.
func (m *matcher) matchesFacts(f *facts) bool {
	q := &m.q
	return (q.Available == nil || f.available == *q.Available) &&
		(q.GPUCount == nil || f.gpuCount == *q.GPUCount) &&
		(q.MinGPUCount == nil || f.gpuCount >= *q.MinGPUCount) &&
		(q.MaxHourlyPrice == nil || f.price <= *q.MaxHourlyPrice)
}

// matchesTexts reports whether the texts match.
func (m *matcher) matchesTexts(w *texts) bool {
	q := &m.q
	if q.Provider != "" && w.provider != q.Provider ||
		q.Region != "" && w.region != q.Region ||
		q.GPUType != "" && w.gpuType != q.GPUType ||
		q.InstanceType != "" && w.instanceType != q.InstanceType {
		return false
	}
	for _, word := range m.search {
		if !strings.Contains(w.search, word) {
			return false
		}
	}
	return true
}
