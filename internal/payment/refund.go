package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// KindRefund is the job that has a processor refund money. Its subject is the refund.
const KindRefund job.Kind = "top-up-refund"

// maxReason is the most characters of an operator's reason.
const maxReason = 200

// RefundView is a refund as operators see it.
type RefundView struct {
	ID          id.ID        `json:"id" doc:"Id of the refund, ref_…"`
	TopUpID     id.ID        `json:"topUpId" doc:"Id of the top-up."`
	AccountID   id.ID        `json:"accountId" doc:"Id of the account."`
	Amount      money.Micros `json:"amount" doc:"US dollars."`
	Reason      string       `json:"reason" doc:"Reason of the operator."`
	Status      RefundStatus `json:"status" enum:"pending,succeeded,failed" doc:"pending until the processor has decided; failed: the amount was returned to the wallet."`
	CreatedAt   time.Time    `json:"createdAt" doc:"When it was made."`
	Message     string       `json:"message" doc:"Why the processor refused; empty unless it did."`
	CompletedAt *time.Time   `json:"completedAt" doc:"When the processor decided; null before."`
}

// Enum lists every status of a refund.
func (RefundStatus) Enum() []RefundStatus {
	return []RefundStatus{RefundPending, RefundSucceeded, RefundFailed}
}

func (f refundRow) view() RefundView {
	return RefundView{
		f.ID, f.TopUp, f.Account, f.Amount, f.Reason, f.Status, f.CreatedAt, f.Message, f.CompletedAt,
	}
}

// Refund takes money of a top-up out of the wallet. A job has the processor return it. At most the
// unspent part of the top-up is refunded: credits that expire are spent first, other money in the
// order in which it arrived. It returns INVALID_REQUEST, NOT_FOUND, or CONFLICT if less can be
// refunded.
func (s *Service) Refund(
	ctx context.Context, tx *db.Tx, topUp id.ID, amount money.Micros, reason string,
) (RefundView, error) {
	errs := checkReason(reason)
	if amount <= 0 || amount%Cent != 0 {
		errs = append(errs, apierr.FieldError{
			Field: "amount", Message: "must be more than 0 and have no fractions of a cent.",
		})
	}
	if err := apierr.Invalid(errs).OrNil(); err != nil {
		return RefundView{}, err
	}
	k, found, err := load(ctx, tx, topUp)
	if err == nil && !found {
		err = errNotFound
	}
	if err != nil {
		return RefundView{}, err
	}
	most, err := s.refundable(ctx, tx, k)
	if err != nil {
		return RefundView{}, err
	}
	if amount > most {
		return RefundView{}, &apierr.Error{
			Code: apierr.Conflict, Details: map[string]any{"refundable": most},
			Message: "At most " + most.String() + " of this top-up can be refunded: what was received and is neither " +
				"refunded, disputed nor spent. Refund less.",
		}
	}
	f := refundRow{
		ID: s.cfg.IDs.New(id.Refund), TopUp: topUp, Account: k.topUp.Account, Amount: amount, Reason: reason,
		Status: RefundPending, CreatedAt: tx.Now,
	}
	if err := insertRefund(ctx, tx, f); err != nil {
		return RefundView{}, err
	}
	now := k
	now.refunds = append(now.refunds, f)
	now.topUp.Status = now.paidStatus()
	if err := update(ctx, tx, now.topUp); err != nil {
		return RefundView{}, err
	}
	if _, err := s.cfg.Wallet.Credit(ctx, tx, wallet.Credit{
		Account: k.topUp.Account, Type: wallet.TypeAdjustment, Amount: -amount,
		Description: "Refund of " + string(topUp), Dedupe: "refund:" + string(f.ID),
	}); err != nil {
		return RefundView{}, err
	}
	return f.view(), s.cfg.Jobs.Enqueue(ctx, tx, k.topUp.Account, KindRefund, f.ID, tx.Now)
}

// refundable returns the unspent part of a top-up.
func (s *Service) refundable(ctx context.Context, tx *db.Tx, k known) (money.Micros, error) {
	t := k.topUp
	if t.Received == 0 || t.Status == Disputed || t.CompletedAt == nil {
		return 0, nil
	}
	// Locks the wallet, so that nothing is spent meanwhile.
	w, err := s.cfg.Wallet.Lock(ctx, tx, t.Account)
	if err != nil {
		return 0, err
	}
	paid, err := paidAfter(ctx, tx, t.Account, *t.CompletedAt)
	if err != nil {
		return 0, err
	}
	// What a failed refund or a won dispute returned is no later money.
	back, err := givenBack(ctx, tx, t.Account)
	if err != nil {
		return 0, err
	}
	given, err := s.cfg.Wallet.GivenAfter(ctx, tx, t.Account, *t.CompletedAt, back)
	if err != nil {
		return 0, err
	}
	// Credits that expire are spent first: only what is left of them is no money of the top-up.
	left, expiring, err := s.cfg.Credits.Reserved(ctx, tx, t.Account, *t.CompletedAt)
	if err != nil {
		return 0, err
	}
	most := min(t.Received-k.refunded(), w.Available-left-paid-(given-expiring))
	return max(0, most-most%Cent), nil
}

// PayBack is the handler of KindRefund.
func (s *Service) PayBack(ctx context.Context, refund id.ID) (job.Outcome, error) {
	f, found, err := findRefund(ctx, s.cfg.DB, refund)
	if err != nil || !found || f.Status != RefundPending {
		return job.Done(), err
	}
	t, found, err := find(ctx, s.cfg.DB, f.TopUp)
	if err != nil || !found {
		return job.Done(), err
	}
	p, _, err := s.cfg.Processors(ctx, t.Processor)
	if err != nil {
		return job.Outcome{}, err
	}
	if err := job.Holds(ctx); err != nil {
		return job.Outcome{}, err
	}
	crashpoint.Reach(crashpoint.RefundBeforeCall)
	within, cancel := context.WithTimeout(ctx, CallTime)
	defer cancel()
	done, err := p.Refund(within, RefundRequest{
		Refund: f.ID, TopUp: t.ID, IntentReference: t.intent, Amount: f.Amount, Currency: Currency,
	})
	crashpoint.Reach(crashpoint.RefundAfterCall)
	if errors.Is(err, ErrUnsupported) {
		done, err = Refund{Status: RefundFailed, Message: "The processor cannot refund."}, nil
	}
	if err != nil {
		return s.refundDelayed(ctx, t, f, err)
	}
	done.Refund = f.ID
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		before, found, err := load(ctx, tx, t.ID)
		if err != nil || !found {
			return err
		}
		// As if the processor had said it of the payment.
		return s.changeIn(ctx, tx, before, before.paid(done), rules{live: true})
	})
	if err != nil || done.Status != RefundPending {
		return job.Done(), err
	}
	return s.refundDelayed(ctx, t, f, nil)
}

// A refund without an end is told to the operator after these times: the processor did not answer,
// or it took the refund and has not said what came of it. Banks take up to ten working days.
const (
	unansweredRefund = 3 * 24 * time.Hour
	unendedRefund    = 14 * 24 * time.Hour
)

// refundDelayed asks about the refund again later, however often, since its money left the wallet.
// failure is why the processor's answer is not known; nil if it is that the refund is pending.
func (s *Service) refundDelayed(ctx context.Context, t row, f refundRow, failure error) (job.Outcome, error) {
	why, age := "", s.cfg.Clock.Now().Sub(f.CreatedAt)
	switch {
	case errors.Is(failure, ErrUnknown):
		why = "cannot be made: the processor does not know the payment. Was the key replaced by one of another " +
			"account or mode?"
	case failure != nil && age > unansweredRefund, age > unendedRefund:
		why = "has not ended since " + f.CreatedAt.UTC().Format(time.RFC3339) + "."
	}
	if why != "" {
		detail := fmt.Sprintf("The refund of %s %s Its money has left the wallet, and Billet asks again.", f.Amount,
			why)
		err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return s.raise(ctx, tx, issue.PaymentMismatch, t, string(f.ID), detail)
		})
		if err != nil {
			return job.Outcome{}, err
		}
	}
	if failure != nil && why == "" {
		return job.Outcome{}, failure
	}
	return job.At(s.cfg.Clock.Now().Add(askAgain(age))), nil
}

// paid is the payment of a credited top-up, with one refund.
func (k known) paid(f Refund) Payment {
	return Payment{
		Status: PaymentSucceeded, IntentReference: k.topUp.intent, TopUp: k.topUp.ID, Received: k.topUp.Received,
		Currency: Currency, Live: true, Refunds: []Refund{f},
	}
}
