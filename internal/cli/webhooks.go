package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var webhookListing = listing[client.Webhook]{
	id: func(w client.Webhook) string { return w.ID },
	columns: []column[client.Webhook]{
		{name: "id", head: "WEBHOOK", text: func(w client.Webhook) string { return w.ID }},
		{name: "status", head: "STATUS", text: func(w client.Webhook) string { return string(w.Status) }},
		{name: "url", head: "ADDRESS", text: func(w client.Webhook) string { return w.URL }},
		{name: "types", head: "EVENTS", text: webhookTypes, raw: func(w client.Webhook) string { return strings.Join(w.Types, " ") }},
		{name: "lastDeliveredAt", head: "LAST DELIVERED", text: func(w client.Webhook) string { return whenever(w.LastDeliveredAt) }, raw: func(w client.Webhook) string { return stampOf(w.LastDeliveredAt) }},
		{name: "failingSince", head: "FAILING SINCE", text: func(w client.Webhook) string { return whenever(w.FailingSince) }, raw: func(w client.Webhook) string { return stampOf(w.FailingSince) }},
		{name: "description", head: "FOR", wide: true, text: func(w client.Webhook) string { return w.Description }},
		{name: "createdAt", head: "CREATED", wide: true, text: func(w client.Webhook) string { return when(w.CreatedAt) }, raw: func(w client.Webhook) string { return stamp(w.CreatedAt) }},
	},
	none: "No webhooks. 'billet webhooks create' makes one; 'billet events --follow' shows events here.",
}

func webhookTypes(w client.Webhook) string {
	if len(w.Types) == 0 {
		return "all"
	}
	return strings.Join(w.Types, " ")
}

func (t *tool) webhooks() *cobra.Command {
	cmd := &cobra.Command{
		Use: "webhooks", Aliases: []string{"webhook", "hooks"}, Short: "Have your events sent to an address of yours", Args: cobra.NoArgs,
		Long: `Shows the addresses to which your events are sent, signed by the Standard Webhooks specification: at least once each, and for 72 hours
until one is taken. A webhook is named by its id, its address or its description.`,
		Example: `  billet webhooks create --url https://example.com/billet --event deployment.running,deployment.failed
  billet webhooks test https://example.com/billet
  billet webhooks deliveries https://example.com/billet --failed`,
	}
	t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := collect(c.Webhooks.All(ctx))
		if err != nil {
			return err
		}
		return list(t, webhookListing, items)
	})
	cmd.AddCommand(t.webhookCreate(), t.webhookShow(), t.webhookUpdate(), t.webhookPause(), t.webhookResume(), t.webhookRemove(), t.webhookRotate(),
		t.webhookTest(), t.webhookDeliveries(), t.webhookReplay())
	return cmd
}

// webhook finds a webhook by its id, address or description.
func webhook(ctx context.Context, c *client.Client, ref string) (*client.Webhook, error) {
	if strings.HasPrefix(ref, "whk_") {
		if w, err := c.Webhooks.Get(ctx, ref); !noID(err) {
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
	return theOne("webhook", ref, found, nil, func(w client.Webhook) string { return w.ID })
}

func webhookIDs(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	items, err := collect(c.Webhooks.All(ctx))
	ids := make([]cobra.Completion, len(items))
	for i, w := range items {
		ids[i] = cobra.CompletionWithDesc(w.ID, w.URL)
	}
	return ids, err
}

const eventsHelp = "only events of these types, such as deployment.running, or deployment.* for all that begin so"

func (t *tool) webhookCreate() *cobra.Command {
	var in client.CreateWebhook
	var paused bool
	cmd := &cobra.Command{
		Use: "create", Aliases: []string{"add"}, Short: "Have events sent to an address", Args: cobra.NoArgs,
		Long: `Has what happens from now on sent to an address, and prints the secret that requests are signed with. It is shown this once.

The address must be https and public, and answer with 2xx within 15 seconds.`,
		Example: `  billet webhooks create --url https://example.com/billet
  billet webhooks create --url https://example.com/billet --event 'deployment.*,account.*' --description scheduler
  billet webhooks create --url https://example.com/billet -o json | jq -r .secret > secret`,
	}
	f := cmd.Flags()
	f.StringVar(&in.URL, "url", "", "where events are sent")
	f.StringSliceVar(&in.Types, "event", nil, eventsHelp+"; all without this")
	f.StringVar(&in.Description, "description", "", "what it is for")
	f.BoolVar(&paused, "paused", false, "send nothing before 'billet webhooks resume', and then everything from now on")
	return t.act(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if in.URL == "" {
			return usage("--url must be given: where events are sent.")
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
		return t.showSecret(w, fmt.Sprintf("'billet webhooks test %s' sends an event to try it.", w.ID))
	})
}

// showsSecret refuses formats that would leave the secret out, before there is one.
func (t *tool) showsSecret() error {
	if t.format == "id" {
		return usage("-o id would leave the secret out, which is shown only once; take json.")
	}
	return nil
}

// showSecret answers with a webhook whose secret is shown this once, and says what it is for.
func (t *tool) showSecret(w *client.NewWebhook, next string) error {
	if err := show(t, w.ID, w, row{"Webhook", w.ID}, row{"Address", w.URL}, row{"Events", webhookTypes(w.Webhook)}, row{"Status", string(w.Status)},
		row{"Secret", w.Secret}, row{"Old secret", oldSecret(&w.Webhook)}); err != nil || !t.forPeople() {
		return err
	}
	t.note(`
The secret is shown only now: keep it. Verify every request with it, by a library of Standard Webhooks, or so:
  HMAC-SHA256, with the bytes that follow whsec_ in base64, of "<webhook-id>.<webhook-timestamp>.<body>", the body as it came,
  is in base64 one of the signatures v1,… in the header webhook-signature. Refuse a timestamp more than five minutes off.
%s`, next)
	return nil
}

func oldSecret(w *client.Webhook) string {
	if w.OldSecretValidUntil == nil {
		return ""
	}
	return "requests are signed with it, too, until " + when(*w.OldSecretValidUntil)
}

func (t *tool) webhookShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show <webhook>", Short: "Everything about one webhook, but its secret", Args: cobra.ExactArgs(1), Example: "  billet webhooks show scheduler"}
	t.suggest(cmd, webhookIDs)
	return t.verb(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		last := "never"
		if w.LastDeliveredAt != nil {
			last = when(*w.LastDeliveredAt)
		}
		return show(t, w.ID, w, row{"Webhook", w.ID}, row{"Address", w.URL}, row{"For", w.Description}, row{"Events", webhookTypes(*w)}, row{"Status", string(w.Status)},
			row{"Reason", or(w.StatusReason, "")}, row{"Failing since", whenever(w.FailingSince)}, row{"Last delivered", last}, row{"Old secret", oldSecret(w)}, row{"Created", when(w.CreatedAt)})
	})
}

func (t *tool) webhookUpdate() *cobra.Command {
	var in client.UpdateWebhook
	var description string
	var all bool
	cmd := &cobra.Command{
		Use: "update <webhook>", Aliases: []string{"set"}, Short: "Change a webhook's address, events or description", Args: cobra.ExactArgs(1),
		Example: "  billet webhooks update scheduler --url https://example.com/new\n  billet webhooks update scheduler --all-events",
	}
	f := cmd.Flags()
	f.StringVar(&in.URL, "url", "", "where events are sent")
	f.StringSliceVar(&in.Types, "event", nil, eventsHelp)
	f.BoolVar(&all, "all-events", false, "events of all types")
	f.StringVar(&description, "description", "", "what it is for; an empty one takes it away")
	cmd.MarkFlagsMutuallyExclusive("event", "all-events")
	t.suggest(cmd, webhookIDs)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if all {
			in.Types = []string{}
		}
		if f.Changed("description") {
			in.Description = &description
		}
		if in.URL == "" && in.Types == nil && in.Description == nil {
			return usage("say what to change: --url, --event, --all-events or --description.")
		}
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		if w, err = c.Webhooks.Update(ctx, w.ID, in); err != nil {
			return err
		}
		return did(t, w.ID, w, "%s gets %s events at %s.", w.ID, webhookTypes(*w), w.URL)
	})
}

func (t *tool) webhookPause() *cobra.Command {
	return t.webhookSwitch(&cobra.Command{
		Use: "pause <webhook>", Aliases: []string{"disable"}, Short: "Send nothing for now", Args: cobra.ExactArgs(1), Example: "  billet webhooks pause scheduler",
		Long: "Sends nothing more, until it is resumed; then what happened meanwhile is sent, too.",
	}, false, "%s is paused: nothing is sent to %s. What happens meanwhile is sent when it is resumed.")
}

func (t *tool) webhookResume() *cobra.Command {
	return t.webhookSwitch(&cobra.Command{
		Use: "resume <webhook>", Aliases: []string{"enable"}, Short: "Send again, and what happened meanwhile, too", Args: cobra.ExactArgs(1), Example: "  billet webhooks resume scheduler",
		Long: "Sends again where it stopped: what happened meanwhile is sent, too. It is for webhooks that Billet has paused, too.",
	}, true, "%s is resumed: events are sent to %s, those that happened meanwhile, too.")
}

func (t *tool) webhookSwitch(cmd *cobra.Command, on bool, said string) *cobra.Command {
	t.suggest(cmd, webhookIDs)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		if w, err = c.Webhooks.Update(ctx, w.ID, client.UpdateWebhook{Enabled: &on}); err != nil {
			return err
		}
		return did(t, w.ID, w, said, w.ID, w.URL)
	})
}

func (t *tool) webhookRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm <webhook>", Aliases: []string{"remove", "delete"}, Short: "Delete a webhook and its log", Args: cobra.ExactArgs(1),
		Long:    "Deletes a webhook, its secret and the log of its deliveries. What was not delivered yet never is.",
		Example: "  billet webhooks rm scheduler",
	}
	yesFlag(cmd, &yes)
	t.suggest(cmd, webhookIDs)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		if err := t.agreeToLoss(ctx, yes, fmt.Sprintf("Delete the webhook to %s? What was not delivered yet never is.", w.URL)); err != nil {
			return err
		}
		if err := c.Webhooks.Delete(ctx, w.ID); err != nil {
			return err
		}
		return did(t, w.ID, w, "Deleted the webhook to %s.", w.URL)
	})
}

func (t *tool) webhookRotate() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rotate-secret <webhook>", Short: "Make a new secret, and show it once", Args: cobra.ExactArgs(1),
		Long:    "Makes a new secret and prints it this once. For 24 hours requests are signed with the one before, too, so that nothing is lost while you change it.",
		Example: "  billet webhooks rotate-secret scheduler\n  billet webhooks rotate-secret scheduler --yes -o json | jq -r .secret > secret",
	}
	yesFlag(cmd, &yes)
	t.suggest(cmd, webhookIDs)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if err := t.showsSecret(); err != nil {
			return err
		}
		w, err := webhook(ctx, c, args[0])
		if err != nil {
			return err
		}
		if err := t.agree(ctx, yes, fmt.Sprintf("Make a new secret for the webhook to %s? The one before ends in 24 hours.", w.URL)); err != nil {
			return err
		}
		renewed, err := c.Webhooks.RotateSecret(ctx, w.ID)
		if err != nil {
			return err
		}
		return t.showSecret(renewed, "For 24 hours requests are signed with the secret before, too.")
	})
}
