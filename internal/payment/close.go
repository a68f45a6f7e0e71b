package payment

import (
	"context"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
)

// Close ends a top-up whose money was paid and is not credited, with a reason that the customer
// reads. Its issue is closed, and an automatic one counts as failed, so that another can follow. It
// returns INVALID_REQUEST, NOT_FOUND, or CONFLICT for any other top-up.
func (s *Service) Close(ctx context.Context, tx *db.Tx, topUp id.ID, reason string) (OperatorTopUp, error) {
	if err := apierr.Invalid(checkReason(reason)).OrNil(); err != nil {
		return OperatorTopUp{}, err
	}
	before, found, err := load(ctx, tx, topUp)
	if err == nil && !found {
		err = errNotFound
	}
	if err != nil {
		return OperatorTopUp{}, err
	}
	now, err := decideClose(before, reason, tx.Now)
	if err != nil {
		return OperatorTopUp{}, err
	}
	if err := save(ctx, tx, before, now); err != nil {
		return OperatorTopUp{}, err
	}
	events, err := s.follow(ctx, tx, before, now, Payment{Status: PaymentFailed})
	if err == nil && len(events) > 0 {
		err = s.cfg.Events.Append(ctx, tx, events...)
	}
	if err != nil {
		return OperatorTopUp{}, err
	}
	intent := now.topUp.problemIntent
	for _, about := range []id.ID{topUp, id.ID(intent)} { // as it was raised at once, and by the comparison
		err := s.cfg.Issues.Resolve(ctx, tx, now.topUp.Processor, issue.Sighting{
			Kind: issue.PaymentMismatch, UpstreamID: intent, Reference: about,
		}, "The top-up was closed: "+reason)
		if err != nil {
			return OperatorTopUp{}, err
		}
	}
	return now.operatorView(tx.Now), nil
}

// checkReason checks an operator's reason, which the customer reads.
func checkReason(reason string) []apierr.FieldError {
	if reason == "" {
		return []apierr.FieldError{{Field: "reason", Message: "must not be empty."}}
	}
	return apierr.CheckText("reason", reason, maxReason)
}
