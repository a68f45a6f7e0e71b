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
	cmd := &cobra.Command{
		Use: "issues", Aliases: []string{"issue"}, Short: "List and resolve orphaned resources and other issues",
	}
	var f issue.Filter
	var p db.Page
	var state, kind string
	cmd.AddCommand(operatorCommand("list", "List issues, newest first", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&state, "state", "open", "`state`: open, ended, dismissed or settled; empty for all")
		cmd.Flags().StringVar(&kind, "kind", "", "`kind`, such as orphaned_machine; default: all")
		cmd.Flags().StringVar(&f.Provider, "provider", "", "provider `slug`; default: all")
		page(cmd, &p)
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		f.State, f.Kind = issue.State(state), issue.Kind(kind)
		if err := checkPage(p); err != nil {
			return err
		}
		if f.State != "" && !slices.Contains(issue.States, f.State) ||
			f.Kind != "" && !slices.Contains(issue.Kinds, f.Kind) {
			return fmt.Errorf("--state must be one of %v, and --kind one of %v", issue.States, issue.Kinds)
		}
		all, _, err := o.Issues.List(cmd.Context(), o.DB, f, p)
		if err != nil {
			return err
		}
		return printIssues(cmd, out, all, all)
	}))
	var one, note string
	resolve := func(
		cmd *cobra.Command, o *app.Operator, out *output,
		change func(ctx context.Context, tx *db.Tx) (issue.Issue, error),
	) error {
		var f issue.Issue
		err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			f, err = change(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
		return printIssues(cmd, out, f, []issue.Issue{f})
	}
	cmd.AddCommand(
		operatorCommand(
			"terminate",
			"Terminate the machine, or delete the volume, of an issue",
			func(cmd *cobra.Command) {
				cmd.Flags().StringVar(&one, "issue", "", "`id` of the issue")
				requireFlags(cmd, "issue")
			},
			func(cmd *cobra.Command, o *app.Operator, out *output) error {
				return resolve(cmd, o, out, func(ctx context.Context, tx *db.Tx) (issue.Issue, error) {
					return o.Issues.End(ctx, tx, id.ID(one))
				})
			},
		),
	)
	cmd.AddCommand(
		operatorCommand(
			"dismiss",
			"Dismiss an issue; it is not raised again for the same resource",
			func(cmd *cobra.Command) {
				cmd.Flags().StringVar(&one, "issue", "", "`id` of the issue")
				cmd.Flags().StringVar(&note, "note", "", "`text` that explains why")
				requireFlags(cmd, "issue")
			},
			func(cmd *cobra.Command, o *app.Operator, out *output) error {
				return resolve(cmd, o, out, func(ctx context.Context, tx *db.Tx) (issue.Issue, error) {
					return o.Issues.Dismiss(ctx, tx, id.ID(one), note)
				})
			},
		),
	)
	return cmd
}

func printIssues(cmd *cobra.Command, out *output, v any, all []issue.Issue) error {
	var rows [][]any
	for _, f := range all {
		after := when(f.EndAfter, "operator decides")
		switch {
		case f.ClosedAt != nil:
			after = "closed"
		case f.EndingSince != nil:
			after = "terminating"
		case !f.Endable:
			after = "not possible"
		}
		rows = append(
			rows,
			[]any{
				f.ID,
				f.Kind,
				f.Provider,
				text(f.Reference),
				text(f.UpstreamID),
				f.State,
				f.FirstSeenAt.Format(time.RFC3339),
				after,
			},
		)
	}
	return out.print(cmd.OutOrStdout(), v,
		[]any{"ISSUE", "KIND", "PROVIDER", "REFERENCE", "UPSTREAM ID", "STATE", "FIRST SEEN", "AUTO-TERMINATE"}, rows)
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}
