package catalog

import (
	"context"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

const (
	keepAttempts = 30 * day
	lackCounts   = day
	// enoughOfItsOwn is from how many attempts on an offer speaks for itself.
	enoughOfItsOwn = 5
	// figuresEvery is how old the figures may become. To make them reads every attempt that is kept.
	figuresEvery = 2 * time.Minute
)

// Outcome is what became of a launch.
type Outcome string

// The outcomes that say something of an offer. A deployment that its tenant calls off before SSH answers has none.
const (
	ReachedSSH Outcome = "ssh"         // SSH answered
	NoCapacity Outcome = "no_capacity" // the provider had no such machine left
	NotReached Outcome = "failed"      // anything else
)

// Attempt is a deployment of which it is known whether it came to run.
type Attempt struct {
	Deployment, Offer id.ID
	Provider          string
	InstanceType      provider.InstanceType
	Outcome           Outcome
	// Took is the time from the accepted deploy, or from the end of the candidate before, until this was known.
	Took time.Duration
}

// The bases of a Reliability.
const (
	BasisOffer        = "offer"
	BasisInstanceType = "instanceType"
)

// Reliability is how deployments of the last 30 days went, those of all accounts, without the ones that were called off before SSH answered.
// Its pointers are shared: read only.
type Reliability struct {
	Basis       string `json:"basis" enum:"offer,instanceType" doc:"Whose deployments were counted: those of this offer, or, where there are fewer than 5, those of all offers of its provider with its instanceType."`
	Deployments int    `json:"deployments" doc:"How many of the last 30 days, without those that were called off before SSH answered."`
	// ReachedSSH is rounded to thousandths; nil without deployments.
	ReachedSSH *float64 `json:"reachedSsh" minimum:"0" maximum:"1" doc:"Which share of them came to run, from 0 to 1; null where there were none."`
	// MedianSecondsToSSH is of those that came to run; nil where none did.
	MedianSecondsToSSH *int `json:"medianSecondsToSsh" doc:"Seconds from the accepted deploy to the first SSH answer, for half of those that came to run; null where none did."`
}

// Report writes down what became of a deployment, in the change that decides it. Only the first word about each deployment and offer counts.
func (c *Catalog) Report(ctx context.Context, tx *db.Tx, a Attempt) error {
	return insertAttempt(ctx, tx, a)
}

// figures are what the attempts come to. Nothing in them is changed once they are made.
type figures struct {
	offers map[id.ID]Reliability // of those that speak for themselves
	kinds  map[kindOfOffer]Reliability
	lacked map[id.ID]*time.Time // when an offer last lacked capacity, within the last day
}

type kindOfOffer struct {
	provider string
	instance provider.InstanceType
}

// figure computes the figures at that instant.
func figure(ctx context.Context, r db.Reader, now time.Time) (*figures, error) {
	type tally struct {
		all   int
		times []int
	}
	offers, kinds := map[id.ID]*tally{}, map[kindOfOffer]*tally{}
	f := &figures{offers: map[id.ID]Reliability{}, kinds: map[kindOfOffer]Reliability{}, lacked: map[id.ID]*time.Time{}}
	err := eachAttempt(ctx, r, now.Add(-keepAttempts), func(a Attempt, at time.Time) {
		kind := kindOfOffer{a.Provider, a.InstanceType}
		if offers[a.Offer] == nil {
			offers[a.Offer] = &tally{}
		}
		if kinds[kind] == nil {
			kinds[kind] = &tally{}
		}
		for _, t := range []*tally{offers[a.Offer], kinds[kind]} {
			t.all++
			if a.Outcome == ReachedSSH {
				t.times = append(t.times, int(a.Took/time.Second))
			}
		}
		if last := f.lacked[a.Offer]; a.Outcome == NoCapacity && now.Sub(at) < lackCounts && (last == nil || at.After(*last)) {
			f.lacked[a.Offer] = &at
		}
	})
	judge := func(basis string, t *tally) Reliability {
		share := math.Round(1000*float64(len(t.times))/float64(t.all)) / 1000
		r := Reliability{Basis: basis, Deployments: t.all, ReachedSSH: &share}
		if n := len(t.times); n > 0 {
			slices.Sort(t.times)
			median := (t.times[(n-1)/2] + t.times[n/2] + 1) / 2
			r.MedianSecondsToSSH = &median
		}
		return r
	}
	for offer, t := range offers {
		if t.all >= enoughOfItsOwn {
			f.offers[offer] = judge(BasisOffer, t)
		}
	}
	for kind, t := range kinds {
		f.kinds[kind] = judge(BasisInstanceType, t)
	}
	return f, err
}

func (f *figures) equal(o *figures) bool { return reflect.DeepEqual(f, o) }

// complete adds to an offer what is known of launches.
func (f *figures) complete(o *Offer) {
	own, enough := f.offers[o.ID]
	if !enough {
		if own = f.kinds[kindOfOffer{o.Provider, o.InstanceType}]; own.Basis == "" {
			own.Basis = BasisInstanceType
		}
	}
	o.Reliability, o.LastNoCapacityAt = own, f.lacked[o.ID]
}
