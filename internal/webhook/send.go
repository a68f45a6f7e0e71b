package webhook

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	// sending is how many endpoints one process sends to at once, sendingToFailing how many of them
	// may be failing or slow. Jobs share their workers with the rest of the server, and an endpoint
	// can occupy one for 15 seconds.
	sending, sendingToFailing = 8, 3
	// kept and keptFailing are how many of those are reserved for accounts that use none.
	kept, keptFailing = 2, 1
	// slowAfter is the duration of an answer from which an endpoint counts as slow, until it
	// answers faster.
	slowAfter = time.Second
	// manySlow is how many slow endpoints are remembered.
	manySlow = 10_000
	// longestRest is the longest Retry-After that is respected: as long as the longest pause
	// between two attempts.
	longestRest = 12 * time.Hour
	// sendingOfOne and failingOfOne are how many of those one account may use, so that others need
	// not wait for its slow endpoints.
	sendingOfOne, failingOfOne = 4, 2
	// yieldAfter is the duration of a run, in real time, after which others have their turn.
	yieldAfter = 5 * time.Second
	// pace is the pause after a failure, and after a run that found all senders busy.
	pace = time.Second
	// gone is the status by which an endpoint unsubscribes.
	gone = 410
	// recordTime limits how long recording an attempt may take when the server stops meanwhile.
	recordTime = 10 * time.Second
)

// waits are the pauses between the attempts of a delivery; the last one is repeated until its time
// is over.
var waits = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 12 * time.Hour,
}

// resting reports whether the endpoint asked for no requests now.
func (r *row) resting(now time.Time) bool { return r.rest != nil && now.Before(*r.rest) }

// senders limits how many runs of this process send at once.
type senders struct {
	mu           sync.Mutex
	all, failing usage
	slow         map[id.ID]bool // endpoints whose last answer was slow
}

// usage counts running senders: all of them, and each account's.
type usage struct {
	n  int
	of map[id.ID]int
}

func newSenders() *senders {
	return &senders{all: usage{of: map[id.ID]int{}}, failing: usage{of: map[id.ID]int{}}, slow: map[id.ID]bool{}}
}

func (u *usage) add(account id.ID, n int) {
	u.n += n
	if u.of[account] += n; u.of[account] == 0 {
		delete(u.of, account)
	}
}

// free reports whether the account may use one more of limit senders, of which it may use ofOne and
// kept are reserved for accounts that use none.
func (u *usage) free(account id.ID, limit, ofOne, kept int) bool {
	if u.of[account] > 0 {
		return u.n < limit-kept && u.of[account] < ofOne
	}
	return u.n < limit
}

// record remembers whether the endpoint is slow.
func (l *senders) record(endpoint id.ID, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d < slowAfter {
		delete(l.slow, endpoint)
		return
	}
	if len(l.slow) >= manySlow { // most of them are deleted by now; those that are still slow are recorded again
		clear(l.slow)
	}
	l.slow[endpoint] = true
}

func (l *senders) isSlow(endpoint id.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slow[endpoint]
}

// acquire reserves a sender for the account if one is free, of those for failing and slow endpoints
// if failing. release frees it.
func (l *senders) acquire(account id.ID, failing bool) (release func(), acquired bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.all.free(account, sending, sendingOfOne, kept) ||
		failing && !l.failing.free(account, sendingToFailing, failingOfOne, keptFailing) {
		return nil, false
	}
	change := func(by int) {
		l.all.add(account, by)
		if failing {
			l.failing.add(account, by)
		}
	}
	change(1)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		change(-1)
	}, true
}

// Send creates deliveries of new events and sends what is due. It is the handler of KindSend, whose
// subject is the endpoint. A run ends at its first failure: the endpoint's other deliveries wait a
// second, and other endpoints do not wait for it.
func (s *Service) Send(ctx context.Context, webhook id.ID) (job.Outcome, error) {
	w, found, err := find(ctx, s.cfg.DB, webhook)
	if err != nil || !found {
		return job.Done(), err
	}
	if w.Status == Enabled {
		if err := s.fanOut(ctx, w); err != nil {
			return job.Outcome{}, err
		}
	}
	slow := s.senders.isSlow(w.ID)
	release, acquired := s.senders.acquire(w.Account, slow || w.FailingSince != nil)
	if !acquired {
		return job.At(s.cfg.Clock.Now().Add(pace)), nil
	}
	defer release()
	for began := s.cfg.Real(); s.cfg.Real().Sub(began) < yieldAfter; {
		// Read it again: it may be disabled by now, or have another secret.
		if w, found, err = find(ctx, s.cfg.DB, webhook); err != nil || !found {
			return job.Done(), err
		}
		d, found, err := due(ctx, s.cfg.DB, w, s.cfg.Clock.Now())
		if err != nil {
			return job.Outcome{}, err
		}
		if !found && w.resting(s.cfg.Clock.Now()) {
			return job.At(*w.rest), nil
		}
		if !found {
			at, found, err := nextDue(ctx, s.cfg.DB, w)
			if err != nil || !found {
				return job.Done(), err
			}
			return job.At(at), nil
		}
		good, err := s.attempt(ctx, w, d)
		if err != nil {
			return job.Outcome{}, err
		}
		if !good {
			return job.At(s.cfg.Clock.Now().Add(pace)), nil
		}
		if !slow && s.senders.isSlow(w.ID) { // continue with a sender for slow endpoints
			break
		}
	}
	return job.At(s.cfg.Clock.Now()), nil
}

// attempt sends a delivery once and records the result.
func (s *Service) attempt(ctx context.Context, w row, d delivery) (good bool, err error) {
	now := s.cfg.Clock.Now()
	began := s.cfg.Real()
	header, err := s.header(w, d, now, began)
	if err != nil {
		return false, err
	}
	if err := job.Holds(ctx); err != nil {
		return false, err
	}
	r := s.cfg.Post(ctx, w.URL, header, []byte(d.body))
	took := s.cfg.Real().Sub(began)
	s.senders.record(w.ID, took)
	crashpoint.Reach(crashpoint.WebhookAfterCall)
	if ctx.Err() != nil && r.Status == 0 { // the server stops, or another run has the endpoint: the result is unknown
		return false, ctx.Err()
	}
	a := Attempt{At: now, DurationMS: took.Milliseconds(), Response: r.Body}
	if r.Status != 0 {
		status := int64(r.Status)
		a.Status = &status
	} else {
		a.Problem = &r.Problem
	}
	// An answer is recorded also when the server stops.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.record(ctx, tx, w, d, a, min(r.RetryAfter, longestRest))
	})
	return r.Status/100 == 2, err
}

// header returns the headers that sign the body. They use the machine's own time, because a
// receiver compares it with its clock.
func (s *Service) header(w row, d delivery, now, real time.Time) (map[string]string, error) {
	secrets, err := s.secrets(w, now)
	if err != nil {
		return nil, err
	}
	var signatures []string
	for _, secret := range secrets {
		signer, err := standardwebhooks.NewWebhookRaw(secret)
		if err != nil {
			return nil, err
		}
		signature, err := signer.Sign(string(d.Event), real, []byte(d.body))
		if err != nil {
			return nil, err
		}
		signatures = append(signatures, signature)
	}
	return map[string]string{
		standardwebhooks.HeaderWebhookID:        string(d.Event),
		standardwebhooks.HeaderWebhookTimestamp: strconv.FormatInt(real.Unix(), 10),
		standardwebhooks.HeaderWebhookSignature: strings.Join(signatures, " "),
	}, nil
}

// record records an attempt, and what follows for the delivery and the endpoint, which asked for no
// requests during rest.
func (s *Service) record(ctx context.Context, tx *db.Tx, w row, d delivery, a Attempt, rest time.Duration) error {
	status := int64(0)
	if a.Status != nil {
		status = *a.Status
	}
	good, test := status/100 == 2, d.Type == TypeTest
	next, again := s.again(d, tx.Now, rest)
	state := Pending
	switch {
	case good:
		state = Delivered
	case !again || test || status == gone:
		state = Failed
	}
	written, err := finishAttempt(ctx, tx, d, state, next, a)
	if err != nil || !written || test {
		return err
	}
	if good {
		return succeeded(ctx, tx, w.ID, tx.Now)
	}
	var until *time.Time
	if rest > 0 {
		at := tx.Now.Add(rest)
		until = &at
	}
	if err := failed(ctx, tx, w.ID, tx.Now, until); err != nil {
		return err
	}
	last := fmt.Sprintf("The last response had status %d.", status)
	if a.Problem != nil {
		last = *a.Problem
	}
	switch {
	case status == gone:
		return s.stop(ctx, tx, w, Disabled, "webhook.disabled", "The endpoint answered 410 Gone.")
	case !again:
		idle, err := idleSince(ctx, tx, w.ID, d.queued)
		if err != nil || !idle {
			return err
		}
		return s.stop(ctx, tx, w, Paused, "webhook.paused", "Nothing could be delivered for 72 hours. "+last)
	}
	return nil
}

// stop stops sending to the endpoint, once, and appends an event.
func (s *Service) stop(ctx context.Context, tx *db.Tx, w row, to Status, eventType, reason string) error {
	stopped, err := stop(ctx, tx, w.ID, to, reason)
	if err != nil || !stopped {
		return err
	}
	return s.cfg.Events.Append(ctx, tx, event.Event{
		Account: w.Account, Subject: w.ID, Type: eventType,
		Data: map[string]any{"description": w.Description, "reason": reason},
	})
}

// again returns when a delivery is retried after an attempt that failed now, not before the
// requested rest is over; false if the delivery's time is over.
func (s *Service) again(d delivery, now time.Time, rest time.Duration) (time.Time, bool) {
	end := d.queued.Add(Patience)
	if !now.Before(end) {
		return end, false
	}
	wait := waits[min(int(d.tries), len(waits)-1)]
	wait += time.Duration((s.cfg.Chance() - 0.5) * 0.2 * float64(wait)) // spread retries that failed together
	if at := now.Add(max(wait, rest)); at.Before(end) {
		return at, true
	}
	return end, true // a last one, when its time is over
}
