package certificate

import (
	"time"
)

const (
	// firstDelay is the time until the second attempt, and mostDelay the longest until the next.
	// Let's Encrypt allows five failed validations of a name per hour: these are five.
	firstDelay = time.Minute
	delay      = 5 * time.Minute
	mostDelay  = 6 * time.Hour
	// limitedDelay is how long to wait at least after an ACME server has named its rate limit.
	limitedDelay = time.Hour
	// leastRest and mostRest limit the time from a success until the next attempt. Let's Encrypt
	// issues the same names five times a week: orders 36 hours apart are five.
	leastRest = 10 * time.Second
	mostRest  = 36 * time.Hour
)

// record is a domain with its certificate and the attempts to get one.
type record struct {
	domain string
	// chain is in PEM, the server's own certificate first; "" for none.
	chain string
	// sealed is the private key in PEM.
	sealed              string
	notBefore, notAfter *time.Time // nil without a certificate
	// failures counts the attempts since the last success, including a running one.
	failures int64
	// fault is why the last attempt failed; "" if it did not.
	fault string
	// next is the earliest time of the next attempt.
	next time.Time
}

// renewAt is when the certificate should be renewed: when a third of its life is left.
func (r record) renewAt() time.Time {
	if r.notBefore == nil || r.notAfter == nil {
		return time.Time{}
	}
	return r.notAfter.Add(-r.notAfter.Sub(*r.notBefore) / 3)
}

// due reports whether a certificate is to be ordered now. A certificate that cannot be used counts
// as none.
func (r record) due(now time.Time, usable bool) bool {
	return !r.next.After(now) && (!usable || !now.Before(r.renewAt()))
}

// wait is the time until the next attempt after that many failures: 1 and 5 minutes, then twice as
// long each time.
func wait(failures int64) time.Duration {
	switch {
	case failures <= 0:
		return 0
	case failures == 1:
		return firstDelay
	case failures > 10:
		return mostDelay
	}
	return min(delay<<(failures-2), mostDelay)
}

// rest is the time from a success until the next attempt, even if the new certificate seems to be
// due or cannot be used: a clock that is wrong, or an ACME server whose certificates start late in
// their life, must not make the server order without end. It is far shorter than the time until a
// regular renewal.
func rest(notBefore, notAfter time.Time) time.Duration {
	return min(max(notAfter.Sub(notBefore)/4, leastRest), mostRest)
}
