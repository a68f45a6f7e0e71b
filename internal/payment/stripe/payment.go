package stripe

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/payment"
)

// Payment fetches a payment by the ID of its page, intent, charge, refund or dispute. See
// payment.Processor.
func (p *Processor) Payment(ctx context.Context, reference string) (payment.Payment, error) {
	prefix, _, _ := strings.Cut(reference, "_")
	switch prefix {
	case "cs":
		return p.bySession(ctx, reference)
	case "pi":
		return p.byIntent(ctx, reference)
	case "ch", "py", "re", "pyr", "dp", "du":
		intent, err := p.intentOf(ctx, prefix, reference)
		if err != nil {
			return payment.Payment{}, fetchProblem(reference, err)
		}
		if intent == nil {
			return payment.Payment{}, payment.ErrNotOurs
		}
		return p.byIntent(ctx, intent.ID)
	}
	return payment.Payment{}, payment.ErrUnknown
}

func fetchProblem(reference string, err error) error {
	if missing(err) {
		return fmt.Errorf("%w: %.80s", payment.ErrUnknown, reference)
	}
	return problem("retrieve "+cut(reference), err)
}

// intentOf returns the intent that an object below it belongs to.
func (p *Processor) intentOf(ctx context.Context, prefix, reference string) (*stripe.PaymentIntent, error) {
	switch prefix {
	case "ch", "py":
		c, err := p.api().V1Charges.Retrieve(ctx, reference, nil)
		if err != nil {
			return nil, err
		}
		return c.PaymentIntent, nil
	case "re", "pyr":
		r, err := p.api().V1Refunds.Retrieve(ctx, reference, nil)
		if err != nil {
			return nil, err
		}
		return r.PaymentIntent, nil
	default:
		d, err := p.api().V1Disputes.Retrieve(ctx, reference, nil)
		if err != nil {
			return nil, err
		}
		return d.PaymentIntent, nil
	}
}

func (p *Processor) bySession(ctx context.Context, reference string) (payment.Payment, error) {
	params := &stripe.CheckoutSessionRetrieveParams{}
	params.AddExpand("payment_intent.latest_charge.balance_transaction")
	params.AddExpand("payment_intent.payment_method")
	s, err := p.api().V1CheckoutSessions.Retrieve(ctx, reference, params)
	if err != nil {
		return payment.Payment{}, fetchProblem(reference, err)
	}
	if !p.ours(s.Metadata) {
		return payment.Payment{}, payment.ErrNotOurs
	}
	return p.state(ctx, s, s.PaymentIntent)
}

func (p *Processor) byIntent(ctx context.Context, reference string) (payment.Payment, error) {
	params := &stripe.PaymentIntentRetrieveParams{}
	params.AddExpand("latest_charge.balance_transaction")
	params.AddExpand("payment_method")
	i, err := p.api().V1PaymentIntents.Retrieve(ctx, reference, params)
	if err != nil {
		return payment.Payment{}, fetchProblem(reference, err)
	}
	if !p.ours(i.Metadata) {
		return payment.Payment{}, payment.ErrNotOurs
	}
	if i.Metadata[metaKind] != kindCheckout {
		return p.state(ctx, nil, i)
	}
	// A declined card at a page is not the end: the customer may try another one.
	list := p.api().V1CheckoutSessions.List(ctx, &stripe.CheckoutSessionListParams{
		ListParams: stripe.ListParams{Limit: stripe.Int64(1), Single: true}, PaymentIntent: stripe.String(i.ID),
	})
	if err := list.Err(); err != nil {
		return payment.Payment{}, problem("find the Checkout Session of "+cut(reference), err)
	}
	if len(list.Data()) > 0 {
		return p.state(ctx, list.Data()[0], i)
	}
	out, err := p.state(ctx, nil, i)
	if out.Status != payment.PaymentSucceeded && out.Status != payment.PaymentProcessing && err == nil {
		out.Status = payment.PaymentPending // until the page says otherwise
	}
	return out, err
}

// state derives the state of a payment from its page and its intent, of which one may be nil.
func (p *Processor) state(
	ctx context.Context, s *stripe.CheckoutSession, i *stripe.PaymentIntent,
) (payment.Payment, error) {
	out := payment.Payment{Currency: payment.Currency}
	if s != nil {
		out.Reference, out.TopUp, out.Live = s.ID, id.ID(s.Metadata[metaTopUp]), s.Livemode
		out.CreatedAt, out.Currency = time.Unix(s.Created, 0).UTC(), string(s.Currency)
		if s.Customer != nil {
			out.Customer = s.Customer.ID
		}
	}
	if i != nil {
		if err := p.fromIntent(ctx, i, &out); err != nil {
			return payment.Payment{}, err
		}
	}
	status, err := statusOf(s, i)
	if err != nil {
		return payment.Payment{}, err
	}
	out.Status = status
	if status == payment.PaymentSucceeded {
		out.Failure = nil // of an earlier card
		out.IntentReference = i.ID
	}
	if out.Live != p.live {
		return payment.Payment{}, fmt.Errorf("stripe: %s has the wrong mode: live is %t", out.Reference, out.Live)
	}
	return out, nil
}

// statusOf decides from the intent first, because it is the money.
func statusOf(s *stripe.CheckoutSession, i *stripe.PaymentIntent) (payment.PaymentStatus, error) {
	if i != nil {
		switch i.Status {
		case stripe.PaymentIntentStatusSucceeded:
			return payment.PaymentSucceeded, nil
		case stripe.PaymentIntentStatusProcessing, stripe.PaymentIntentStatusRequiresCapture:
			return payment.PaymentProcessing, nil
		}
	}
	if s != nil {
		switch s.Status {
		case stripe.CheckoutSessionStatusOpen:
			return payment.PaymentPending, nil
		case stripe.CheckoutSessionStatusExpired:
			return payment.PaymentExpired, nil
		}
		if i == nil {
			return "", fmt.Errorf("stripe: %s is complete and has no payment", s.ID)
		}
	}
	switch i.Status {
	case stripe.PaymentIntentStatusCanceled:
		return payment.PaymentCanceled, nil
	case stripe.PaymentIntentStatusRequiresAction:
		return payment.PaymentActionRequired, nil
	case stripe.PaymentIntentStatusRequiresPaymentMethod:
		switch {
		case i.LastPaymentError == nil:
			return payment.PaymentPending, nil
		case needsCustomer(i.LastPaymentError):
			return payment.PaymentActionRequired, nil
		}
		return payment.PaymentFailed, nil
	case stripe.PaymentIntentStatusRequiresConfirmation:
		return payment.PaymentPending, nil
	}
	return "", fmt.Errorf("stripe: %s has the unknown status %.40q", i.ID, i.Status)
}

// fromIntent adds what the intent knows.
func (p *Processor) fromIntent(ctx context.Context, i *stripe.PaymentIntent, out *payment.Payment) error {
	if out.Reference == "" {
		out.Reference, out.TopUp, out.Live = i.ID, id.ID(i.Metadata[metaTopUp]), i.Livemode
		out.CreatedAt = time.Unix(i.Created, 0).UTC()
	} else if i.Metadata[metaTopUp] != string(out.TopUp) || i.Livemode != out.Live {
		return fmt.Errorf("stripe: %s and %s belong to different top-ups", out.Reference, i.ID)
	}
	out.Currency = string(i.Currency)
	if i.Customer != nil {
		out.Customer = i.Customer.ID
	}
	out.Failure = failure(i.LastPaymentError)
	if i.NextAction != nil && i.NextAction.RedirectToURL != nil {
		out.ActionURL = i.NextAction.RedirectToURL.URL
	}
	if i.PaymentMethod != nil && i.PaymentMethod.Customer != nil {
		m := methodOf(i.PaymentMethod)
		out.Method = &m
	}
	var err error
	if out.Received, err = micros(i.AmountReceived); err != nil {
		return err
	}
	if i.AmountReceived == 0 {
		return nil
	}
	if c := i.LatestCharge; c != nil {
		if out.Refunded, err = micros(c.AmountRefunded); err != nil {
			return err
		}
		// In another currency, the fee cannot be compared with the payment.
		if b := c.BalanceTransaction; b != nil && string(b.Currency) == payment.Currency {
			if out.Fee, err = micros(b.Fee); err != nil {
				return err
			}
		}
	}
	if out.Refunds, err = p.refunds(ctx, i.ID); err != nil {
		return err
	}
	out.Disputes, err = p.disputes(ctx, i.ID)
	return err
}

// disputes lists the disputes of a payment.
func (p *Processor) disputes(ctx context.Context, intent string) ([]payment.Dispute, error) {
	list := p.api().V1Disputes.List(ctx, &stripe.DisputeListParams{
		ListParams:    stripe.ListParams{Limit: stripe.Int64(pageSize)},
		PaymentIntent: stripe.String(intent),
	})
	var out []payment.Dispute
	for d, err := range list.All(ctx) {
		if err != nil {
			return nil, problem("list the disputes of "+intent, err)
		}
		amount, err := micros(d.Amount)
		if err != nil {
			return nil, err
		}
		one := payment.Dispute{
			Reference: d.ID, Amount: amount, Status: disputeStatus(d.Status), Reason: string(d.Reason),
		}
		if d.EvidenceDetails != nil && d.EvidenceDetails.DueBy > 0 {
			one.DueAt = time.Unix(d.EvidenceDetails.DueBy, 0).UTC()
		}
		out = append(out, one)
	}
	return out, nil
}

// disputeStatus maps Stripe's status. An inquiry is open until it is closed, although it has taken
// no money yet. An unknown status is open, so that the money stays frozen.
func disputeStatus(s stripe.DisputeStatus) payment.DisputeStatus {
	switch s {
	case stripe.DisputeStatusWon, stripe.DisputeStatusWarningClosed, stripe.DisputeStatusPrevented:
		return payment.DisputeWon
	case stripe.DisputeStatusLost:
		return payment.DisputeLost
	}
	return payment.DisputeOpen
}
