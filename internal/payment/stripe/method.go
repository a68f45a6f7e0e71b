package stripe

import (
	"context"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/payment"
)

// Methods lists the saved methods of a customer. They are always fetched, because networks replace
// numbers and dates of cards. See payment.Processor.
func (p *Processor) Methods(ctx context.Context, customer string) ([]payment.Method, error) {
	if customer == "" {
		return nil, nil
	}
	list := p.api().V1PaymentMethods.List(ctx, &stripe.PaymentMethodListParams{
		ListParams: stripe.ListParams{Limit: stripe.Int64(pageSize), Single: true},
		Customer:   stripe.String(customer),
	})
	if err := list.Err(); err != nil {
		if missing(err) {
			return nil, nil
		}
		return nil, problem("list payment methods", err)
	}
	var out []payment.Method
	for _, m := range list.Data() {
		out = append(out, methodOf(m))
	}
	return out, nil
}

// Detach removes a saved method of the customer. See payment.Processor.
func (p *Processor) Detach(ctx context.Context, customer, method string) error {
	m, err := p.api().V1PaymentMethods.Retrieve(ctx, method, nil)
	if missing(err) {
		return nil
	}
	if err != nil {
		return problem("retrieve a payment method", err)
	}
	if m.Customer == nil {
		return nil // detached already
	}
	if m.Customer.ID != customer {
		return payment.ErrUnknown
	}
	params := &stripe.PaymentMethodDetachParams{}
	params.SetIdempotencyKey("billet-detach-" + method)
	if _, err := p.api().V1PaymentMethods.Detach(ctx, method, params); err != nil && !missing(err) {
		return problem("detach a payment method", err)
	}
	return nil
}

func methodOf(m *stripe.PaymentMethod) payment.Method {
	out := payment.Method{ID: m.ID, Type: string(m.Type), CreatedAt: time.Unix(m.Created, 0).UTC()}
	switch {
	case m.Card != nil:
		out.Brand, out.Last4 = string(m.Card.Brand), m.Card.Last4
		out.ExpiryMonth, out.ExpiryYear = m.Card.ExpMonth, m.Card.ExpYear
	case m.USBankAccount != nil:
		out.Brand, out.Last4 = cut(m.USBankAccount.BankName), m.USBankAccount.Last4
	case m.SEPADebit != nil:
		out.Last4 = m.SEPADebit.Last4
	}
	return out
}
