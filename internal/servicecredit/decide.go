package servicecredit

import (
	"cmp"
	"math/big"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

// Claim is a time for which a part of a machine did not work: Failed of its GPUs. The whole
// machine is all of them. Both numbers are above zero.
type Claim struct {
	From, To     time.Time
	Failed, GPUs int64
}

// CreditedHour is a charged hour of a deployment, and what a service credit adds to it.
type CreditedHour struct {
	Hour        int64        `json:"hour" doc:"Number of the deployment's hour, counted from 1."`
	From        time.Time    `json:"from" doc:"When the hour began."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars per hour."`
	Charged     money.Micros `json:"charged" doc:"US dollars charged for the hour."`
	Refunded    money.Micros `json:"refunded" doc:"US dollars of it that were refunded."`
	Seconds     int64        `json:"seconds" doc:"Seconds of the hour that the service credit covers."`
	// CreditedBefore is the sum of the service credits that were booked before.
	CreditedBefore money.Micros `json:"creditedBefore" doc:"US dollars that other service credits had credited for the hour."`
	Amount         money.Micros `json:"amount" doc:"US dollars that this service credit credits for the hour."`
}

// decide returns the hours that the claim covers, with what it adds to the claims that are booked,
// and the sum. factor is in percent. It depends on nothing but its arguments; the order of the
// booked claims, and how often each is there, do not matter.
func decide(
	hours []CreditedHour, booked []Claim, claim Claim, factor int64, now time.Time,
) (out []CreditedHour, sum money.Micros) {
	all := append(slices.Clone(booked), claim)
	for _, h := range hours {
		end := h.From.Add(money.HourSeconds * time.Second)
		from, to := later(claim.From, h.From), earlier(claim.To, end)
		if !from.Before(to) {
			continue
		}
		h.Seconds = int64(to.Sub(from) / time.Second)
		adds := h.worth(lost(h.From, end, all), factor) - h.worth(lost(h.From, end, booked), factor)
		h.Amount = max(0, min(adds, h.ceiling(now)-h.CreditedBefore))
		out, sum = append(out, h), sum+h.Amount
	}
	return out, sum
}

// limited returns the hours with no more than limit in all: what is over it is left out at the end.
func limited(hours []CreditedHour, limit money.Micros) (out []CreditedHour, sum money.Micros) {
	out = slices.Clone(hours)
	for i := range out {
		out[i].Amount = min(out[i].Amount, limit-sum)
		sum += out[i].Amount
	}
	return out, sum
}

// ceiling returns the most that all service credits of the hour can be.
func (h CreditedHour) ceiling(now time.Time) money.Micros {
	passed := int64(now.Sub(h.From) / time.Second)
	return min(h.Charged-h.Refunded, money.ForSeconds(h.HourlyPrice, min(max(passed, 0), money.HourSeconds)))
}

// worth returns the price of so many seconds of the whole machine times the factor, rounded
// half-up.
func (h CreditedHour) worth(seconds *big.Rat, factor int64) money.Micros {
	v := new(big.Rat).Mul(seconds, big.NewRat(factor, 100*money.HourSeconds))
	v.Mul(v, new(big.Rat).SetInt64(int64(h.HourlyPrice)))
	n := new(big.Int).Lsh(v.Num(), 1)
	n.Add(n, v.Denom())
	n.Quo(n, new(big.Int).Lsh(v.Denom(), 1))
	return money.Micros(n.Int64())
}

// lost returns how many seconds between two instants did not work, each of them times the part of
// the machine that did not: the largest of the claims.
func lost(from, to time.Time, claims []Claim) *big.Rat {
	edges := []time.Time{from, to}
	var inside []Claim
	for _, c := range claims {
		c.From, c.To = later(c.From, from), earlier(c.To, to)
		if c.From.Before(c.To) {
			inside, edges = append(inside, c), append(edges, c.From, c.To)
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	edges = slices.CompactFunc(edges, time.Time.Equal)
	sum := new(big.Rat)
	for i := range len(edges) - 1 {
		var worst Claim
		for _, c := range inside {
			if !c.From.After(edges[i]) && !c.To.Before(edges[i+1]) && c.worse(worst) {
				worst = c
			}
		}
		if worst.GPUs > 0 {
			seconds := int64(edges[i+1].Sub(edges[i]) / time.Second)
			sum.Add(sum, new(big.Rat).Mul(big.NewRat(seconds, 1), big.NewRat(worst.Failed, worst.GPUs)))
		}
	}
	return sum
}

// worse reports whether a larger part did not work; the zero Claim is none.
func (c Claim) worse(than Claim) bool {
	return than.GPUs == 0 || cmp.Compare(c.Failed*than.GPUs, than.Failed*c.GPUs) > 0
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
