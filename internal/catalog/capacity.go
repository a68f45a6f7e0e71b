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
}

// Share is how many machines of an offer.
type Share struct {
	Offer Offer `json:"offer" doc:"The offer."`
	Count int   `json:"count" doc:"How many of it."`
}

// Capacity tells whether so many machines can be had, from what the providers said last: nobody keeps them back.
func (m Market) Capacity(q CapacityQuery) Capacity {
	out, available := Capacity{Count: q.Count, Certain: true, Offers: []Share{}}, true
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
	out.Enough = out.Found >= out.Count
	return out
}
