package mail

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/money"
)

// byEvent are the kinds of mails that events cause.
var byEvent = map[string]Kind{
	"account.past_due":                PastDue,
	"account.deployments_ended":       ResourcesEnded,
	"account.volumes_deleted":         ResourcesEnded,
	"account.suspended":               AccountSuspended,
	"account.low_balance":             LowBalance,
	"account.budget_reached":          BudgetReached,
	"invoice.issued":                  InvoiceIssued,
	"account.billing_details_missing": BillingDetailsMissing,
	"account.topped_up":               PaymentReceived,
	"account.top_up_failed":           TopUpFailed,
	"account.payment_refunded":        PaymentRefunded,
	"account.payment_disputed":        PaymentDisputed,
	"account.credit_expiring":         CreditExpiring,
	"deployment.failed":               DeploymentFailed,
	"deployment.interrupted":          DeploymentInterrupted,
	"account.service_credit":          ServiceCredit,
	"account.provider_outage":         ProviderOutage,
	"account.provider_recovered":      ProviderRecovered,
	"webhook.paused":                  WebhookStopped,
	"webhook.disabled":                WebhookStopped,

	"account.payment_authentication_required": PaymentAuthentication,
}

// newsOfInvoice is how long after its month an invoice is news. An operator may begin to issue
// invoices with a month of years ago, which would be dozens of mails at once.
const newsOfInvoice = 45 * 24 * time.Hour

// isOldInvoice reports whether the event is about the invoice of a month that ended long ago. A
// credit note is news whatever it corrects.
func isOldInvoice(e event.Event, now time.Time) bool {
	month, _ := e.Data["month"].(string)
	begins, err := time.Parse("2006-01", month)
	return err == nil && e.Data["type"] == "invoice" && now.Sub(begins.AddDate(0, 1, 0)) > newsOfInvoice
}

// exact are the kinds whose amount is a computed one, to the micro-dollar: in cents, it would
// differ from that of the statement, or be $0.00.
var exact = map[Kind]bool{ServiceCredit: true, CreditExpiring: true}

// valueText returns a value as the mails of the kind show it.
func valueText(kind Kind, v any) string {
	if amount, is := v.(money.Micros); is && exact[kind] {
		return exactly(amount)
	}
	return Text(v)
}

// EnqueueForEvents adds the mails that events cause, in the transaction that appends them. Their
// data are those of the event.
func (s *Service) EnqueueForEvents(ctx context.Context, tx *db.Tx, events []event.Event) error {
	for _, e := range events {
		kind, causes := byEvent[e.Type]
		if !causes || kind == InvoiceIssued && isOldInvoice(e, tx.Now) {
			continue
		}
		data := map[string]string{
			"subject": string(e.Subject), "reason": "none was given.", "deployments": "", "description": "", "note": "",
		}
		for name, value := range e.Data {
			if text, has := valueText(kind, value), data[name]; text != "" || has == "" {
				data[name] = text
			}
		}
		m := Message{Kind: kind, Cause: string(e.ID), Account: e.Account, Data: data}
		if err := s.EnqueueToMembers(ctx, tx, m); err != nil {
			return err
		}
	}
	return nil
}
