package payment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
)

// The jobs that repeat, all with the subject Fleet. KindCatchUp asks the processors for events that
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
	// patience is from which age on an event that fails is an issue for the operator: a processor
	// that is down for a while is none.
	patience = time.Hour
	// triedFor is until which age an event that fails is tried again.
	triedFor = 7 * 24 * time.Hour
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
	return again, s.eachProcessor(ctx, func(name string, p Processor, live bool) error {
		since, found, err := cursor(ctx, s.cfg.DB, name, "events")
		if err != nil {
			return err
		}
		if !found {
			since = now
		}
		until, err := s.catchUp(ctx, name, p, live, since.Add(-overlap))
		if err != nil {
			return err
		}
		return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return setCursor(ctx, tx, name, "events", until)
		})
	})
}

// eachProcessor calls f with the processor that is offered and those of earlier top-ups, as far as
// they are still set up. A failure at one does not keep the others from their turn.
func (s *Service) eachProcessor(ctx context.Context, f func(name string, p Processor, live bool) error) error {
	offer, err := s.cfg.Offer(ctx, s.cfg.DB)
	if err != nil {
		return err
	}
	names, err := usedProcessors(ctx, s.cfg.DB)
	if err != nil {
		return err
	}
	if offer.Name != "" && !slices.Contains(names, offer.Name) {
		names = append(names, offer.Name)
	}
	var errs []error
	for _, name := range names { // there are few
		if err := job.Holds(ctx); err != nil {
			return errors.Join(append(errs, err)...)
		}
		p, live, err := s.cfg.Processors(ctx, name)
		switch {
		case errors.Is(err, ErrUnsupported) && name != offer.Name:
			s.cfg.Log.InfoContext(ctx, "a processor of earlier payments is not set up", "processor", name)
			continue
		case err == nil:
			err = f(name, p, live)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// catchUp processes the events since a time, and returns until when all were. An event that fails
// does not keep later ones from being processed: it is listed again until triedFor has passed.
func (s *Service) catchUp(
	ctx context.Context, processor string, p Processor, live bool, since time.Time,
) (until time.Time, err error) {
	now := s.cfg.Clock.Now()
	until = now
	for e, err := range p.Events(ctx, since) {
		if err != nil {
			return until, err
		}
		if e.Live != live {
			continue
		}
		err = s.process(ctx, processor, e)
		if errors.Is(err, ErrUnknown) { // nothing here that it could change, nor will there be
			s.cfg.Log.WarnContext(ctx, "an event is about no known payment", "processor", processor, "event", e.ID,
				"type", e.Type, "error", err)
			continue
		}
		if err == nil {
			continue
		}
		if stopped := errors.Join(ctx.Err(), job.Holds(ctx)); stopped != nil {
			return until, errors.Join(err, stopped)
		}
		// It is tried again; an issue tells the operator if that does not help.
		s.cfg.Log.WarnContext(ctx, "a payment event cannot be processed", "processor", processor, "event", e.ID,
			"type", e.Type, "error", err)
		age := now.Sub(e.CreatedAt)
		if age >= patience {
			if err := s.eventFails(ctx, processor, e); err != nil {
				return until, err
			}
		}
		if age < triedFor && e.CreatedAt.Before(until) {
			until = e.CreatedAt
		}
	}
	return until, nil
}

// eventFails tells the operator.
func (s *Service) eventFails(ctx context.Context, processor string, e Event) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.cfg.Issues.Raise(ctx, tx, processor, issue.Sighting{
			Kind: issue.PaymentMismatch, UpstreamID: e.Reference + e.Customer, Reference: id.ID(e.ID),
			Detail: "Event " + e.ID + " about " + e.Reference + e.Customer + " cannot be processed. " +
				"It is tried again until it is seven days old; the log says why it fails.",
		})
	})
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
