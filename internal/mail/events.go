package mail

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
)

// byEvent are the kinds of mails that events cause.
var byEvent = map[string]Kind{
	"account.past_due":           PastDue,
	"account.deployments_ended":  ResourcesEnded,
	"account.volumes_deleted":    ResourcesEnded,
	"account.suspended":          AccountSuspended,
	"account.low_balance":        LowBalance,
	"account.budget_reached":     BudgetReached,
	"invoice.issued":             InvoiceIssued,
	"account.topped_up":          PaymentReceived,
	"account.top_up_failed":      TopUpFailed,
	"account.payment_refunded":   PaymentRefunded,
	"account.payment_disputed":   PaymentDisputed,
	"deployment.failed":          DeploymentFailed,
	"deployment.interrupted":     DeploymentInterrupted,
	"account.provider_outage":    ProviderOutage,
	"account.provider_recovered": ProviderRecovered,
	"webhook.paused":             WebhookStopped,
	"webhook.disabled":           WebhookStopped,

	"account.payment_authentication_required": PaymentAuthentication,
}

// EnqueueForEvents adds the mails that events cause, in the transaction that appends them. Their
// data are those of the event.
func (s *Service) EnqueueForEvents(ctx context.Context, tx *db.Tx, events []event.Event) error {
	for _, e := range events {
		kind, causes := byEvent[e.Type]
		if !causes {
			continue
		}
		data := map[string]string{
			"subject": string(e.Subject), "reason": "none was given.", "deployments": "", "description": "",
		}
		for name, value := range e.Data {
			if text, has := Text(value), data[name]; text != "" || has == "" {
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
