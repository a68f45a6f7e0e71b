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

// matching are the flags that select machines, as those of ps do.
type matching struct {
	client.BulkFilter
	statuses []string
}

// addTo adds the flags to a command, which does that to the machines: "terminate", "tag".
func (m *matching) addTo(cmd *cobra.Command, command string) {
	f := cmd.Flags()
	f.StringVar(&m.Project, "project", "", command+" all machines of this `project`")
	f.StringVar(&m.Tag, "tag", "", command+" all machines with this `tag`")
	f.StringVar(&m.CreatedBy, "created-by", "", command+" all machines that the user or API key with this `id` created")
	f.StringVar(&m.GPUType, "gpu", "", command+" all machines of this GPU `type`, such as \"NVIDIA B200\"")
	f.StringVar(&m.Provider, "provider", "", command+" all machines of the provider with this `slug`")
	f.StringVar(&m.Region, "region", "", command+" all machines in the region with this `slug`")
	f.StringVar(&m.Search, "name", "", command+" all machines whose name, tags, address or ID contain this `text`")
	f.StringSliceVar(&m.statuses, "status", nil, "only machines with one of these `status`es; all that have not ended "+
		"if omitted")
	_ = cmd.RegisterFlagCompletionFunc("status", fixed(client.DeploymentStatuses()))
}

const selectingFlags = "--project, --tag, --created-by, --gpu, --provider, --region, --name or --status"

// filter returns the filter of the flags; nil if machines are named instead. It returns a usage
// error for both, or neither.
func (m *matching) filter(names []string) (*client.BulkFilter, error) {
	f := m.BulkFilter
	for _, s := range m.statuses {
		f.Status = append(f.Status, client.DeploymentStatus(s))
	}
	selects := len(f.Status) > 0 || f.Project+f.Tag+f.CreatedBy+f.GPUType+f.Provider+f.Region+f.Search != ""
	switch {
	case selects && len(names) > 0:
		return nil, usageError("name machines, or select them with %s, but not both.", selectingFlags)
	case selects:
		return &f, nil
	case len(names) == 0:
		return nil, usageError("name at least one machine, or select machines with %s.", selectingFlags)
	}
	return nil, nil
}

// bulkUpdate is a bulk action that can be undone, and its words.
type bulkUpdate struct {
	action client.BulkDeployments
	// command and done are words such as "tag" and "tagged".
	command, done string
}

// run performs the action on the machines, by one call. It first lists what it would change.
func (u bulkUpdate) run(
	ctx context.Context, t *tool, c *client.Client, m *matching, names []string, yes bool,
) error {
	in := u.action
	var err error
	if in.Filter, err = m.filter(names); err != nil {
		return err
	}
	for _, name := range names {
		d, err := deployment(ctx, c, name)
		if err != nil {
			return err
		}
		in.IDs = append(in.IDs, d.ID)
	}
	results := bulkListing(func(client.BulkResult) string { return "will be " + u.done })
	in.DryRun = true
	preview, err := c.Deployments.Bulk(ctx, in)
	if err != nil {
		return err
	}
	// What is confirmed is what is changed, whatever matches meanwhile.
	in.Filter, in.IDs, in.DryRun = nil, nil, false
	for _, r := range preview.Results {
		if r.OK {
			in.IDs = append(in.IDs, r.ID)
		}
	}
	if len(in.IDs) == 0 {
		return errors.Join(list(t, results, preview.Results), bulkFailed(preview.Results, u.done))
	}
	if t.interactive() && t.humanOutput() && !yes {
		if err := list(t, results, preview.Results); err != nil {
			return err
		}
	}
	question := fmt.Sprintf("%s %s?", u.command, plural(len(in.IDs), "machine"))
	if err := t.confirm(ctx, yes, question); err != nil {
		return err
	}
	done, err := c.Deployments.Bulk(ctx, in)
	if err != nil {
		return err
	}
	all := withRefused(done.Results, preview.Results)
	return errors.Join(list(t, bulkListing(func(client.BulkResult) string { return u.done }), all),
		bulkFailed(all, u.done))
}

// withRefused returns the results of an action with those of its preview that were refused there.
func withRefused(done, preview []client.BulkResult) []client.BulkResult {
	for _, r := range preview {
		if !r.OK {
			done = append(done, r)
		}
	}
	return done
}

// bulkListing lists the results of a bulk action, with that text for what was not refused.
func bulkListing(accepted func(client.BulkResult) string) listing[client.BulkResult] {
	var col columnsOf[client.BulkResult]
	return listing[client.BulkResult]{
		id: func(r client.BulkResult) string { return r.ID },
		columns: []column[client.BulkResult]{
			col.text("id", "DEPLOYMENT", func(r client.BulkResult) string { return r.ID }),
			col.text("name", "NAME", func(r client.BulkResult) string { return r.Name }),
			col.text("result", "RESULT", func(r client.BulkResult) string {
				if r.Error != nil {
					return r.Error.Message
				}
				return accepted(r)
			}),
		},
		none: "No machines match.",
	}
}

// tag is the command that adds tags to machines or, with remove, removes them.
func (t *tool) tag(remove bool) *cobra.Command {
	u := bulkUpdate{client.BulkDeployments{Action: client.BulkAddTags}, "Tag", "tagged"}
	cmd := &cobra.Command{
		Use: "tag <tags> [machine]…", Args: cobra.MinimumNArgs(1), Short: "Add tags to machines",
		Long: `Adds tags, separated by commas, to the named machines or to all that match. Other tags stay.
billet lists the machines, asks for confirmation, and changes up to 500 by one call.`,
		Example: `  billet tag batch training eval
  billet tag batch,nightly --project pretraining
  billet tag old --created-by key_01… --yes`,
	}
	if remove {
		u = bulkUpdate{client.BulkDeployments{Action: client.BulkRemoveTags}, "Untag", "untagged"}
		cmd.Use, cmd.Short = "untag <tags> [machine]…", "Remove tags from machines"
		cmd.Long = `Removes tags, separated by commas, from the named machines or from all that match.
billet lists the machines, asks for confirmation, and changes up to 500 by one call.`
		cmd.Example = `  billet untag batch training eval
  billet untag nightly --tag nightly --yes`
	}
	var m matching
	var yes bool
	yesFlag(cmd, &yes)
	m.addTo(cmd, strings.ToLower(u.command))
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		for tag := range strings.SplitSeq(args[0], ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				u.action.Tags = append(u.action.Tags, tag)
			}
		}
		return u.run(ctx, t, c, &m, args[1:], yes)
	})
}

func (t *tool) autoTerminate() *cobra.Command {
	var m matching
	var yes bool
	cmd := &cobra.Command{
		Use: "auto-terminate <time> [machine]…", Args: cobra.MinimumNArgs(1),
		Short: "Set when machines auto-terminate",
		Long: `Sets when the named machines, or all that match, auto-terminate: after a duration, such as 8h, at
a time, such as 2026-12-01T18:00:00Z, or never. billet lists the machines, asks for confirmation, and
changes up to 500 by one call.`,
		Example: `  billet auto-terminate 8h training eval
  billet auto-terminate 2026-12-01T18:00:00Z --project pretraining
  billet auto-terminate never --tag long --yes`,
	}
	yesFlag(cmd, &yes)
	m.addTo(cmd, "change")
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		u := bulkUpdate{
			client.BulkDeployments{
				Action: client.BulkSetAutoTerminate, AutoTerminateAt: client.Clear[time.Time](),
			},
			"Cancel the auto-termination of", "changed",
		}
		if args[0] != "never" {
			at, err := t.parseEnd(ctx, c, "the time", args[0])
			if err != nil {
				return err
			}
			u.action.AutoTerminateAt = client.SetTo(at)
			u.command = fmt.Sprintf("Set the auto-termination to %s for", localTime(at))
		}
		return u.run(ctx, t, c, &m, args[1:], yes)
	})
}
