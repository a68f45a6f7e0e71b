package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// deployOptions are the flags of `billet deploy`.
type deployOptions struct {
	spec
	file    string
	yes     bool
	dry     bool
	noWait  bool
	timeout time.Duration
	key     string
}

func (t *tool) deploy() *cobra.Command {
	d := &deployOptions{spec: spec{Count: 1}}
	cmd := &cobra.Command{
		Use: "deploy", Aliases: []string{"create", "launch"}, Short: "Deploy a machine and wait for SSH",
		Args: cobra.NoArgs,
		Long: `Deploys a machine and waits until SSH is reachable.

On a terminal, billet prompts for what the flags leave open, shows the price, the hold and the
billing terms, and asks for confirmation. In a script, give an offer, or the requirements and --yes.

You never pay more than the price shown: if the price rises before the deploy, the deploy is
rejected.

` + specHelp,
		Example: `  billet deploy
  billet deploy --offer off_abc123 --name training
  billet deploy --gpu "NVIDIA H100" --gpus 8 --max-price 25 --auto-terminate 8h --yes
  billet deploy --file training.yaml --count 4 --yes -o json`,
	}
	f := cmd.Flags()
	d.flags(f)
	f.StringVarP(&d.file, "file", "f", "", "YAML `file` with the deployment; - for standard input. Flags override it")
	yesFlag(cmd, &d.yes)
	f.BoolVar(&d.dry, "dry-run", false, "validate everything, including the balance, and deploy nothing")
	f.BoolVar(&d.noWait, "no-wait", false, "return without waiting for SSH")
	f.DurationVar(&d.timeout, "timeout", 0, "maximum time to wait; the deployment continues afterwards")
	f.StringVar(&d.key, "idempotency-key", "", "`key` that makes it safe to repeat the command within 24 hours: "+
		"only one machine is created. Requires --name, --offer and --max-price")
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if d.file != "" {
			if err := d.read(t, d.file, f); err != nil {
				return err
			}
		}
		return t.runDeploy(ctx, c, d)
	})
}

func (t *tool) runDeploy(ctx context.Context, c *client.Client, d *deployOptions) error {
	if d.timeout < 0 {
		return usageError("--timeout must not be negative.")
	}
	d.CloudInitFile = t.home(d.CloudInitFile)
	now, err := t.nowFor(ctx, c, d.AutoTerminate)
	if err != nil {
		return err
	}
	in, err := d.request(now)
	if err == nil {
		err = d.checkRepeatable()
	}
	if err != nil {
		return err
	}
	offer, err := t.completeRequest(ctx, c, d, &in)
	if err != nil {
		return err
	}
	if in.DryRun = d.dry; !d.dry {
		if err := t.confirmPrice(ctx, c, d, &in, offer); err != nil {
			return err
		}
	}
	made, err := t.createAll(ctx, c, d, in)
	if err == nil && !d.dry && !d.noWait {
		err = t.waitForDeployed(ctx, c, d, made, offer)
	}
	return t.printDeployed(d, made, err)
}

// checkRepeatable rejects an idempotency key for a command that would send another request when it
// is repeated: the server would reject the second request instead of returning the first machine.
func (d *deployOptions) checkRepeatable() error {
	if d.key == "" {
		return nil
	}
	var missing []string
	if d.Name == "" {
		missing = append(missing, "--name")
	}
	if d.OfferID == "" && d.QuoteID == "" && len(d.Candidates) == 0 {
		missing = append(missing, "--offer, --candidates or --quote")
	}
	if d.MaxHourlyPrice == "" && d.QuoteID == "" {
		missing = append(missing, "--max-price, because prices change")
	}
	if _, err := time.ParseDuration(d.AutoTerminate); err == nil {
		missing = append(missing, "a time for --auto-terminate, such as 2026-12-01T18:00:00Z")
	}
	if len(missing) > 0 {
		return usageError("--idempotency-key needs a command that sends the same request each time. Also give: %s.",
			strings.Join(missing, "; "))
	}
	return nil
}

// confirmPrice shows the price and asks for confirmation. The price shown becomes the maximum that
// the server accepts.
func (t *tool) confirmPrice(
	ctx context.Context, c *client.Client, d *deployOptions, in *client.CreateDeployment, o *client.Offer,
) error {
	var offers []client.Offer
	if o != nil {
		offers = []client.Offer{*o}
	}
	for _, candidate := range in.Candidates {
		other, err := c.Offers.Get(ctx, candidate.OfferID)
		if err != nil {
			return err
		}
		offers = append(offers, *other)
	}
	highest := client.Money(0)
	for _, o := range offers {
		highest = max(highest, o.HourlyPrice)
	}
	if in.MaxHourlyPrice == nil || *in.MaxHourlyPrice > highest && d.key == "" {
		in.MaxHourlyPrice = &highest
	}
	if t.humanOutput() {
		t.showPrice(ctx, c, d, in, offers)
	}
	return t.confirm(ctx, d.yes, "Deploy?")
}

// showPrice prints the machine, its price and the billing terms.
func (t *tool) showPrice(
	ctx context.Context, c *client.Client, d *deployOptions, in *client.CreateDeployment, offers []client.Offer,
) {
	line := func(label, format string, args ...any) { t.note("  %-14s %s", label, fmt.Sprintf(format, args...)) }
	hold, minimum := client.Money(0), 0
	for i, o := range offers {
		label := "Machine"
		if len(offers) > 1 {
			label = fmt.Sprintf("Choice %d", i+1)
		}
		line(label, "%d × %s, %s, %s, %s", o.GPUCount, clean(o.GPUType), o.InstanceType, clean(o.Provider),
			clean(o.Region))
		line("Price", "%s (locked while running)", hourly(o.HourlyPrice))
		hold, minimum = max(hold, o.HourlyPrice), max(minimum, o.MinimumRuntimeMinutes)
	}
	if *in.MaxHourlyPrice > hold { // with an idempotency key, the request must stay the same
		line("Maximum", "%s, if the price rises before the deploy", hourly(*in.MaxHourlyPrice))
	}
	machines := ""
	if d.Count > 1 {
		hold, machines = hold*client.Money(d.Count), fmt.Sprintf(" for %d machines", d.Count)
	}
	line("Hold", "%s%s (first hour; released if the deployment fails)", total(hold), machines)
	line("Billing", "hourly, starts when SSH is ready; first hour refunded to the second")
	if minimum > 0 {
		line("Min. runtime", "%s", duration(time.Duration(minimum)*time.Minute))
	}
	if !in.AutoTerminateAt.IsZero() {
		line("Auto-terminate", "%s", localTime(in.AutoTerminateAt))
	}
	if in.MaxSpend != nil {
		line("Max. spend", "%s per machine", total(*in.MaxSpend))
	}
	if in.MaxRuntimeMinutes > 0 {
		line("Max. runtime", "%s", limit(in.MaxRuntimeMinutes))
	}
	w, err := c.Wallet.Get(ctx)
	if err != nil { // a key can lack wallet:read and still deploy
		return
	}
	left := ""
	if spend := hold + w.HourlyCost; spend > 0 && w.Available > 0 {
		hours := float64(w.Available) / float64(spend)
		left = fmt.Sprintf(", ≈ %s at the new rate", duration(time.Duration(hours*float64(time.Hour))))
	}
	line("Balance", "%s available%s", total(w.Available), left)
}

// createAll creates the deployments. If one is rejected, it returns the earlier ones with the
// error.
func (t *tool) createAll(
	ctx context.Context, c *client.Client, d *deployOptions, in client.CreateDeployment,
) ([]client.Deployment, error) {
	name := in.Name
	var made []client.Deployment
	for i := range d.Count {
		in.Name = numbered(name, i, d.Count)
		var options []client.CallOption
		if d.key != "" {
			options = append(options, client.WithIdempotencyKey(numbered(d.key, i, d.Count)))
		}
		one, err := c.Deployments.Create(ctx, in, options...)
		if err != nil {
			if len(made) > 0 && !t.machineOutput() {
				t.note("billet: %d of %d deployments were created; the next one was rejected.", len(made), d.Count)
			}
			return made, err
		}
		made = append(made, *one)
		if in.DryRun {
			return made, nil // the others would get the same answer
		}
		if t.humanOutput() {
			t.note("  %s is %s: %s", clean(one.Name), one.ID, one.Status)
		}
	}
	return made, nil
}

// printDeployed prints the deployments that were created and passes err on.
func (t *tool) printDeployed(d *deployOptions, made []client.Deployment, err error) error {
	if len(made) == 0 {
		return err
	}
	if d.Count > 1 && !d.dry {
		return errors.Join(err, list(t, t.deploymentListing(), made))
	}
	if err != nil && !t.machineOutput() {
		return err
	}
	one := made[0]
	if !t.humanOutput() {
		return errors.Join(err, show(t, one.ID, one))
	}
	switch {
	case one.DryRun && d.Count > 1:
		return t.print(
			fmt.Sprintf("Dry run: one deployment would succeed. Balance and stock for all %d were not checked. "+
				"Nothing was deployed.", d.Count),
		)
	case one.DryRun:
		return t.print("Dry run: the deployment would succeed. Nothing was deployed." + estimateText(one.Estimate))
	case one.Status == client.DeploymentRunning:
		return t.print(clean(fmt.Sprintf("%s is running. Connect with:\n\n    billet ssh %s\n\nor without billet:  %s",
			one.Name, copyableName(one), valueOr(one.SSHCommand, ""))))
	}
	return t.print(
		clean(fmt.Sprintf("%s is %s. Run 'billet wait %s' to wait for SSH.", one.Name, one.Status, copyableName(one))),
	)
}

// estimateText is what a dry run tells of the cost, on lines of its own.
func estimateText(e *client.Estimate) string {
	if e == nil {
		return ""
	}
	text := fmt.Sprintf("\n\nHold: %s. Earliest termination: %s, if SSH is ready now.", total(e.Hold),
		localTime(e.EarliestEnd))
	if len(e.Refunds) > 0 {
		text += fmt.Sprintf(" It would refund %s.", total(e.Refunds[0].Amount))
	}
	if b := e.BindingLimit; b != nil {
		text += fmt.Sprintf("\nThe limit %s would terminate it at %s.", b.Limit, localTime(b.At))
	}
	return text
}
