package main

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/spf13/cobra"
)

func announcements() *cobra.Command {
	cmd := &cobra.Command{
		Use: "announcements", Aliases: []string{"announcement"},
		Short: "Manage announcements: by a banner, by email, or both",
	}
	cmd.AddCommand(announcementList(), announcementCreate(), announcementDelete())
	return cmd
}

func announcementList() *cobra.Command {
	var p db.Page
	return operatorCommand("list", "List announcements, newest first",
		func(cmd *cobra.Command) { page(cmd, &p) },
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			if err := checkPage(p); err != nil {
				return err
			}
			all, _, err := o.Announcements.List(cmd.Context(), o.DB, p)
			if err != nil {
				return err
			}
			return printAnnouncements(cmd, out, all, all)
		})
}

func announcementCreate() *cobra.Command {
	var text, level, provider, region string
	var lasts time.Duration
	var noBanner, mails bool
	return operatorCommandOn("create TITLE", "Create an announcement that starts now",
		func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&text, "text", "", "plain `text` below the title")
			f.StringVar(&level, "level", string(announcement.Info), "`level`: info, warning or critical")
			f.StringVar(&provider, "provider", "",
				"`slug` of a provider: only accounts with machines there are told (default all accounts)")
			f.StringVar(&region, "region", "", "`slug` of a region of --provider (default all of its regions)")
			f.DurationVar(&lasts, "for", 24*time.Hour, "`duration` of the announcement")
			f.BoolVar(&noBanner, "no-banner", false, "do not show it in the dashboard and on the status page")
			f.BoolVar(&mails, "mail", false, "send an email to each member, once")
		},
		func(cmd *cobra.Command, title string, o *app.Operator, out *output) error {
			banner, weight := !noBanner, announcement.Level(level)
			var made announcement.Announcement
			err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				ends := tx.Now.Add(lasts)
				made, err = o.Announcements.Create(ctx, tx, announcement.Draft{
					Title: &title, Text: &text, Level: &weight, EndsAt: &ends, Banner: &banner, Mail: &mails,
					Provider: &provider, Region: &region,
				})
				return err
			})
			if err != nil {
				return err
			}
			return printAnnouncements(cmd, out, made, []announcement.Announcement{made})
		})
}

func announcementDelete() *cobra.Command {
	return operatorCommandOn("delete ANNOUNCEMENT", "Delete an announcement",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			var gone announcement.Announcement
			err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				gone, err = o.Announcements.Delete(ctx, tx, id.ID(on))
				return err
			})
			if err != nil {
				return err
			}
			return printAnnouncements(cmd, out, gone, []announcement.Announcement{gone})
		})
}

func printAnnouncements(cmd *cobra.Command, out *output, v any, all []announcement.Announcement) error {
	var rows [][]any
	for _, a := range all {
		audience := orAll(a.Provider)
		if a.Region != "" {
			audience += "/" + a.Region
		}
		rows = append(rows, []any{
			a.ID, a.Level, a.Title, audience, a.StartsAt.Format(time.RFC3339), a.EndsAt.Format(time.RFC3339),
		})
	}
	return out.print(cmd.OutOrStdout(), v, []any{"ID", "LEVEL", "TITLE", "FOR", "FROM", "UNTIL"}, rows)
}

func orAll(provider string) string {
	if provider == "" {
		return "all accounts"
	}
	return provider
}
