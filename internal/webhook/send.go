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
	// sending is how many endpoints one process sends to beside each other, sendingToFailing how many of them may be such as
	// fail or are slow. Workers of jobs are shared with all else that the server does, and an endpoint can hold one for 15 seconds.
	sending, sendingToFailing = 8, 3
	// kept and keptFailing are how many of those are kept for accounts that have none.
	kept, keptFailing = 2, 1
	// slowAfter is how long an answer may take until the endpoint counts as slow. It does until it answers sooner.
	slowAfter = time.Second
	// manySlow is how many slow endpoints are remembered.
	manySlow = 10_000
	// longestRest is the longest that an address's Retry-After is believed: as long as the longest wait between two attempts.
	longestRest = 12 * time.Hour
	// sendingOfOne and failingOfOne are how many of those may be one account's: another's need not wait for its slow ones.
	sendingOfOne, failingOfOne = 4, 2
	// yieldAfter is how long a run goes on, in real time; then others have their turn.
	yieldAfter = 5 * time.Second
	// pace is how soon an endpoint that failed, or found no place, is looked at again.
	pace = time.Second
	// gone is the answer by which an address asks for nothing more.
	gone = 410
	// recordTime is how long writing an attempt down may take when the server stops meanwhile.
	recordTime = 10 * time.Second
)

// waits are those between the attempts of a delivery; the last one is repeated until its time is over.
var waits = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 12 * time.Hour}

// resting tells whether the address wants no requests now.
func (r *row) resting(now time.Time) bool { return r.rest != nil && now.Before(*r.rest) }

// lanes are the places for runs of this process.
type lanes struct {
	mu           sync.Mutex
	all, failing taken
	slow         map[id.ID]bool // endpoints whose last answer took long
}

// taken counts places that are taken: all of them, and each account's.
type taken struct {
	n  int
	of map[id.ID]int
}

func newLanes() *lanes {
	return &lanes{all: taken{of: map[id.ID]int{}}, failing: taken{of: map[id.ID]int{}}, slow: map[id.ID]bool{}}
}

func (t *taken) add(account id.ID, n int) {
	t.n += n
	if t.of[account] += n; t.of[account] == 0 {
		delete(t.of, account)
	}
}

// free tells whether the account may have one more of so many places, of which it may have some and others are kept for who has none.
func (t *taken) free(account id.ID, places, ofOne, kept int) bool {
	if t.of[account] > 0 {
		return t.n < places-kept && t.of[account] < ofOne
	}
	return t.n < places
}

// took remembers whether the endpoint is slow.
func (l *lanes) took(endpoint id.ID, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d < slowAfter {
		delete(l.slow, endpoint)
		return
	}
	if len(l.slow) >= manySlow { // most of them are deleted by now; who is still slow comes back
		clear(l.slow)
	}
	l.slow[endpoint] = true
}

func (l *lanes) isSlow(endpoint id.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slow[endpoint]
}

// enter takes a place for the account if there is one, of those for failing and slow endpoints where it is such a one. leave gives it back.
func (l *lanes) enter(account id.ID, failing bool) (leave func(), entered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.all.free(account, sending, sendingOfOne, kept) || failing && !l.failing.free(account, sendingToFailing, failingOfOne, keptFailing) {
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

// Send makes deliveries of new events and sends what is due. It is the handler of KindSend, whose subject is the endpoint. A run
// ends at its first failure: the endpoint's other deliveries wait a second, and other endpoints need not wait for it.
func (s *Service) Send(ctx context.Context, webhook id.ID) (job.Outcome, error) {
	w, found, err := s.find(ctx, s.c.DB, webhook)
	if err != nil || !found {
		return job.Done(), err
	}
	if w.Status == Enabled {
		if err := s.fanOut(ctx, w); err != nil {
			return job.Outcome{}, err
		}
	}
	slow := s.lanes.isSlow(w.ID)
	leave, entered := s.lanes.enter(w.Account, slow || w.FailingSince != nil)
	if !entered {
		return job.At(s.c.Clock.Now().Add(pace)), nil
	}
	defer leave()
	for began := s.c.Real(); s.c.Real().Sub(began) < yieldAfter; {
		if w, found, err = s.find(ctx, s.c.DB, webhook); err != nil || !found { // it may be disabled by now, or have another secret
			return job.Done(), err
		}
		d, found, err := due(ctx, s.c.DB, w, s.c.Clock.Now())
		if err != nil {
			return job.Outcome{}, err
		}
		if !found && w.resting(s.c.Clock.Now()) {
			return job.At(*w.rest), nil
		}
		if !found {
			at, any, err := nextDue(ctx, s.c.DB, w)
			if err != nil || !any {
				return job.Done(), err
			}
			return job.At(at), nil
		}
		good, err := s.attempt(ctx, w, d)
		if err != nil {
			return job.Outcome{}, err
		}
		if !good {
			return job.At(s.c.Clock.Now().Add(pace)), nil
		}
		if !slow && s.lanes.isSlow(w.ID) { // it goes on in a place for such
			break
		}
	}
	return job.At(s.c.Clock.Now()), nil
}

// attempt sends a delivery once and writes down what came of it.
func (s *Service) attempt(ctx context.Context, w row, d delivery) (good bool, err error) {
	now := s.c.Clock.Now()
	began := s.c.Real()
	header, err := s.header(w, d, now, began)
	if err != nil {
		return false, err
	}
	if err := job.Holds(ctx); err != nil {
		return false, err
	}
	r := s.c.Post(ctx, w.URL, header, []byte(d.body))
	took := s.c.Real().Sub(began)
	s.lanes.took(w.ID, took)
	crashpoint.Reach(crashpoint.WebhookAfterCall)
	if ctx.Err() != nil && r.Status == 0 { // the server stops, or another run has the endpoint: nobody knows what came of it
		return false, ctx.Err()
	}
	a := Attempt{At: now, DurationMS: took.Milliseconds(), Response: r.Body}
	if r.Status != 0 {
		status := int64(r.Status)
		a.Status = &status
	} else {
		a.Problem = &r.Problem
	}
	// What was answered is written down also when the server stops.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	err = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.record(ctx, tx, w, d, a, min(r.RetryAfter, longestRest))
	})
	return r.Status/100 == 2, err
}

// header signs the body. The time is the machine's own, since that is what a receiver compares with its clock.
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

// record writes an attempt down, and what follows from it for the delivery and the endpoint, which wants no requests for so long.
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
	mine, err := finishAttempt(ctx, tx, d, state, next, a)
	if err != nil || !mine || test {
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
	last := fmt.Sprintf("The last answer had the status %d.", status)
	if a.Problem != nil {
		last = *a.Problem
	}
	switch {
	case status == gone:
		return s.stop(ctx, tx, w, Disabled, "webhook.disabled", "The address answered 410 Gone.")
	case !again:
		idle, err := tookNothingSince(ctx, tx, w.ID, d.queued)
		if err != nil || !idle {
			return err
		}
		return s.stop(ctx, tx, w, Paused, "webhook.paused", "Nothing could be delivered for 72 hours. "+last)
	}
	return nil
}

// stop ends sending to the endpoint, once, and tells its owner.
func (s *Service) stop(ctx context.Context, tx *db.Tx, w row, to Status, kind, reason string) error {
	stopped, err := stop(ctx, tx, w.ID, to, reason)
	if err != nil || !stopped {
		return err
	}
	return s.c.Events.Append(ctx, tx, event.Event{
		Account: w.Account, Subject: w.ID, Type: kind, Data: map[string]any{"description": w.Description, "reason": reason},
	})
}

// again is when a delivery is tried next after an attempt that failed now, not before the rest is over that the address wants; false
// where the delivery's time is over.
func (s *Service) again(d delivery, now time.Time, rest time.Duration) (time.Time, bool) {
	end := d.queued.Add(Patience)
	if !now.Before(end) {
		return end, false
	}
	wait := waits[min(int(d.tries), len(waits)-1)]
	wait += time.Duration((s.c.Chance() - 0.5) * 0.2 * float64(wait)) // what failed together does not come back together
	if at := now.Add(max(wait, rest)); at.Before(end) {
		return at, true
	}
	return end, true // a last one, when its time is over
}

// errNoPlace is for an endpoint that remembers an event which its account has not: nothing that can happen, and nothing to guess about.
func errNoPlace(w row) error {
	return fmt.Errorf("webhook %s: its account has no event %s", w.ID, w.after)
}
