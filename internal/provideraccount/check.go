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

// Verdict is what a look at a provider came to.
type Verdict string

// The verdicts.
const (
	Agrees  Verdict = "agrees"
	Differs Verdict = "differs"
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped"
)

// Look is one question that was put to a provider, and whether its answer is what the adapter believes.
type Look struct {
	What    string  `json:"what"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	// Took is how long the answer took, in milliseconds.
	Took int64 `json:"tookMs"`
}

// Check puts the questions to a provider that change nothing there, and tells of each whether the answer agrees with what its adapter
// believes. again is the same provider, opened once more: adapters remember lists for a while, and one that was just opened has to ask.
// nobody is an id that no machine and no volume has.
func Check(ctx context.Context, p, again provider.Provider, nobody func(id.Kind) id.ID, now func() time.Time) []Look {
	var looks []Look
	ask := func(what string, f func() (Verdict, string)) {
		began := now()
		verdict, detail := f()
		looks = append(looks, Look{what, verdict, oneLine(detail), now().Sub(began).Milliseconds()})
	}
	var first []provider.Offer
	ask("offers can be listed", func() (Verdict, string) {
		var err error
		if first, err = p.Offers(ctx); err != nil {
			return failure(err)
		}
		if len(first) == 0 {
			return Differs, "the list is empty: either nothing is sold to this account, or the answer has another form than we know"
		}
		available := 0
		for _, o := range first {
			if o.Available {
				available++
			}
		}
		return Agrees, fmt.Sprintf("%d offers, %d to be had now", len(first), available)
	})
	ask("offers have all that we need", func() (Verdict, string) { return complete(first) })
	ask("offers are the same when asked again", func() (Verdict, string) {
		second, err := again.Offers(ctx)
		if err != nil {
			return failure(err)
		}
		return same(first, second)
	})
	ask("machines can be listed", func() (Verdict, string) {
		machines, err := p.Machines(ctx)
		if err != nil {
			return failure(err)
		}
		ours, unknown := 0, 0
		for _, m := range machines {
			if m.Reference != "" {
				ours++
			}
			if m.State == "" || m.ID == "" {
				unknown++
			}
		}
		if unknown > 0 {
			return Differs, fmt.Sprintf("%d of %d machines have no id or a state that we do not know", unknown, len(machines))
		}
		return Agrees, fmt.Sprintf("%d machines, %d of them marked by a Billet", len(machines), ours)
	})
	ask("a machine that there is not is not found", func() (Verdict, string) {
		_, err := p.Machine(ctx, nobody(id.Deployment))
		return notFound(err)
	})
	if e, can := p.(provider.Examiner); can {
		ask("the account lets machines be launched", func() (Verdict, string) {
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
	v, volumes := p.(provider.VolumeProvider)
	if !volumes {
		looks = append(looks, Look{What: "volumes", Verdict: Skipped, Detail: "this adapter has none"})
		return looks
	}
	ask("volume prices can be listed", func() (Verdict, string) {
		prices, err := v.VolumePricing(ctx)
		if err != nil {
			return failure(err)
		}
		for _, p := range prices {
			if p.PerGBHour <= 0 || !provider.ValidSlug(p.Region) || p.MinSizeGB < 1 || p.MaxSizeGB < p.MinSizeGB {
				return Differs, fmt.Sprintf("a price that we cannot use: %+v", p)
			}
		}
		return Agrees, fmt.Sprintf("%d regions", len(prices))
	})
	ask("volumes can be listed", func() (Verdict, string) {
		all, err := v.Volumes(ctx)
		if err != nil {
			return failure(err)
		}
		return Agrees, fmt.Sprintf("%d volumes", len(all))
	})
	ask("a volume that there is not is not found", func() (Verdict, string) {
		_, err := v.Volume(ctx, nobody(id.Volume))
		return notFound(err)
	})
	return looks
}

// oneLine is what a cloud said as one line without anything that a terminal would act on.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
}

func failure(err error) (Verdict, string) {
	said := err.Error()
	if e := (*provider.Error)(nil); errors.As(err, &e) && e.Cause != nil {
		said = e.Cause.Error()
	}
	switch provider.KindOf(err) {
	case provider.KindCredentials:
		return Failed, "the key is refused, or may not do this: " + said
	case provider.KindThrottled:
		return Failed, "asked too often: " + said
	}
	return Failed, said
}

func notFound(err error) (Verdict, string) {
	switch {
	case err == nil:
		return Differs, "something was found under an id that nobody has"
	case provider.KindOf(err) != provider.KindNotFound:
		return failure(err)
	}
	return Agrees, ""
}

func complete(offers []provider.Offer) (Verdict, string) {
	for _, o := range offers {
		if o.Key == "" || !provider.ValidSlug(o.Region) || o.GPUType == "" || o.GPUCount < 1 || o.HourlyPrice <= 0 || len(o.OperatingSystems) == 0 {
			return Differs, fmt.Sprintf("an offer that we cannot sell: %.300s", fmt.Sprintf("%+v", o))
		}
	}
	if len(offers) == 0 {
		return Skipped, "there are none"
	}
	return Agrees, ""
}

// same compares two lists that were asked for one right after the other: prices and stock may move, names may not.
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
