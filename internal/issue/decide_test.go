package issue

import (
	"errors"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	rejected := func(message string, retryAfter time.Duration) error {
		return &provider.Error{Kind: provider.KindRejected, Message: message, RetryAfter: retryAfter}
	}
	unavailable := &provider.Error{Kind: provider.KindUnavailable}
	for _, c := range []struct {
		name        string
		repeatedFor time.Duration
		gone        bool
		err         error
		want        decision
	}{
		{"accepted", 0, false, nil, decision{pause: 5 * time.Second}},
		{"accepted, and repeated for long", time.Hour, false, nil, decision{pause: 6 * time.Minute}},
		{"accepted, and repeated for very long", 24 * time.Hour, false, nil, decision{pause: maxPause}},
		{"gone", 0, true, nil, decision{pause: 5 * time.Second}},
		{"no answer", 0, false, unavailable, decision{err: unavailable}},
		{"throttled", 0, false, &provider.Error{Kind: provider.KindThrottled, RetryAfter: 2 * time.Minute},
			decision{problem: "The provider refused.", pause: 2 * time.Minute}},
		{"refused", 0, false, rejected("", 0), decision{problem: "The provider refused.", pause: time.Minute}},
		{"refused with a reason", 0, false, rejected("minimum\x00 runtime", time.Hour),
			decision{problem: "minimum runtime", pause: time.Hour}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := decide(provider.Info{PollEvery: 5 * time.Second}, c.repeatedFor, c.gone, c.err)
			compare := cmp.Options{cmp.AllowUnexported(decision{}), cmpopts.EquateErrors()}
			if diff := cmp.Diff(c.want, got, compare); diff != "" {
				t.Errorf("decide (-want +got):\n%s", diff)
			}
		})
	}
	if got := decide(provider.Info{}, 0, false, errors.New("no volumes")).err; got == nil {
		t.Error("an error that is no provider's is shown to the operator, want it retried")
	}
}
