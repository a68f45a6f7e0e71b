package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/payment"
)

const (
	// minLife and maxLife are how long Stripe lets a page live.
	minLife, maxLife = 30 * time.Minute, 24 * time.Hour
	// lifeMargin is for the way to Stripe and clocks that differ.
	lifeMargin = 2 * time.Minute
)

// Checkout makes a Checkout Session. See payment.Processor.
func (p *Processor) Checkout(ctx context.Context, r payment.CheckoutRequest) (payment.Checkout, error) {
	amount, err := cents(r.Amount, r.Currency)
	if err != nil {
		return payment.Checkout{}, err
	}
	customer := r.Customer
	if customer == "" {
		if customer, err = p.newCustomer(ctx, r, ""); err != nil {
			return payment.Checkout{}, err
		}
	}
	session, err := p.session(ctx, r, customer, amount)
	if e, no := refused(err); no && r.Customer != "" && missing(err) && e.Param == "customer" {
		// The operator deleted the customer at Stripe.
		if customer, err = p.newCustomer(ctx, r, r.Customer); err != nil {
			return payment.Checkout{}, err
		}
		session, err = p.session(ctx, r, customer, amount)
	}
	if err != nil {
		return payment.Checkout{}, problem("create a Checkout Session", err)
	}
	return payment.Checkout{
		Reference: session.ID, URL: session.URL, Customer: customer, ExpiresAt: time.Unix(session.ExpiresAt, 0).UTC(),
	}, nil
}

// newCustomer creates the account's customer, once. instead is the one that it replaces.
func (p *Processor) newCustomer(ctx context.Context, r payment.CheckoutRequest, instead string) (string, error) {
	params := &stripe.CustomerCreateParams{
		Metadata: map[string]string{metaInstallation: p.c.Installation, metaAccount: string(r.Account)},
	}
	if r.Email != "" {
		params.Email = stripe.String(r.Email)
	}
	// The key has what may differ between two tries, because Stripe refuses a key with other
	// parameters.
	sum := sha256.Sum256([]byte(r.Email + "\x00" + instead))
	key := "billet-customer-" + string(r.Account) + "-" + hex.EncodeToString(sum[:8])
	params.SetIdempotencyKey(key)
	c, err := p.api().V1Customers.Create(ctx, params)
	if replayed(err) { // Stripe keeps an internal error for a day. A second customer does no harm.
		params.SetIdempotencyKey(key + "-again")
		c, err = p.api().V1Customers.Create(ctx, params)
	}
	if err != nil {
		return "", problem("create a customer", err)
	}
	return c.ID, nil
}

// session creates the page, or finds the one that an earlier try with other parameters created.
func (p *Processor) session(
	ctx context.Context, r payment.CheckoutRequest, customer string, amount int64,
) (*stripe.CheckoutSession, error) {
	key := "billet-checkout-" + string(r.TopUp) + "-" + strconv.FormatInt(r.Attempt, 10)
	if customer != r.Customer && r.Customer != "" {
		key += "-" + customer
	}
	session, err := p.api().V1CheckoutSessions.Create(ctx, p.sessionParams(r, customer, amount, key))
	if err == nil {
		return session, nil
	}
	e, is := errors.AsType[*stripe.Error](err)
	again := replayed(err)
	if !again && (!is || e.Type != stripe.ErrorTypeIdempotency || e.Code == stripe.ErrorCodeIdempotencyKeyInUse) {
		return nil, err
	}
	found, listErr := p.findSession(ctx, r, customer)
	if found != nil || listErr != nil {
		return found, listErr
	}
	if !again {
		return nil, err
	}
	// Stripe keeps an internal error for a day. A second page takes no money by itself.
	return p.api().V1CheckoutSessions.Create(ctx, p.sessionParams(r, customer, amount, key+"-again"))
}

func (p *Processor) findSession(
	ctx context.Context, r payment.CheckoutRequest, customer string,
) (*stripe.CheckoutSession, error) {
	list := p.api().V1CheckoutSessions.List(ctx, &stripe.CheckoutSessionListParams{
		ListParams: stripe.ListParams{Limit: stripe.Int64(pageSize), Single: true}, Customer: stripe.String(customer),
	})
	if err := list.Err(); err != nil {
		return nil, err
	}
	for _, s := range list.Data() {
		if p.madeFor(s.Metadata, r) {
			return s, nil
		}
	}
	return nil, nil
}

func (p *Processor) madeFor(meta map[string]string, r payment.CheckoutRequest) bool {
	return p.ours(meta) && meta[metaTopUp] == string(r.TopUp) &&
		meta[metaAttempt] == strconv.FormatInt(r.Attempt, 10)
}

func (p *Processor) sessionParams(
	r payment.CheckoutRequest, customer string, amount int64, key string,
) *stripe.CheckoutSessionCreateParams {
	meta := map[string]string{
		metaInstallation: p.c.Installation, metaTopUp: string(r.TopUp), metaAccount: string(r.Account),
		metaAttempt: strconv.FormatInt(r.Attempt, 10), metaKind: kindCheckout,
	}
	params := &stripe.CheckoutSessionCreateParams{
		Mode: stripe.String("payment"), Customer: stripe.String(customer),
		ClientReferenceID: stripe.String(string(r.TopUp)),
		LineItems: []*stripe.CheckoutSessionCreateLineItemParams{{
			Quantity: stripe.Int64(1),
			PriceData: &stripe.CheckoutSessionCreateLineItemPriceDataParams{
				Currency: stripe.String(payment.Currency), UnitAmount: stripe.Int64(amount),
				ProductData: &stripe.CheckoutSessionCreateLineItemPriceDataProductDataParams{
					Name: stripe.String(p.c.Name + " credit"),
				},
			},
		}},
		// The session's metadata is not copied to its intent.
		Metadata: meta,
		PaymentIntentData: &stripe.CheckoutSessionCreatePaymentIntentDataParams{
			Metadata: meta, Description: stripe.String(p.c.Name + " credit, " + string(r.TopUp)),
		},
		// Customers pay in dollars: the credit is what they paid.
		AdaptivePricing: &stripe.CheckoutSessionCreateAdaptivePricingParams{Enabled: stripe.Bool(false)},
		SuccessURL:      stripe.String(r.ReturnURL),
		ExpiresAt:       stripe.Int64(p.expiry(r.ExpiresAt).Unix()),
	}
	if cancel := strings.TrimSpace(r.CancelURL); cancel != "" {
		params.CancelURL = stripe.String(cancel)
	}
	if r.SaveMethod {
		params.PaymentIntentData.SetupFutureUsage = stripe.String("off_session")
	}
	params.SetIdempotencyKey(key)
	return params
}

// expiry returns when a page ends: the wanted time, within what Stripe allows.
func (p *Processor) expiry(wanted time.Time) time.Time {
	now := p.c.Now()
	least, most := now.Add(minLife+lifeMargin), now.Add(maxLife-lifeMargin)
	switch {
	case wanted.IsZero() || wanted.After(most):
		return most
	case wanted.Before(least):
		return least
	}
	return wanted
}
