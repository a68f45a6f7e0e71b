package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
)

// maxCandidates is how many offers one deploy may name.
const maxCandidates = 10

// prompts reports whether the command asks for what its flags leave open.
func (t *tool) prompts(d *deployOptions) bool { return t.interactive() && !d.yes }

// completeRequest adds to the request what the flags left open: by prompting where possible,
// otherwise by defaults. It returns the offer, or nil where there are several candidates.
func (t *tool) completeRequest(
	ctx context.Context, c *client.Client, d *deployOptions, in *client.CreateDeployment,
) (*client.Offer, error) {
	if t.prompts(d) { // find out about a missing SSH key before the user answers any prompt
		if err := t.chooseSSHKeys(ctx, c, d, in); err != nil {
			return nil, err
		}
	}
	if d.Image != "" {
		i, err := ownImage(ctx, c, d.Image)
		if err != nil {
			return nil, err
		}
		in.ImageID = i.ID
	}
	offer, err := t.chooseOffer(ctx, c, d, in)
	if err == nil {
		err = t.chooseOperatingSystem(ctx, d, in, offer)
	}
	if err == nil && !t.prompts(d) {
		err = t.chooseSSHKeys(ctx, c, d, in)
	}
	if err != nil {
		return nil, err
	}
	for _, ref := range d.Volumes {
		v, err := volume(ctx, c, ref)
		if err != nil {
			return nil, err
		}
		in.VolumeIDs = append(in.VolumeIDs, v.ID)
	}
	if in.Name != "" {
		return offer, nil
	}
	if in.Name = defaultName(offer, t.Now()); t.prompts(d) {
		in.Name, err = t.line(ctx, "Name", in.Name)
	}
	return offer, err
}

// chooseOffer sets the offer of the request: the given one, that of the quote, or the cheapest or
// chosen one that matches. It returns nil where the request has several candidates.
func (t *tool) chooseOffer(
	ctx context.Context, c *client.Client, d *deployOptions, in *client.CreateDeployment,
) (*client.Offer, error) {
	switch {
	case in.OfferID != "":
		return c.Offers.Get(ctx, in.OfferID)
	case in.QuoteID != "":
		return quotedOffer(ctx, c, in.QuoteID)
	case len(in.Candidates) > 0:
		return nil, nil
	}
	offers, err := t.matchingOffers(ctx, c, d, in)
	if err != nil {
		return nil, err
	}
	if d.Count > 1 && !t.prompts(d) { // one offer may not have enough stock: the next cheapest supply the rest
		for _, o := range offers[:min(len(offers), maxCandidates)] {
			candidate := client.Candidate{OfferID: o.ID}
			if in.ImageID == "" {
				candidate.OperatingSystem = operatingSystemFor(o, in.OperatingSystem)
			}
			in.Candidates = append(in.Candidates, candidate)
		}
		return nil, nil
	}
	chosen := offers[0]
	if t.prompts(d) {
		if chosen, err = choose(ctx, t, "Which offer?", offerChoices(offers)); err != nil {
			return nil, err
		}
	}
	in.OfferID = chosen.ID
	return &chosen, nil
}

// quotedOffer returns the offer of a quote, at the quote's price.
func quotedOffer(ctx context.Context, c *client.Client, quoteID string) (*client.Offer, error) {
	q, err := c.Quotes.Get(ctx, quoteID)
	if err != nil {
		return nil, err
	}
	o, err := c.Offers.Get(ctx, q.OfferID)
	if err == nil {
		o.HourlyPrice = q.HourlyPrice
	}
	return o, err
}

// matchingOffers returns the available offers that meet the request, cheapest first. It prompts for
// the GPU type if possible. There is at least one.
func (t *tool) matchingOffers(
	ctx context.Context, c *client.Client, d *deployOptions, in *client.CreateDeployment,
) ([]client.Offer, error) {
	q := client.OfferQuery{
		GPUType: in.GPUType, GPUCount: in.GPUCount, Provider: in.Provider, Region: in.Region,
		InstanceType: in.InstanceType, MaxHourlyPrice: in.MaxHourlyPrice, Available: new(true),
	}
	anyRequirement := in.GPUType != "" || in.GPUCount != 0 || in.Provider != "" || in.Region != "" ||
		in.InstanceType != ""
	switch {
	case t.prompts(d) && in.GPUType == "":
		var err error
		if q.GPUType, err = t.chooseGPUType(ctx, c); err != nil {
			return nil, err
		}
	case !anyRequirement:
		return nil, usageError(
			"say what to deploy: --offer off_…, or --gpu and --gpus.\nRun 'billet offers' to list offers.",
		)
	case !t.interactive() && !d.yes && in.MaxHourlyPrice == nil:
		return nil, usageError("the cheapest matching offer would be deployed without showing its price. " +
			"Give --max-price or --yes, or name the --offer.")
	}
	offers, err := collect(c.Offers.All(ctx, q))
	if in.ImageID != "" {
		offers = slices.DeleteFunc(offers, func(o client.Offer) bool { return !o.Capabilities.CustomImages })
	}
	if err == nil && len(offers) == 0 {
		err = &cliError{exitConflict, string(client.ErrOfferUnavailable), "no available offers match."}
	}
	return offers, err
}

func (t *tool) chooseGPUType(ctx context.Context, c *client.Client) (string, error) {
	types, err := collect(c.GPUTypes.All(ctx))
	if err != nil {
		return "", err
	}
	var from []choice[string]
	for _, g := range types {
		if g.LowestHourlyPricePerGPU != nil {
			label := fmt.Sprintf("%-22s from %s per GPU", g.GPUType, hourly(*g.LowestHourlyPricePerGPU))
			from = append(from, choice[string]{label, g.GPUType})
		}
	}
	if len(from) == 0 {
		return "", &cliError{exitConflict, string(client.ErrOfferUnavailable), "no offers are available right now."}
	}
	return choose(ctx, t, "Which GPU?", from)
}

func offerChoices(offers []client.Offer) []choice[client.Offer] {
	from := make([]choice[client.Offer], len(offers))
	for i, o := range offers {
		label := fmt.Sprintf("%11s  %d × %s  %-24s %-10s %s", hourly(o.HourlyPrice), o.GPUCount, o.GPUType,
			o.Provider+" "+o.Region, o.InstanceType, valueOr(o.Interconnect, ""))
		from[i] = choice[client.Offer]{label, o}
	}
	return from
}

// chooseOperatingSystem sets the operating system, if there is an offer and the request has none.
func (t *tool) chooseOperatingSystem(
	ctx context.Context, d *deployOptions, in *client.CreateDeployment, o *client.Offer,
) (err error) {
	if in.OperatingSystem != "" || in.ImageID != "" || o == nil || len(o.OperatingSystems) == 0 {
		return nil
	}
	if in.OperatingSystem = o.OperatingSystems[0]; !t.prompts(d) {
		return nil
	}
	var from []choice[string]
	for _, name := range o.OperatingSystems {
		from = append(from, choice[string]{name, name})
	}
	in.OperatingSystem, err = choose(ctx, t, "Operating system", from)
	return err
}

// operatingSystemFor returns the wanted operating system, or the offer's first.
func operatingSystemFor(o client.Offer, wanted string) string {
	if wanted != "" || len(o.OperatingSystems) == 0 {
		return wanted
	}
	return o.OperatingSystems[0]
}

// defaultName is a name for a machine: its GPU and the time.
func defaultName(o *client.Offer, now time.Time) string {
	gpu := "machine"
	if o != nil {
		if words := strings.Fields(strings.ToLower(o.GPUType)); len(words) > 0 {
			gpu = words[len(words)-1]
		}
	}
	return gpu + now.Format("-0102-150405")
}

// chooseSSHKeys sets the authorized SSH keys: the named ones, else the default key in ~/.ssh, else
// the only saved one.
func (t *tool) chooseSSHKeys(
	ctx context.Context, c *client.Client, d *deployOptions, in *client.CreateDeployment,
) (err error) {
	if in.SSHPublicKey != "" {
		in.SSHPublicKey, _, err = parsePublicKey(in.SSHPublicKey, "ssh_public_key")
		return err
	}
	for _, ref := range d.SSHKeys {
		k, err := sshKey(ctx, c, ref)
		if err != nil {
			return err
		}
		in.SSHKeyIDs = append(in.SSHKeyIDs, k.ID)
	}
	if len(d.SSHKeys) > 0 {
		return nil
	}
	path := d.SSHPublicKeyFile
	if path == "" {
		path = t.defaultPublicKey()
	}
	if path != "" {
		text, err := keyFile(t.home(path))
		if err != nil {
			return err
		}
		in.SSHPublicKey, _, err = parsePublicKey(text, path)
		return err
	}
	in.SSHKeyID, err = t.chooseSavedKey(ctx, c, d)
	return err
}

func (t *tool) chooseSavedKey(ctx context.Context, c *client.Client, d *deployOptions) (string, error) {
	saved, err := collect(c.SSHKeys.All(ctx, client.SSHKeyQuery{}))
	switch {
	case err != nil:
		return "", err
	case len(saved) == 0:
		return "", usageError("no SSH key found in ~/.ssh, and none is saved in the account. " +
			"Create one and run this command again:\n    ssh-keygen -t ed25519")
	case len(saved) > 1 && !t.prompts(d):
		return "", usageError(
			"no SSH key found in ~/.ssh, and several are saved in the account. Name one with --ssh-key.",
		)
	}
	var from []choice[string]
	for _, k := range saved {
		from = append(from, choice[string]{k.Name + "  " + k.Fingerprint, k.ID})
	}
	return choose(ctx, t, "Which SSH key?", from)
}

// defaultPublicKeys are the files from which ssh takes its default keys, in its order.
var defaultPublicKeys = []string{"id_ed25519.pub", "id_ecdsa.pub", "id_ed25519_sk.pub", "id_ecdsa_sk.pub", "id_rsa.pub"}

// defaultPublicKey returns the first default public key of ssh, or "" if there is none.
func (t *tool) defaultPublicKey() string {
	for _, name := range defaultPublicKeys {
		path := filepath.Join(t.env("HOME"), ".ssh", name)
		if i, err := os.Stat(path); err == nil && i.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// home expands a leading ~/ to the home directory.
func (t *tool) home(path string) string {
	if rest, is := strings.CutPrefix(path, "~/"); is {
		return filepath.Join(t.env("HOME"), rest)
	}
	return path
}
