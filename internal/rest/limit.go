package rest

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/ratelimit"
)

// Limits per minute where no API key or session says otherwise.
const (
	// AddressLimit is for requests without a valid credential, and for paths that do not exist.
	AddressLimit = 60
	// PublicLimit is for Public operations. It is counted apart from AddressLimit, so that a
	// program with a wrong key cannot block sign-in for the office that it runs in.
	PublicLimit = 300
	// BrowserLimit is for the same in a browser in which a user has signed in before, whatever
	// others do at its address.
	BrowserLimit = 120
	// ProbeLimit is for Probe operations, which several monitors may call each second.
	ProbeLimit = 600
	// PageLimit is for files of the dashboard and the documentation. One page has many of them.
	PageLimit = 3000
	// unknownLimit is for requests by address while the database cannot say who makes them. None is
	// a failed attempt.
	unknownLimit = 600
)

// limitHeader is present once a request was counted.
const limitHeader = "X-RateLimit-Limit"

// taken is a place in a rate limit that can be given back.
type taken struct {
	bucket   string
	decision ratelimit.Decision
}

// take counts the request in a bucket and writes the headers of the limit. The error is
// RATE_LIMIT_EXCEEDED when the bucket is empty.
func (rr *Router) take(ctx context.Context, w http.ResponseWriter, bucket string, limit int) error {
	_, err := rr.count(ctx, w, bucket, limit)
	return err
}

// limitHeaders writes the limit, what is left of it, and when it is full again: as X-RateLimit-*,
// and as the IETF draft "RateLimit header fields for HTTP" has them.
func (rr *Router) limitHeaders(w http.ResponseWriter, d ratelimit.Decision) {
	h := w.Header()
	// The specification spells them so. HTTP ignores case, but some readers do not.
	values := []string{strconv.Itoa(d.Limit), strconv.Itoa(d.Remaining), strconv.FormatInt(ceilUnix(d.Reset), 10)}
	h[limitHeader], h["X-RateLimit-Remaining"], h["X-RateLimit-Reset"] = values[:1:1], values[1:2:2], values[2:]
	reset := max(0, ceilUnix(d.Reset)-rr.cfg.Real().Unix())
	h["RateLimit-Policy"] = []string{`"minute";q=` + values[0] + `;w=60`}
	h["RateLimit"] = []string{`"minute";r=` + values[1] + `;t=` + strconv.FormatInt(reset, 10)}
}

// count is take that also returns the decision.
func (rr *Router) count(
	ctx context.Context, w http.ResponseWriter, bucket string, limit int,
) (ratelimit.Decision, error) {
	d, err := rr.cfg.Limiter.Take(ctx, bucket, limit)
	now := rr.cfg.Real()
	if err != nil {
		// The limiter counts locally when its store is gone, so this is a request that ended. It is
		// not refused.
		rr.cfg.Log.WarnContext(ctx, "rate limiter failed", slog.String("error", err.Error()))
		d.Allowed, d.Limit, d.Remaining, d.Reset = true, limit, 0, now.Add(time.Minute)
	}
	rr.limitHeaders(w, d)
	if d.Allowed {
		return d, nil
	}
	rr.metrics.refused.WithLabelValues(limitOf(bucket)).Inc()
	wait := max(d.Reset.Sub(now), time.Second)
	return d, &apierr.Error{
		Code: apierr.RateLimitExceeded,
		Message: "Too many requests: the limit is " + strconv.Itoa(d.Limit) + " a minute. Try again in " +
			seconds(wait) + " seconds.",
		RetryAfter: wait,
		Details:    map[string]any{"limit": d.Limit, "resetAt": time.Unix(ceilUnix(d.Reset), 0).UTC()},
	}
}

// limits are the names of the limits in metrics.
var limits = []string{"address", "public", "browser", "unknown", "probe", "page", "read", "write", "deploy"}

// limitOf returns the name of the limit of a bucket: its first part, or its last for a caller's.
func limitOf(bucket string) string {
	first, _, _ := strings.Cut(bucket, "/")
	switch first {
	case "address", "unknown", "probe", "page":
		return first
	case "open":
		return "public"
	case "device":
		return "browser"
	}
	return bucket[strings.LastIndexByte(bucket, '/')+1:] // of a key or session: read, write or deploy
}

// ceilUnix rounds up, because the window is not over before that second.
func ceilUnix(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// takeAddress counts a request without a valid credential for the address that it came from.
func (rr *Router) takeAddress(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return rr.take(ctx, w, "address/"+networkOf(rr.Address(r)), AddressLimit)
}

// takePublic counts a call of a Public operation, or one that needs a session and has none.
func (rr *Router) takePublic(ctx context.Context, w http.ResponseWriter, c *Call) error {
	if c.Route != nil && c.Route.Rate == Probe {
		return rr.takeProbe(ctx, w, c.Request)
	}
	if browser := rr.cfg.KnownBrowser(c); browser != "" {
		return rr.take(ctx, w, "device/"+browser, BrowserLimit)
	}
	return rr.take(ctx, w, "open/"+networkOf(rr.Address(c.Request)), PublicLimit)
}

func (rr *Router) takeProbe(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return rr.take(ctx, w, "probe/"+networkOf(rr.Address(r)), ProbeLimit)
}

// takeRefused counts a request whose caller was not authenticated. A page that learns that its
// session has ended must learn it even beside a program that tries keys, so it is counted as a
// Public call.
//
// Where the database could not identify the caller, no wrong key was tried: that is limited
// apart.
func (rr *Router) takeRefused(ctx context.Context, w http.ResponseWriter, c *Call, err error) error {
	switch apierr.CodeOf(err) {
	case apierr.Internal, apierr.ServiceUnavailable:
		return rr.take(ctx, w, "unknown/"+networkOf(rr.Address(c.Request)), unknownLimit)
	case apierr.SignInRequired:
		return rr.takePublic(ctx, w, c)
	default:
		return rr.takeAddress(ctx, w, c.Request)
	}
}

// takePage counts a request for a file of the dashboard or of the documentation.
func (rr *Router) takePage(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return rr.take(ctx, w, "page/"+networkOf(rr.Address(r)), PageLimit)
}

// takeCaller counts the request for the key or session that made it.
func (rr *Router) takeCaller(ctx context.Context, w http.ResponseWriter, c *Call) error {
	bucket, limits := c.Caller.Bucket, c.Caller.Limits
	switch {
	case c.Route.Rate == Deploy:
		d, err := rr.count(ctx, w, bucket+"/deploy", limits.Deploy)
		c.deploy = &taken{bucket + "/deploy", d}
		return err
	case c.Route.Method == http.MethodGet, c.Route.Rate == AsRead:
		return rr.take(ctx, w, bucket+"/read", limits.Read)
	default:
		return rr.take(ctx, w, bucket+"/write", limits.Write)
	}
}

// giveBack returns the place of a deploy that failed by a fault of the server: a minute has few of
// them.
func (rr *Router) giveBack(ctx context.Context, w http.ResponseWriter, c *Call, status int) {
	if c.deploy == nil || status < http.StatusInternalServerError {
		return
	}
	d := c.deploy.decision
	rr.cfg.Limiter.Give(context.WithoutCancel(ctx), c.deploy.bucket, d)
	d.Remaining++
	rr.limitHeaders(w, d)
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
