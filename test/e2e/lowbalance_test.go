package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// Eight B200 at $36.48 an hour with $100: the tenant is warned before the money is gone, although
// the clock advances past all of it at once.
func TestTenantIsWarnedBeforeTheMoneyIsGone(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("100")
		d := s.Deploy(key, "training", newIdentity(t).public)
		s.Running(key, d)
		w := s.Call(key, "GET", "/wallet", nil).Data
		dry, err := time.Parse(time.RFC3339, w["runsDryAt"].(string))
		if err != nil {
			t.Fatal(err)
		}
		low := w["lowBalance"].(map[string]any)
		if ends, _ := time.Parse(time.RFC3339, low["deploymentsEndAt"].(string)); !ends.Equal(dry.Add(time.Hour)) {
			t.Errorf("deployments end at %s, but the money ends at %s", ends, dry)
		}
		types := func() (list []any) {
			for _, e := range s.Call(key, "GET", "/events?type=account.low_balance,account.past_due", nil,
				"Accept", "application/json").List {
				list = append([]any{e.(map[string]any)["type"]}, list...)
			}
			return list
		}
		s.Until("the first warning", func() bool {
			s.Advance("1m")
			return len(types()) > 0
		})
		s.Advance("3h")
		s.Until("past due", func() bool { return len(types()) > 2 })
		want := []any{"account.low_balance", "account.low_balance", "account.past_due"}
		if got := types(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
