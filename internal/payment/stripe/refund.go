package stripe

import (
	"context"
	"fmt"

	"github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/payment"
)

// Refund returns money, once for each Refund ID. See payment.Processor.
func (p *Processor) Refund(ctx context.Context, r payment.RefundRequest) (payment.Refund, error) {
	amount, err := cents(r.Amount, r.Currency)
	if err != nil {
		return payment.Refund{}, err
	}
	// An earlier try may have been made more than a day ago, when its key is forgotten.
	before, err := p.refunds(ctx, r.IntentReference)
	if err != nil {
		return payment.Refund{}, err
	}
	for _, b := range before {
		if b.Refund == r.Refund {
			return b, nil
		}
	}
	params := &stripe.RefundCreateParams{
		PaymentIntent: stripe.String(r.IntentReference), Amount: stripe.Int64(amount),
		Reason: stripe.String("requested_by_customer"),
		Metadata: map[string]string{
			metaInstallation: p.c.Installation, metaTopUp: string(r.TopUp), metaRefund: string(r.Refund),
		},
	}
	key := "billet-refund-" + string(r.Refund)
	params.SetIdempotencyKey(key)
	created, err := p.api().V1Refunds.Create(ctx, params)
	if internal(problem("", err)) && p.failures.since(key, p.c.Now()) >= certain && replayed(err) {
		// Stripe repeats its internal error for a day, and has made no refund, or it were listed.
		params.SetIdempotencyKey(key + "-again")
		created, err = p.api().V1Refunds.Create(ctx, params)
	}
	if missing(err) {
		return payment.Refund{}, fmt.Errorf("%w: %s", payment.ErrUnknown, cut(r.IntentReference))
	}
	if err != nil {
		if e, no := refused(err); no {
			return payment.Refund{
				Refund: r.Refund, Amount: r.Amount, Status: payment.RefundFailed, Message: cut(e.Msg),
			}, nil
		}
		return payment.Refund{}, problem("create a refund", err)
	}
	return p.refundOf(created)
}

// refunds lists the refunds of a payment.
func (p *Processor) refunds(ctx context.Context, intent string) ([]payment.Refund, error) {
	list := p.api().V1Refunds.List(ctx, &stripe.RefundListParams{
		ListParams:    stripe.ListParams{Limit: stripe.Int64(pageSize)},
		PaymentIntent: stripe.String(intent),
	})
	var out []payment.Refund
	for r, err := range list.All(ctx) {
		if missing(err) {
			return nil, fmt.Errorf("%w: %s", payment.ErrUnknown, cut(intent))
		}
		if err != nil {
			return nil, problem("list the refunds of "+cut(intent), err)
		}
		one, err := p.refundOf(r)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (p *Processor) refundOf(r *stripe.Refund) (payment.Refund, error) {
	amount, err := micros(r.Amount)
	if err != nil {
		return payment.Refund{}, err
	}
	out := payment.Refund{Reference: r.ID, Amount: amount}
	if r.Metadata[metaInstallation] == p.c.Installation {
		out.Refund = id.ID(r.Metadata[metaRefund])
	}
	switch r.Status {
	case stripe.RefundStatusSucceeded:
		out.Status = payment.RefundSucceeded
	case stripe.RefundStatusPending, stripe.RefundStatusRequiresAction:
		out.Status = payment.RefundPending
	case stripe.RefundStatusFailed, stripe.RefundStatusCanceled:
		out.Status = payment.RefundFailed
		out.Message = string(r.FailureReason)
		if out.Message == "" {
			out.Message = "The refund was " + string(r.Status) + "."
		}
	default:
		return payment.Refund{}, fmt.Errorf("stripe: the refund %s has the unknown status %.40q", r.ID, r.Status)
	}
	return out, nil
}
