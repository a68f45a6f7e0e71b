package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

type deploying struct {
	spec
	file    string
	yes     bool
	dry     bool
	noWait  bool
	timeout time.Duration
	key     string
}

func (t *tool) deploy() *cobra.Command {
	d := &deploying{spec: spec{Count: 1}}
	cmd := &cobra.Command{
		Use: "deploy", Aliases: []string{"create", "launch"}, Short: "Rent a machine, and wait until SSH answers", Args: cobra.NoArgs,
		Long: `Rents a machine, and waits until SSH answers.

At a terminal it asks for what the flags leave open, shows the price, what is set aside for it and what comes back when, and
asks before it deploys. A script gives an offer, or what the machine must be, and --yes.

What it costs never exceeds what was shown: a price that has risen meanwhile is refused.

` + specHelp,
		Example: `  billet deploy
  billet deploy --offer off_abc123 --name training
  billet deploy --gpu "NVIDIA H100" --gpus 8 --max-price 25 --auto-terminate 8h --yes
  billet deploy --file training.yaml --count 4 --yes -o json`,
	}
	f := cmd.Flags()
	d.flags(f)
	f.StringVarP(&d.file, "file", "f", "", "a YAML file that says what to deploy; - for standard input. Flags win over it")
	yesFlag(cmd, &d.yes)
	f.BoolVar(&d.dry, "dry-run", false, "check everything, the money included, and deploy nothing")
	f.BoolVar(&d.noWait, "no-wait", false, "do not wait until SSH answers")
	f.DurationVar(&d.timeout, "timeout", 0, "how long to wait at most; the machine comes nevertheless")
	f.StringVar(&d.key, "idempotency-key", "", "makes it safe to run the same command again within 24 hours: there will be one machine. It wants all that would differ the next time: --name, --offer, --max-price")
	return t.act(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if d.file != "" {
			if err := d.read(t, d.file, f); err != nil {
				return err
			}
		}
		return t.runDeploy(ctx, c, d)
	})
}

func (t *tool) runDeploy(ctx context.Context, c *client.Client, d *deploying) error {
	if d.timeout < 0 {
		return usage("--timeout must not be negative.")
	}
	d.CloudInitFile = t.home(d.CloudInitFile)
	in, err := d.request(t.Now())
	if err == nil {
		err = d.sameNextTime()
	}
	if err != nil {
		return err
	}
	questions := t.asks() && !d.yes
	if questions { // nobody answers them only to learn that there is no key
		if err := t.pickKeys(ctx, c, d, &in); err != nil {
			return err
		}
	}
	offer, err := t.pickOffer(ctx, c, d, &in)
	if err != nil {
		return err
	}
	if in.OperatingSystem == "" && offer != nil && len(offer.OperatingSystems) > 0 {
		if in.OperatingSystem = offer.OperatingSystems[0]; questions {
			var systems []choice[string]
			for _, s := range offer.OperatingSystems {
				systems = append(systems, choice[string]{s, s})
			}
			if in.OperatingSystem, err = choose(ctx, t, "Operating system", systems); err != nil {
				return err
			}
		}
	}
	if !questions {
		if err := t.pickKeys(ctx, c, d, &in); err != nil {
			return err
		}
	}
	for _, ref := range d.Volumes {
		v, err := volume(ctx, c, ref)
		if err != nil {
			return err
		}
		in.VolumeIDs = append(in.VolumeIDs, v.ID)
	}
	if in.Name == "" {
		if in.Name = usualName(offer, t.Now()); questions {
			if in.Name, err = t.line(ctx, "Name", in.Name); err != nil {
				return err
			}
		}
	}
	if in.DryRun = d.dry; !d.dry {
		if err := t.offerPrice(ctx, c, d, &in, offer); err != nil {
			return err
		}
	}
	made, err := t.createAll(ctx, c, d, in)
	if err != nil || d.dry {
		return t.answerDeploy(d, made, err)
	}
	if d.noWait {
		return t.answerDeploy(d, made, nil)
	}
	if d.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.timeout)
		defer cancel()
	}
	if d.Count > 1 {
		made, err = t.waitForMany(ctx, c, made)
	} else {
		var now *client.Deployment
		if now, err = t.waitForRunning(ctx, c, &made[0], offer); now != nil {
			made[0] = *now
		}
	}
	if err != nil && ctx.Err() != nil {
		if !t.forPrograms() {
			t.note("billet: the deploy goes on. 'billet ps' shows it, 'billet wait %[1]s' waits again, 'billet terminate %[1]s' ends it.", word(made[0]))
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = &fault{exitEnded, "TIMED_OUT", fmt.Sprintf("it did not come to run within %s.", d.timeout)}
		}
	}
	return t.answerDeploy(d, made, err)
}

// sameNextTime refuses an idempotency key for what would be another request in a minute: the server would refuse the second one then, instead of
// telling what became of the first.
func (d *deploying) sameNextTime() error {
	if d.key == "" {
		return nil
	}
	var wanted []string
	if d.Name == "" {
		wanted = append(wanted, "--name")
	}
	if d.OfferID == "" && d.QuoteID == "" && len(d.Candidates) == 0 {
		wanted = append(wanted, "--offer, --candidates or --quote")
	}
	if d.MaxHourlyPrice == "" && d.QuoteID == "" {
		wanted = append(wanted, "--max-price, since prices move")
	}
	if _, err := time.ParseDuration(d.AutoTerminate); err == nil {
		wanted = append(wanted, "a time for --auto-terminate, such as 2026-12-01T18:00:00Z")
	}
	if len(wanted) > 0 {
		return usage("--idempotency-key is for a command that asks for the same whenever it is run: give %s.", strings.Join(wanted, "; "))
	}
	return nil
}

// usualName is a name for who gives none: the GPU and the time.
func usualName(o *client.Offer, now time.Time) string {
	gpu := "machine"
	if o != nil {
		if words := strings.Fields(strings.ToLower(o.GPUType)); len(words) > 0 {
			gpu = words[len(words)-1]
		}
	}
	return gpu + now.Format("-0102-150405")
}

// pickOffer finds the offer that is meant. It is nil where several candidates or a quote are.
func (t *tool) pickOffer(ctx context.Context, c *client.Client, d *deploying, in *client.CreateDeployment) (*client.Offer, error) {
	switch {
	case in.OfferID != "":
		return c.Offers.Get(ctx, in.OfferID)
	case in.QuoteID != "":
		q, err := c.Quotes.Get(ctx, in.QuoteID)
		if err != nil {
			return nil, err
		}
		o, err := c.Offers.Get(ctx, q.OfferID)
		if err == nil {
			o.HourlyPrice = q.HourlyPrice
		}
		return o, err
	case len(in.Candidates) > 0:
		return nil, nil
	}
	yes := true
	q := client.OfferQuery{GPUType: in.GPUType, GPUCount: in.GPUCount, Provider: in.Provider, Region: in.Region, InstanceType: in.InstanceType, MaxHourlyPrice: in.MaxHourlyPrice, Available: &yes}
	narrowed := in.GPUType != "" || in.GPUCount != 0 || in.Provider != "" || in.Region != "" || in.InstanceType != ""
	if t.asks() && !d.yes && in.GPUType == "" {
		kinds, err := collect(c.GPUTypes.All(ctx))
		if err != nil {
			return nil, err
		}
		var from []choice[string]
		for _, k := range kinds {
			if k.LowestHourlyPricePerGPU != nil {
				from = append(from, choice[string]{fmt.Sprintf("%-22s from %s per GPU", k.GPUType, hourly(*k.LowestHourlyPricePerGPU)), k.GPUType})
			}
		}
		if len(from) == 0 {
			return nil, &fault{exitConflict, "OFFER_UNAVAILABLE", "there is nothing to deploy just now."}
		}
		if q.GPUType, err = choose(ctx, t, "Which GPU?", from); err != nil {
			return nil, err
		}
	} else if !narrowed {
		return nil, usage("say what to deploy: --offer off_…, or --gpu and --gpus.\n'billet offers' shows what there is.")
	}
	if !t.asks() && !d.yes && in.MaxHourlyPrice == nil {
		return nil, usage("the cheapest offer that fits is taken, and nobody is there to see its price: give --max-price or --yes, or name the --offer.")
	}
	offers, err := collect(c.Offers.All(ctx, q))
	if err != nil {
		return nil, err
	}
	if len(offers) == 0 {
		return nil, &fault{exitConflict, string(client.ErrOfferUnavailable), "no offer fits that can be had now."}
	}
	picked := offers[0]
	if t.asks() && !d.yes {
		var from []choice[client.Offer]
		for _, o := range offers {
			from = append(from, choice[client.Offer]{fmt.Sprintf("%11s  %d × %s  %-24s %-10s %s", hourly(o.HourlyPrice), o.GPUCount, o.GPUType, o.Provider+" "+o.Region, o.InstanceType, or(o.Interconnect, "")), o})
		}
		if picked, err = choose(ctx, t, "Which offer?", from); err != nil {
			return nil, err
		}
	}
	if d.Count > 1 && !(t.asks() && !d.yes) { // one offer may not have so many: the next cheapest are for the rest
		for _, o := range offers[:min(len(offers), maxCandidates)] {
			in.Candidates = append(in.Candidates, client.Candidate{OfferID: o.ID, OperatingSystem: systemOf(o, in.OperatingSystem)})
		}
		return nil, nil
	}
	in.OfferID = picked.ID
	return &picked, nil
}

// maxCandidates is how many offers one deploy may name.
const maxCandidates = 10

// systemOf is the operating system that is wanted, else the offer's first.
func systemOf(o client.Offer, wanted string) string {
	if wanted != "" || len(o.OperatingSystems) == 0 {
		return wanted
	}
	return o.OperatingSystems[0]
}

// pickKeys decides who may log in: the keys that are named, else the usual one of this machine, else the only one that is saved.
func (t *tool) pickKeys(ctx context.Context, c *client.Client, d *deploying, in *client.CreateDeployment) error {
	if in.SSHPublicKey != "" {
		var err error
		in.SSHPublicKey, _, err = onePublicKey(in.SSHPublicKey, "ssh_public_key")
		return err
	}
	if len(d.SSHKeys) > 0 {
		for _, ref := range d.SSHKeys {
			k, err := sshKey(ctx, c, ref)
			if err != nil {
				return err
			}
			in.SSHKeyIDs = append(in.SSHKeyIDs, k.ID)
		}
		return nil
	}
	path := d.SSHPublicKeyFile
	if path == "" {
		path = t.usualPublicKey()
	}
	if path != "" {
		text, err := keyFile(t.home(path))
		if err != nil {
			return err
		}
		in.SSHPublicKey, _, err = onePublicKey(text, path)
		return err
	}
	saved, err := collect(c.SSHKeys.All(ctx, client.SSHKeyQuery{}))
	if err != nil {
		return err
	}
	switch {
	case len(saved) == 0:
		return usage("there is no SSH key in ~/.ssh, and none is saved. Make one, and run this again:\n    ssh-keygen -t ed25519")
	case len(saved) > 1 && (!t.asks() || d.yes):
		return usage("there is no SSH key in ~/.ssh, and several are saved: say which may log in with --ssh-key.")
	}
	var from []choice[string]
	for _, k := range saved {
		from = append(from, choice[string]{k.Name + "  " + k.Fingerprint, k.ID})
	}
	in.SSHKeyID, err = choose(ctx, t, "Which SSH key may log in?", from)
	return err
}

// publicKeys are where ssh keeps keys that it offers by itself, in its order.
var publicKeys = []string{"id_ed25519.pub", "id_ecdsa.pub", "id_ed25519_sk.pub", "id_ecdsa_sk.pub", "id_rsa.pub"}

// usualPublicKey is the first public key that ssh would offer by itself; empty for none.
func (t *tool) usualPublicKey() string {
	for _, name := range publicKeys {
		path := filepath.Join(t.env("HOME"), ".ssh", name)
		if i, err := os.Stat(path); err == nil && i.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// home puts the home directory in the place of a leading ~/, as shells do.
func (t *tool) home(path string) string {
	if rest, is := strings.CutPrefix(path, "~/"); is {
		return filepath.Join(t.env("HOME"), rest)
	}
	return path
}

// offerPrice shows what it costs and asks. The price that was shown becomes the most that is paid.
func (t *tool) offerPrice(ctx context.Context, c *client.Client, d *deploying, in *client.CreateDeployment, o *client.Offer) error {
	most := client.Money(0)
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
	for _, o := range offers {
		most = max(most, o.HourlyPrice)
	}
	if in.MaxHourlyPrice == nil || *in.MaxHourlyPrice > most && d.key == "" {
		in.MaxHourlyPrice = &most
	}
	if !t.forPrograms() && t.format != "id" {
		t.explain(ctx, c, d, in, offers)
	}
	return t.agree(ctx, d.yes, "Deploy?")
}

func (t *tool) explain(ctx context.Context, c *client.Client, d *deploying, in *client.CreateDeployment, offers []client.Offer) {
	for i, o := range offers {
		head := "Machine"
		if len(offers) > 1 {
			head = fmt.Sprintf("%d. choice", i+1)
		}
		t.note("  %-9s %d × %s, %s, %s, %s", head, o.GPUCount, clean(o.GPUType), o.InstanceType, clean(o.Provider), clean(o.Region))
		t.note("  %-9s %s, the same for as long as it runs", "Price", hourly(o.HourlyPrice))
	}
	hold, each := client.Money(0), ""
	for _, o := range offers {
		hold = max(hold, o.HourlyPrice)
	}
	if *in.MaxHourlyPrice > hold { // the same each time, as an idempotency key wants it
		t.note("  %-9s %s, should it rise before the deploy", "At most", hourly(*in.MaxHourlyPrice))
	}
	if d.Count > 1 {
		hold, each = hold*client.Money(d.Count), fmt.Sprintf(" for %d machines", d.Count)
	}
	t.note("  %-9s %s now%s: the first hour, which comes back whole if it does not come to run", "Set aside", total(hold), each)
	t.note("  %-9s %s", "Billing", "begins when SSH answers, by the hour; what is ended in its first hour gets the rest of it back, to the second")
	shortest := 0
	for _, o := range offers {
		shortest = max(shortest, o.MinimumRuntimeMinutes)
	}
	if shortest > 0 {
		t.note("  %-9s %d minutes before it can be ended", "Minimum", shortest)
	}
	if !in.AutoTerminateAt.IsZero() {
		t.note("  %-9s by itself at %s", "Ends", when(in.AutoTerminateAt))
	}
	// A key may be without the scope for it, and deploy nevertheless.
	if w, err := c.Wallet.Get(ctx); err == nil {
		lasts := ""
		if cost := hold + w.HourlyCost; cost > 0 && w.Available > 0 {
			lasts = fmt.Sprintf(", which lasts for %s with all that runs", since(time.Duration(float64(w.Available)/float64(cost)*float64(time.Hour))))
		}
		t.note("  %-9s %s available%s", "Wallet", total(w.Available), lasts)
	}
}

// createAll deploys as many as are wanted. Where one is refused, those before it are there, and are returned with the error.
func (t *tool) createAll(ctx context.Context, c *client.Client, d *deploying, in client.CreateDeployment) ([]client.Deployment, error) {
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
			if len(made) > 0 && !t.forPrograms() {
				t.note("billet: %d of %d are on their way; then one was refused.", len(made), d.Count)
			}
			return made, err
		}
		made = append(made, *one)
		if in.DryRun {
			return made, nil // the others would be alike
		}
		if !t.forPrograms() && t.format != "id" {
			t.note("  %s is %s: %s", clean(one.Name), one.ID, one.Status)
		}
	}
	return made, nil
}

// answerDeploy answers with what was made, and keeps the error.
func (t *tool) answerDeploy(d *deploying, made []client.Deployment, err error) error {
	if len(made) == 0 {
		return err
	}
	if d.Count > 1 && !d.dry {
		return errors.Join(err, list(t, t.deploymentListing(), made))
	}
	if err != nil && !t.forPrograms() {
		return err
	}
	one := made[0]
	if t.forPrograms() || t.format == "id" {
		return errors.Join(err, show(t, one.ID, one))
	}
	switch {
	case one.DryRun:
		if d.Count > 1 {
			return t.print(fmt.Sprintf("One of them would work; whether money and stock suffice for all %d was not checked. Nothing was deployed.", d.Count))
		}
		return t.print("It would work. Nothing was deployed.")
	case one.Status == client.DeploymentRunning:
		return t.print(clean(fmt.Sprintf("%s is running. Log in with:\n\n    billet ssh %s\n\nor without billet:  %s", one.Name, word(one), or(one.SSHCommand, ""))))
	}
	return t.print(clean(fmt.Sprintf("%s is %s. 'billet wait %s' waits until SSH answers.", one.Name, one.Status, word(one))))
}

// waitForRunning waits for one machine, and shows how far it is.
func (t *tool) waitForRunning(ctx context.Context, c *client.Client, d *client.Deployment, o *client.Offer) (*client.Deployment, error) {
	if t.forPrograms() || t.format == "id" {
		return c.Deployments.WaitForRunning(ctx, d.ID, nil)
	}
	if o == nil { // how long it takes is nice to know, and no reason to fail
		o, _ = c.Offers.Get(ctx, d.OfferID)
	}
	typical := time.Duration(0)
	if o != nil && o.Reliability.MedianSecondsToSSH != nil {
		typical = time.Duration(*o.Reliability.MedianSecondsToSSH) * time.Second
	}
	p := t.newProgress(typical)
	defer p.end()
	return c.Deployments.WaitForRunning(ctx, d.ID, p.show)
}

// lookEvery is how often several machines are looked at together: at 100 in a page, far below the 60 reads of a minute.
const lookEvery = 5 * time.Second

// waitForMany waits until all have come to run or ended, with one list for all of them. Those that ended are an error.
func (t *tool) waitForMany(ctx context.Context, c *client.Client, made []client.Deployment) ([]client.Deployment, error) {
	at := map[string]int{}
	for i, d := range made {
		at[d.ID] = i
	}
	told := -1
	for {
		coming := 0
		for d, err := range c.Deployments.All(ctx, client.DeploymentQuery{Search: commonName(made)}) {
			if err != nil {
				return made, err
			}
			if i, ours := at[d.ID]; ours {
				made[i] = d
			}
		}
		failed := 0
		for _, d := range made {
			switch {
			case d.Status == client.DeploymentPending || d.Status == client.DeploymentDeploying:
				coming++
			case d.Status != client.DeploymentRunning:
				failed++
			}
		}
		if running := len(made) - coming - failed; running+failed != told && !t.forPrograms() {
			told = running + failed
			t.note("  %d of %d running%s", running, len(made), map[bool]string{true: fmt.Sprintf(", %d failed", failed)}[failed > 0])
		}
		if coming == 0 {
			if failed > 0 {
				return made, &fault{exitEnded, "DEPLOYMENT_ENDED", fmt.Sprintf("%d of %d did not come to run; 'billet show' says why.", failed, len(made))}
			}
			return made, nil
		}
		if err := t.sleep(ctx, lookEvery); err != nil {
			return made, err
		}
	}
}

// commonName is how the names of all begin.
func commonName(made []client.Deployment) string {
	name := made[0].Name
	for _, d := range made {
		for !strings.HasPrefix(d.Name, name) {
			name = name[:len(name)-1]
		}
	}
	return strings.ToValidUTF8(name, "")
}
