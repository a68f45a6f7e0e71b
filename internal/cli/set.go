package cli

import (
	"context"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) set() *cobra.Command {
	var name, end, project, maxSpend, maxRuntime string
	var tags []string
	var protect bool
	cmd := &cobra.Command{
		Use: "set <machine>", Aliases: []string{"update"}, Args: cobra.ExactArgs(1),
		Short: "Update a machine's name, tags, project, auto-termination, limits or protection",
		Example: `  billet set training --name training-2
  billet set training --auto-terminate 8h
  billet set training --auto-terminate never
  billet set training --max-spend 500 --max-runtime none
  billet set training --protect`,
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "new `name`")
	f.StringSliceVar(&tags, "tag", nil, "`tag`s that replace the current ones; --tag= removes all")
	f.StringVar(&project, "project", "", "`project`; --project= removes it from its project")
	f.StringVar(
		&end,
		"auto-terminate",
		"",
		"terminate after a duration, such as 8h, at a `time`, such as 2026-12-01T18:00:00Z, or never",
	)
	f.StringVar(&maxSpend, "max-spend", "", maxSpendHelp+"; none removes it")
	f.StringVar(&maxRuntime, "max-runtime", "", maxRuntimeHelp+"; none removes it")
	f.BoolVar(&protect, "protect", false, "enable termination protection; --protect=false disables it")
	t.completeMachines(cmd)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		in := client.UpdateDeployment{Name: name}
		if f.Changed("tag") {
			in.Tags = []string{}
			for _, tag := range tags {
				if tag = strings.TrimSpace(tag); tag != "" {
					in.Tags = append(in.Tags, tag)
				}
			}
		}
		if f.Changed("project") {
			in.Project = client.Clear[string]()
			if project != "" {
				in.Project = client.SetTo(project)
			}
		}
		switch {
		case end == "never":
			in.AutoTerminateAt = client.Clear[time.Time]()
		case end != "":
			at, err := t.parseEnd(ctx, c, "--auto-terminate", end)
			if err != nil {
				return err
			}
			in.AutoTerminateAt = client.SetTo(at)
		}
		if err := setLimits(&in, maxSpend, maxRuntime); err != nil {
			return err
		}
		if f.Changed("protect") {
			in.TerminationProtection = &protect
		}
		limits := maxSpend != "" || maxRuntime != ""
		if !f.Changed("name") && in.Tags == nil && in.Project.IsZero() && end == "" && !limits &&
			in.TerminationProtection == nil {
			return usageError("nothing to change. Use --name, --tag, --project, --auto-terminate, --max-spend, " +
				"--max-runtime or --protect.")
		}
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		if d, err = c.Deployments.Update(ctx, d.ID, in); err != nil {
			return err
		}
		return printResult(t, d.ID, d, "Updated %s.", d.Name)
	})
}

// setLimits adds the new limits to an update; none removes a limit.
func setLimits(in *client.UpdateDeployment, maxSpend, maxRuntime string) error {
	switch maxSpend {
	case "":
	case "none":
		in.MaxSpend = client.Clear[client.Money]()
	default:
		m, err := dollars("--max-spend", maxSpend)
		if err != nil {
			return err
		}
		in.MaxSpend = client.SetTo(m)
	}
	switch maxRuntime {
	case "":
	case "none":
		in.MaxRuntimeMinutes = client.Clear[int]()
	default:
		minutes, err := parseMinutes("--max-runtime", maxRuntime)
		if err != nil {
			return err
		}
		in.MaxRuntimeMinutes = client.SetTo(minutes)
	}
	return nil
}
