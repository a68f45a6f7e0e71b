package cli

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var announcementCol columnsOf[client.Announcement]

var announcementListing = listing[client.Announcement]{
	id: func(a client.Announcement) string { return a.ID },
	columns: []column[client.Announcement]{
		announcementCol.text("level", "LEVEL", func(a client.Announcement) string { return string(a.Level) }),
		announcementCol.text("title", "TITLE", func(a client.Announcement) string { return a.Title }),
		announcementCol.text("text", "TEXT", func(a client.Announcement) string {
			return strings.Join(strings.Fields(a.Text), " ")
		}),
		announcementCol.optionalTime("endsAt", "UNTIL", func(a client.Announcement) *time.Time { return &a.EndsAt }),
		announcementCol.text("id", "ID", func(a client.Announcement) string { return a.ID }).onlyWide(),
		announcementCol.optionalTime("startsAt", "FROM",
			func(a client.Announcement) *time.Time { return &a.StartsAt }).onlyWide(),
		announcementCol.optionalTime("changedAt", "CHANGED",
			func(a client.Announcement) *time.Time { return &a.ChangedAt }).onlyWide(),
	},
	none: "No announcements.",
}

func (t *tool) announcements() *cobra.Command {
	return listAll(t, &cobra.Command{
		Use: "announcements", Aliases: []string{"announcement"}, Short: "List announcements",
		Args:    cobra.NoArgs,
		Long:    `Lists the operator's current announcements, such as planned maintenance, most important first.`,
		Example: "  billet announcements\n  billet announcements -o json",
	}, announcementListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.Announcement, error] {
		return c.Announcements.All(ctx)
	})
}
