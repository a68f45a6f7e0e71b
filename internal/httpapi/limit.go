package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/ratelimit"
)

// Limits per minute where no API key says otherwise.
const (
	// addressLimit is for callers that are nobody yet: no key, a wrong key, a path that does not exist.
	addressLimit = 60
	// openLimit is for what people do before they are signed in. It is counted apart from addressLimit, so that a
	// program with a wrong key cannot close sign-in for the office that it runs in.
	openLimit = 300
	// deviceLimit is for the same in a browser in which a user has signed in before, whatever others do at its address.
	deviceLimit = 120
	// probeLimit is for /healthz and /readyz, which several probes may ask each second.
	probeLimit = 600
	// pageLimit is for the dashboard's files, of which one page has many, and of which an office loads many pages.
	pageLimit = 3000
)

// limitHeader is there once a request was counted.
const limitHeader = "X-RateLimit-Limit"

// sessionLimits are a session's: the dashboard shows several lists at once and looks again every few seconds.
var sessionLimits = account.Limits{Read: 600, Write: 120, Deploy: 5}

// take counts the request in a bucket and writes the three headers. The error is RATE_LIMIT_EXCEEDED when the bucket is
// empty.
func (s *server) take(ctx context.Context, w http.ResponseWriter, bucket string, limit int) error {
	_, err := s.count(ctx, w, bucket, limit)
	return err
}

// limitHeaders tells the client about its limit.
func limitHeaders(w http.ResponseWriter, d ratelimit.Decision) {
	h := w.Header()
	// Spelled as on the page, not as Go spells headers: HTTP does not mind the case, but some who read it do.
	values := []string{strconv.Itoa(d.Limit), strconv.Itoa(d.Remaining), strconv.FormatInt(ceilUnix(d.Reset), 10)}
	h[limitHeader], h["X-RateLimit-Remaining"], h["X-RateLimit-Reset"] = values[:1:1], values[1:2:2], values[2:]
}

// count is take that also tells what was decided.
func (s *server) count(ctx context.Context, w http.ResponseWriter, bucket string, limit int) (ratelimit.Decision, error) {
	d, err := s.c.Limiter.Take(ctx, bucket, limit)
	now := s.c.Real()
	if err != nil {
		// Not to know is not to refuse: the limiter counts locally when its store is gone, so this is a request that ended.
		s.c.Log.WarnContext(ctx, "rate limiter failed", slog.String("error", err.Error()))
		d.Allowed, d.Limit, d.Remaining, d.Reset = true, limit, 0, now.Add(time.Minute)
	}
	limitHeaders(w, d)
	if d.Allowed {
		return d, nil
	}
	wait := max(d.Reset.Sub(now), time.Second)
	return d, &apierr.Error{
		Code:       apierr.RateLimitExceeded,
		Message:    "Too many requests: the limit is " + strconv.Itoa(d.Limit) + " a minute. Try again in " + seconds(wait) + " seconds.",
		RetryAfter: wait,
		Details:    map[string]any{"limit": d.Limit, "resetAt": time.Unix(ceilUnix(d.Reset), 0).UTC()},
	}
}

// ceilUnix rounds up: at that second the window is fresh indeed.
func ceilUnix(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// takeAddress counts the request for the caller's address.
func (s *server) takeAddress(ctx context.Context, w http.ResponseWriter, r *http.Request, d door) error {
	network := networkOf(s.address(r))
	switch d {
	case doorProbe:
		return s.take(ctx, w, "probe/"+network, probeLimit)
	case doorOpen:
		if device := s.cookie(r, deviceCookie); device != "" {
			if user := s.c.Accounts.DeviceUser(device); user != "" {
				return s.take(ctx, w, "device/"+user, deviceLimit)
			}
		}
		return s.take(ctx, w, "open/"+network, openLimit)
	default:
		return s.take(ctx, w, "address/"+network, addressLimit)
	}
}

// takeRefused counts a request whose caller was not admitted. One without a session is a user who has yet to sign in, and
// is counted as such: a page that learns that its session has ended must learn it also beside a program that tries keys.
//
// Where the database could not say who calls, nobody has tried a wrong key: that is bounded, and is no failed attempt.
func (s *server) takeRefused(ctx context.Context, w http.ResponseWriter, c *call, err error) error {
	if code := apierr.CodeOf(err); code == apierr.Internal || code == apierr.ServiceUnavailable {
		return s.take(ctx, w, "unknown/"+networkOf(s.address(c.request)), unknownLimit)
	}
	if apierr.CodeOf(err) == apierr.SignInRequired {
		return s.takeAddress(ctx, w, c.request, doorOpen)
	}
	return s.takeAddress(ctx, w, c.request, doorKey)
}

// takePage counts a request for a file of the dashboard or of the documentation.
func (s *server) takePage(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return s.take(ctx, w, "page/"+networkOf(s.address(r)), pageLimit)
}

// takeCaller counts the request for the key or session that made it.
func (s *server) takeCaller(ctx context.Context, w http.ResponseWriter, c *call) error {
	bucket, limits := "", sessionLimits
	if c.key != nil {
		bucket, limits = "key/"+string(c.key.ID), c.key.Limits
	} else {
		bucket = "session/" + string(c.session.ID)
	}
	switch {
	case c.route.deploy:
		d, err := s.count(ctx, w, bucket+"/deploy", limits.Deploy)
		c.deploy = &taken{bucket + "/deploy", d}
		return err
	case c.route.method == http.MethodGet:
		return s.take(ctx, w, bucket+"/read", limits.Read)
	default:
		return s.take(ctx, w, bucket+"/write", limits.Write)
	}
}

// networkOf is what counts as one address: an IPv6 customer has a whole /64.
func networkOf(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
