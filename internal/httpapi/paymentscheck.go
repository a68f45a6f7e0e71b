package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/rest"
)

// paymentsCheck asks the payment processor about the stored settings.
type paymentsCheck struct {
	db    *db.DB
	check func(ctx context.Context) (live bool, refused, err error)
}

// paymentsCheckTime is how long the processor may take to answer.
const paymentsCheckTime = 20 * time.Second

func (h paymentsCheck) routes(r *rest.Router) {
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: OperatorBase + "/settings/payments-check", ID: "checkPayments",
		Tag: tagOperator, Auth: rest.OperatorOnly, Scope: string(account.WriteOperator),
		Summary: "Check the payment settings",
		Description: "Asks Stripe whether the stored key is accepted and may read what payments need, and waits up " +
			"to 20 seconds for the answers. A refusal is a result, too. It reads only: whether the key may create " +
			"pages and refunds is known after a payment in test mode.",
		Errors: []apierr.Code{apierr.Conflict}, ExtraTime: paymentsCheckTime,
	}, h.run)
}

type paymentsCheckResult struct {
	OK      bool   `json:"ok" doc:"Whether the key is accepted and may read all that payments need."`
	Live    bool   `json:"live" doc:"Whether the key is one of Stripe's live mode: real money."`
	Message string `json:"message" doc:"What Stripe refuses, a line for each; empty if ok."`
}

func (h paymentsCheck) run(ctx context.Context, c *rest.Call, _ *rest.NoInput) (paymentsCheckResult, error) {
	within, cancel := context.WithTimeout(ctx, paymentsCheckTime)
	defer cancel()
	var result paymentsCheckResult
	var refused error
	err := payment.ErrUnsupported
	if h.check != nil {
		result.Live, refused, err = h.check(within)
	}
	switch {
	case errors.Is(err, payment.ErrUnsupported):
		return result, apierr.New(apierr.Conflict,
			"The settings have no key of Stripe, or no webhook secret. Store both, then check again.")
	case err != nil:
		return result, err
	case refused != nil && within.Err() != nil:
		result.Message = "Stripe did not answer within 20 seconds."
	case refused != nil:
		result.Message = refused.Error()
	}
	result.OK = refused == nil
	return result, h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return c.Record(ctx, tx) })
}
