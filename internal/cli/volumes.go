package cli

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var volumeCol columnsOf[client.Volume]

var volumeListing = listing[client.Volume]{
	id: func(v client.Volume) string { return v.ID },
	columns: []column[client.Volume]{
		volumeCol.text("id", "VOLUME", func(v client.Volume) string { return v.ID }),
		volumeCol.text("name", "NAME", func(v client.Volume) string { return v.Name }),
		volumeCol.text("status", "STATUS", func(v client.Volume) string { return string(v.Status) }),
		{
			name: "sizeGb", head: "SIZE", right: true,
			text: volumeSize, raw: func(v client.Volume) string { return strconv.Itoa(v.SizeGB) },
		},
		volumeCol.money("hourlyPrice", "PRICE", hourly, func(v client.Volume) client.Money { return v.HourlyPrice }),
		volumeCol.money("costToDate", "TOTAL COST", total, func(v client.Volume) client.Money { return v.CostToDate }),
		volumeCol.text("provider", "PROVIDER", func(v client.Volume) string { return v.Provider }),
		volumeCol.text("region", "REGION", func(v client.Volume) string { return v.Region }),
		volumeCol.text("attachedTo", "ATTACHED TO", func(v client.Volume) string { return valueOr(v.AttachedTo, "") }),
		volumeCol.text("mountPath", "MOUNT PATH",
			func(v client.Volume) string { return valueOr(v.MountPath, "") }).onlyWide(),
		volumeCol.time("createdAt", "CREATED", func(v client.Volume) time.Time { return v.CreatedAt }).onlyWide(),
	},
	none: "No volumes. Run 'billet volumes create' to create one, or 'billet volumes pricing' for regions and prices.",
}

// volumeSize formats the size of a volume, and the new size while it is being resized.
func volumeSize(v client.Volume) string {
	if v.GrowingToGB != nil {
		return fmt.Sprintf("%d → %d GB", v.SizeGB, *v.GrowingToGB)
	}
	return fmt.Sprintf("%d GB", v.SizeGB)
}

var volumePriceCol columnsOf[client.VolumePrice]

var volumePriceListing = listing[client.VolumePrice]{
	id: func(p client.VolumePrice) string { return p.Provider + "/" + p.Region },
	columns: []column[client.VolumePrice]{
		volumePriceCol.text("provider", "PROVIDER", func(p client.VolumePrice) string { return p.Provider }),
		volumePriceCol.text("region", "REGION", func(p client.VolumePrice) string { return p.Region }),
		volumePriceCol.text("regionName", "NAME", func(p client.VolumePrice) string { return p.RegionName }),
		volumePriceCol.money("hourlyPricePerGb", "1 GB", hourly,
			func(p client.VolumePrice) client.Money { return p.HourlyPricePerGB }),
		volumePriceCol.money("", "1 TB", hourly,
			func(p client.VolumePrice) client.Money { return p.HourlyPricePerGB * 1000 }),
		volumePriceCol.money("", "1 TB/MONTH", monthly,
			func(p client.VolumePrice) client.Money { return p.HourlyPricePerGB * 1000 }),
		volumePriceCol.number("minSizeGb", "MIN SIZE", " GB", func(p client.VolumePrice) int { return p.MinSizeGB }),
		volumePriceCol.number("maxSizeGb", "MAX SIZE", " GB", func(p client.VolumePrice) int { return p.MaxSizeGB }),
	},
	none: "No provider offers volumes right now.",
}

// monthly formats the price of 730 hours, a twelfth of a year.
func monthly(hour client.Money) string {
	return total(hour * 730)
}

func (t *tool) volumes() *cobra.Command {
	cmd := &cobra.Command{
		Use: "volumes", Aliases: []string{"volume", "vol"}, Short: "Manage volumes", Args: cobra.NoArgs,
		Long: "Lists your volumes: persistent storage, billed hourly until it is deleted, attached or not.",
		Example: `  billet volumes pricing
  billet volumes create --name datasets --size 500 --region dallas-usa-5
  billet volumes attach datasets my-machine --wait`,
	}
	var q client.VolumeQuery
	cmd.Flags().StringVar(&q.Sort, "sort", "", sortHelp)
	cmd.Flags().StringVar(&q.Project, "project", "", "only volumes of this `project`")
	listAll(t, cmd, volumeListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.Volume, error] {
		return c.Volumes.All(ctx, q)
	})
	cmd.AddCommand(t.volumeCreate(), t.volumeShow(), t.volumeAttach(), t.volumeDetach(), t.volumeResize(),
		t.volumeRename(), t.volumeRemove(), t.volumePricing())
	return cmd
}

func (t *tool) volumePricing() *cobra.Command {
	return listAll(t, &cobra.Command{
		Use: "pricing", Aliases: []string{"prices"}, Short: "List volume prices by region",
		Args: cobra.NoArgs, Example: "  billet volumes pricing -o csv",
	}, volumePriceListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.VolumePrice, error] {
		return c.Volumes.AllPricing(ctx)
	})
}

func (t *tool) volumeShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show <volume>",
		Short:   "Show a volume",
		Args:    cobra.ExactArgs(1),
		Example: "  billet volumes show datasets",
	}
	t.completeFirstArg(cmd, volumeNames)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		return show(
			t,
			v.ID,
			v,
			row{"Volume", v.ID},
			row{"Name", v.Name},
			row{"Status", string(v.Status)},
			row{"Reason", valueOr(v.StatusReason, "")},
			row{
				"Size",
				volumeSize(*v),
			},
			row{"Provider", v.Provider},
			row{"Region", v.Region},
			row{"Project", valueOr(v.Project, "")},
			row{"Created by", v.CreatedBy.Name},
			row{"Attached to", valueOr(v.AttachedTo, "")},
			row{"Mount path", valueOr(v.MountPath, "")},
			row{
				"Price",
				fmt.Sprintf("%s, about %s per month", hourly(v.HourlyPrice), monthly(v.HourlyPrice)),
			},
			row{"Total cost", total(v.CostToDate)},
			row{"Created", localTime(v.CreatedAt)},
			row{"Deleted", optionalTime(v.DeletedAt)},
		)
	})
}

func (t *tool) volumeCreate() *cobra.Command {
	var in client.CreateVolume
	var size string
	var yes, wait bool
	cmd := &cobra.Command{
		Use: "create", Aliases: []string{"add"}, Short: "Create a volume", Args: cobra.NoArgs,
		Long: `Creates a volume, after showing its price. It is billed hourly from when it is
available until it is deleted, attached or not.

A volume can only be attached to machines of the same provider and region. See 'billet volumes
pricing' for regions.`,
		Example: `  billet volumes create --name datasets --size 500 --provider voltage-park --region dallas-usa-5
  billet volumes create --name scratch --size 2TB --region dallas-usa-5 --yes --wait`,
	}
	f := cmd.Flags()
	f.StringVar(&in.Name, "name", "", "`name` of the volume")
	f.StringVar(&size, "size", "", "`size` in GB, or with a unit: 500, 500GB, 2TB")
	f.StringVar(&in.Provider, "provider", "", "provider `slug`; optional if only one provider has the region")
	f.StringVar(&in.Region, "region", "", "region `slug`")
	f.StringVar(&in.Project, "project", "", "`project` for filtering and cost reports")
	f.BoolVar(&wait, "wait", false, "wait until it is available")
	yesFlag(cmd, &yes)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		var missing []string
		for _, flag := range [][2]string{{"--name", in.Name}, {"--size", size}, {"--region", in.Region}} {
			if flag[1] == "" {
				missing = append(missing, flag[0])
			}
		}
		if len(missing) > 0 {
			return usageError("missing %s. Run 'billet volumes pricing' for regions and prices.",
				strings.Join(missing, ", "))
		}
		var err error
		if in.SizeGB, err = gigabytes(size); err != nil {
			return err
		}
		price, err := volumePrice(ctx, c, in.Provider, in.Region)
		if err != nil {
			return err
		}
		if in.SizeGB < price.MinSizeGB || in.SizeGB > price.MaxSizeGB {
			return usageError("--size must be %[3]d to %[4]d GB for volumes of %[1]s in %[2]s.", price.Provider,
				price.Region, price.MinSizeGB, price.MaxSizeGB)
		}
		in.Provider = price.Provider
		if t.humanOutput() {
			t.note("%d GB, %s, %s: %s. Billed until deleted, attached or not.", in.SizeGB, clean(price.Provider),
				clean(price.RegionName), hourAndMonth(price.HourlyPricePerGB, in.SizeGB))
		}
		if err := t.confirm(ctx, yes, fmt.Sprintf("Create the volume %q?", in.Name)); err != nil {
			return err
		}
		v, err := c.Volumes.Create(ctx, in)
		if err == nil && wait {
			v, err = t.waitForVolume(ctx, c, v, client.VolumeAvailable)
		}
		if err != nil {
			return err
		}
		if v.Status == client.VolumeCreating {
			return printResult(t, v.ID, v, "%s (%s) is being created. Run 'billet volumes' to check.", v.Name, v.ID)
		}
		return printResult(t, v.ID, v, "%s (%s) is %s.", v.Name, v.ID, v.Status)
	})
}

// hourAndMonth formats the price of a volume of that size.
func hourAndMonth(perGB client.Money, size int) string {
	price := perGB * client.Money(size)
	return fmt.Sprintf("%s, about %s per month", hourly(price), monthly(price))
}

// volumePrice returns the price of volumes in a region. The provider can be empty if only one has
// the region.
func volumePrice(ctx context.Context, c *client.Client, provider, region string) (client.VolumePrice, error) {
	var found []client.VolumePrice
	var providers []string
	for p, err := range c.Volumes.AllPricing(ctx) {
		if err != nil {
			return p, err
		}
		if p.Region == region && (provider == "" || p.Provider == provider) {
			found, providers = append(found, p), append(providers, p.Provider)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return client.VolumePrice{}, usageError("several providers have volumes in %s. Choose one with --provider: %s.",
			region, strings.Join(providers, ", "))
	case provider != "":
		return client.VolumePrice{}, usageError("%s has no volumes in %s. Run 'billet volumes pricing' for regions.",
			provider, region)
	}
	return client.VolumePrice{}, usageError("no volumes in %s. Run 'billet volumes pricing' for regions.", region)
}

// gigabytes parses a size in decimal GB.
func gigabytes(text string) (int, error) {
	number, factor := strings.TrimSuffix(strings.ToUpper(text), "GB"), 1
	if tera, is := strings.CutSuffix(number, "TB"); is {
		number, factor = tera, 1000
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 || n > 1_000_000_000/factor {
		return 0, usageError("--size must be a size such as 500, 500GB or 2TB, not %q.", text)
	}
	return n * factor, nil
}

// waitForVolume waits until the volume has the status, and prints others on the way.
func (t *tool) waitForVolume(
	ctx context.Context, c *client.Client, v *client.Volume, status client.VolumeStatus,
) (*client.Volume, error) {
	var last client.VolumeStatus
	return c.Volumes.Wait(ctx, v.ID, status, func(v *client.Volume) {
		if v.Status != last && v.Status != status && t.humanOutput() {
			t.note("%s is %s…", clean(v.Name), v.Status)
		}
		last = v.Status
	})
}

func (t *tool) volumeAttach() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "attach <volume> <deployment>", Short: "Attach a volume to a machine", Args: cobra.ExactArgs(2),
		Long: "Attaches a volume to a machine of the same provider and region, both by ID or name.\n" +
			"With --wait, prints the mount path.",
		Example: "  billet volumes attach datasets my-machine --wait",
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is attached")
	t.completeFirstArg(cmd, volumeNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		d, err := deployment(ctx, c, args[1])
		if err != nil {
			return err
		}
		if v, err = c.Volumes.Attach(ctx, v.ID, d.ID); err == nil && wait {
			v, err = t.waitForVolume(ctx, c, v, client.VolumeAttached)
		}
		if err != nil {
			return err
		}
		if v.Status != client.VolumeAttached {
			return printResult(t, v.ID, v,
				"%s is being attached to %s. Run 'billet volumes show %s' for its status and mount path.", v.Name,
				d.Name, v.ID)
		}
		path := valueOr(v.MountPath, "")
		switch {
		case path == "":
			path = "The provider reports no mount path. Run 'lsblk' on the machine to find the device."
		case strings.Contains(path, ":"):
			path = "Mount it on the machine with: sudo mount -t nfs " + path + " /mnt"
		default:
			path = "Mount path: " + path
		}
		return printResult(t, v.ID, v, "%s is attached to %s. %s", v.Name, d.Name, path)
	})
}

func (t *tool) volumeDetach() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "detach <volume>", Short: "Detach a volume from its machine", Args: cobra.ExactArgs(1),
		Long:    "Detaches a volume from its machine. Its files are kept and it is still billed. Unmount it first.",
		Example: "  billet volumes detach datasets --wait",
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is detached")
	t.completeFirstArg(cmd, volumeNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		if v, err = c.Volumes.Detach(ctx, v.ID, ""); err == nil && wait {
			v, err = t.waitForVolume(ctx, c, v, client.VolumeAvailable)
		}
		if err != nil {
			return err
		}
		if v.Status == client.VolumeAvailable {
			return printResult(t, v.ID, v, "%s is detached. Its files are kept and it is still billed.", v.Name)
		}
		return printResult(t, v.ID, v, "%s is being detached. Its files are kept and it is still billed.", v.Name)
	})
}

func (t *tool) volumeResize() *cobra.Command {
	var size string
	var yes bool
	cmd := &cobra.Command{
		Use: "resize <volume>", Aliases: []string{"grow"}, Short: "Enlarge a volume", Args: cobra.ExactArgs(1),
		Long:    "Enlarges a volume, after showing its new price. A volume cannot be shrunk.",
		Example: "  billet volumes resize datasets --size 1TB",
	}
	cmd.Flags().StringVar(&size, "size", "", "new `size` in GB, or with a unit: 500, 500GB, 2TB")
	yesFlag(cmd, &yes)
	t.completeFirstArg(cmd, volumeNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if size == "" {
			return usageError("missing --size: the new size of the volume.")
		}
		gb, err := gigabytes(size)
		if err != nil {
			return err
		}
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		if t.humanOutput() {
			t.note("%s has %d GB at %s. With %d GB it costs %s. A volume cannot be shrunk.",
				clean(v.Name), v.SizeGB, hourly(v.HourlyPrice), gb, hourAndMonth(v.HourlyPricePerGB, gb))
		}
		if err := t.confirm(ctx, yes, "Resize it?"); err != nil {
			return err
		}
		if v, err = c.Volumes.Update(ctx, v.ID, client.UpdateVolume{SizeGB: gb}); err != nil {
			return err
		}
		if v.GrowingToGB != nil {
			return printResult(t, v.ID, v, "%s is being resized to %d GB. Run 'billet volumes' to check.", v.Name,
				*v.GrowingToGB)
		}
		return printResult(t, v.ID, v, "%s has %d GB.", v.Name, v.SizeGB)
	})
}

func (t *tool) volumeRename() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rename <volume> <name>",
		Short:   "Rename a volume",
		Args:    cobra.ExactArgs(2),
		Example: "  billet volumes rename datasets archive",
	}
	t.completeFirstArg(cmd, volumeNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		before := v.Name
		if v, err = c.Volumes.Update(ctx, v.ID, client.UpdateVolume{Name: args[1]}); err != nil {
			return err
		}
		return printResult(t, v.ID, v, "Renamed %q to %q.", before, v.Name)
	})
}

func (t *tool) volumeRemove() *cobra.Command {
	var yes, wait bool
	cmd := &cobra.Command{
		Use: "rm <volume>", Aliases: []string{"remove", "delete"}, Short: "Delete a volume and its files",
		Args:    cobra.ExactArgs(1),
		Long:    "Permanently deletes a volume and all its files. Detach an attached volume first.",
		Example: "  billet volumes rm scratch\n  billet volumes rm scratch --yes --wait",
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is deleted")
	yesFlag(cmd, &yes)
	t.completeFirstArg(cmd, volumeNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		question := fmt.Sprintf("Permanently delete the volume %q (%d GB, %s, %s) and all its files?",
			v.Name, v.SizeGB, v.Provider, v.Region)
		if err := t.confirmDestructive(ctx, yes, question); err != nil {
			return err
		}
		if v, err = c.Volumes.Delete(ctx, v.ID); err == nil && wait {
			v, err = t.waitForVolume(ctx, c, v, client.VolumeDeleted)
		}
		if err != nil {
			return err
		}
		if v.Status == client.VolumeDeleted {
			return printResult(t, v.ID, v, "%s is deleted. Total cost: %s.", v.Name, total(v.CostToDate))
		}
		return printResult(t, v.ID, v, "%s is being deleted.", v.Name)
	})
}

func volumeNames(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	var names []cobra.Completion
	for v, err := range c.Volumes.All(ctx, client.VolumeQuery{}) {
		if err != nil {
			return nil, err
		}
		if !v.Status.Final() {
			names = append(names, cobra.CompletionWithDesc(v.Name, fmt.Sprintf("%s, %s", volumeSize(v), v.Status)))
		}
	}
	return names, nil
}
