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

var eventCol columnsOf[client.Event]

var eventListing = listing[client.Event]{
	id: func(e client.Event) string { return e.ID },
	columns: []column[client.Event]{
		{
			name: "createdAt", head: "TIME",
			text: eventTime, raw: func(e client.Event) string { return rfc3339(e.CreatedAt) },
		},
		eventCol.text("type", "EVENT", func(e client.Event) string { return e.Type }),
		eventCol.text("subject", "SUBJECT", func(e client.Event) string { return e.Subject }),
		{
			name: "data", head: "DETAILS",
			text: func(e client.Event) string { return facts(e.Data) },
			raw:  func(e client.Event) string { return string(e.Data) },
		},
		eventCol.text("id", "ID", func(e client.Event) string { return e.ID }).onlyWide(),
	},
	none: "No events.",
}

func eventTime(e client.Event) string { return e.CreatedAt.Local().Format("2006-01-02 15:04:05") }

// facts formats the scalar fields of an event's data, sorted by name.
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
		Use: "events [machine]", Aliases: []string{"event", "log"}, Short: "Show or follow events",
		Args: cobra.MaximumNArgs(1),
		Long: `Shows the latest events of the account, or of one machine or volume, oldest first.

With --follow, new events are printed as they happen, each exactly once, even across reconnects.
With -o json each event is then one line of JSON.`,
		Example: `  billet events training
  billet events --follow
  billet events --follow --type deployment.running -o json | jq .subject`,
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "print new events as they happen")
	f.IntVarP(&last, "last", "n", 20, "`number` of past events; 0 for none")
	f.StringVar(&after, "after", "", "follow from the event after this `id`, evt_…, without gaps")
	f.StringSliceVar(&types, "type", nil, "only events of these `type`s, such as deployment.running")
	t.completeMachines(cmd)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if last < 0 {
			return usageError("--last must not be negative.")
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
				return usageError("--after needs --follow.")
			}
			items, err := newest(ctx, c, filter, last)
			if err != nil {
				return err
			}
			return list(t, eventListing, items)
		}
		if t.format == "csv" || t.format == "yaml" {
			return usageError("--follow supports -o table, json and id.")
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
					return nil // Ctrl-C is the normal end
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

// newest returns the latest n events, oldest first.
func newest(ctx context.Context, c *client.Client, filter client.EventFilter, n int) ([]client.Event, error) {
	var items []client.Event
	if n > 0 {
		q := client.EventQuery{Paging: client.Paging{Limit: min(n, client.PageSize)}, EventFilter: filter}
		for e, err := range c.Events.All(ctx, q) {
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

// event prints one event of a stream.
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
	return t.print(clean(fmt.Sprintf("%s  %-24s  %-30s  %s", eventTime(e), e.Type, e.Subject, facts(e.Data))))
}

// subjectForm matches the ids that events can have as their subject.
var subjectForm = regexp.MustCompile(`^(dep|vol|acc)_[0-9a-z]{26}$`)

// subject returns ref if it is an id, otherwise the id of the machine with that name.
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
