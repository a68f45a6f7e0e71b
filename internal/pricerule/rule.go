package pricerule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Bounds of rules.
const (
	// MaxRules is how many rules there may be.
	MaxRules = 200
	// MinPercent and MaxPercent are in basis points: −100 and 1,000 percent.
	MinPercent, MaxPercent = -10_000, 100_000
	// MaxPerGPU is the largest fixed amount and the highest floor of a GPU for an hour.
	MaxPerGPU = 1_000 * money.USD
	// MaxRounding is the largest multiple that prices are rounded up to.
	MaxRounding = 100 * money.USD
	// MaxPrice is the highest price of an offer for an hour.
	MaxPrice = 11_000_000 * money.USD
	// maxText is how many bytes a provider, a GPU type or a region may have.
	maxText = 128
)

// Match is what a rule is for. An empty field is for all.
type Match struct {
	Provider, GPUType, Region string
	Account                   id.ID
}

// Terms are what a rule says.
type Terms struct {
	// Percent is added to the provider's price, in basis points.
	Percent int64
	// FixedPerGPU is added for each GPU and hour; below zero it is a discount.
	FixedPerGPU money.Micros
	// FloorPerGPU is the lowest price of a GPU for an hour.
	FloorPerGPU money.Micros
	// RoundUpTo is the amount that the price of the whole offer is rounded up to a multiple of; 0
	// for none.
	RoundUpTo money.Micros
	// Hidden offers are neither listed nor deployable.
	Hidden bool
}

// Rule is one of the operator's price rules.
type Rule struct {
	ID id.ID
	// Position is the place in the list, from 1.
	Position int64
	Match
	Terms
	CreatedAt, ChangedAt time.Time
}

// Offer is what rules match.
type Offer struct {
	Provider, GPUType, Region string
}

// Fits reports whether the rule is for that offer, whatever the account. GPU types are compared
// without regard to case.
func (m Match) Fits(o Offer) bool {
	return (m.Provider == "" || m.Provider == o.Provider) && (m.Region == "" || m.Region == o.Region) &&
		(m.GPUType == "" || strings.EqualFold(m.GPUType, o.GPUType))
}

// Price returns what an offer of so many GPUs costs for an hour if the provider asks cost.
func (t Terms) Price(cost money.Micros, gpus int) money.Micros {
	// Every product is below 2⁶²: the cost by MaxPrice, the others by their bounds and a million
	// GPUs.
	n := money.Micros(min(max(gpus, 0), 1_000_000))
	cost = min(max(cost, 0), MaxPrice)
	price := (cost*money.Micros(10_000+t.Percent) + 5_000) / 10_000
	price = max(price+t.FixedPerGPU*n, t.FloorPerGPU*n, 0)
	if t.RoundUpTo <= 0 {
		return min(price, MaxPrice)
	}
	if over := price % t.RoundUpTo; over > 0 {
		price += t.RoundUpTo - over
	}
	return min(price, MaxPrice-MaxPrice%t.RoundUpTo)
}

// Set is a list of rules in their order.
type Set []Rule

// For returns the rules that are for that account, or for all.
func (s Set) For(account id.ID) Set {
	var out Set
	for _, r := range s {
		if r.Account == "" || r.Account == account {
			out = append(out, r)
		}
	}
	return out
}

// Accounts returns the accounts that have rules of their own, each once.
func (s Set) Accounts() []id.ID {
	var out []id.ID
	for _, r := range s {
		if r.Account != "" && !slices.Contains(out, r.Account) {
			out = append(out, r.Account)
		}
	}
	return out
}

// First returns the rule that decides about the offer; nil if none does. The set must be of one
// account.
func (s Set) First(o Offer) *Rule {
	for i := range s {
		if s[i].Fits(o) {
			return &s[i]
		}
	}
	return nil
}

// With returns the set with that rule at its position, instead of the rule with its ID if there is
// one.
func (s Set) With(r Rule) Set {
	out := s.Without(r.ID)
	at := len(out)
	if r.Position > 0 {
		at = min(int(r.Position)-1, at)
	}
	return slices.Insert(out, at, r)
}

// Without returns the set without the rule with that ID.
func (s Set) Without(rule id.ID) Set {
	return slices.DeleteFunc(slices.Clone(s), func(r Rule) bool { return r.ID == rule })
}

// check returns everything that is wrong with the rule.
func (r Rule) check() error {
	var faults []apierr.FieldError
	add := func(field, format string, args ...any) {
		faults = append(faults, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	for _, text := range []struct{ field, value string }{
		{"provider", r.Provider}, {"gpuType", r.GPUType}, {"region", r.Region},
	} {
		if len(text.value) > maxText || !apierr.Printable(text.value) || strings.TrimSpace(text.value) != text.value {
			add(text.field, "must be at most %d bytes of visible text, without spaces at its ends.", maxText)
		}
	}
	if r.Percent < MinPercent || r.Percent > MaxPercent {
		add("percent", "must be from %d to %d.", MinPercent/100, MaxPercent/100)
	}
	if r.FixedPerGPU < -MaxPerGPU || r.FixedPerGPU > MaxPerGPU {
		add("fixedPerGpu", "must be from -%s to %s.", MaxPerGPU.Decimal(), MaxPerGPU.Decimal())
	}
	if r.FloorPerGPU < 0 || r.FloorPerGPU > MaxPerGPU {
		add("floorPerGpu", "must be from 0 to %s.", MaxPerGPU.Decimal())
	}
	if r.RoundUpTo < 0 || r.RoundUpTo > MaxRounding {
		add("roundUpTo", "must be from 0 to %s.", MaxRounding.Decimal())
	}
	if r.Hidden && (r.Percent != 0 || r.FixedPerGPU != 0 || r.FloorPerGPU != 0 || r.RoundUpTo != 0) {
		add("hidden", "must be false in a rule with prices: a hidden offer has none.")
	}
	if len(faults) > 0 {
		return apierr.Invalid(faults)
	}
	return nil
}
