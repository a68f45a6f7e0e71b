package redislimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/secreturl"
	"github.com/redis/go-redis/v9"
)

const (
	// defaultPatience is how long Redis may take in all. A limiter must not slow down what it
	// protects.
	defaultPatience = 100 * time.Millisecond
	// rest is how long a Redis that failed is left alone.
	rest = 3 * time.Second
)

// count counts one request in the window of Redis's own time. It answers how many were admitted
// before it, and the window's end in Unix seconds. Refused requests are not counted.
var count = redis.NewScript(`
local now = tonumber(redis.call('TIME')[1])
local window = math.floor(now / tonumber(ARGV[2]))
local key = KEYS[1] .. '/' .. window
local reset = (window + 1) * tonumber(ARGV[2])
local used = tonumber(redis.call('GET', key) or '0')
if used < tonumber(ARGV[1]) then
  redis.call('INCR', key)
  if used == 0 then redis.call('EXPIRE', key, reset - now + 1) end
end
return {used, reset}
`)

// uncount takes one request of a window back, where the window is still there.
var uncount = redis.NewScript(`
local key = KEYS[1] .. '/' .. ARGV[1]
if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
return 0
`)

// Config is what a Limiter needs. Every field but Patience is required.
type Config struct {
	// URL is redis:// or rediss://, with user, password and database as usual.
	URL string
	Log *slog.Logger
	// Now is real time, for counting locally and for the rest after a failure.
	Now func() time.Time
	// Patience is how long Redis may take to answer, a tenth of a second where it is 0.
	Patience time.Duration
}

// Limiter counts in Redis, and locally while Redis does not answer.
type Limiter struct {
	log      *slog.Logger
	now      func() time.Time
	patience time.Duration
	client   *redis.Client
	local    *ratelimit.Memory

	restUntil atomic.Int64 // Unix nanoseconds
	failures  atomic.Int64
}

// New returns a Limiter. It does not connect: a Redis that is down at start is one that is down.
func New(c Config) (*Limiter, error) {
	if c.Log == nil || c.Now == nil {
		return nil, errors.New("redislimit: New needs every field of its Config")
	}
	if err := CheckURL(c.URL); err != nil {
		return nil, err
	}
	o, err := redis.ParseURL(c.URL)
	if err != nil { // the parser's text may hold the password
		return nil, errors.New("the Redis URL has a setting that Redis's URLs do not have, or a value that it cannot " +
			"have")
	}
	patience := c.Patience
	if patience == 0 {
		patience = defaultPatience
	}
	// The defaults would wait for seconds and try again, which is right for a database and wrong
	// for a limiter.
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = patience, patience, patience, patience
	o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true
	return &Limiter{log: c.Log, now: c.Now, patience: patience, client: redis.NewClient(o),
		local: ratelimit.NewMemory(c.Now)}, nil
}

// CheckURL tells what is wrong with the form of a Redis URL, without any part of it.
func CheckURL(url string) error {
	if _, err := secreturl.Parse(url, "redis", "rediss", "unix"); err != nil {
		return fmt.Errorf("the Redis URL %w", err)
	}
	return nil
}

// Close closes the connections.
func (l *Limiter) Close() error { return l.client.Close() }

// Failures returns how many requests were counted locally because Redis did not answer, for the
// metrics.
func (l *Limiter) Failures() int64 { return l.failures.Load() }

// Take counts one request in the bucket. It never fails.
func (l *Limiter) Take(ctx context.Context, bucket string, limit int) (ratelimit.Decision, error) {
	until, now := l.restUntil.Load(), l.now()
	if now.UnixNano() < until || (until != 0 && !l.restUntil.CompareAndSwap(until,
		now.Add(rest).UnixNano())) { // after the rest, one asks
		l.failures.Add(1)
		return l.local.Take(ctx, bucket, limit)
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.patience)
	defer cancel()
	v, err := count.Run(within, l.client, []string{"billet/limit/" + bucket}, limit,
		int(ratelimit.Window/time.Second)).Int64Slice()
	if err == nil && len(v) != 2 {
		err = fmt.Errorf("redislimit: Redis answered %d values", len(v))
	}
	if err == nil {
		if until != 0 {
			l.restUntil.Store(0)
		}
		return ratelimit.Decide(int(v[0]), limit, time.Unix(v[1], 0).UTC()), nil
	}
	l.failures.Add(1)
	l.restUntil.Store(l.now().Add(rest).UnixNano())
	l.log.WarnContext(ctx, "Redis does not answer; this replica counts requests for itself for a while", "error", err)
	return l.local.Take(ctx, bucket, limit)
}

// Give takes back a request. Where Redis does not answer it stays counted, and passes with its
// minute.
func (l *Limiter) Give(ctx context.Context, bucket string, d ratelimit.Decision) {
	if !d.Allowed {
		return
	}
	if l.now().UnixNano() < l.restUntil.Load() {
		l.local.Give(ctx, bucket, d)
		return
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.patience)
	defer cancel()
	window := d.Reset.Unix()/int64(ratelimit.Window/time.Second) - 1
	if err := uncount.Run(within, l.client, []string{"billet/limit/" + bucket}, window).Err(); err != nil {
		l.log.WarnContext(ctx, "Redis does not answer; a request stays counted", "error", err)
	}
}
