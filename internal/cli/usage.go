package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var usageHeads = map[client.UsageGroup]string{
	client.ByDay: "DAY (UTC)", client.ByDeployment: "NAME", client.ByGPUType: "GPU", client.ByProvider: "PROVIDER",
	client.ByTag: "TAG", client.ByMember: "MEMBER", client.ByAPIKey: "API KEY", client.ByProject: "PROJECT",
}

func (t *tool) usage() *cobra.Command {
	var from, to, by, key, version string
	var focus, daily bool
	cmd := &cobra.Command{
		Use: "usage", Aliases: []string{"costs"},
		Short: "Show costs by day, machine, GPU, provider, tag, project or creator",
		Args:  cobra.NoArgs,
		Long: `Shows charges net of refunds. An hour counts toward the day on which it starts. The
default is the last 30 days.

Wide terminals and -o wide include a plot.

--daily also divides each group by day, for at most 93 days. --tag-key team groups by the tags that
begin with "team:" or "team=".

--focus exports each hour for cost tools, as CSV in the format of FOCUS, the FinOps Open Cost and
Usage Specification. With -o json it writes JSON lines.

` + timesHelp,
		Example: `  billet usage
  billet usage --by deployment --from 7d
  billet usage --by project --from 30d
  billet usage --by tag --tag-key team --daily --from 7d
  billet usage --by gpuType --from 2026-11-01 --to 2026-12-01 -o csv
  billet usage --focus --from 2026-11-01 --to 2026-12-01 > november.csv`,
	}
	timeFlags(cmd, &from, &to)
	cmd.Flags().StringVar(&by, "by", string(client.ByDay),
		"group by "+joined(client.UsageGroups())+"; deployment includes volumes")
	_ = cmd.RegisterFlagCompletionFunc("by", fixed(client.UsageGroups()))
	cmd.Flags().StringVar(&key, "tag-key", "",
		"with --by tag: group by the tags of this `key`, such as team for team:search")
	cmd.Flags().BoolVar(&daily, "daily", false, "also divide each group by day; not with --by day and --by deployment")
	cmd.Flags().BoolVar(&focus, "focus", false, "export each hour in the format of FOCUS")
	cmd.Flags().StringVar(&version, "focus-version", "", "`version` of FOCUS: "+joined(client.FOCUSVersions()))
	_ = cmd.RegisterFlagCompletionFunc("focus-version", fixed(client.FOCUSVersions()))
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if !slices.Contains(client.UsageGroups(), client.UsageGroup(by)) {
			return usageError("--by must be %s, not %q.", joined(client.UsageGroups()), by)
		}
		q := client.UsageQuery{GroupBy: client.UsageGroup(by), TagKey: key, Daily: daily}
		var err error
		if q.From, q.To, err = t.interval(ctx, c, from, to); err != nil {
			return err
		}
		if err := checkUsageFlags(q, focus, cmd.Flags().Changed("by"), version); err != nil {
			return err
		}
		if focus {
			return t.exportFOCUS(ctx, c, client.FOCUSQuery{
				From: q.From, To: q.To, Version: client.FOCUSVersion(version), JSONLines: t.format == "json",
			})
		}
		u, err := c.Wallet.Usage(ctx, q)
		if err != nil {
			return err
		}
		switch t.format {
		case "json", "yaml":
			return t.encode(u)
		case "csv", "id":
			if daily && t.format == "csv" {
				return list(t, dailyListing(u), u.Days)
			}
			return list(t, usageListing, u.Groups)
		}
		return t.usageTable(u, daily)
	})
}

// checkUsageFlags finds flags that contradict each other.
func checkUsageFlags(q client.UsageQuery, focus, by bool, version string) error {
	switch {
	case focus && by:
		return usageError("--focus has each hour. Remove --by.")
	case focus && q.Daily:
		return usageError("--focus has each hour. Remove --daily.")
	case !focus && version != "":
		return usageError("--focus-version needs --focus.")
	case q.TagKey != "" && q.GroupBy != client.ByTag:
		return usageError("--tag-key needs --by tag.")
	case q.Daily && (q.GroupBy == client.ByDay || q.GroupBy == client.ByDeployment):
		return usageError("--daily needs another group: add --by project, for example.")
	case q.Daily && q.GroupBy == client.ByTag && q.TagKey == "":
		return usageError("--daily --by tag needs --tag-key: a machine with several tags counts for each.")
	}
	return nil
}

// exportFOCUS prints the server's file.
func (t *tool) exportFOCUS(ctx context.Context, c *client.Client, q client.FOCUSQuery) error {
	if q.Version != "" && !slices.Contains(client.FOCUSVersions(), q.Version) {
		return usageError("--focus-version must be %s, not %q.", joined(client.FOCUSVersions()), q.Version)
	}
	body, err := c.Wallet.FOCUS(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	_, err = io.Copy(t.Out, body)
	return err
}

var usageListing = listing[client.UsageCost]{
	id: func(g client.UsageCost) string { return g.Key },
	columns: []column[client.UsageCost]{
		{name: "key", text: func(g client.UsageCost) string { return g.Key }},
		{name: "name", text: func(g client.UsageCost) string { return valueOr(g.Name, "") }},
		{name: "cost", text: func(g client.UsageCost) string { return g.Cost.Decimal() }},
	},
}

// dailyListing lists the days of usage, with the names of its groups.
func dailyListing(u *client.Usage) listing[client.UsageDay] {
	names := make(map[string]string, len(u.Groups))
	for _, g := range u.Groups {
		names[g.Key] = valueOr(g.Name, "")
	}
	return listing[client.UsageDay]{
		id: func(d client.UsageDay) string { return d.Key },
		columns: []column[client.UsageDay]{
			{name: "day", text: func(d client.UsageDay) string { return d.Day }},
			{name: "key", text: func(d client.UsageDay) string { return d.Key }},
			{name: "name", text: func(d client.UsageDay) string { return names[d.Key] }},
			{name: "cost", text: func(d client.UsageDay) string { return d.Cost.Decimal() }},
		},
	}
}

// usageRow is a row of the table: what a group cost, on a day if it is not "".
type usageRow struct {
	day, name, key string
	cost           client.Money
}

// usageRows returns the rows, without the days that cost nothing unless the groups are days.
func usageRows(u *client.Usage, daily bool) (rows []usageRow) {
	groups, names := u.Groups, make(map[string]string, len(u.Groups))
	if u.GroupBy == client.ByDay {
		groups = fillDays(groups)
	}
	for _, g := range groups {
		names[g.Key] = usageName(u.GroupBy, g)
		if !daily {
			rows = append(rows, usageRow{name: names[g.Key], key: g.Key, cost: g.Cost})
		}
	}
	for _, d := range u.Days {
		rows = append(rows, usageRow{d.Day, names[d.Key], d.Key, d.Cost})
	}
	return rows
}

// usageName returns what a group is called.
func usageName(by client.UsageGroup, g client.UsageCost) string {
	name := g.Key
	switch by {
	case client.ByDeployment, client.ByMember, client.ByAPIKey:
		name = valueOr(g.Name, g.Key)
	}
	switch {
	case name == "" && by == client.ByGPUType:
		return "volumes"
	case name == "":
		return "other"
	}
	return name
}

// usageTable prints costs with their total and, if there is space, a bar for each.
func (t *tool) usageTable(u *client.Usage, daily bool) error {
	if len(u.Groups) == 0 {
		t.note("No charges from %s to %s.", localTime(u.From), localTime(u.To))
		return nil
	}
	all := usageRows(u, daily)
	heads := []string{usageHeads[u.GroupBy], "COST", "SHARE"}
	before := 0 // columns before the name
	if daily {
		heads, before = append([]string{usageHeads[client.ByDay]}, heads...), 1
	}
	if u.GroupBy == client.ByDeployment {
		heads = append(heads, "ID")
	}
	var rows [][]string
	largest := client.Money(0)
	for _, r := range all {
		largest = max(largest, r.cost)
		row := []string{clean(r.name), total(r.cost), percentage(r.cost, u.Total)}
		if daily {
			row = append([]string{r.day}, row...)
		}
		if u.GroupBy == client.ByDeployment {
			row = append(row, r.key)
		}
		rows = append(rows, row)
	}
	sums := make([]string, len(heads))
	sums[0], sums[before+1] = "Total", total(u.Total)
	rows = append(rows, sums)
	style := func(_, column int) lipgloss.Style {
		s := lipgloss.NewStyle()
		if column == before+1 || column == before+2 {
			s = s.Align(lipgloss.Right)
		}
		return s
	}
	if width := t.plotWidth(lipgloss.Width(render(heads, rows, style)) + 2); width > 0 {
		heads = append(heads, "")
		for i := range rows {
			cell := ""
			if i < len(all) {
				cell = bar(float64(all[i].cost), float64(largest), width)
			}
			rows[i] = append(rows[i], cell)
		}
	}
	return t.table(heads, rows, style)
}

// percentage formats part as a percentage of whole, or "" if there is no whole.
func percentage(part, whole client.Money) string {
	if whole <= 0 {
		return ""
	}
	if part > 0 && part < whole/100 {
		return "<1%"
	}
	return fmt.Sprintf("%.0f%%", float64(part)/float64(whole)*100)
}

// fillDays inserts the days without costs.
func fillDays(groups []client.UsageCost) []client.UsageCost {
	var all []client.UsageCost
	for _, g := range groups {
		day, err := time.Parse(time.DateOnly, g.Key)
		if err != nil {
			return groups
		}
		if len(all) > 0 {
			last, _ := time.Parse(time.DateOnly, all[len(all)-1].Key) // parsed before
			for last = last.AddDate(0, 0, 1); last.Before(day); last = last.AddDate(0, 0, 1) {
				all = append(all, client.UsageCost{Key: last.Format(time.DateOnly)})
			}
		}
		all = append(all, g)
	}
	return all
}
