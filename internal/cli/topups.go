package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var topUpCol columnsOf[client.TopUp]

var topUpListing = listing[client.TopUp]{
	id: func(p client.TopUp) string { return p.ID },
	columns: []column[client.TopUp]{
		topUpCol.text("id", "TOP-UP", func(p client.TopUp) string { return p.ID }),
		topUpCol.text("status", "STATUS", func(p client.TopUp) string { return string(p.Status) }),
		topUpCol.money("amount", "AMOUNT", total, func(p client.TopUp) client.Money { return p.Amount }),
		topUpCol.money("received", "RECEIVED", total, func(p client.TopUp) client.Money { return p.Received }),
		topUpCol.time("createdAt", "CREATED", func(p client.TopUp) time.Time { return p.CreatedAt }),
		topUpCol.yesNo("automatic", "AUTOMATIC", func(p client.TopUp) bool { return p.Automatic }),
		topUpCol.text("failureMessage", "FAILURE",
			func(p client.TopUp) string { return valueOr(p.FailureMessage, "") }),
		topUpCol.money("refunded", "REFUNDED", total,
			func(p client.TopUp) client.Money { return p.Refunded }).onlyWide(),
		topUpCol.money("disputed", "DISPUTED", total,
			func(p client.TopUp) client.Money { return p.Disputed }).onlyWide(),
		topUpCol.text("processor", "PROCESSOR", func(p client.TopUp) string { return p.Processor }).onlyWide(),
		topUpCol.text("createdBy", "CREATED BY", func(p client.TopUp) string { return p.CreatedBy.Name }).onlyWide(),
		topUpCol.text("checkoutUrl", "PAYMENT PAGE",
			func(p client.TopUp) string { return valueOr(p.CheckoutURL, "") }).onlyWide(),
	},
	none: "No top-ups. Run 'billet top-up 100' to add $100 to your balance.",
}

func (t *tool) topUps() *cobra.Command {
	var status string
	limit := 50
	cmd := &cobra.Command{
		Use: "top-ups", Short: "List top-ups", Args: cobra.NoArgs,
		Long: `Lists top-ups, newest first, paid and pending. -o wide shows the payment pages of pending ones.

A table shows the newest 50 unless --limit is set; json, yaml, csv and id have all.`,
		Example: `  billet top-ups
  billet top-ups --status pending -o wide
  billet top-ups receipt top_… -O receipt.pdf`,
	}
	cmd.AddCommand(t.topUpReceipt())
	cmd.Flags().StringVar(&status, "status", "", "only top-ups with this `status`: "+joined(client.TopUpStatuses()))
	cmd.Flags().IntVar(&limit, "limit", limit, "maximum `number` in a table; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("status", fixed(client.TopUpStatuses()))
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if limit < 0 {
			return usageError("--limit must be at least 0.")
		}
		most := limit
		if !t.humanOutput() && !cmd.Flags().Changed("limit") {
			most = 0
		}
		q := client.TopUpQuery{Status: client.TopUpStatus(status)}
		return listLimited(t, topUpListing, c.TopUps.All(ctx, q), most)
	})
}

func (t *tool) topUpReceipt() *cobra.Command {
	var format, file, refund string
	cmd := &cobra.Command{
		Use: "receipt <top-up>", Short: "Download a receipt as a file", Args: cobra.ExactArgs(1),
		Long: `Downloads the receipt of a top-up whose money was credited, or with --refund of one of its refunds.
Every download has the same bytes. A receipt is not a tax document: 'billet invoices' lists those.`,
		Example: `  billet top-ups receipt top_01kbagk6zx3nq0
  billet top-ups receipt top_01kbagk6zx3nq0 --refund ref_01kbagq2m1v8rc -O refund.pdf`,
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "pdf", "pdf or html")
	f.StringVar(&refund, "refund", "", "`ID` of a refund of the top-up")
	f.StringVarP(&file, "output-file", "O", "", "`file` to write; - for standard output; default: receipt and the ID")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"pdf", "html"},
		cobra.ShellCompDirectiveNoFileComp))
	t.completeFirstArg(cmd, func(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
		items, err := collect(c.TopUps.All(ctx, client.TopUpQuery{}))
		found := make([]cobra.Completion, len(items))
		for i, p := range items {
			found[i] = cobra.CompletionWithDesc(p.ID, total(p.Amount)+" "+string(p.Status))
		}
		return found, err
	})
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if format != "pdf" && format != "html" {
			return usageError("--format must be pdf or html, not %q.", format)
		}
		q := client.ReceiptQuery{Refund: refund}
		body, err := c.TopUps.DownloadReceipt(ctx, args[0], q, client.InvoiceFormat(format))
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		id := valueIf(refund, args[0])
		if file == "" {
			file = "receipt-" + id + "." + format
		}
		return t.save(id, file, body)
	})
}

func (t *tool) topUp() *cobra.Command {
	var in client.CreateTopUp
	var noWait bool
	cmd := &cobra.Command{
		Use: "top-up <amount>", Short: "Pay money into your balance", Args: cobra.ExactArgs(1),
		Long: `Creates a top-up, prints the address of its payment page on standard error, and waits until the
payment has succeeded or failed. The exit code is 9 if it failed or its page expired.

Ctrl-C stops waiting but does not cancel the top-up: its page stays open, and a payment there still
counts. Bank transfers take days, so use --no-wait for them.

The API key needs the scope wallet:write, which must be selected when the key is created.`,
		Example: `  billet top-up 100
  billet top-up 100 --save-payment-method    # for automatic top-ups
  billet top-up 100 --no-wait -o json | jq -r .checkoutUrl`,
	}
	f := cmd.Flags()
	f.BoolVar(&in.SavePaymentMethod, "save-payment-method", false, "save the payment method for automatic top-ups")
	f.StringVar(&in.ReturnURL, "return-url", "", "`URL` to return to after payment; default: the wallet")
	f.BoolVar(&noWait, "no-wait", false, "do not wait for the payment")
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		usd, err := dollars("<amount>", args[0])
		if err != nil {
			return err
		}
		in.Amount = usd
		made, err := c.TopUps.Create(ctx, in)
		if err != nil {
			return err
		}
		if noWait {
			page := "The payment page is not ready yet. 'billet top-ups -o wide' will show it."
			if made.CheckoutURL != nil {
				page = "Pay on this page: " + *made.CheckoutURL
			}
			return printResult(t, made.ID, made, "Created the top-up %s of %s.\n%s", made.ID, total(made.Amount), page)
		}
		paid, err := t.waitForTopUp(ctx, c, made)
		if err != nil {
			return err
		}
		return printResult(t, paid.ID, paid, "%s", topUpText(paid))
	})
}

// waitForTopUp waits until a top-up has ended, and tells the page and what happens on it.
func (t *tool) waitForTopUp(ctx context.Context, c *client.Client, made *client.TopUp) (*client.TopUp, error) {
	page, failure := false, ""
	progress := func(p *client.TopUp) {
		if p.Status != client.TopUpPending {
			return
		}
		if p.CheckoutURL != nil && !page {
			page = true
			t.note("Pay %s on this page:\n\n    %s\n", total(p.Amount), clean(*p.CheckoutURL))
			if p.ExpiresAt != nil {
				t.note("Waiting for the payment until %s. Press Ctrl-C to stop waiting.", localTime(*p.ExpiresAt))
			}
		}
		if now := valueOr(p.FailureMessage, ""); now != failure {
			failure = now
			t.note("  ✗ %s", clean(now))
		}
	}
	progress(made)
	if !page {
		t.note("The payment page is being made …")
	}
	paid, err := c.TopUps.Wait(ctx, made.ID, progress)
	if err != nil && ctx.Err() != nil && !t.machineOutput() {
		t.note("billet: the top-up %s can still be paid. 'billet top-ups -o wide' shows its status and page.", made.ID)
	}
	return paid, err
}

// topUpText says how a top-up has ended.
func topUpText(p *client.TopUp) string {
	if p.Status == client.TopUpSucceeded {
		return fmt.Sprintf("Received %s.", total(p.Received))
	}
	return fmt.Sprintf("Received %s; the top-up is %s.", total(p.Received), p.Status)
}

var methodCol columnsOf[client.PaymentMethod]

var methodListing = listing[client.PaymentMethod]{
	id: func(m client.PaymentMethod) string { return m.ID },
	columns: []column[client.PaymentMethod]{
		methodCol.text("id", "PAYMENT METHOD", func(m client.PaymentMethod) string { return m.ID }),
		methodCol.text("type", "TYPE", func(m client.PaymentMethod) string { return m.Type }),
		methodCol.text("brand", "BRAND", func(m client.PaymentMethod) string { return m.Brand }),
		methodCol.text("last4", "LAST 4", func(m client.PaymentMethod) string { return m.Last4 }),
		methodCol.text("expiry", "EXPIRES", methodExpiry),
		methodCol.time("createdAt", "CREATED", func(m client.PaymentMethod) time.Time { return m.CreatedAt }),
		methodCol.text("processor", "PROCESSOR", func(m client.PaymentMethod) string { return m.Processor }).onlyWide(),
	},
	none: "No payment methods. Run 'billet top-up <amount> --save-payment-method' to save one.",
}

func methodExpiry(m client.PaymentMethod) string {
	if m.ExpiryYear == 0 {
		return ""
	}
	return fmt.Sprintf("%04d-%02d", m.ExpiryYear, m.ExpiryMonth)
}

// methodText describes a payment method: "visa card •••• 4242".
func methodText(m client.PaymentMethod) string {
	text := m.Type
	if m.Brand != "" {
		text = m.Brand + " " + text
	}
	if m.Last4 != "" {
		text += " •••• " + m.Last4
	}
	return text
}

func (t *tool) paymentMethods() *cobra.Command {
	cmd := &cobra.Command{
		Use: "payment-methods", Aliases: []string{"payment-method"}, Short: "Manage saved payment methods",
		Args: cobra.NoArgs,
		Long: `Lists saved payment methods, newest first. Automatic top-ups charge the newest one. A top-up
with --save-payment-method saves one.`,
		Example: `  billet payment-methods
  billet payment-methods rm 4242`,
	}
	listAll(t, cmd, methodListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.PaymentMethod, error] {
		return c.TopUps.AllPaymentMethods(ctx)
	})
	cmd.AddCommand(t.paymentMethodRemove())
	return cmd
}

func (t *tool) paymentMethodRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm <payment-method>", Aliases: []string{"remove", "delete"}, Short: "Delete a saved payment method",
		Args: cobra.ExactArgs(1),
		Long: `Deletes a saved payment method, named by ID or its last four digits. Automatic top-ups stop if
it was the last one.`,
		Example: "  billet payment-methods rm 4242 --yes",
	}
	yesFlag(cmd, &yes)
	t.completeFirstArg(cmd, func(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
		items, err := collect(c.TopUps.AllPaymentMethods(ctx))
		found := make([]cobra.Completion, len(items))
		for i, m := range items {
			found[i] = cobra.CompletionWithDesc(m.ID, methodText(m))
		}
		return found, err
	})
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		var found []client.PaymentMethod
		for m, err := range c.TopUps.AllPaymentMethods(ctx) {
			if err != nil {
				return err
			}
			if m.ID == args[0] || m.Last4 != "" && m.Last4 == args[0] {
				found = append(found, m)
			}
		}
		if len(found) == 0 {
			return &cliError{
				exitNotFound, "NOT_FOUND", fmt.Sprintf("no payment method with ID or last four digits %q.", args[0]),
			}
		}
		m, err := resolve("payment method", args[0], found, nil, func(m client.PaymentMethod) string { return m.ID })
		if err != nil {
			return err
		}
		question := fmt.Sprintf("Delete the %s? It is no longer charged automatically.", clean(methodText(*m)))
		if err := t.confirm(ctx, yes, question); err != nil {
			return err
		}
		if err := c.TopUps.DeletePaymentMethod(ctx, m.ID); err != nil {
			return err
		}
		return printResult(t, m.ID, m, "Deleted the %s.", methodText(*m))
	})
}

func (t *tool) autoTopUp() *cobra.Command {
	cmd := &cobra.Command{
		Use: "auto-top-up", Short: "Show or set the automatic top-up", Args: cobra.NoArgs,
		Long: `Shows the automatic top-up: when the available balance falls below the threshold, the newest saved
payment method is charged the amount, up to the monthly limit (UTC). Automatic top-ups stop after
failures; 'billet auto-top-up set' starts them again.`,
		Example: `  billet auto-top-up
  billet auto-top-up set --threshold 50 --amount 200 --monthly-limit 1000
  billet auto-top-up off`,
	}
	t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if t.format == "id" {
			return usageError("an automatic top-up has no ID. Use json or yaml.")
		}
		a, err := c.TopUps.Automatic(ctx)
		if err != nil {
			return err
		}
		method := "none"
		if a.PaymentMethod != nil {
			method = methodText(*a.PaymentMethod)
		}
		return show(t, "", a,
			row{"Automatic top-up", map[bool]string{true: "on", false: "off"}[a.Enabled]},
			row{"Stopped", valueOr(a.StoppedReason, "")},
			row{"Threshold", total(a.Threshold)},
			row{"Amount", total(a.Amount)},
			row{"Monthly limit", total(a.MonthlyLimit)},
			row{"Used this month", total(a.UsedThisMonth)},
			row{"Payment method", method},
		)
	})
	cmd.AddCommand(t.autoTopUpSet(), t.autoTopUpOff())
	return cmd
}

func (t *tool) autoTopUpSet() *cobra.Command {
	var threshold, amount, limit string
	cmd := &cobra.Command{
		Use: "set", Short: "Turn on the automatic top-up", Args: cobra.NoArgs,
		Long: `Turns on the automatic top-up, or restarts it after it has stopped. Flags that you leave out keep
their previous values.`,
		Example: `  billet auto-top-up set --threshold 50 --amount 200 --monthly-limit 1000
  billet auto-top-up set --monthly-limit 2000`,
	}
	f := cmd.Flags()
	f.StringVar(&threshold, "threshold", "", "`USD`: below this available balance the account is topped up")
	f.StringVar(&amount, "amount", "", "`USD` of each automatic top-up")
	f.StringVar(&limit, "monthly-limit", "", "maximum `USD` of automatic top-ups in a month (UTC)")
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		before, err := c.TopUps.Automatic(ctx)
		if err != nil {
			return err
		}
		in := client.SetAutoTopUp{
			Enabled: true, Threshold: before.Threshold, Amount: before.Amount, MonthlyLimit: before.MonthlyLimit,
		}
		if err := autoTopUpFlags(&in, threshold, amount, limit); err != nil {
			return err
		}
		if before.PaymentMethod == nil {
			return &cliError{
				exitConflict, "CONFLICT",
				"there is no saved payment method. Run 'billet top-up <amount> --save-payment-method' first.",
			}
		}
		a, err := c.TopUps.SetAutomatic(ctx, in)
		if err != nil {
			return err
		}
		return printResult(t, "auto-top-up", a, "Below %s, %s are charged automatically, up to %s a month.",
			total(a.Threshold), total(a.Amount), total(a.MonthlyLimit))
	})
}

// autoTopUpFlags takes over the flags that are set. What was never set must be.
func autoTopUpFlags(in *client.SetAutoTopUp, threshold, amount, limit string) error {
	never := in.Amount == 0
	for _, f := range []struct {
		flag, text string
		into       *client.Money
	}{
		{"--threshold", threshold, &in.Threshold}, {"--amount", amount, &in.Amount},
		{"--monthly-limit", limit, &in.MonthlyLimit},
	} {
		if f.text == "" {
			if never {
				return usageError("missing %s: US dollars.", f.flag)
			}
			continue
		}
		usd, err := dollars(f.flag, f.text)
		if err != nil {
			return err
		}
		*f.into = usd
	}
	return nil
}

func (t *tool) autoTopUpOff() *cobra.Command {
	cmd := &cobra.Command{
		Use: "off", Short: "Turn off the automatic top-up", Args: cobra.NoArgs,
		Long:    "Turns off the automatic top-up. A payment in progress is not canceled.",
		Example: "  billet auto-top-up off",
	}
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		before, err := c.TopUps.Automatic(ctx)
		if err != nil {
			return err
		}
		a, err := c.TopUps.SetAutomatic(ctx, client.SetAutoTopUp{
			Threshold: before.Threshold, Amount: before.Amount, MonthlyLimit: before.MonthlyLimit,
		})
		// An amount that the operator no longer allows must not keep it on.
		if errors.Is(err, client.ErrInvalidRequest) {
			a, err = c.TopUps.SetAutomatic(ctx, client.SetAutoTopUp{})
		}
		if err != nil {
			return err
		}
		return printResult(t, "auto-top-up", a, "The automatic top-up is off.")
	})
}
