package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/spf13/cobra"
)

func issues() *cobra.Command {
	cmd := &cobra.Command{Use: "issue", Short: "See what providers have and nobody owns, and decide about it"}
	var f issue.Filter
	var p db.Page
	var state, kind string
	cmd.AddCommand(verb("list", "List the issues, newest first", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&state, "state", "open", `open, ended, dismissed or settled; "" for all`)
		cmd.Flags().StringVar(&kind, "kind", "", "one kind, such as orphaned_machine; all without it")
		cmd.Flags().StringVar(&f.Provider, "provider", "", "the provider's slug; all of them without it")
		page(cmd, &p)
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		f.State, f.Kind = issue.State(state), issue.Kind(kind)
		if err := checkPage(p); err != nil {
			return err
		}
		if f.State != "" && !slices.Contains(issue.States, f.State) || f.Kind != "" && !slices.Contains(issue.Kinds, f.Kind) {
			return fmt.Errorf("--state is one of %v, and --kind one of %v", issue.States, issue.Kinds)
		}
		all, _, err := o.Issues.List(cmd.Context(), o.DB, f, p)
		if err != nil {
			return err
		}
		return printIssues(cmd, out, all, all)
	}))
	var one, note string
	decide := func(cmd *cobra.Command, o *app.Operator, out *output, how func(ctx context.Context, tx *db.Tx) (issue.Issue, error)) error {
		var f issue.Issue
		err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			f, err = how(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
		return printIssues(cmd, out, f, []issue.Issue{f})
	}
	cmd.AddCommand(verb("end", "Have a machine or volume ended; the server asks the provider until it is gone", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&one, "issue", "", "the issue's id")
		must(cmd, "issue")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		return decide(cmd, o, out, func(ctx context.Context, tx *db.Tx) (issue.Issue, error) {
			return o.Issues.End(ctx, tx, id.ID(one))
		})
	}))
	cmd.AddCommand(verb("dismiss", "Say that it is all right; it is not raised again while it is there", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&one, "issue", "", "the issue's id")
		cmd.Flags().StringVar(&note, "note", "", "why it is all right")
		must(cmd, "issue")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		return decide(cmd, o, out, func(ctx context.Context, tx *db.Tx) (issue.Issue, error) {
			return o.Issues.Dismiss(ctx, tx, id.ID(one), note)
		})
	}))
	return cmd
}

func printIssues(cmd *cobra.Command, out *output, v any, all []issue.Issue) error {
	var rows [][]any
	for _, f := range all {
		after := when(f.EndAfter, "an operator decides")
		switch {
		case f.ClosedAt != nil:
			after = "gone"
		case f.EndingSince != nil:
			after = "being ended"
		case !f.Endable:
			after = "not by Billet"
		}
		rows = append(rows, []any{f.ID, f.Kind, f.Provider, text(f.Reference), text(f.UpstreamID), f.State, f.FirstSeenAt.Format(time.RFC3339), after})
	}
	return out.print(cmd.OutOrStdout(), v, []any{"FINDING", "KIND", "PROVIDER", "REFERENCE", "UPSTREAM ID", "STATE", "FIRST SEEN", "ENDS"}, rows)
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}
