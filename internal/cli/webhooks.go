package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var webhookCol columnsOf[client.Webhook]

var webhookListing = listing[client.Webhook]{
	id: func(w client.Webhook) string { return w.ID },
	columns: []column[client.Webhook]{
		webhookCol.text("id", "WEBHOOK", func(w client.Webhook) string { return w.ID }),
		webhookCol.text("status", "STATUS", func(w client.Webhook) string { return string(w.Status) }),
		webhookCol.text("url", "URL", func(w client.Webhook) string { return w.URL }),
		{
			name: "types", head: "EVENTS",
			text: webhookTypes, raw: func(w client.Webhook) string { return strings.Join(w.Types, " ") },
		},
		webhookCol.optionalTime("lastDeliveredAt", "LAST DELIVERED",
			func(w client.Webhook) *time.Time { return w.LastDeliveredAt }),
		webhookCol.optionalTime("failingSince", "FAILING SINCE",
			func(w client.Webhook) *time.Time { return w.FailingSince }),
		webhookCol.text("description", "DESCRIPTION",
			func(w client.Webhook) string { return w.Description }).onlyWide(),
		webhookCol.time("createdAt", "CREATED", func(w client.Webhook) time.Time { return w.CreatedAt }).onlyWide(),
	},
	none: "No webhooks. Run 'billet webhooks create' to create one, or 'billet events --follow' to see events here.",
}

func webhookTypes(w client.Webhook) string {
	if len(w.Types) == 0 {
		return "all"
	}
	return strings.Join(w.Types, " ")
}

func (t *tool) webhooks() *cobra.Command {
	cmd := &cobra.Command{
		Use: "webhooks", Aliases: []string{"webhook", "hooks"}, Short: "Manage webhooks", Args: cobra.NoArgs,
		Long: `Lists your webhooks: endpoints that receive your events, signed as in Standard
Webhooks, at least once, with retries for up to 72 hours. Refer to a webhook by ID, URL or
description.`,
		Example: `  billet webhooks create --url https://example.com/billet --event deployment.running,deployment.failed
  billet webhooks test https://example.com/billet
  billet webhooks deliveries https://example.com/billet --failed`,
	}
	listAll(t, cmd, webhookListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.Webhook, error] {
		return c.Webhooks.All(ctx)
	})
	cmd.AddCommand(t.webhookCreate(), t.webhookShow(), t.webhookUpdate(), t.webhookPause(), t.webhookResume(),
		t.webhookRemove(), t.webhookRotate(),
		t.webhookTest(), t.webhookDeliveries(), t.webhookReplay())
	return cmd
}

// webhook finds a webhook by id, URL or description.
func webhook(ctx context.Context, c *client.Client, ref string) (*client.Webhook, error) {
	if strings.HasPrefix(ref, "whk_") {
		if w, err := c.Webhooks.Get(ctx, ref); !isUnknownID(err) {
			return w, err
		}
	}
	var found []client.Webhook
	for w, err := range c.Webhooks.All(ctx) {
		if err != nil {
			return nil, err
		}
		if w.URL == ref || w.Description == ref {
			found = append(found, w)
		}
	}
	return resolve("webhook", ref, found, nil, func(w client.Webhook) string { return w.ID })
}

func webhookIDs(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	items, err := collect(c.Webhooks.All(ctx))
	ids := make([]cobra.Completion, len(items))
	for i, w := range items {
		ids[i] = cobra.CompletionWithDesc(w.ID, w.URL)
	}
	return ids, err
}

const eventsHelp = "only events of these `type`s, such as deployment.running or deployment.*"

func (t *tool) webhookCreate() *cobra.Command {
	var in client.CreateWebhook
	var paused bool
	cmd := &cobra.Command{
		Use: "create", Aliases: []string{"add"}, Short: "Create a webhook", Args: cobra.NoArgs,
		Long: `Creates a webhook that receives events from now on, and prints its signing secret,
which is shown only once.

The URL must use https, have a public address, and respond with 2xx within 15 seconds.`,
		Example: `  billet webhooks create --url https://example.com/billet
  billet webhooks create --url https://example.com/billet --event 'deployment.*,account.*' --description scheduler
  billet webhooks create --url https://example.com/billet -o json | jq -r .secret > secret`,
	}
	f := cmd.Flags()
	f.StringVar(&in.URL, "url", "", "`URL` that receives events")
	f.StringSliceVar(&in.Types, "event", nil, eventsHelp+"; default: all")
	f.StringVar(&in.Description, "description", "", "`text` for your own use")
	f.BoolVar(&paused, "paused", false, "start paused; 'billet webhooks resume' then sends everything from now on")
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if in.URL == "" {
			return usageError("missing --url: the URL that receives events.")
		}
		if err := t.showsSecret(); err != nil {
			return err
		}
		if on := false; paused {
			in.Enabled = &on
		}
		w, err := c.Webhooks.Create(ctx, in)
		if err != nil {
			return err
		}
		return t.showSecret(w, fmt.Sprintf("Run 'billet webhooks test %s' to send a test event.", w.ID))
	})
}

// showsSecret rejects formats that leave the secret out, before it is created.
func (t *tool) showsSecret() error {
	if t.format == "id" {
		return usageError("-o id omits the secret, which is shown only once. Use json.")
	}
	return nil
}

// showSecret prints a webhook with its secret, and how to use the secret.
func (t *tool) showSecret(w *client.NewWebhook, next string) error {
	err := show(t, w.ID, w, row{"Webhook", w.ID}, row{"URL", w.URL}, row{"Events", webhookTypes(w.Webhook)},
		row{"Status", string(w.Status)}, row{"Secret", w.Secret}, row{"Old secret", oldSecret(&w.Webhook)})
	if err != nil || !t.humanOutput() {
		return err
	}
	t.note(`
Save the secret now: it is not shown again. Verify each request with a Standard Webhooks library, or like this:
  Compute the HMAC-SHA256 of "<webhook-id>.<webhook-timestamp>.<body>", where <body> is the raw request body.
  The HMAC key is the base64-decoded part of the secret after whsec_.
  Compare the result, in base64, to the v1,… signatures in the webhook-signature header.
  Reject timestamps more than five minutes off.
%s`, next)
	return nil
}

func oldSecret(w *client.Webhook) string {
	if w.OldSecretValidUntil == nil {
		return ""
	}
	return "also signs requests until " + localTime(*w.OldSecretValidUntil)
}

func (t *tool) webhookShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show <webhook>",
		Short:   "Show a webhook",
		Args:    cobra.ExactArgs(1),
		Example: "  billet webhooks show scheduler",
	}
	t.completeFirstArg(cmd, webhookIDs)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		last := "never"
		if w.LastDeliveredAt != nil {
			last = localTime(*w.LastDeliveredAt)
		}
		return show(
			t,
			w.ID,
			w,
			row{"Webhook", w.ID},
			row{"URL", w.URL},
			row{"Description", w.Description},
			row{
				"Events",
				webhookTypes(*w),
			},
			row{"Status", string(w.Status)},
			row{"Reason", valueOr(w.StatusReason, "")},
			row{"Failing since", optionalTime(w.FailingSince)},
			row{"Last delivered", last},
			row{"Old secret", oldSecret(w)},
			row{"Created", localTime(w.CreatedAt)},
		)
	})
}

func (t *tool) webhookUpdate() *cobra.Command {
	var in client.UpdateWebhook
	var description string
	var all bool
	cmd := &cobra.Command{
		Use: "update <webhook>", Aliases: []string{"set"}, Short: "Update a webhook", Args: cobra.ExactArgs(1),
		Example: "  billet webhooks update scheduler --url https://example.com/new\n" +
			"  billet webhooks update scheduler --all-events",
	}
	f := cmd.Flags()
	f.StringVar(&in.URL, "url", "", "`URL` that receives events")
	f.StringSliceVar(&in.Types, "event", nil, eventsHelp)
	f.BoolVar(&all, "all-events", false, "receive events of all types")
	f.StringVar(&description, "description", "", "new `text`; empty to remove it")
	cmd.MarkFlagsMutuallyExclusive("event", "all-events")
	t.completeFirstArg(cmd, webhookIDs)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if all {
			in.Types = []string{}
		}
		if f.Changed("description") {
			in.Description = &description
		}
		if in.URL == "" && in.Types == nil && in.Description == nil {
			return usageError("nothing to change. Use --url, --event, --all-events or --description.")
		}
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		if w, err = c.Webhooks.Update(ctx, w.ID, in); err != nil {
			return err
		}
		return printResult(t, w.ID, w, "%s sends %s events to %s.", w.ID, webhookTypes(*w), w.URL)
	})
}

func (t *tool) webhookPause() *cobra.Command {
	return t.webhookSwitch(&cobra.Command{
		Use: "pause <webhook>", Aliases: []string{"disable"}, Short: "Pause a webhook", Args: cobra.ExactArgs(1),
		Example: "  billet webhooks pause scheduler",
		Long:    "Stops sending events to a webhook. Events in the meantime are sent when you resume it.",
	}, false, "%s is paused: nothing is sent to %s. Events in the meantime are sent when you resume it.")
}

func (t *tool) webhookResume() *cobra.Command {
	return t.webhookSwitch(&cobra.Command{
		Use: "resume <webhook>", Aliases: []string{"enable"}, Short: "Resume a webhook", Args: cobra.ExactArgs(1),
		Example: "  billet webhooks resume scheduler",
		Long: "Resumes sending, beginning with the events missed while paused. It also resumes a webhook that\n" +
			"Billet paused.",
	}, true, "%s is resumed: events are sent to %s, including those missed while paused.")
}

func (t *tool) webhookSwitch(cmd *cobra.Command, on bool, message string) *cobra.Command {
	t.completeFirstArg(cmd, webhookIDs)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		if w, err = c.Webhooks.Update(ctx, w.ID, client.UpdateWebhook{Enabled: &on}); err != nil {
			return err
		}
		return printResult(t, w.ID, w, message, w.ID, w.URL)
	})
}

func (t *tool) webhookRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm <webhook>", Aliases: []string{"remove", "delete"}, Short: "Delete a webhook and its deliveries",
		Args:    cobra.ExactArgs(1),
		Long:    "Deletes a webhook, its secret and its delivery log. Pending deliveries are discarded.",
		Example: "  billet webhooks rm scheduler",
	}
	yesFlag(cmd, &yes)
	t.completeFirstArg(cmd, webhookIDs)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		question := fmt.Sprintf("Delete the webhook to %s? Pending deliveries are discarded.", w.URL)
		if err := t.confirmDestructive(ctx, yes, question); err != nil {
			return err
		}
		if err := c.Webhooks.Delete(ctx, w.ID); err != nil {
			return err
		}
		return printResult(t, w.ID, w, "Deleted the webhook to %s.", w.URL)
	})
}

func (t *tool) webhookRotate() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rotate-secret <webhook>", Short: "Rotate a webhook's secret", Args: cobra.ExactArgs(1),
		Long: "Creates a new secret and prints it once. For 24 hours, requests are signed with the old secret\n" +
			"as well.",
		Example: "  billet webhooks rotate-secret scheduler\n" +
			"  billet webhooks rotate-secret scheduler --yes -o json | jq -r .secret > secret",
	}
	yesFlag(cmd, &yes)
	t.completeFirstArg(cmd, webhookIDs)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if err := t.showsSecret(); err != nil {
			return err
		}
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		question := fmt.Sprintf("Rotate the secret of the webhook to %s? The old one expires in 24 hours.", w.URL)
		if err := t.confirm(ctx, yes, question); err != nil {
			return err
		}
		renewed, err := c.Webhooks.RotateSecret(ctx, w.ID)
		if err != nil {
			return err
		}
		return t.showSecret(renewed, "For 24 hours, requests are signed with the old secret as well.")
	})
}
