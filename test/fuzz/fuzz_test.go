package fuzz_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db/dbtest"
)

var (
	seed = flag.Uint64(
		"seed", 0, "decides all choices; 1 without this, or the time where the run is bounded by time",
	)
	requests = flag.Int("requests", short, "how many requests a run makes on each engine")
	length   = flag.Duration("for", 0, "how long to go on on each engine, with run after run, each with the next seed")
)

// short is a number of requests that covers nearly every operation and most checks.
const short = 5000

// TestHTTP sends what the server's document describes, and what it does not.
func TestHTTP(t *testing.T) {
	base := *seed
	switch {
	case base != 0:
	case *length > 0:
		base = uint64(time.Now().UnixMicro())
	default:
		base = 1
	}
	engine := func(database func(*testing.T) []string) func(*testing.T) {
		return func(t *testing.T) {
			t.Parallel()
			var end time.Time
			for n := uint64(0); n == 0 || (time.Now().Before(end) && !t.Failed()); n++ {
				t.Run(fmt.Sprintf("seed-%d", base+n), func(t *testing.T) {
					f := begin(t, base+n, database(t))
					if n == 0 { // the time does not include the first server's start
						end = time.Now().Add(*length)
					}
					f.run(end)
				})
			}
		}
	}
	t.Run("sqlite", engine(func(*testing.T) []string { return nil }))
	t.Run("postgres", func(t *testing.T) {
		dbtest.PostgresURL(t) // skips without a server
		engine(func(t *testing.T) []string { return []string{"--database-url", dbtest.PostgresURL(t)} })(t)
	})
}

// perRun is how many times -requests a run makes at most if it is limited by time: then another
// run starts.
const perRun = 6

// run makes one sequence of requests.
func (f *fuzzer) run(end time.Time) {
	t, seed := f.t, f.seed
	defer func() {
		if t.Failed() {
			t.Logf(
				"to make the same requests: go test ./test/fuzz -run '%s' -seed %d -requests %d",
				strings.Join(strings.Split(t.Name(), "/")[:2], "/"), seed, max(f.sent, 1),
			)
		}
	}()
	began := time.Now()
	more := func() bool {
		if *length > 0 {
			return f.sent < perRun**requests && time.Now().Before(end)
		}
		return f.sent < *requests
	}
	for more() && f.faults < maxErrors {
		if f.in(120) {
			f.travel(pick(
				f.dice,
				[]time.Duration{
					time.Second, 5 * time.Second, time.Minute, 10 * time.Minute, 26 * time.Minute, time.Hour,
					25 * time.Hour,
				},
			))
		}
		if f.in(400) {
			f.weather()
		}
		f.step()
	}
	took := time.Since(began)
	if !t.Failed() {
		f.rest()
		f.checkReach()
	}
	var table []string
	for what, n := range f.statuses {
		table = append(table, fmt.Sprintf("%s: %d", what, n))
	}
	slices.Sort(table)
	t.Logf(
		"%d requests in %s; answers by call and status:\n  %s", f.sent, took.Round(time.Millisecond),
		strings.Join(table, "\n  "),
	)
}

// checkReach prevents a fuzzer that tests nothing: if every request was refused, no check would
// fail.
func (f *fuzzer) checkReach() {
	f.t.Helper()
	if f.sent < short {
		return
	}
	var never []string
	for _, o := range f.doc.operations {
		if unreachable[o.ID] {
			continue
		}
		if f.statuses[o.ID+" 200"]+f.statuses[o.ID+" 201"]+f.statuses[o.ID+" 202"] == 0 {
			never = append(never, o.ID)
		}
	}
	if all := len(f.doc.operations) - len(unreachable); len(never) > all/3 {
		f.t.Errorf("seed %d: of %d calls these never succeeded: %v", f.seed, all, never)
	}
}

// unreachable calls need what no request of the fuzzer can have: the code of a setup, the token of
// a mail, a mail server, a provider that is not simulated, an authenticator, or an identity
// provider.
var unreachable = map[string]bool{
	"createFirstOperator": true,
	"createRegistration":  true, "previewRegistration": true, "verifyRegistration": true, "inviteUser": true,
	"createPasswordReset": true, "confirmPasswordReset": true, "testMail": true, "createProviderAccount": true,
	"updateProviderAccount": true, "deleteProviderAccount": true, "checkProviderAccount": true,
	"pauseProviderAccount": true, "resumeProviderAccount": true, "addPasskey": true, "signInWithPasskey": true,
	"confirmTotp": true, "startOidc": true, "finishOidc": true,
}
