package latitude

import (
	"cmp"
	"context"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// defaultUser logs in to operating systems that state no user.
const defaultUser = "ubuntu"

// plan is a type of server.
type plan struct {
	Slug, Name string
	Features   []string
	Specs      struct {
		CPU struct {
			Type         string
			Cores, Count whole
		}
		Memory struct{ Total whole }
		Drives []struct {
			Count whole
			Size  size
		}
		GPU struct {
			Count whole
			Type  string
			VRAM  whole `json:"vram_per_gpu"`
		}
	}
	Regions []struct {
		Locations struct {
			Available []string
			InStock   []string `json:"in_stock"`
		}
		Pricing struct {
			USD struct{ Hour upstream.Dollars }
		}
	}
}

// site is a place that has a plan.
type site struct {
	name    string // as the cloud writes it
	price   money.Micros
	inStock bool
}

// sites returns the places that have the plan at a known price, by the slug of our region.
func (p plan) sites() map[string]site {
	out := map[string]site{}
	for _, r := range p.Regions {
		price := r.Pricing.USD.Hour
		if !price.Known || price.Amount <= 0 || price.Amount > upstream.MaxPrice {
			continue
		}
		for _, name := range append(slices.Clone(r.Locations.Available), r.Locations.InStock...) {
			slug := upstream.Slug(name)
			if _, twice := out[slug]; slug == "" || twice {
				continue
			}
			out[slug] = site{name, price.Amount, slices.Contains(r.Locations.InStock, name)}
		}
	}
	return out
}

// offer returns the plan as an offer without its region and price, and whether it has GPUs.
func (p plan) offer() (provider.Offer, bool) {
	s := p.Specs
	o := provider.Offer{
		Key: p.Slug, GPUType: upstream.CleanText(s.GPU.Type), GPUCount: int(s.GPU.Count), GPUMemoryGB: int(s.GPU.VRAM),
		VCPUs: vcpus(s.CPU.Type, int(s.CPU.Cores), int(s.CPU.Count)), MemoryGB: int(s.Memory.Total),
		InstanceType: provider.BareMetal,
		Capabilities: provider.Capabilities{
			Reboot: true, Power: true, Reinstall: true, CloudInit: slices.Contains(p.Features, "user_data"),
		},
	}
	for _, d := range s.Drives {
		o.StorageGB = min(o.StorageGB+min(int(d.Count), upstream.MaxCount)*int(d.Size), upstream.MaxGB)
	}
	return o, upstream.IsPlain(o.Key) && o.GPUType != "" && o.GPUCount > 0 && o.GPUCount <= upstream.MaxCount
}

// size is that of a drive in decimal GB, from a text such as "3.8 TB" or a number of GB. It is 0
// where it is malformed.
type size int

var sized = regexp.MustCompile(`(?i)^\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(TB|GB)?\b`)

// UnmarshalJSON parses the size.
func (s *size) UnmarshalJSON(b []byte) error {
	*s = 0
	m := sized.FindStringSubmatch(strings.Trim(string(b), `"`))
	if m == nil {
		return nil
	}
	r, _ := new(big.Rat).SetString(m[1])
	if strings.EqualFold(m[2], "TB") {
		r.Mul(r, big.NewRat(1000, 1))
	}
	*s = size(min(new(big.Int).Quo(r.Num(), r.Denom()).Int64(), upstream.MaxGB))
	return nil
}

// region is a site.
type region struct {
	Name, Slug string
	Country    country
}

// country is an ISO 3166-1 alpha-2 code, or "" for an unknown country.
type country string

var countries = map[string]country{
	"argentina": "AR", "australia": "AU", "brazil": "BR", "canada": "CA", "chile": "CL", "colombia": "CO",
	"france": "FR", "germany": "DE", "india": "IN", "japan": "JP", "mexico": "MX", "netherlands": "NL", "peru": "PE",
	"poland": "PL", "singapore": "SG", "south africa": "ZA", "south korea": "KR", "spain": "ES", "sweden": "SE",
	"united kingdom": "GB", "united states": "US", "united states of america": "US",
}

var alpha2 = regexp.MustCompile(`^[A-Z]{2}$`)

// UnmarshalJSON parses a text, or an object with a name.
func (c *country) UnmarshalJSON(b []byte) error {
	*c = ""
	var text string
	if json.Unmarshal(b, &text) != nil {
		var o struct{ Name, Slug string }
		if json.Unmarshal(b, &o) != nil {
			return nil
		}
		text = o.Name
	}
	if alpha2.MatchString(text) {
		*c = country(text)
	} else {
		*c = countries[strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), "-", " "))]
	}
	return nil
}

// system is an operating system.
type system struct {
	Name, Slug, User, Distro string
	On                       []string `json:"provisionable_on"`
}

// choice is an operating system as tenants choose it.
type choice struct{ name, slug string }

// choices returns what can be installed on the plan and has SSH, each name once.
func choices(all []system, plan string) []choice {
	var out []choice
	for _, s := range all {
		windows := strings.HasPrefix(s.Slug, "windows") || strings.EqualFold(s.Distro, "windows")
		if !slices.Contains(s.On, plan) || s.Slug == "" || s.Slug == "ipxe" || windows {
			continue
		}
		if name := upstream.CleanText(s.Name); name != "" {
			out = append(out, choice{name, s.Slug})
		}
	}
	slices.SortFunc(out, func(a, b choice) int { return strings.Compare(a.slug, b.slug) })
	seen, kept := map[string]bool{}, out[:0]
	for _, c := range out {
		if seen[c.name] {
			c.name = upstream.CleanText(c.name + " (" + c.slug + ")")
		}
		if c.name != "" && !seen[c.name] && len(kept) < upstream.MaxSystems {
			seen[c.name] = true
			kept = append(kept, c)
		}
	}
	return kept
}

// Offers implements provider.Provider: every plan with GPUs, in every site.
func (l *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	plans, err := l.plans.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	systems, err := l.systems.Recent(ctx, catalogAge)
	if err != nil {
		return nil, err
	}
	regions, err := l.regions.Recent(ctx, catalogAge)
	if err != nil {
		return nil, err
	}
	return l.account.WithoutExcluded(offers(plans, systems, regions)), nil
}

func offers(plans []plan, systems []system, regions []region) []provider.Offer {
	bySlug := map[string]region{}
	for _, r := range regions {
		bySlug[upstream.Slug(r.Slug)] = r
	}
	var out []provider.Offer
	for _, p := range plans {
		o, ok := p.offer()
		for _, c := range choices(systems, p.Slug) {
			o.OperatingSystems = append(o.OperatingSystems, c.name)
		}
		for slug, s := range p.sites() {
			o := o
			o.OperatingSystems = slices.Clone(o.OperatingSystems)
			o.Region, o.Country, o.HourlyPrice, o.Available = slug, string(bySlug[slug].Country), s.price, s.inStock
			o.RegionName = cmp.Or(upstream.CleanText(bySlug[slug].Name), upstream.CleanText(s.name))
			if ok && upstream.Sellable(o) {
				out = append(out, o)
			}
		}
	}
	slices.SortStableFunc(out, byKeyAndRegion)
	return slices.CompactFunc(out, func(a, b provider.Offer) bool { return byKeyAndRegion(a, b) == 0 })
}

func byKeyAndRegion(a, b provider.Offer) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Region, b.Region))
}
