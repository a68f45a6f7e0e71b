package certificate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

func TestRecord_Due(t *testing.T) {
	now := time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)
	at := func(days int) *time.Time {
		t := now.AddDate(0, 0, days)
		return &t
	}
	for name, c := range map[string]struct {
		r      record
		usable bool
		want   bool
	}{
		"no certificate":                     {record{next: now}, false, true},
		"no certificate, within the backoff": {record{next: *at(1)}, false, false},
		"fresh":                              {record{notBefore: at(-1), notAfter: at(89), next: now}, true, false},
		"a third is left":                    {record{notBefore: at(-60), notAfter: at(30), next: now}, true, true},
		"a third is left, within backoff":    {record{notBefore: at(-60), notAfter: at(30), next: *at(1)}, true, false},
		"fresh, but its key cannot be read":  {record{notBefore: at(-1), notAfter: at(89), next: now}, false, true},
	} {
		if got := c.r.due(now, c.usable); got != c.want {
			t.Errorf("%s: due is %v, want %v", name, got, c.want)
		}
	}
}

// Let's Encrypt issues the same names five times in a week. A clock that is far ahead makes each
// new certificate seem due.
func TestSuccessIsFollowedByARest(t *testing.T) {
	issued := time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		life, want time.Duration
	}{
		"90 days":           {90 * 24 * time.Hour, 36 * time.Hour},
		"six days":          {160 * time.Hour, 36 * time.Hour},
		"a test server's":   {time.Minute, 15 * time.Second},
		"none":              {0, 10 * time.Second},
		"ends before start": {-time.Hour, 10 * time.Second},
	} {
		notAfter := issued.Add(c.life)
		if got := rest(issued, notAfter); got != c.want {
			t.Errorf("%s: the rest is %v, want %v", name, got, c.want)
		}
		ahead := issued.Add(10 * 365 * 24 * time.Hour)
		r := record{notBefore: &issued, notAfter: &notAfter, next: ahead.Add(c.want)}
		if r.due(ahead.Add(c.want-time.Second), true) || !r.due(ahead.Add(c.want), true) {
			t.Errorf("%s: the next attempt is not at the end of the rest", name)
		}
		if c.life > time.Second && !r.renewAt().After(issued.Add(c.want)) {
			t.Errorf("%s: the rest delays the renewal", name)
		}
	}
	orders := 0
	for at := time.Duration(0); at < 7*24*time.Hour; at += mostRest {
		orders++
	}
	if orders > 5 {
		t.Errorf("%d orders in a week, want at most 5", orders)
	}
}

// Let's Encrypt allows five failed validations of a name in an hour.
func TestBackoffStaysWithinTheLimits(t *testing.T) {
	for _, plain := range []int{0, 80} {
		m, err := New(Config{Directory: "https://acme.example.com/dir", HTTPPort: plain, TLSPort: 443})
		if err != nil {
			t.Fatal(err)
		}
		var at time.Duration
		overHTTP, overTLS := 0, 0 // validations, which can all fail
		for failures := int64(0); ; failures++ {
			if at += wait(failures); at >= time.Hour {
				break
			}
			issuer := m.issuer(failures + 1)
			if !issuer.DisableHTTPChallenge {
				overHTTP++
			}
			if !issuer.DisableTLSALPNChallenge {
				overTLS++
			}
		}
		if overHTTP+overTLS > 5 {
			t.Errorf("HTTP port %d: %d validations in the first hour, want at most 5", plain, overHTTP+overTLS)
		}
		if overTLS == 0 || (overHTTP == 0) != (plain == 0) {
			t.Errorf("HTTP port %d: %d HTTP-01 and %d TLS-ALPN-01 challenges", plain, overHTTP, overTLS)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	for failures := int64(1); failures < 100; failures++ {
		if d := wait(failures); d < firstDelay || d > mostDelay || d < wait(failures-1) {
			t.Errorf("after %d failures: %v", failures, d)
		}
	}
}

func TestExplain(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"unreachable": {errors.New("dial tcp: refused"),
			[]string{"The ACME server https://acme/dir cannot be used", "refused"}},
		"in time": {context.DeadlineExceeded, []string{"in time", "DNS records", "gpu.example.com"}},
		"rate limit": {acme.Problem{Type: acme.ProblemTypeRateLimited, Detail: "too many"},
			[]string{"rate limit", "too many"}},
		"connection": {fmt.Errorf("x: %w", acme.Problem{Type: acme.ProblemTypeConnection, Detail: "no route."}),
			[]string{"could not verify the domain: no route. Check"}},
		"control characters": {acme.Problem{Detail: "a\x1b[2J\nb"}, []string{"refused: a [2J b."}},
		"long":               {acme.Problem{Detail: strings.Repeat("ä", 5000)}, []string{"…"}},
	} {
		got := explain("gpu.example.com", "https://acme/dir", c.err)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in %q", name, want, got)
			}
		}
		if len(got) > 2*maxFault || strings.ContainsAny(got, "\n\x1b") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
