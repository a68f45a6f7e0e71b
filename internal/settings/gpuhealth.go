package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// maxNamed is how many providers and offers each list of GPUHealth may name.
const maxNamed = 500

// GPUHealth is which offers' GPUs are checked.
type GPUHealth struct {
	Policy  health.Policy `json:"policy" doc:"Policy of all offers that the lists do not name. off: machines are not checked. report: each machine is checked once SSH answers, and the verdict is shown. require: a deployment runs, and costs, only after its GPUs passed; if they fail, the next candidate is tried."`
	Off     []string      `json:"off" doc:"Slugs of providers and IDs of offers whose policy is off. An offer's ID counts more than its provider."`
	Report  []string      `json:"report" doc:"Those whose policy is report."`
	Require []string      `json:"require" doc:"Those whose policy is require."`
}

// GPUHealthChange changes a GPUHealth.
type GPUHealthChange struct {
	Policy  *health.Policy `json:"policy,omitempty" doc:"Policy of all offers that the lists do not name."`
	Off     *[]string      `json:"off,omitempty" maxItems:"500" maxLength:"64" doc:"Slugs of providers and IDs of offers whose policy is off. Replaces the list."`
	Report  *[]string      `json:"report,omitempty" maxItems:"500" maxLength:"64" doc:"Those whose policy is report. Replaces the list."`
	Require *[]string      `json:"require,omitempty" maxItems:"500" maxLength:"64" doc:"Those whose policy is require. Replaces the list."`
}

// Policies returns the policies as the catalog applies them.
func (g GPUHealth) Policies() health.Policies {
	p := health.Policies{Default: g.Policy, Named: map[string]health.Policy{}}
	for policy, names := range g.lists() {
		for _, n := range names {
			p.Named[n] = policy
		}
	}
	return p
}

func (g GPUHealth) lists() map[health.Policy][]string {
	return map[health.Policy][]string{health.Off: g.Off, health.Report: g.Report, health.Require: g.Require}
}

// complete sets what holds while nothing was ever set.
func (g *GPUHealth) complete() {
	if g.Policy == "" {
		g.Policy = health.Off
	}
	for _, list := range []*[]string{&g.Off, &g.Report, &g.Require} {
		if *list == nil {
			*list = []string{}
		}
	}
}

func (g *GPUHealth) change(by GPUHealthChange) {
	set(&g.Policy, by.Policy)
	for _, l := range []struct{ to, by *[]string }{{&g.Off, by.Off}, {&g.Report, by.Report}, {&g.Require, by.Require}} {
		if l.by == nil {
			continue
		}
		names := []string{}
		for _, n := range *l.by {
			if n = strings.ToLower(n); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		*l.to = names
	}
}

func (g GPUHealth) check(f *faults) {
	if !slices.Contains(g.Policy.Enum(), g.Policy) {
		f.add("gpuHealth.policy", "must be off, report or require.")
	}
	in := map[string]health.Policy{}
	for _, policy := range g.Policy.Enum() {
		field, names := "gpuHealth."+string(policy), g.lists()[policy]
		if len(names) > maxNamed {
			f.add(field, fmt.Sprintf("must have at most %d names.", maxNamed))
			continue
		}
		for _, n := range names {
			switch other, twice := in[n]; {
			case twice:
				f.add(field, fmt.Sprintf("has %.64q, which gpuHealth.%s has, too. Remove it from one of them.",
					n, other))
			case !id.ID(n).Valid(id.Offer) && !provider.ValidSlug(n):
				f.add(field, fmt.Sprintf("has %.64q, which is neither a provider's slug nor an offer's ID.", n))
			}
			in[n] = policy
		}
	}
}
