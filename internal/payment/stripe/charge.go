package stripe

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/payment"
)

// pageSize is how many objects are listed at once: Stripe's maximum.
const pageSize = 100

// codeUnusable is the code of a charge with a method that no longer exists.
const codeUnusable = "payment_method_unusable"

// Charge charges a saved method. See payment.Processor.
func (p *Processor) Charge(ctx context.Context, r payment.ChargeRequest) (payment.Payment, error) {
	amount, err := cents(r.Amount, r.Currency)
	if err != nil {
		return payment.Payment{}, err
	}
	// An earlier try may have been made more than a day ago, when its key is forgotten.
	found, err := p.findCharge(ctx, r)
	if err != nil {
		return payment.Payment{}, problem("list PaymentIntents", err)
	}
	if found != "" {
		return p.Payment(ctx, found)
	}
	if r.FindOnly {
		return payment.Payment{}, payment.ErrUnknown
	}
	key := "billet-charge-" + string(r.TopUp) + "-" + strconv.FormatInt(r.Attempt, 10)
	paid, err := p.charge(ctx, r, amount, key)
	if !internal(err) {
		return paid, err
	}
	if p.failures.since(key, p.c.Now()) >= certain && replayed(err) {
		// Stripe repeats its internal error for a day, and has made no intent, or it were found.
		paid, err = p.charge(ctx, r, amount, key+"-again")
	}
	return paid, err
}

// certain is how long after an internal error an intent that is not listed was not made.
const certain = 15 * time.Minute

// failures remembers when charges first had an internal error, by idempotency key. It is lost when
// the server stops: the wait begins again then, which is safe.
type failures struct {
	mu    sync.Mutex
	first map[string]time.Time
}

// since returns how long ago since was first called for a key, and forgets keys that Stripe has
// forgotten.
func (f *failures) since(key string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.first, func(_ string, at time.Time) bool { return now.Sub(at) > keyLife })
	at, known := f.first[key]
	if !known {
		at = now
		f.first[key] = at
	}
	return now.Sub(at)
}

// keyLife is how long Stripe keeps a key, at least, with a margin.
const keyLife = 25 * time.Hour

// charge makes the intent.
func (p *Processor) charge(
	ctx context.Context, r payment.ChargeRequest, amount int64, key string,
) (payment.Payment, error) {
	params := &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(amount), Currency: stripe.String(payment.Currency),
		Customer: stripe.String(r.Customer), PaymentMethod: stripe.String(r.Method),
		OffSession: stripe.Bool(true), Confirm: stripe.Bool(true),
		Description: stripe.String(p.c.Name + " credit, " + string(r.TopUp)),
		Metadata: map[string]string{
			metaInstallation: p.c.Installation, metaTopUp: string(r.TopUp), metaAccount: string(r.Account),
			metaAttempt: strconv.FormatInt(r.Attempt, 10), metaKind: kindCharge,
		},
	}
	params.SetIdempotencyKey(key)
	intent, err := p.api().V1PaymentIntents.Create(ctx, params)
	if err == nil {
		return p.Payment(ctx, intent.ID)
	}
	e, no := refused(err)
	switch {
	case no && e.PaymentIntent != nil && e.PaymentIntent.ID != "":
		return p.Payment(ctx, e.PaymentIntent.ID)
	case no && e.Type == stripe.ErrorTypeCard:
		return p.failed(r, failure(e)), nil
	case no:
		usable, checkErr := p.usable(ctx, r)
		if checkErr != nil {
			return payment.Payment{}, errors.Join(problem("create a PaymentIntent", err), checkErr)
		}
		if !usable {
			return p.failed(r, &payment.Failure{
				Code: codeUnusable, Message: "The saved payment method was removed. Save another one.", Final: true,
			}), nil
		}
	}
	return payment.Payment{}, problem("create a PaymentIntent", err)
}

// findCharge returns the intent of an earlier try of the same attempt; "" if there is none. The
// newest hundred of the customer are enough: nothing else is charged before an attempt has ended.
func (p *Processor) findCharge(ctx context.Context, r payment.ChargeRequest) (string, error) {
	list := p.api().V1PaymentIntents.List(ctx, &stripe.PaymentIntentListParams{
		ListParams: stripe.ListParams{Limit: stripe.Int64(pageSize), Single: true},
		Customer:   stripe.String(r.Customer),
	})
	if err := list.Err(); err != nil {
		if missing(err) {
			return "", nil
		}
		return "", err
	}
	for _, i := range list.Data() {
		if p.ours(i.Metadata) && i.Metadata[metaTopUp] == string(r.TopUp) && i.Metadata[metaKind] == kindCharge &&
			i.Metadata[metaAttempt] == strconv.FormatInt(r.Attempt, 10) {
			return i.ID, nil
		}
	}
	return "", nil
}

// usable reports whether the customer still has the method.
func (p *Processor) usable(ctx context.Context, r payment.ChargeRequest) (bool, error) {
	_, err := p.api().V1Customers.RetrievePaymentMethod(ctx, r.Method,
		&stripe.CustomerRetrievePaymentMethodParams{Customer: stripe.String(r.Customer)})
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, problem("retrieve a payment method", err)
	}
	return true, nil
}

// failed is a payment that Stripe made no intent for.
func (p *Processor) failed(r payment.ChargeRequest, f *payment.Failure) payment.Payment {
	return payment.Payment{
		TopUp: r.TopUp, Status: payment.PaymentFailed, Currency: payment.Currency, Customer: r.Customer,
		Failure: f, Live: p.live, CreatedAt: p.c.Now().UTC(),
	}
}
