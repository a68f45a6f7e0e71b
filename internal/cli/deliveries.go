package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var deliveryCol columnsOf[client.WebhookDelivery]

var deliveryListing = listing[client.WebhookDelivery]{
	id: func(d client.WebhookDelivery) string { return d.ID },
	columns: []column[client.WebhookDelivery]{
		deliveryCol.text("id", "DELIVERY", func(d client.WebhookDelivery) string { return d.ID }),
		deliveryCol.text("status", "STATUS", func(d client.WebhookDelivery) string { return string(d.Status) }),
		deliveryCol.text("lastAnswer", "LAST RESPONSE", lastResponse),
		deliveryCol.text("type", "EVENT", func(d client.WebhookDelivery) string { return d.Type }),
		deliveryCol.time("createdAt", "CREATED", func(d client.WebhookDelivery) time.Time { return d.CreatedAt }),
		deliveryCol.number("attemptCount", "ATTEMPTS", "",
			func(d client.WebhookDelivery) int { return d.AttemptCount }),
		deliveryCol.optionalTime("nextAttemptAt", "NEXT ATTEMPT",
			func(d client.WebhookDelivery) *time.Time { return d.NextAttemptAt }),
		deliveryCol.text("eventId", "EVENT ID", func(d client.WebhookDelivery) string { return d.EventID }).onlyWide(),
	},
	none: "No deliveries. Deliveries are kept for 30 days.",
}

// lastResponse describes the response to the last attempt.
func lastResponse(d client.WebhookDelivery) string {
	if len(d.Attempts) == 0 {
		return ""
	}
	return attemptResult(d.Attempts[len(d.Attempts)-1])
}

func attemptResult(a client.WebhookAttempt) string {
	if a.Status == nil {
		return valueOr(a.Problem, "no response")
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", *a.Status, http.StatusText(*a.Status)))
}

func (t *tool) webhookDeliveries() *cobra.Command {
	var failed bool
	var status string
	most := 50
	cmd := &cobra.Command{
		Use: "deliveries <webhook>", Aliases: []string{"log"}, Short: "List deliveries of a webhook",
		Args: cobra.ExactArgs(1),
		Long: `Lists deliveries of the last 30 days and pending ones, newest first. A table shows
the newest 50 unless --limit is set. Other formats have all of them; json and yaml include each
attempt.`,
		Example: `  billet webhooks deliveries scheduler
  billet webhooks replay scheduler $(billet webhooks deliveries scheduler --failed -o id)`,
	}
	f := cmd.Flags()
	f.BoolVar(&failed, "failed", false, "only failed deliveries")
	f.StringVar(&status, "status", "", "only deliveries with this `status`: "+joined(client.WebhookDeliveryStatuses()))
	f.IntVar(&most, "limit", most, "maximum `number` of deliveries; 0 for all")
	cmd.MarkFlagsMutuallyExclusive("failed", "status")
	t.completeFirstArg(cmd, webhookIDs)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if most < 0 {
			return usageError("--limit must be at least 0.")
		}
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		q := client.WebhookDeliveryQuery{Status: client.WebhookDeliveryStatus(status)}
		if failed {
			q.Status = client.DeliveryFailed
		}
		if !t.humanOutput() && !f.Changed("limit") {
			most = 0 // programs get everything unless they set a limit
		}
		return listLimited(t, deliveryListing, c.Webhooks.AllDeliveries(ctx, w.ID, q), most)
	})
}

func (t *tool) webhookReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use: "replay <webhook> <delivery>…", Short: "Resend deliveries", Args: cobra.MinimumNArgs(2),
		Long: "Resends deliveries with the same event ID and body, and retries each for up to 72 hours.",
		Example: "  billet webhooks replay scheduler whd_01…\n" +
			"  billet webhooks replay scheduler $(billet webhooks deliveries scheduler --failed -o id)",
	}
	t.completeFirstArg(cmd, webhookIDs)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		var replayed []client.WebhookDelivery
		for _, id := range args[1:] {
			d, err := c.Webhooks.Replay(ctx, w.ID, id)
			if err != nil {
				if len(replayed) > 0 {
					t.note("%d of %d deliveries were queued; the others were not.", len(replayed), len(args)-1)
				}
				return err
			}
			replayed = append(replayed, *d)
			if t.humanOutput() {
				if err := t.print(clean(fmt.Sprintf("%s (%s) was queued for resending.", d.ID, d.Type))); err != nil {
					return err
				}
			}
		}
		if t.humanOutput() {
			return nil
		}
		return list(t, deliveryListing, replayed)
	})
}

func (t *tool) webhookTest() *cobra.Command {
	cmd := &cobra.Command{
		Use: "test <webhook>", Short: "Send a test event and show the response", Args: cobra.ExactArgs(1),
		Long: "Sends one webhook.test event, even to a paused webhook, and shows the response.\n" +
			"The exit code is 1 if it is not 2xx.",
		Example: "  billet webhooks test scheduler",
	}
	t.completeFirstArg(cmd, webhookIDs)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		d, err := c.Webhooks.Test(ctx, w.ID)
		if err == nil {
			d, err = t.waitForDelivery(ctx, c, d)
		}
		if err != nil {
			return err
		}
		if err := t.showTestResult(w, d); err != nil {
			return err
		}
		if d.Status != client.DeliveryDelivered {
			return exit(exitOther)
		}
		return nil
	})
}

// waitForDelivery waits until the delivery was attempted. The server attempts it at once, with a
// timeout of 15 seconds.
func (t *tool) waitForDelivery(
	ctx context.Context,
	c *client.Client,
	d *client.WebhookDelivery,
) (*client.WebhookDelivery, error) {
	const limit, interval = 30 * time.Second, 500 * time.Millisecond
	for range int(limit / interval) {
		if d.Status != client.DeliveryPending {
			return d, nil
		}
		if err := t.sleep(ctx, interval); err != nil {
			return nil, err
		}
		p, err := c.Webhooks.Deliveries(ctx, d.WebhookID,
			client.WebhookDeliveryQuery{Paging: client.Paging{Limit: client.PageSize}})
		if err != nil {
			return nil, err
		}
		for i := range p.Items {
			if p.Items[i].ID == d.ID {
				d = &p.Items[i]
			}
		}
	}
	return nil, &cliError{exitUnavailable, "NOT_TRIED", fmt.Sprintf("the test event was not sent within %s. "+
		"Run 'billet webhooks deliveries %s' later to see the response.", duration(limit), d.WebhookID)}
}

// showTestResult prints the response to a test event.
func (t *tool) showTestResult(w *client.Webhook, d *client.WebhookDelivery) error {
	if !t.humanOutput() || len(d.Attempts) == 0 {
		return show(t, d.ID, d, row{"Result", string(d.Status)})
	}
	a := d.Attempts[len(d.Attempts)-1]
	outcome := "FAILED: "
	if d.Status == client.DeliveryDelivered {
		outcome = "delivered to "
	}
	return show(t, d.ID, d, row{"Result", outcome + w.URL}, row{"Response", attemptResult(a)},
		row{"Duration", fmt.Sprintf("%d ms", a.DurationMS)}, row{"Body", strings.TrimSpace(a.Response)})
}
