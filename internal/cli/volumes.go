package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var volumeListing = listing[client.Volume]{
	id: func(v client.Volume) string { return v.ID },
	columns: []column[client.Volume]{
		{name: "id", head: "VOLUME", text: func(v client.Volume) string { return v.ID }},
		{name: "name", head: "NAME", text: func(v client.Volume) string { return v.Name }},
		{name: "status", head: "STATUS", text: func(v client.Volume) string { return string(v.Status) }},
		{name: "sizeGb", head: "SIZE", right: true, text: volumeSize, raw: func(v client.Volume) string { return strconv.Itoa(v.SizeGB) }},
		{name: "hourlyPrice", head: "PRICE", right: true, text: func(v client.Volume) string { return hourly(v.HourlyPrice) }, raw: func(v client.Volume) string { return v.HourlyPrice.Decimal() }},
		{name: "costToDate", head: "COST", right: true, text: func(v client.Volume) string { return total(v.CostToDate) }, raw: func(v client.Volume) string { return v.CostToDate.Decimal() }},
		{name: "provider", head: "PROVIDER", text: func(v client.Volume) string { return v.Provider }},
		{name: "region", head: "REGION", text: func(v client.Volume) string { return v.Region }},
		{name: "attachedTo", head: "ATTACHED TO", text: func(v client.Volume) string { return or(v.AttachedTo, "") }},
		{name: "mountPath", head: "FILES AT", wide: true, text: func(v client.Volume) string { return or(v.MountPath, "") }},
		{name: "createdAt", head: "CREATED", wide: true, text: func(v client.Volume) string { return when(v.CreatedAt) }, raw: func(v client.Volume) string { return stamp(v.CreatedAt) }},
	},
	none: "No volumes. 'billet volumes create' makes one; 'billet volumes pricing' shows where, and what it costs.",
}

// volumeSize is how large a volume is, and will be.
func volumeSize(v client.Volume) string {
	if v.GrowingToGB != nil {
		return fmt.Sprintf("%d → %d GB", v.SizeGB, *v.GrowingToGB)
	}
	return fmt.Sprintf("%d GB", v.SizeGB)
}

var volumePriceListing = listing[client.VolumePrice]{
	id: func(p client.VolumePrice) string { return p.Provider + "/" + p.Region },
	columns: []column[client.VolumePrice]{
		{name: "provider", head: "PROVIDER", text: func(p client.VolumePrice) string { return p.Provider }},
		{name: "region", head: "REGION", text: func(p client.VolumePrice) string { return p.Region }},
		{name: "regionName", head: "NAME", text: func(p client.VolumePrice) string { return p.RegionName }},
		{name: "hourlyPricePerGb", head: "1 GB", right: true, text: func(p client.VolumePrice) string { return hourly(p.HourlyPricePerGB) }, raw: func(p client.VolumePrice) string { return p.HourlyPricePerGB.Decimal() }},
		{head: "1 TB", right: true, text: func(p client.VolumePrice) string { return hourly(p.HourlyPricePerGB * 1000) }},
		{head: "1 TB A MONTH", right: true, text: func(p client.VolumePrice) string { return monthly(p.HourlyPricePerGB * 1000) }},
		{name: "minSizeGb", head: "SMALLEST", right: true, text: func(p client.VolumePrice) string { return fmt.Sprintf("%d GB", p.MinSizeGB) }, raw: func(p client.VolumePrice) string { return strconv.Itoa(p.MinSizeGB) }},
		{name: "maxSizeGb", head: "LARGEST", right: true, text: func(p client.VolumePrice) string { return fmt.Sprintf("%d GB", p.MaxSizeGB) }, raw: func(p client.VolumePrice) string { return strconv.Itoa(p.MaxSizeGB) }},
	},
	none: "No provider has volumes now.",
}

// monthly is what 730 hours, a twelfth of a year, cost at that price, to the cent.
func monthly(hour client.Money) string {
	month := hour * 730
	return total(month)
}

func (t *tool) volumes() *cobra.Command {
	cmd := &cobra.Command{
		Use: "volumes", Aliases: []string{"volume", "vol"}, Short: "Storage that outlives machines", Args: cobra.NoArgs,
		Long: "Shows your volumes: storage that outlives machines. A volume is charged by the hour until it is deleted, attached or not.",
		Example: `  billet volumes pricing
  billet volumes create --name datasets --size 500 --region dallas-usa-5
  billet volumes attach datasets my-machine --wait`,
	}
	var q client.VolumeQuery
	cmd.Flags().StringVar(&q.Sort, "sort", "", "createdAt or name; with a hyphen before it downwards")
	t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := collect(c.Volumes.All(ctx, q))
		if err != nil {
			return err
		}
		return list(t, volumeListing, items)
	})
	cmd.AddCommand(t.volumeCreate(), t.volumeShow(), t.volumeAttach(), t.volumeDetach(), t.volumeGrow(), t.volumeRename(), t.volumeRemove(), t.volumePricing())
	return cmd
}

func (t *tool) volumePricing() *cobra.Command {
	return t.verb(&cobra.Command{
		Use: "pricing", Aliases: []string{"prices"}, Short: "Where volumes can be had, and what they cost", Args: cobra.NoArgs, Example: "  billet volumes pricing -o csv",
	}, func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := collect(c.Volumes.AllPricing(ctx))
		if err != nil {
			return err
		}
		return list(t, volumePriceListing, items)
	})
}

func (t *tool) volumeShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show <volume>", Short: "Everything about one volume", Args: cobra.ExactArgs(1), Example: "  billet volumes show datasets"}
	t.suggest(cmd, volumeNames)
	return t.verb(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		return show(t, v.ID, v, row{"Volume", v.ID}, row{"Name", v.Name}, row{"Status", string(v.Status)}, row{"Reason", or(v.StatusReason, "")},
			row{"Size", volumeSize(*v)}, row{"Provider", v.Provider}, row{"Region", v.Region}, row{"Attached to", or(v.AttachedTo, "")}, row{"Files at", or(v.MountPath, "")},
			row{"Price", fmt.Sprintf("%s, about %s a month", hourly(v.HourlyPrice), monthly(v.HourlyPrice))}, row{"Cost", total(v.CostToDate)},
			row{"Created", when(v.CreatedAt)}, row{"Deleted", whenever(v.DeletedAt)})
	})
}

func (t *tool) volumeCreate() *cobra.Command {
	var in client.CreateVolume
	var size string
	var yes, wait bool
	cmd := &cobra.Command{
		Use: "create", Aliases: []string{"add"}, Short: "Make a volume", Args: cobra.NoArgs,
		Long: `Makes a volume, after it has shown what it costs. It is charged by the hour once it is there, attached or not, until it is deleted.

It can be attached to machines of the same provider and region only; 'billet volumes pricing' shows where there are volumes.`,
		Example: `  billet volumes create --name datasets --size 500 --provider voltage-park --region dallas-usa-5
  billet volumes create --name scratch --size 2TB --region dallas-usa-5 --yes --wait`,
	}
	f := cmd.Flags()
	f.StringVar(&in.Name, "name", "", "what it is called")
	f.StringVar(&size, "size", "", "how large, in GB, or with a unit: 500, 500GB, 2TB")
	f.StringVar(&in.Provider, "provider", "", "a provider's slug; it may be left out where the region is of one only")
	f.StringVar(&in.Region, "region", "", "a region's slug")
	f.BoolVar(&wait, "wait", false, "until it can be attached")
	yesFlag(cmd, &yes)
	return t.act(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		var missing []string
		for _, flag := range []struct{ name, value string }{{"--name", in.Name}, {"--size", size}, {"--region", in.Region}} {
			if flag.value == "" {
				missing = append(missing, flag.name)
			}
		}
		if len(missing) > 0 {
			return usage("%s must be given. 'billet volumes pricing' shows where volumes can be had.", strings.Join(missing, ", "))
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
			return usage("--size: a volume of %s in %s has %d to %d GB.", price.Provider, price.Region, price.MinSizeGB, price.MaxSizeGB)
		}
		in.Provider = price.Provider
		if t.forPeople() {
			t.note("%d GB of %s in %s: %s. It is charged until it is deleted, attached or not.", in.SizeGB, price.Provider, clean(price.RegionName), hourAndMonth(price.HourlyPricePerGB, in.SizeGB))
		}
		if err := t.agree(ctx, yes, fmt.Sprintf("Create the volume %q?", in.Name)); err != nil {
			return err
		}
		v, err := c.Volumes.Create(ctx, in)
		if err == nil && wait {
			v, err = t.settled(ctx, c, v, client.VolumeAvailable)
		}
		if err != nil {
			return err
		}
		if v.Status == client.VolumeCreating {
			return did(t, v.ID, v, "%s (%s) is being created; 'billet volumes' shows when it is there.", v.Name, v.ID)
		}
		return did(t, v.ID, v, "%s (%s) is %s.", v.Name, v.ID, v.Status)
	})
}

// hourAndMonth is what so many GB cost.
func hourAndMonth(perGB client.Money, size int) string {
	price := perGB * client.Money(size)
	return fmt.Sprintf("%s, about %s a month", hourly(price), monthly(price))
}

// volumePrice finds the price of volumes in a region. The provider may be empty where only one has a region of that name.
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
		return client.VolumePrice{}, usage("several providers have volumes in %s; say with --provider which: %s.", region, strings.Join(providers, ", "))
	case provider != "":
		return client.VolumePrice{}, usage("%s has no volumes in %s. 'billet volumes pricing' shows where they can be had.", provider, region)
	}
	return client.VolumePrice{}, usage("there are no volumes in %s. 'billet volumes pricing' shows where they can be had.", region)
}

// gigabytes reads a size in decimal GB.
func gigabytes(text string) (int, error) {
	number, factor := strings.TrimSuffix(strings.ToUpper(text), "GB"), 1
	if tera, is := strings.CutSuffix(number, "TB"); is {
		number, factor = tera, 1000
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 || n > 1_000_000_000/factor {
		return 0, usage("--size %q is no size such as 500, 500GB or 2TB.", text)
	}
	return n * factor, nil
}

// settled waits until the volume has the status, and says what goes on.
func (t *tool) settled(ctx context.Context, c *client.Client, v *client.Volume, status client.VolumeStatus) (*client.Volume, error) {
	var last client.VolumeStatus
	return c.Volumes.Wait(ctx, v.ID, status, func(v *client.Volume) {
		if v.Status != last && v.Status != status && t.forPeople() {
			t.note("%s is %s…", clean(v.Name), v.Status)
		}
		last = v.Status
	})
}

func (t *tool) volumeAttach() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "attach <volume> <deployment>", Short: "Attach a volume to a machine", Args: cobra.ExactArgs(2),
		Long:    "Attaches a volume to a machine of the same provider and region; both by id or name. With --wait it says where the files are.",
		Example: "  billet volumes attach datasets my-machine --wait",
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "until it is attached")
	t.suggest(cmd, volumeNames)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		d, err := deployment(ctx, c, args[1])
		if err != nil {
			return err
		}
		if v, err = c.Volumes.Attach(ctx, v.ID, d.ID); err == nil && wait {
			v, err = t.settled(ctx, c, v, client.VolumeAttached)
		}
		if err != nil {
			return err
		}
		if v.Status != client.VolumeAttached {
			return did(t, v.ID, v, "%s is being attached to %s; 'billet volumes show %s' tells when it is, and where its files are.", v.Name, d.Name, v.ID)
		}
		path := or(v.MountPath, "")
		switch {
		case path == "":
			path = "The provider does not say where its files are; 'lsblk' in the machine shows it."
		case strings.Contains(path, ":"):
			path = "Mount its files in the machine: sudo mount -t nfs " + path + " /mnt"
		default:
			path = "Its files are at " + path + "."
		}
		return did(t, v.ID, v, "%s is attached to %s. %s", v.Name, d.Name, path)
	})
}

func (t *tool) volumeDetach() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "detach <volume>", Short: "Take a volume from the machine that has it", Args: cobra.ExactArgs(1),
		Long:    "Takes a volume from the machine that has it. Its files stay, and so does its price; end what writes to it first.",
		Example: "  billet volumes detach datasets --wait",
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "until it can be attached again")
	t.suggest(cmd, volumeNames)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		if v, err = c.Volumes.Detach(ctx, v.ID, ""); err == nil && wait {
			v, err = t.settled(ctx, c, v, client.VolumeAvailable)
		}
		if err != nil {
			return err
		}
		if v.Status == client.VolumeAvailable {
			return did(t, v.ID, v, "%s is detached; its files are kept, and it is charged for.", v.Name)
		}
		return did(t, v.ID, v, "%s is being detached; its files are kept, and it is charged for.", v.Name)
	})
}

func (t *tool) volumeGrow() *cobra.Command {
	var size string
	var yes bool
	cmd := &cobra.Command{
		Use: "grow <volume>", Short: "Make a volume larger", Args: cobra.ExactArgs(1),
		Long:    "Makes a volume larger, after it has shown what it costs then. It never shrinks.",
		Example: "  billet volumes grow datasets --size 1TB",
	}
	cmd.Flags().StringVar(&size, "size", "", "how large it shall be, in GB, or with a unit: 500, 500GB, 2TB")
	yesFlag(cmd, &yes)
	t.suggest(cmd, volumeNames)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if size == "" {
			return usage("--size must be given: how large the volume shall be.")
		}
		gb, err := gigabytes(size)
		if err != nil {
			return err
		}
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		if t.forPeople() {
			t.note("%s has %d GB for %s. With %d GB it costs %s, and cannot be made smaller again.", clean(v.Name), v.SizeGB, hourly(v.HourlyPrice), gb, hourAndMonth(v.HourlyPricePerGB, gb))
		}
		if err := t.agree(ctx, yes, "Grow it?"); err != nil {
			return err
		}
		if v, err = c.Volumes.Update(ctx, v.ID, client.UpdateVolume{SizeGB: gb}); err != nil {
			return err
		}
		if v.GrowingToGB != nil {
			return did(t, v.ID, v, "%s grows to %d GB; 'billet volumes' shows when it has.", v.Name, *v.GrowingToGB)
		}
		return did(t, v.ID, v, "%s has %d GB.", v.Name, v.SizeGB)
	})
}

func (t *tool) volumeRename() *cobra.Command {
	cmd := &cobra.Command{Use: "rename <volume> <name>", Short: "Give a volume another name", Args: cobra.ExactArgs(2), Example: "  billet volumes rename datasets archive"}
	t.suggest(cmd, volumeNames)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		before := v.Name
		if v, err = c.Volumes.Update(ctx, v.ID, client.UpdateVolume{Name: args[1]}); err != nil {
			return err
		}
		return did(t, v.ID, v, "Renamed %q to %q.", before, v.Name)
	})
}

func (t *tool) volumeRemove() *cobra.Command {
	var yes, wait bool
	cmd := &cobra.Command{
		Use: "rm <volume>", Aliases: []string{"remove", "delete"}, Short: "Delete a volume and its files", Args: cobra.ExactArgs(1),
		Long:    "Deletes a volume and all its files; nobody can bring them back. A volume that is attached is not deleted: detach it first.",
		Example: "  billet volumes rm scratch\n  billet volumes rm scratch --yes --wait",
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "until it is gone")
	yesFlag(cmd, &yes)
	t.suggest(cmd, volumeNames)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := volume(ctx, c, args[0])
		if err != nil {
			return err
		}
		if err := t.agreeToLoss(ctx, yes, fmt.Sprintf("Delete the volume %q (%d GB at %s, %s)? ALL ITS FILES ARE LOST.", v.Name, v.SizeGB, v.Provider, v.Region)); err != nil {
			return err
		}
		if v, err = c.Volumes.Delete(ctx, v.ID); err == nil && wait {
			v, err = t.settled(ctx, c, v, client.VolumeDeleted)
		}
		if err != nil {
			return err
		}
		if v.Status == client.VolumeDeleted {
			return did(t, v.ID, v, "%s is deleted, with its files. It cost %s.", v.Name, total(v.CostToDate))
		}
		return did(t, v.ID, v, "%s is being deleted, with its files.", v.Name)
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
