package stripe

import (
	"fmt"
	"strings"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
)

// maxCents is the largest amount that Stripe charges: eight digits.
const maxCents = 99_999_999

// cents converts an amount for a request. It fails where it is not a whole number of cents from 1
// to Stripe's maximum, or not in US dollars.
func cents(amount money.Micros, currency string) (int64, error) {
	if !strings.EqualFold(currency, payment.Currency) {
		return 0, fmt.Errorf("stripe: the currency is %.10q; only %s is used", currency, payment.Currency)
	}
	if amount <= 0 || amount%payment.Cent != 0 {
		return 0, fmt.Errorf("stripe: the amount %s is not a whole number of cents above zero", amount)
	}
	n := int64(amount / payment.Cent)
	if n > maxCents {
		return 0, fmt.Errorf("stripe: the amount %s is above the maximum of $999,999.99", amount)
	}
	return n, nil
}

// micros converts an amount of cents. It may be negative. It fails where it does not fit.
func micros(cents int64) (money.Micros, error) {
	const most = int64(1<<63-1) / int64(payment.Cent)
	if cents > most || cents < -most {
		return 0, fmt.Errorf("stripe: an amount of %d cents", cents)
	}
	return money.Micros(cents) * payment.Cent, nil
}
