package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/wallet"
)

// KindSettle is the job that makes a top-up's page or charge, asks what became of the payment, and
// gives it up. Its subject is the top-up.
const KindSettle job.Kind = "top-up-settle"

// triesPerAttempt is after how many failed calls a page is asked for as a new attempt: a processor
// may answer the same attempt with the same failure for a day.
const triesPerAttempt = 4

// askAgain returns when a pending payment is asked about again. Usually an event comes before.
func askAgain(age time.Duration) time.Duration {
	switch {
	case age < 10*time.Minute:
		return time.Minute
	case age < 2*time.Hour:
		return 10 * time.Minute
	case age < 2*PageTime:
		return time.Hour
	}
	return 6 * time.Hour
}

// Settle is the handler of KindSettle.
func (s *Service) Settle(ctx context.Context, topUp id.ID) (job.Outcome, error) {
	t, found, err := find(ctx, s.cfg.DB, topUp)
	if err != nil || !found || t.Status != Pending || t.Problem != "" {
		return job.Done(), err
	}
	now := s.cfg.Clock.Now()
	switch {
	case t.Reference == "" && t.Automatic && t.tries > 0: // it may have been charged
		err = s.charge(ctx, t)
	case t.Reference == "" && !now.Before(t.expiresAt):
		err = s.expire(ctx, t)
	case t.Reference == "" && t.Automatic:
		err = s.charge(ctx, t)
	case t.Reference == "":
		err = s.openPage(ctx, t)
	default:
		err = s.ask(ctx, t)
	}
	if err != nil {
		return job.Outcome{}, errors.Join(err, s.failedTry(ctx, t))
	}
	t, found, err = find(ctx, s.cfg.DB, topUp)
	if err != nil || !found || t.Status != Pending {
		return job.Done(), err
	}
	next := now.Add(askAgain(now.Sub(t.CreatedAt)))
	if end := t.expiresAt; end.After(now) && end.Before(next) {
		next = end
	}
	return job.At(next), nil
}

// failedTry counts a failed call, so that the next attempt for a page is another one in time. A
// charge is always the same attempt: two could both take money.
func (s *Service) failedTry(ctx context.Context, t row) error {
	if t.Reference != "" || t.Automatic {
		return nil
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, found, err := find(ctx, tx, t.ID)
		if err != nil || !found || now.Reference != "" {
			return err
		}
		if now.tries++; now.tries%triesPerAttempt == 0 {
			now.attempt++
		}
		return update(ctx, tx, now)
	})
}

// expire ends a top-up for which the processor has neither a page nor a payment.
func (s *Service) expire(ctx context.Context, t row) error {
	return s.change(ctx, t.ID, Payment{Status: PaymentExpired}, rules{})
}

// ask asks the processor about a payment and applies the answer.
func (s *Service) ask(ctx context.Context, t row) error {
	err := s.Refresh(ctx, t.Processor, t.Reference)
	if errors.Is(err, ErrUnknown) && !s.cfg.Clock.Now().Before(t.expiresAt) {
		if err := s.unknown(ctx, t); err != nil {
			return err
		}
		return s.expire(ctx, t)
	}
	return err
}

// Refresh asks a processor about a payment and applies the answer. It returns ErrNotOurs for what
// was not made for a top-up, and ErrUnknown if the processor, or this installation, does not know
// it. It must not be called inside a transaction.
func (s *Service) Refresh(ctx context.Context, processor, reference string) error {
	p, live, err := s.cfg.Processors(ctx, processor)
	if err != nil {
		return err
	}
	if err := job.Holds(ctx); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, CallTime)
	defer cancel()
	payment, err := p.Payment(within, reference)
	if err != nil {
		return unanswered(err)
	}
	return s.apply(ctx, processor, payment, live)
}

// apply finds the top-up of a payment and changes it.
func (s *Service) apply(ctx context.Context, processor string, p Payment, live bool) error {
	t, found, err := find(ctx, s.cfg.DB, p.TopUp)
	if err != nil {
		return err
	}
	if !found || t.Processor != processor {
		return fmt.Errorf("%w: top-up %q of %s", ErrUnknown, p.TopUp, p.Reference)
	}
	return s.change(ctx, p.TopUp, p, rules{live: live, anyAmount: processor == Transfer})
}

// The names of the processors that this installation has itself.
const (
	Transfer = "transfer"
	Demo     = "demo"
)

// change applies the state of a payment to its top-up, in one transaction.
func (s *Service) change(ctx context.Context, topUp id.ID, p Payment, r rules) error {
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		before, found, err := load(ctx, tx, topUp)
		if err != nil || !found {
			return err
		}
		return s.changeIn(ctx, tx, before, p, r)
	})
	crashpoint.Reach(crashpoint.TopUpAfterCommit)
	return err
}

// changeIn is change for a locked top-up.
func (s *Service) changeIn(ctx context.Context, tx *db.Tx, before known, p Payment, r rules) error {
	r.now, r.newID = tx.Now, func() id.ID { return s.cfg.IDs.New(id.Refund) }
	now, moves := decide(before, p, r)
	if now.topUp.Status != before.topUp.Status && !before.topUp.Status.May(now.topUp.Status) {
		return fmt.Errorf("payment: %s cannot become %s after %s", now.topUp.ID, now.topUp.Status, before.topUp.Status)
	}
	if err := save(ctx, tx, before, now); err != nil {
		return err
	}
	events, err := s.follow(ctx, tx, before, now, p)
	if err != nil {
		return err
	}
	for _, m := range moves { // there are few
		if _, err := s.cfg.Wallet.Credit(ctx, tx, wallet.Credit{
			Account: now.topUp.Account, Type: m.kind, Amount: m.amount, Description: m.description, Dedupe: m.key,
		}); err != nil {
			return err
		}
	}
	if len(events) > 0 {
		if err := s.cfg.Events.Append(ctx, tx, events...); err != nil {
			return err
		}
	}
	crashpoint.Reach(crashpoint.TopUpBeforeCommit)
	return nil
}

// follow does what follows from the change of a top-up, apart from its money, and returns its
// events.
func (s *Service) follow(
	ctx context.Context, tx *db.Tx, before, now known, p Payment,
) (events []event.Event, err error) {
	t := now.topUp
	if err := s.remember(ctx, tx, t, p); err != nil {
		return nil, err
	}
	if t.Problem != "" && (t.Problem != before.topUp.Problem || t.problemIntent != before.topUp.problemIntent) {
		if err := s.raise(ctx, tx, issue.PaymentMismatch, t, p.IntentReference, t.Problem); err != nil {
			return nil, err
		}
	}
	if t.Received > 0 && before.topUp.Received == 0 {
		events = append(events, topUpEvent(t, "account.topped_up", map[string]any{
			"amount": t.Received, "automatic": t.Automatic,
		}))
		if t.Automatic || t.confirms() {
			if err := s.automaticSucceeded(ctx, tx, t.Account); err != nil {
				return nil, err
			}
		}
	}
	if t.Status == Failed && before.topUp.Status == Pending {
		failed, err := s.failed(ctx, tx, t, p)
		if err != nil {
			return nil, err
		}
		events = append(events, failed)
	}
	refunded, err := s.followRefunds(ctx, tx, before, now)
	if err != nil {
		return nil, err
	}
	disputed, err := s.followDisputes(ctx, tx, before, now)
	return append(append(events, refunded...), disputed...), err
}

func (s *Service) followRefunds(ctx context.Context, tx *db.Tx, before, now known) (events []event.Event, err error) {
	for i, f := range now.refunds {
		was := RefundStatus("")
		if i < len(before.refunds) {
			was = before.refunds[i].Status
		}
		switch {
		case f.Status == was:
		case f.Status == RefundSucceeded:
			events = append(events, topUpEvent(now.topUp, "account.payment_refunded", map[string]any{
				"refundId": f.ID, "amount": f.Amount, "reason": f.Reason,
			}))
		case f.Status == RefundFailed && was != "":
			detail := fmt.Sprintf("A refund of %s failed, so its money is in the wallet. %s", f.Amount, f.Message)
			if err := s.raise(ctx, tx, issue.PaymentMismatch, now.topUp, string(f.ID), detail); err != nil {
				return nil, err
			}
		}
	}
	return events, nil
}

func (s *Service) followDisputes(ctx context.Context, tx *db.Tx, before, now known) ([]event.Event, error) {
	var events []event.Event
	for i, d := range now.disputes {
		was := DisputeStatus("")
		if i < len(before.disputes) {
			was = before.disputes[i].Status
		}
		if d.Status == was {
			continue
		}
		events = append(events, topUpEvent(now.topUp, "account.payment_disputed", map[string]any{
			"amount": d.Amount, "status": string(d.Status), "reason": d.Reason,
		}))
		if was != "" || d.Status == DisputeWon {
			continue
		}
		if err := s.stop(ctx, tx, now.topUp.Account, "A payment is disputed."); err != nil {
			return nil, err
		}
		detail := fmt.Sprintf("A payment of %s is disputed (%s).", d.Amount, d.Reason)
		if !d.DueAt.IsZero() {
			detail += " Submit evidence at the processor until " + d.DueAt.UTC().Format(time.RFC3339) + "."
		}
		if err := s.raise(ctx, tx, issue.PaymentDispute, now.topUp, d.Reference, detail); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func topUpEvent(t row, kind string, data map[string]any) event.Event {
	data["topUpId"] = t.ID
	return event.Event{Account: t.Account, Subject: t.Account, Type: kind, Data: data}
}

// raise opens an issue for the operator.
func (s *Service) raise(ctx context.Context, tx *db.Tx, kind issue.Kind, t row, upstream, detail string) error {
	return s.cfg.Issues.Raise(ctx, tx, t.Processor, issue.Sighting{
		Kind: kind, UpstreamID: upstream, Reference: t.ID, Detail: string(t.ID) + ": " + detail,
	})
}

// failed returns the event of a top-up that failed, and counts an automatic one.
func (s *Service) failed(ctx context.Context, tx *db.Tx, t row, p Payment) (event.Event, error) {
	if t.Automatic {
		if p.Status == PaymentActionRequired {
			asked, err := s.askToConfirm(ctx, tx, t)
			return topUpEvent(t, "account.payment_authentication_required", map[string]any{
				"amount": t.Amount, "confirmTopUpId": asked,
			}), err
		}
		if err := s.automaticFailed(ctx, tx, t.Account, p.Failure); err != nil {
			return event.Event{}, err
		}
	}
	message := "The payment was canceled."
	if t.FailureMessage != nil {
		message = *t.FailureMessage
	}
	return topUpEvent(t, "account.top_up_failed", map[string]any{
		"amount": t.Amount, "automatic": t.Automatic, "reason": message,
	}), nil
}
