package cli

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var deliveryListing = listing[client.WebhookDelivery]{
	id: func(d client.WebhookDelivery) string { return d.ID },
	columns: []column[client.WebhookDelivery]{
		{name: "id", head: "DELIVERY", text: func(d client.WebhookDelivery) string { return d.ID }},
		{name: "status", head: "STATUS", text: func(d client.WebhookDelivery) string { return string(d.Status) }},
		{name: "lastAnswer", head: "LAST ANSWER", text: lastAnswer},
		{name: "type", head: "EVENT", text: func(d client.WebhookDelivery) string { return d.Type }},
		{name: "createdAt", head: "WHEN", text: func(d client.WebhookDelivery) string { return when(d.CreatedAt) }, raw: func(d client.WebhookDelivery) string { return stamp(d.CreatedAt) }},
		{name: "attemptCount", head: "TRIES", right: true, text: func(d client.WebhookDelivery) string { return strconv.Itoa(d.AttemptCount) }},
		{name: "nextAttemptAt", head: "NEXT TRY", text: func(d client.WebhookDelivery) string { return whenever(d.NextAttemptAt) }, raw: func(d client.WebhookDelivery) string { return stampOf(d.NextAttemptAt) }},
		{name: "eventId", head: "EVENT ID", wide: true, text: func(d client.WebhookDelivery) string { return d.EventID }},
	},
	none: "No deliveries. They are kept for 30 days.",
}

// lastAnswer is how the receiver took the last attempt.
func lastAnswer(d client.WebhookDelivery) string {
	if len(d.Attempts) == 0 {
		return ""
	}
	return answered(d.Attempts[len(d.Attempts)-1])
}

func answered(a client.WebhookAttempt) string {
	if a.Status == nil {
		return or(a.Problem, "no answer")
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", *a.Status, http.StatusText(*a.Status)))
}

func (t *tool) webhookDeliveries() *cobra.Command {
	var failed bool
	var status string
	most := 50
	cmd := &cobra.Command{
		Use: "deliveries <webhook>", Aliases: []string{"log"}, Short: "What was sent to a webhook, and how it was taken", Args: cobra.ExactArgs(1),
		Long: "Shows what was and will be sent to a webhook in 30 days, newest first. A table has the newest 50 unless --limit says otherwise; other formats have all, json and yaml with every attempt.",
		Example: `  billet webhooks deliveries scheduler
  billet webhooks replay scheduler $(billet webhooks deliveries scheduler --failed -o id)`,
	}
	f := cmd.Flags()
	f.BoolVar(&failed, "failed", false, "only those that were given up")
	f.StringVar(&status, "status", "", "only pending, delivered or failed")
	f.IntVar(&most, "limit", most, "at most so many; 0 for all")
	cmd.MarkFlagsMutuallyExclusive("failed", "status")
	t.suggest(cmd, webhookIDs)
	return t.verb(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if most < 0 {
			return usage("--limit must be at least 0.")
		}
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		q := client.WebhookDeliveryQuery{Status: client.WebhookDeliveryStatus(status)}
		if failed {
			q.Status = client.DeliveryFailed
		}
		if !t.forPeople() && !f.Changed("limit") {
			most = 0 // programs get everything, unless they want less
		}
		return listUpTo(t, deliveryListing, c.Webhooks.AllDeliveries(ctx, w.ID, q), most)
	})
}

func (t *tool) webhookReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use: "replay <webhook> <delivery>…", Short: "Send deliveries again", Args: cobra.MinimumNArgs(2),
		Long:    "Sends deliveries again, with the same event id and body, and tries each for 72 hours anew.",
		Example: "  billet webhooks replay scheduler whd_01…\n  billet webhooks replay scheduler $(billet webhooks deliveries scheduler --failed -o id)",
	}
	t.suggest(cmd, webhookIDs)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		var again []client.WebhookDelivery
		for _, id := range args[1:] {
			d, err := c.Webhooks.Replay(ctx, w.ID, id)
			if err != nil {
				if len(again) > 0 {
					t.note("%d of %d are sent again; the rest is not.", len(again), len(args)-1)
				}
				return err
			}
			again = append(again, *d)
			if t.forPeople() {
				if err := t.print(clean(fmt.Sprintf("%s (%s) is sent again.", d.ID, d.Type))); err != nil {
					return err
				}
			}
		}
		if t.forPeople() {
			return nil
		}
		return list(t, deliveryListing, again)
	})
}

func (t *tool) webhookTest() *cobra.Command {
	cmd := &cobra.Command{
		Use: "test <webhook>", Short: "Send a test event, and show the receiver's answer", Args: cobra.ExactArgs(1),
		Long:    "Sends an event of the type webhook.test once, also to a webhook that is paused, and shows how the receiver took it. It ends with exit code 1 where that was no 2xx.",
		Example: "  billet webhooks test scheduler",
	}
	t.suggest(cmd, webhookIDs)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		d, err := c.Webhooks.Test(ctx, w.ID)
		if err == nil {
			d, err = t.tried(ctx, c, d)
		}
		if err != nil {
			return err
		}
		if err := t.showTry(w, d); err != nil {
			return err
		}
		if d.Status != client.DeliveryDelivered {
			return exit(exitOther)
		}
		return nil
	})
}

// tried waits until the delivery was tried. The server does so at once, and waits for the receiver for 15 seconds.
func (t *tool) tried(ctx context.Context, c *client.Client, d *client.WebhookDelivery) (*client.WebhookDelivery, error) {
	const patience, every = 30 * time.Second, 500 * time.Millisecond
	for range int(patience / every) {
		if d.Status != client.DeliveryPending {
			return d, nil
		}
		if err := t.sleep(ctx, every); err != nil {
			return nil, err
		}
		p, err := c.Webhooks.Deliveries(ctx, d.WebhookID, client.WebhookDeliveryQuery{Paging: client.Paging{Limit: client.PageSize}})
		if err != nil {
			return nil, err
		}
		for i := range p.Items {
			if p.Items[i].ID == d.ID {
				d = &p.Items[i]
			}
		}
	}
	return nil, &fault{exitUnavailable, "NOT_TRIED", fmt.Sprintf("the server has not sent the test within %s. 'billet webhooks deliveries %s' shows when it has.", patience, d.WebhookID)}
}

// showTry tells people, or programs, how a test was taken.
func (t *tool) showTry(w *client.Webhook, d *client.WebhookDelivery) error {
	if !t.forPeople() || len(d.Attempts) == 0 {
		return show(t, d.ID, d, row{"Test", string(d.Status)})
	}
	a := d.Attempts[len(d.Attempts)-1]
	outcome := "NOT TAKEN by "
	if d.Status == client.DeliveryDelivered {
		outcome = "taken by "
	}
	return show(t, d.ID, d, row{"Test", outcome + w.URL}, row{"Answer", fmt.Sprintf("%s, after %d ms", answered(a), a.DurationMS)}, row{"Text", strings.TrimSpace(a.Response)})
}
