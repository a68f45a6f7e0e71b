package provideraccount

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// Verdict is the result of one check.
type Verdict string

// The verdicts.
const (
	Agrees  Verdict = "agrees"
	Differs Verdict = "differs"
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped"
)

// Enum lists every verdict.
func (Verdict) Enum() []Verdict { return []Verdict{Agrees, Differs, Failed, Skipped} }

// Result is the result of one check of a provider: whether its answer is what the adapter expects.
type Result struct {
	What    string  `json:"what" doc:"What was checked."`
	Verdict Verdict `json:"verdict" doc:"agrees, differs (from what the adapter expects), failed or skipped."`
	Detail  string  `json:"detail" doc:"What was found; may be empty."`
	// Took is the duration in milliseconds.
	Took int64 `json:"tookMs" doc:"Duration in milliseconds."`
}

// checker runs checks and collects their results.
type checker struct {
	now     func() time.Time
	results []Result
}

func (c *checker) run(what string, check func() (Verdict, string)) {
	start := c.now()
	verdict, detail := check()
	c.results = append(c.results, Result{what, verdict, oneLine(detail), c.now().Sub(start).Milliseconds()})
}

// Check makes the calls of a provider that change nothing, and reports for each whether the answer
// is what its adapter expects. again is the same provider, opened a second time: adapters keep
// lists for a while, and a newly opened one must fetch them. unused returns an id that no machine
// and no volume has.
func Check(ctx context.Context, p, again provider.Provider, unused func(id.Kind) id.ID, now func() time.Time) []Result {
	c := &checker{now: now}
	c.offers(ctx, p, again)
	c.machines(ctx, p, unused(id.Deployment))
	if v, has := p.(provider.VolumeProvider); has {
		c.volumes(ctx, v, unused(id.Volume))
	} else {
		c.results = append(c.results, Result{What: "volumes", Verdict: Skipped, Detail: "this adapter has none"})
	}
	return c.results
}

func (c *checker) offers(ctx context.Context, p, again provider.Provider) {
	var first []provider.Offer
	c.run("offers can be listed", func() (Verdict, string) {
		var err error
		if first, err = p.Offers(ctx); err != nil {
			return failure(err)
		}
		if len(first) == 0 {
			return Differs, "the list is empty: this account can buy nothing, or the answer has an unknown form"
		}
		available := 0
		for _, o := range first {
			if o.Available {
				available++
			}
		}
		return Agrees, fmt.Sprintf("%d offers, %d available now", len(first), available)
	})
	c.run("offers are complete", func() (Verdict, string) { return complete(first) })
	c.run("offers are the same in a second list", func() (Verdict, string) {
		second, err := again.Offers(ctx)
		if err != nil {
			return failure(err)
		}
		return same(first, second)
	})
}

func (c *checker) machines(ctx context.Context, p provider.Provider, unused id.ID) {
	c.run("machines can be listed", func() (Verdict, string) {
		machines, err := p.Machines(ctx)
		if err != nil {
			return failure(err)
		}
		marked, unknown := 0, 0
		for _, m := range machines {
			if m.Reference != "" {
				marked++
			}
			if m.State == "" || m.ID == "" {
				unknown++
			}
		}
		if unknown > 0 {
			return Differs, fmt.Sprintf("%d of %d machines have no id or an unknown state", unknown, len(machines))
		}
		return Agrees, fmt.Sprintf("%d machines, %d of them marked by a Billet", len(machines), marked)
	})
	c.run("an unknown machine is not found", func() (Verdict, string) {
		_, err := p.Machine(ctx, unused)
		return notFound(err)
	})
	if e, has := p.(provider.Examiner); has {
		c.run("the account can launch machines", func() (Verdict, string) {
			concerns, err := e.Examine(ctx)
			if err != nil {
				return failure(err)
			}
			if len(concerns) > 0 {
				return Differs, strings.Join(concerns, " ")
			}
			return Agrees, ""
		})
	}
}

func (c *checker) volumes(ctx context.Context, v provider.VolumeProvider, unused id.ID) {
	c.run("volume prices can be listed", func() (Verdict, string) {
		prices, err := v.VolumePricing(ctx)
		if err != nil {
			return failure(err)
		}
		for _, p := range prices {
			if p.PerGBHour <= 0 || !provider.ValidSlug(p.Region) || p.MinSizeGB < 1 || p.MaxSizeGB < p.MinSizeGB {
				return Differs, fmt.Sprintf("an unusable price: %+v", p)
			}
		}
		return Agrees, fmt.Sprintf("%d regions", len(prices))
	})
	c.run("volumes can be listed", func() (Verdict, string) {
		all, err := v.Volumes(ctx)
		if err != nil {
			return failure(err)
		}
		return Agrees, fmt.Sprintf("%d volumes", len(all))
	})
	c.run("an unknown volume is not found", func() (Verdict, string) {
		_, err := v.Volume(ctx, unused)
		return notFound(err)
	})
}

// oneLine returns a cloud's text in one line, without control characters that a terminal would
// obey.
func oneLine(text string) string {
	separates := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
	return strings.Join(strings.FieldsFunc(text, separates), " ")
}

func failure(err error) (Verdict, string) {
	text := err.Error()
	if e, is := errors.AsType[*provider.Error](err); is && e.Cause != nil {
		text = e.Cause.Error()
	}
	switch provider.KindOf(err) {
	case provider.KindCredentials:
		return Failed, "the cloud refused the API key, or does not allow it to do this: " + text
	case provider.KindThrottled:
		return Failed, "too many requests: " + text
	}
	return Failed, text
}

func notFound(err error) (Verdict, string) {
	switch {
	case err == nil:
		return Differs, "an unused id was found"
	case provider.KindOf(err) != provider.KindNotFound:
		return failure(err)
	}
	return Agrees, ""
}

func complete(offers []provider.Offer) (Verdict, string) {
	for _, o := range offers {
		if o.Key == "" || !provider.ValidSlug(o.Region) || o.GPUType == "" || o.GPUCount < 1 || o.HourlyPrice <= 0 ||
			len(o.OperatingSystems) == 0 {
			return Differs, fmt.Sprintf("an incomplete offer: %.300s", fmt.Sprintf("%+v", o))
		}
	}
	if len(offers) == 0 {
		return Skipped, "there are no offers"
	}
	return Agrees, ""
}

// same compares two lists that were fetched one after the other: prices and stock may change, names
// may not.
func same(a, b []provider.Offer) (Verdict, string) {
	names := func(offers []provider.Offer) []string {
		out := make([]string, len(offers))
		for i, o := range offers {
			out[i] = o.Region + " " + o.Key
		}
		slices.Sort(out)
		return out
	}
	x, y := names(a), names(b)
	if slices.Equal(x, y) {
		return Agrees, ""
	}
	for _, n := range x {
		if !slices.Contains(y, n) {
			return Differs, fmt.Sprintf("%d offers, then %d; %.200q is gone", len(x), len(y), n)
		}
	}
	return Differs, fmt.Sprintf("%d offers, then %d", len(x), len(y))
}
