package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var eventListing = listing[client.Event]{
	id: func(e client.Event) string { return e.ID },
	columns: []column[client.Event]{
		{name: "createdAt", head: "TIME", text: func(e client.Event) string { return e.CreatedAt.Local().Format("2006-01-02 15:04:05") }, raw: func(e client.Event) string { return stamp(e.CreatedAt) }},
		{name: "type", head: "EVENT", text: func(e client.Event) string { return e.Type }},
		{name: "subject", head: "SUBJECT", text: func(e client.Event) string { return e.Subject }},
		{name: "data", head: "FACTS", text: func(e client.Event) string { return facts(e.Data) }, raw: func(e client.Event) string { return string(e.Data) }},
		{name: "id", head: "ID", wide: true, text: func(e client.Event) string { return e.ID }},
	},
	none: "Nothing has happened.",
}

// facts are those of an event that are plain, in the order of their names.
func facts(data json.RawMessage) string {
	var all map[string]json.RawMessage
	if json.Unmarshal(data, &all) != nil {
		return ""
	}
	var out []string
	for name, raw := range all {
		text := strings.TrimSpace(string(raw))
		var word string
		if json.Unmarshal(raw, &word) == nil {
			text = word
		}
		if text != "" && text != "null" && text[0] != '{' && text[0] != '[' {
			out = append(out, name+"="+text)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (t *tool) events() *cobra.Command {
	var follow bool
	var last int
	var after string
	var types []string
	cmd := &cobra.Command{
		Use: "events [machine]", Aliases: []string{"event", "log"}, Short: "What happened, and what happens", Args: cobra.MaximumNArgs(1),
		Long: `Shows what happened in the account, or to one machine or volume, oldest first.

With --follow it goes on with what happens, each event once, also where the connection breaks off in between; with -o json each is a line
of JSON then.`,
		Example: `  billet events training
  billet events --follow
  billet events --follow --type deployment.running -o json | jq .subject`,
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with what happens")
	f.IntVarP(&last, "last", "n", 20, "how many of those that have happened; 0 for none")
	f.StringVar(&after, "after", "", "follow from the event after this one, evt_…; none is left out")
	f.StringSliceVar(&types, "type", nil, "only events of these types, such as deployment.running")
	t.suggestMachines(cmd)
	return t.verb(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if last < 0 {
			return usage("--last must not be negative.")
		}
		filter := client.EventFilter{Types: types}
		if len(args) == 1 {
			var err error
			if filter.Subject, err = subject(ctx, c, args[0]); err != nil {
				return err
			}
		}
		if !follow {
			if after != "" {
				return usage("--after is for --follow.")
			}
			items, err := newest(ctx, c, filter, last)
			if err != nil {
				return err
			}
			return list(t, eventListing, items)
		}
		if t.format == "csv" || t.format == "yaml" {
			return usage("--follow answers with a table, with -o json a line of JSON for each event, or with -o id.")
		}
		if after == "" && last > 0 {
			items, err := newest(ctx, c, filter, last)
			if err != nil {
				return err
			}
			if after = client.BeginningOfEvents; len(items) > 0 {
				after = items[len(items)-1].ID
			}
			for _, e := range items {
				if err := t.event(e); err != nil {
					return err
				}
			}
		}
		for e, err := range c.Events.Stream(ctx, after, filter) {
			if err != nil {
				if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
					return nil // it goes on until somebody ends it, and that went well
				}
				return err
			}
			if err := t.event(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// newest are the last n events, oldest first.
func newest(ctx context.Context, c *client.Client, filter client.EventFilter, n int) ([]client.Event, error) {
	var items []client.Event
	if n > 0 {
		for e, err := range c.Events.All(ctx, client.EventQuery{Paging: client.Paging{Limit: min(n, client.PageSize)}, EventFilter: filter}) {
			if err != nil {
				return nil, err
			}
			if items = append(items, e); len(items) == n {
				break
			}
		}
	}
	slices.Reverse(items)
	return items, nil
}

// event writes one event that has just come.
func (t *tool) event(e client.Event) error {
	switch t.format {
	case "id":
		_, err := fmt.Fprintln(t.Out, clean(e.ID))
		return err
	case "json":
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(t.Out, "%s\n", b)
		return err
	}
	return t.print(clean(fmt.Sprintf("%s  %-24s  %-30s  %s", e.CreatedAt.Local().Format("2006-01-02 15:04:05"), e.Type, e.Subject, facts(e.Data))))
}

// subjectForm is that of the ids to which something can happen.
var subjectForm = regexp.MustCompile(`^(dep|vol|acc)_[0-9a-z]{26}$`)

// subject is the id of what is meant: an id as it is, else the machine with that name.
func subject(ctx context.Context, c *client.Client, ref string) (string, error) {
	if subjectForm.MatchString(ref) {
		return ref, nil
	}
	d, err := deployment(ctx, c, ref)
	if err != nil {
		return "", err
	}
	return d.ID, nil
}
