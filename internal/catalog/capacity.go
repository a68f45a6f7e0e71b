package catalog

import (
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/money"
)

// CapacityQuery asks whether so many machines are available. Empty fields do not filter.
type CapacityQuery struct {
	Query
	// Regions are slugs, any of which is acceptable.
	Regions []string
	Count   int
}

// Capacity is the answer to a CapacityQuery.
type Capacity struct {
	Enough           bool         `json:"enough" doc:"Whether that many machines are available now."`
	Count            int          `json:"count" doc:"Requested number of machines."`
	Found            int          `json:"found" doc:"Number of available machines, counted up to count."`
	Certain          bool         `json:"certain" doc:"false if a provider of these offers does not publish its stock; each such offer counts as one machine."`
	Offers           []Share      `json:"offers" doc:"Offers that provide the machines, cheapest first, with the number of machines of each."`
	TotalHourlyPrice money.Micros `json:"totalHourlyPrice" doc:"Total price of the found machines in US dollars an hour."`
	AsOf             *time.Time   `json:"asOf" doc:"Time when the oldest of these offers was confirmed; null if there is none."`
	Shortfalls       []Shortfall  `json:"shortfalls" doc:"Reasons for a shortage in each requested region, or in all regions if none was requested; empty if there are enough machines."`
}

// Shortfall is why a region does not have enough machines.
type Shortfall struct {
	Region            string        `json:"region" doc:"Region slug."`
	Found             int           `json:"found" doc:"Number of available machines, counted up to count."`
	Reason            Reason        `json:"reason" doc:"no_offer: the region has no such offer; sold_out; too_expensive: available offers cost more than maxHourlyPrice; too_few."`
	LowestHourlyPrice *money.Micros `json:"lowestHourlyPrice" doc:"Lowest price of an available matching offer in US dollars an hour; null if there is none."`
}

// Reason is what a region lacks.
type Reason string

// The reasons. Each applies only if those before it do not.
const (
	NoOffer      Reason = "no_offer"
	SoldOut      Reason = "sold_out"
	TooExpensive Reason = "too_expensive"
	TooFew       Reason = "too_few"
)

// Reasons are all reasons.
var Reasons = []Reason{NoOffer, SoldOut, TooExpensive, TooFew}

// Enum lists every reason.
func (Reason) Enum() []Reason { return Reasons }

// Share is a number of machines of one offer.
type Share struct {
	Offer Offer `json:"offer" doc:"Offer."`
	Count int   `json:"count" doc:"Number of machines of the offer."`
}

// Capacity returns whether so many machines are available, by the providers' last answers. It
// reserves nothing.
func (m Market) Capacity(q CapacityQuery) Capacity {
	out := Capacity{Count: q.Count, Certain: true, Offers: []Share{}, Shortfalls: []Shortfall{}}
	available := true
	q.Available, q.Sort = &available, nil // lowest price first
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

// shortfalls returns what each region lacks for the query.
func (m Market) shortfalls(q CapacityQuery) []Shortfall {
	regions := q.Regions
	if len(regions) == 0 {
		for _, r := range m.Regions() {
			if !slices.Contains(regions, r.Slug) { // two providers may use the same slug
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
