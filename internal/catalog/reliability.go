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
	// enoughAttempts is from how many attempts on an offer has its own statistics.
	enoughAttempts = 5
	// figuresEvery is the maximum age of the figures. Computing them reads every stored attempt.
	figuresEvery = 2 * time.Minute
)

// Outcome is the outcome of a launch.
type Outcome string

// The outcomes that count. A deployment that is terminated before SSH is reachable has none.
const (
	ReachedSSH Outcome = "ssh"         // SSH became reachable
	NoCapacity Outcome = "no_capacity" // the provider had no such machine left
	NotReached Outcome = "failed"      // anything else
)

// Outcomes lists every outcome.
var Outcomes = []Outcome{ReachedSSH, NoCapacity, NotReached}

// Attempt is a deployment of which it is known whether it came to run.
type Attempt struct {
	Deployment, Offer id.ID
	Provider          string
	InstanceType      provider.InstanceType
	Outcome           Outcome
	// Took is the time from the accepted deploy, or from the end of the attempt before, to the
	// outcome.
	Took time.Duration
}

// The bases of a Reliability.
const (
	BasisOffer        = "offer"
	BasisInstanceType = "instanceType"
)

// Reliability is how the deployments of all accounts in the last 30 days went, without those that
// were terminated before SSH was reachable. Its pointers are shared: read only.
type Reliability struct {
	Basis              string   `json:"basis" enum:"offer,instanceType" doc:"Counted deployments: those of this offer or, if there are fewer than 5, those of all offers of the same provider and instanceType."`
	Deployments        int      `json:"deployments" doc:"Number of counted deployments in the last 30 days, without those terminated before SSH was reachable."`
	ReachedSSH         *float64 `json:"reachedSsh" minimum:"0" maximum:"1" doc:"Share of them that started, from 0 to 1, rounded to thousandths; null if there are none."`
	MedianSecondsToSSH *int     `json:"medianSecondsToSsh" doc:"Median time from the accepted deploy to reachable SSH in seconds; null if none started."`
}

// Launches is how the launches in a region went in the last 30 days.
type Launches struct {
	Deployments        int      `json:"deployments" doc:"Number of launches in the last 30 days, without those terminated before SSH was reachable."`
	ReachedSSH         *float64 `json:"reachedSsh" minimum:"0" maximum:"1" doc:"Share of them that started, from 0 to 1, rounded to thousandths; null if there are none."`
	MedianSecondsToSSH *int     `json:"medianSecondsToSsh" doc:"Median time from the accepted deploy to reachable SSH in seconds; null if none started."`
}

// Launches returns how the launches in a region of a provider went, those on withdrawn offers
// included.
func (m Market) Launches(provider, region string) Launches {
	return m.s.figures.places[regionKey{provider, region}]
}

// Report records the outcome of a deployment's launch, in the transaction that decides it. Only the
// first report for each deployment and offer counts.
func (c *Catalog) Report(ctx context.Context, tx *db.Tx, a Attempt) error {
	if told := c.reported; told != nil {
		tx.AfterCommit(func() { told(a) })
	}
	return insertAttempt(ctx, tx, a)
}

// figures are the statistics of all attempts. They never change once they are computed.
type figures struct {
	offers map[id.ID]Reliability // of the offers with enough attempts
	kinds  map[kindOfOffer]Reliability
	places map[regionKey]Launches
	lacked map[id.ID]*time.Time // when an offer last lacked capacity, within the last day
}

type kindOfOffer struct {
	provider string
	instance provider.InstanceType
}

// figure computes the figures at an instant.
func figure(ctx context.Context, r db.Reader, now time.Time) (*figures, error) {
	type tally struct {
		all   int
		times []int
	}
	offers, kinds, places := map[id.ID]*tally{}, map[kindOfOffer]*tally{}, map[regionKey]*tally{}
	f := &figures{
		offers: map[id.ID]Reliability{}, kinds: map[kindOfOffer]Reliability{}, places: map[regionKey]Launches{},
		lacked: map[id.ID]*time.Time{},
	}
	all, err := readAttempts(ctx, r, now.Add(-keepAttempts))
	if err != nil {
		return f, err
	}
	regions, err := readAttemptRegions(ctx, r, now.Add(-keepAttempts))
	for _, a := range all {
		kind := kindOfOffer{a.Provider, a.InstanceType}
		if offers[a.Offer] == nil {
			offers[a.Offer] = &tally{}
		}
		if kinds[kind] == nil {
			kinds[kind] = &tally{}
		}
		place := regionKey{a.Provider, regions[a.Offer]}
		if places[place] == nil {
			places[place] = &tally{}
		}
		for _, t := range []*tally{offers[a.Offer], kinds[kind], places[place]} {
			t.all++
			if a.Outcome == ReachedSSH {
				t.times = append(t.times, int(a.Took/time.Second))
			}
		}
		last := f.lacked[a.Offer]
		if a.Outcome == NoCapacity && now.Sub(a.at) < lackCounts && (last == nil || a.at.After(*last)) {
			f.lacked[a.Offer] = &a.at
		}
	}
	summarize := func(basis string, t *tally) Reliability {
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
		if t.all >= enoughAttempts {
			f.offers[offer] = summarize(BasisOffer, t)
		}
	}
	for place, t := range places {
		all := summarize("", t)
		f.places[place] = Launches{all.Deployments, all.ReachedSSH, all.MedianSecondsToSSH}
	}
	for kind, t := range kinds {
		f.kinds[kind] = summarize(BasisInstanceType, t)
	}
	return f, err
}

func (f *figures) equal(o *figures) bool { return reflect.DeepEqual(f, o) }

// complete adds the statistics to an offer.
func (f *figures) complete(o *Offer) {
	own, enough := f.offers[o.ID]
	if !enough {
		if own = f.kinds[kindOfOffer{o.Provider, o.InstanceType}]; own.Basis == "" {
			own.Basis = BasisInstanceType
		}
	}
	o.Reliability, o.LastNoCapacityAt = own, f.lacked[o.ID]
}
