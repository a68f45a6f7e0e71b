package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// The command line announces to whom the API can: to all accounts, or to those with machines at a
// provider or in one of its regions.
func TestAnnouncementsOfTheCommandLine(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("10000")
		_, other := s.Key("10000")
		s.Running(key, s.Deploy(key, "told", newIdentity(t).public))
		titles := func(key string) string {
			t.Helper()
			var answer struct{ Data []struct{ Title string } }
			if err := json.Unmarshal(s.Call(key, "GET", "/announcements", nil).Body, &answer); err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, a := range answer.Data {
				all = append(all, a.Title)
			}
			return strings.Join(all, ", ")
		}
		s.Run("announcements", "create", "for all")
		s.Run("announcements", "create", "for machines", "--provider", "voltage-park", "--level", "critical")
		s.Run("announcements", "create", "for the region", "--provider", "voltage-park", "--region", "dallas-usa-5",
			"--level", "warning")
		if got := titles(key); got != "for machines, for the region, for all" {
			t.Errorf("an account with a machine there reads %s", got)
		}
		if got := titles(other); got != "for all" {
			t.Errorf("another account reads %s", got)
		}
		for _, wrong := range [][]string{
			{"--provider", "nowhere"}, {"--provider", "voltage-park", "--region", "mars"}, {"--region", "dallas-usa-5"},
		} {
			out, err := s.TryRun(append([]string{"announcements", "create", "wrong"}, wrong...)...)
			if err == nil || !strings.Contains(out, strings.TrimPrefix(wrong[len(wrong)-2], "--")) {
				t.Errorf("%v: %v %s", wrong, err, out)
			}
		}
	})
}
