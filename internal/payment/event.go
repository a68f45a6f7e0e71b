package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// The jobs that repeat, all with the subject Fleet. KindCatchUp asks the processor for events that
// did not arrive, and deletes old ones here.
const (
	KindCatchUp job.Kind = "payment-catch-up"
	Fleet       id.ID    = "payments"
)

const (
	catchUpEvery = 10 * time.Minute
	// overlap is how much of the time before is asked for again: events are listed with a delay.
	overlap = time.Hour
	// eventsKept is how long processed events are remembered. Stripe lists events for 30 days.
	eventsKept = 90 * 24 * time.Hour
)

// Receive processes a webhook of a processor. header returns a request header. It returns ErrForged
// or ErrStale for what the processor did not just sign, and another error if the event must be sent
// again. It must not be called inside a transaction.
func (s *Service) Receive(
	ctx context.Context, processor string, header func(string) string, body []byte,
) error {
	p, live, err := s.cfg.Processors(ctx, processor)
	if err != nil {
		return err
	}
	e, err := p.Event(header, body)
	if errors.Is(err, ErrIgnored) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Live != live {
		s.cfg.Log.WarnContext(ctx, "ignored a payment event of the other mode", "processor", processor, "event", e.ID,
			"live", e.Live)
		return nil
	}
	return s.process(ctx, processor, e)
}

// process applies what an event is about, unless it was processed before.
func (s *Service) process(ctx context.Context, processor string, e Event) error {
	done, err := hasEvent(ctx, s.cfg.DB, processor, e.ID)
	if err != nil || done {
		return err
	}
	if e.Customer != "" {
		err = s.refreshMethods(ctx, processor, e.Customer)
	} else {
		err = s.Refresh(ctx, processor, e.Reference)
	}
	if errors.Is(err, ErrNotOurs) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("event %s (%s): %w", e.ID, e.Type, err)
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return insertEvent(ctx, tx, processor, e.ID, tx.Now)
	})
}

// CatchUp is the handler of KindCatchUp.
func (s *Service) CatchUp(ctx context.Context, _ id.ID) (job.Outcome, error) {
	now := s.cfg.Clock.Now()
	again := job.At(now.Add(catchUpEvery))
	if err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return purgeEvents(ctx, tx, now.Add(-eventsKept))
	}); err != nil {
		return again, err
	}
	offer, err := s.cfg.Offer(ctx, s.cfg.DB)
	if err != nil || offer.Name == "" {
		return again, err
	}
	since, found, err := cursor(ctx, s.cfg.DB, offer.Name, "events")
	if err != nil {
		return again, err
	}
	if found { // else there were no payments yet
		if err := s.catchUp(ctx, offer.Name, since.Add(-overlap)); err != nil {
			return again, err
		}
	}
	return again, s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return setCursor(ctx, tx, offer.Name, "events", now)
	})
}

func (s *Service) catchUp(ctx context.Context, processor string, since time.Time) error {
	p, live, err := s.cfg.Processors(ctx, processor)
	if err != nil {
		return err
	}
	if err := job.Holds(ctx); err != nil {
		return err
	}
	for e, err := range p.Events(ctx, since) {
		if err != nil {
			return err
		}
		if e.Live != live {
			continue
		}
		err = s.process(ctx, processor, e)
		if errors.Is(err, ErrUnknown) { // nothing here that it could change, nor will there be
			s.cfg.Log.WarnContext(ctx, "an event is about no known payment", "processor", processor, "event", e.ID,
				"type", e.Type, "error", err)
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// StartJobs enqueues the jobs that repeat.
func (s *Service) StartJobs(ctx context.Context, tx *db.Tx) error {
	for _, kind := range []job.Kind{KindCatchUp, KindSweep, KindCompare} {
		if err := s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, kind, Fleet, tx.Now); err != nil {
			return err
		}
	}
	return nil
}
