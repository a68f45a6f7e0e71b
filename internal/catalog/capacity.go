package catalog

import (
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/money"
)

// CapacityQuery asks whether so many machines can be had. What is empty does not narrow it.
type CapacityQuery struct {
	Query
	// Regions are slugs, any of which will do.
	Regions []string
	Count   int
}

// Capacity is what there is for a CapacityQuery.
type Capacity struct {
	// Enough tells whether so many can be had now, cheapest first and from as many offers as it takes.
	Enough bool `json:"enough" doc:"Whether that many can be had now."`
	Count  int  `json:"count" doc:"How many machines were asked for."`
	// Found is how many there are, counted up to Count.
	Found int `json:"found" doc:"How many there are, counted up to count."`
	// Certain is false where a provider does not say its stock: one is counted of such an offer.
	Certain bool    `json:"certain" doc:"false where an offer’s provider does not say how many it has; one is counted of each such offer."`
	Offers  []Share `json:"offers" doc:"Which offers, cheapest first, and how many of each."`
	// TotalHourlyPrice is that of the machines that were found.
	TotalHourlyPrice money.Micros `json:"totalHourlyPrice" doc:"US dollars an hour for those that were found, all together."`
	// AsOf is when the oldest of these offers was confirmed.
	AsOf *time.Time `json:"asOf" doc:"When the oldest of these offers was confirmed; null where there is none."`
	// Shortfalls say why there are not enough.
	Shortfalls []Shortfall `json:"shortfalls" doc:"Where there are not enough: what each region lacks, those that were named or else all. Empty where there are enough."`
}

// Shortfall is why a region does not have so many machines.
type Shortfall struct {
	Region string `json:"region" doc:"Slug of the region."`
	// Found is how many it has.
	Found  int    `json:"found" doc:"How many it has, counted up to count."`
	Reason Reason `json:"reason" doc:"no_offer: nothing there is of this kind; sold_out; too_expensive: what can be had now costs more than maxHourlyPrice; too_few."`
	// LowestHourlyPrice is that of what is of the kind and can be had now.
	LowestHourlyPrice *money.Micros `json:"lowestHourlyPrice" doc:"US dollars an hour for the cheapest that is of the kind and can be had now; null where there is none."`
}

// Reason is what a region lacks.
type Reason string

// The reasons, each of which is looked for where the ones before are not it.
const (
	NoOffer      Reason = "no_offer"
	SoldOut      Reason = "sold_out"
	TooExpensive Reason = "too_expensive"
	TooFew       Reason = "too_few"
)

// Reasons are all of them.
var Reasons = []Reason{NoOffer, SoldOut, TooExpensive, TooFew}

// Share is how many machines of an offer.
type Share struct {
	Offer Offer `json:"offer" doc:"The offer."`
	Count int   `json:"count" doc:"How many of it."`
}

// Capacity tells whether so many machines can be had, from what the providers said last: nobody keeps them back.
func (m Market) Capacity(q CapacityQuery) Capacity {
	out, available := Capacity{Count: q.Count, Certain: true, Offers: []Share{}, Shortfalls: []Shortfall{}}, true
	q.Available, q.Sort = &available, "price"
	for p := 1; out.Found < out.Count; p++ {
		q.Page = db.Page{Number: p, Limit: 100}
		page, _ := m.List(q.Query)
		for _, o := range page {
			if len(q.Regions) > 0 && !slices.Contains(q.Regions, o.Region) {
				continue
			}
			n := 1
			if o.Stock != nil {
				n = *o.Stock
			} else {
				out.Certain = false
			}
			if n = min(n, out.Count-out.Found); n == 0 {
				continue
			}
			out.Found += n
			out.Offers = append(out.Offers, Share{o, n})
			out.TotalHourlyPrice += o.HourlyPrice.Times(int64(n))
			if asOf := o.AsOf; out.AsOf == nil || asOf.Before(*out.AsOf) {
				out.AsOf = &asOf
			}
			if out.Found == out.Count {
				break
			}
		}
		if len(page) < 100 {
			break
		}
	}
	if out.Enough = out.Found >= out.Count; !out.Enough {
		out.Shortfalls = m.shortfalls(q)
	}
	return out
}

// shortfalls tells what each region lacks for the query.
func (m Market) shortfalls(q CapacityQuery) []Shortfall {
	regions := q.Regions
	if len(regions) == 0 {
		for _, r := range m.Regions() {
			if !slices.Contains(regions, r.Slug) { // two providers may call a region alike
				regions = append(regions, r.Slug)
			}
		}
	}
	out := make([]Shortfall, len(regions))
	for i, region := range regions {
		kind := q.Query
		kind.Region, kind.Available, kind.MaxHourlyPrice, kind.Page = region, nil, nil, db.Page{}
		offers, _ := m.List(kind) // the cheapest first
		s := Shortfall{Region: region, Reason: NoOffer}
		for _, o := range offers {
			if s.Reason == NoOffer {
				s.Reason = SoldOut
			}
			if !o.Available {
				continue
			}
			if s.LowestHourlyPrice == nil {
				price := o.HourlyPrice
				s.LowestHourlyPrice, s.Reason = &price, TooExpensive
			}
			if q.MaxHourlyPrice != nil && o.HourlyPrice > *q.MaxHourlyPrice {
				break
			}
			n := 1
			if o.Stock != nil {
				n = *o.Stock
			}
			s.Found, s.Reason = min(s.Found+n, q.Count), TooFew
		}
		out[i] = s
	}
	return out
}
