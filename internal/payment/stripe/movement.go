package stripe

import (
	"context"
	"iter"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/payment"
)

// Movements lists Stripe's balance transactions, newest first. Those of payments that were not made
// for a top-up are of kind other. In another currency, one of its minor units counts as a
// payment.Cent. See payment.Processor.
func (p *Processor) Movements(ctx context.Context, from, to time.Time) iter.Seq2[payment.Movement, error] {
	return func(yield func(payment.Movement, error) bool) {
		params := &stripe.BalanceTransactionListParams{
			ListParams: stripe.ListParams{Limit: stripe.Int64(pageSize)},
			CreatedRange: &stripe.RangeQueryParams{
				GreaterThanOrEqual: ceilSecond(from), LesserThan: ceilSecond(to),
			},
		}
		params.Expand = stripe.StringSlice([]string{"data.source"})
		known := map[string]bool{} // whether an intent is ours
		for b, err := range p.api().V1BalanceTransactions.List(ctx, params).All(ctx) {
			if err != nil {
				yield(payment.Movement{}, problem("list balance transactions", err))
				return
			}
			m, err := p.movement(ctx, b, known)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// ceilSecond returns the first whole second that is not before t.
func ceilSecond(t time.Time) int64 { return t.Add(time.Second - time.Nanosecond).Unix() }

func (p *Processor) movement(
	ctx context.Context, b *stripe.BalanceTransaction, known map[string]bool,
) (payment.Movement, error) {
	m := payment.Movement{
		ID: b.ID, Kind: payment.MovementOther, Currency: string(b.Currency), CreatedAt: time.Unix(b.Created, 0).UTC(),
	}
	var err error
	if m.Amount, err = micros(b.Amount); err != nil {
		return m, err
	}
	if m.Fee, err = micros(b.Fee); err != nil {
		return m, err
	}
	kind, intent, meta := sourceOf(b)
	if intent == nil {
		return m, nil
	}
	// An intent's metadata is copied to its charge. Refunds and disputes have their own.
	ours, is := known[intent.ID]
	if !is {
		ours = meta[metaInstallation] == p.c.Installation
		if !ours && kind != payment.MovementPayment {
			if ours, err = p.oursByIntent(ctx, intent.ID); err != nil {
				return m, err
			}
		}
		known[intent.ID] = ours
	}
	if !ours {
		return m, nil
	}
	if kind == payment.MovementPayment && m.Amount < 0 {
		kind = payment.MovementRefund // of a bank's payment that failed afterwards
	}
	m.Kind, m.IntentReference = kind, intent.ID
	if b.Source.Refund != nil {
		m.RefundReference = b.Source.Refund.ID
	}
	return m, nil
}

// sourceOf returns why the balance changed, and the intent and its metadata; nil if there is none.
func sourceOf(b *stripe.BalanceTransaction) (payment.MovementKind, *stripe.PaymentIntent, map[string]string) {
	s := b.Source
	switch {
	case s == nil:
	case s.Charge != nil:
		return payment.MovementPayment, s.Charge.PaymentIntent, s.Charge.Metadata
	case s.Refund != nil:
		return payment.MovementRefund, s.Refund.PaymentIntent, s.Refund.Metadata
	case s.Dispute != nil:
		return payment.MovementDispute, s.Dispute.PaymentIntent, s.Dispute.Metadata
	}
	return payment.MovementOther, nil, nil
}

func (p *Processor) oursByIntent(ctx context.Context, intent string) (bool, error) {
	i, err := p.api().V1PaymentIntents.Retrieve(ctx, intent, nil)
	if err != nil {
		return false, problem("retrieve "+intent, err)
	}
	return p.ours(i.Metadata), nil
}
