package payment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
)

// KindCompare is the job that compares the processors' movements with the top-ups, once a day. Its
// subject is Fleet.
const KindCompare job.Kind = "payment-compare"

const (
	compareEvery = 24 * time.Hour
	// settled is how old movements are that are compared: until then events may be under way.
	settled = 2 * time.Hour
	// eventDelay is how much later than what moved its event may be. Stripe rounds the times of
	// both down to the second.
	eventDelay = 5 * time.Minute
	// longestCompare is how far back the first comparison, or one after a long pause, begins.
	longestCompare = 7 * 24 * time.Hour
	// longestPayment is how far back movements are looked for of what was credited in an interval.
	longestPayment = 31 * 24 * time.Hour
)

// Compare is the handler of KindCompare. It compares what each processor says about an interval
// with what is stored, and opens an issue for each difference.
func (s *Service) Compare(ctx context.Context, _ id.ID) (job.Outcome, error) {
	now := s.cfg.Clock.Now()
	again := job.At(now.Add(compareEvery))
	return again, s.eachProcessor(ctx, func(name string, p Processor, _ bool) error {
		return s.compareWith(ctx, name, p, now.Add(-settled))
	})
}

// compareWith compares the movements of one processor until a time, or until its events were
// processed: after an outage, what moved meanwhile is credited first.
func (s *Service) compareWith(ctx context.Context, name string, p Processor, to time.Time) error {
	if caughtUp, found, err := cursor(ctx, s.cfg.DB, name, "events"); err != nil {
		return err
	} else if !found {
		return nil // no event was asked for yet
	} else if sure := caughtUp.Add(-eventDelay); sure.Before(to) {
		to = sure
	}
	from, found, err := cursor(ctx, s.cfg.DB, name, "movements")
	if err != nil {
		return err
	}
	if earliest := to.Add(-longestCompare); !found || from.Before(earliest) {
		from = earliest
	}
	if !from.Before(to) {
		return nil
	}
	since, err := s.movedSince(ctx, name, from, to)
	if err != nil {
		return err
	}
	moved, seen := map[string]*sums{}, map[string]bool{}
	for m, err := range p.Movements(ctx, since, to) {
		if err != nil {
			return err
		}
		if m.Kind == MovementOther || m.IntentReference == "" {
			continue
		}
		seen[m.IntentReference] = true
		if m.CreatedAt.Before(from.Add(-2 * settled)) { // was compared before
			continue
		}
		if moved[m.IntentReference] == nil {
			moved[m.IntentReference] = &sums{}
		}
		moved[m.IntentReference].add(m)
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.compare(ctx, tx, name, from, to, moved, seen); err != nil {
			return err
		}
		return setCursor(ctx, tx, name, "movements", to)
	})
}

// movedSince returns from when on movements are listed for an interval. What is credited near its
// ends may have moved before or after, so they overlap; what was credited after an outage may have
// moved long before, but not before its top-up was created.
func (s *Service) movedSince(ctx context.Context, name string, from, to time.Time) (time.Time, error) {
	since := from.Add(-2 * settled)
	credited, err := creditedBetween(ctx, s.cfg.DB, name, from.Add(-settled), to.Add(-settled))
	for _, t := range credited {
		if began := t.CreatedAt.Add(-settled); began.Before(since) {
			since = began
		}
	}
	if earliest := to.Add(-longestPayment); since.Before(earliest) {
		since = earliest
	}
	return since, err
}

// sums are the movements of one payment. byRefund are those of refunds that have a reference.
type sums struct {
	paid, refunded, disputed money.Micros
	byRefund                 map[string]money.Micros
}

func (s *sums) add(m Movement) {
	switch m.Kind {
	case MovementPayment:
		s.paid += m.Amount
	case MovementRefund:
		if m.RefundReference == "" {
			s.refunded -= m.Amount
			return
		}
		if s.byRefund == nil {
			s.byRefund = map[string]money.Micros{}
		}
		s.byRefund[m.RefundReference] -= m.Amount
	case MovementDispute:
		s.disputed -= m.Amount
	}
}

// difference returns what the processor moved that is not stored; "" if there is nothing. Money
// that left may have been decided about before the interval or be stored later, so only what left
// without being known at all is a difference.
func (k known) difference(m sums) string {
	switch {
	case m.paid != 0 && m.paid != k.topUp.Received:
		return fmt.Sprintf("The processor was paid %s, and %s is credited.", m.paid, k.topUp.Received)
	case m.refunded > k.everRefunded():
		return fmt.Sprintf("The processor refunded %s, and refunds of %s are known.", m.refunded, k.everRefunded())
	case m.disputed > 0 && len(k.disputes) == 0:
		return fmt.Sprintf("The processor lost %s to a dispute that is not known.", m.disputed)
	}
	return ""
}

// unknownRefunds returns what the processor refunded that is not stored, by reference. A refund
// that was made here has no reference until its answer arrived: one of the same amount is that one.
func (k known) unknownRefunds(m sums) map[string]money.Micros {
	stored, awaited := map[string]money.Micros{}, []money.Micros{}
	for _, f := range k.refunds {
		switch {
		case f.reference != "":
			stored[f.reference] += f.Amount
		case f.Status != RefundFailed: // the processor took no money for one that it refused
			awaited = append(awaited, f.Amount)
		}
	}
	unknown := map[string]money.Micros{}
	for _, reference := range slices.Sorted(maps.Keys(m.byRefund)) {
		more := m.byRefund[reference] - stored[reference]
		if more <= 0 {
			continue
		}
		if i := slices.Index(awaited, more); i >= 0 {
			awaited = slices.Delete(awaited, i, i+1)
			continue
		}
		unknown[reference] = more
	}
	return unknown
}

// everRefunded also has the refunds that failed: what they returned may move after the interval.
func (k known) everRefunded() (sum money.Micros) {
	for _, f := range k.refunds {
		sum += f.Amount
	}
	return sum
}

func (s *Service) compare(
	ctx context.Context, tx *db.Tx, processor string, from, to time.Time, moved map[string]*sums,
	seen map[string]bool,
) error {
	intents := make([]string, 0, len(moved))
	for intent := range moved {
		intents = append(intents, intent)
	}
	byIntent, err := byIntents(ctx, tx, processor, intents)
	if err != nil {
		return err
	}
	decided, err := decidedIntents(ctx, tx, processor)
	if err != nil {
		return err
	}
	for intent, m := range moved {
		k, found := byIntent[intent]
		if !found && decided[intent] {
			continue
		}
		why := "No top-up is credited for it."
		if found {
			why = k.difference(*m)
		} else {
			k.topUp.Processor = processor
		}
		if why != "" {
			if err := s.differs(ctx, tx, k.topUp, intent, why); err != nil {
				return err
			}
		}
		if !found {
			continue
		}
		for reference, amount := range k.unknownRefunds(*m) {
			if err := s.refundDiffers(ctx, tx, k.topUp, intent, reference, amount); err != nil {
				return err
			}
		}
	}
	// What was credited must have moved. The intervals follow one another without a gap.
	credited, err := creditedBetween(ctx, tx, processor, from.Add(-settled), to.Add(-settled))
	if err != nil {
		return err
	}
	for _, t := range credited {
		if seen[t.intent] {
			continue
		}
		why := fmt.Sprintf("%s is credited, and the processor has no movement of it.", t.Received)
		if err := s.differs(ctx, tx, t, t.intent, why); err != nil {
			return err
		}
	}
	return nil
}

// unknown tells the operator that the processor does not know a payment that it made: its key may
// have been replaced by one of another account or mode, so that what is paid is not seen here.
func (s *Service) unknown(ctx context.Context, t row) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.differs(ctx, tx, t, t.Reference, "The processor no longer knows it, and its top-up "+string(t.ID)+
			" has expired. Was the key replaced by one of another account or mode?")
	})
}

func (s *Service) differs(ctx context.Context, tx *db.Tx, t row, intent, why string) error {
	return s.cfg.Issues.Raise(ctx, tx, t.Processor, issue.Sighting{
		Kind: issue.PaymentMismatch, UpstreamID: intent, Reference: id.ID(intent),
		Detail: "Payment " + intent + ": " + why,
	})
}

// refundDiffers opens an issue for each refund, so that a later one is another.
func (s *Service) refundDiffers(
	ctx context.Context, tx *db.Tx, t row, intent, reference string, amount money.Micros,
) error {
	return s.cfg.Issues.Raise(ctx, tx, t.Processor, issue.Sighting{
		Kind: issue.PaymentMismatch, UpstreamID: reference, Reference: id.ID(intent),
		Detail: fmt.Sprintf("Payment %s: The processor refunded %s by %s, which is not known.", intent, amount,
			reference),
	})
}
