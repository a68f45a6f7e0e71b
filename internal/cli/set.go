package cli

import (
	"context"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) set() *cobra.Command {
	var name, end string
	var tags []string
	var protect bool
	cmd := &cobra.Command{
		Use: "set <machine>", Aliases: []string{"update"}, Short: "Change a machine's name, tags, planned end or protection", Args: cobra.ExactArgs(1),
		Example: `  billet set training --name training-2
  billet set training --auto-terminate 8h
  billet set training --auto-terminate never
  billet set training --protect`,
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "another name")
	f.StringSliceVar(&tags, "tag", nil, "takes the place of all tags; --tag= takes all away")
	f.StringVar(&end, "auto-terminate", "", "end it by itself after this time, such as 8h, at one, such as 2026-12-01T18:00:00Z, or never")
	f.BoolVar(&protect, "protect", false, "refuse to end it; --protect=false allows it again")
	t.suggestMachines(cmd)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		in := client.UpdateDeployment{Name: name}
		if f.Changed("tag") {
			in.Tags = []string{}
			for _, tag := range tags {
				if tag = strings.TrimSpace(tag); tag != "" {
					in.Tags = append(in.Tags, tag)
				}
			}
		}
		switch {
		case end == "never":
			in.AutoTerminateAt = client.Clear[time.Time]()
		case end != "":
			at, err := until("--auto-terminate", end, t.Now())
			if err != nil {
				return err
			}
			in.AutoTerminateAt = client.SetTo(at)
		}
		if f.Changed("protect") {
			in.TerminationProtection = &protect
		}
		if !f.Changed("name") && in.Tags == nil && end == "" && in.TerminationProtection == nil {
			return usage("say what to change: --name, --tag, --auto-terminate or --protect.")
		}
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		if d, err = c.Deployments.Update(ctx, d.ID, in); err != nil {
			return err
		}
		return did(t, d.ID, d, "%s is changed.", d.Name)
	})
}
