package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/spf13/cobra"
)

func deployments() *cobra.Command {
	cmd := &cobra.Command{
		Use: "deployments", Aliases: []string{"deployment"}, Short: "List and terminate deployments of all accounts",
	}
	var f deployment.FilterAll
	var p db.Page
	var statuses []string
	var of string
	cmd.AddCommand(operatorCommand("list", "List deployments of all accounts, newest first", func(cmd *cobra.Command) {
		flags := cmd.Flags()
		flags.StringSliceVar(&statuses, "status", nil, "`statuses`, comma-separated; default: all")
		flags.StringVar(&f.Provider, "provider", "", "provider `slug`; default: all")
		flags.StringVar(&of, "account", "", "`id` of the account; default: all")
		flags.StringVar(&f.GPUType, "gpu-type", "", "GPU `type`, such as \"NVIDIA B200\"; default: all")
		flags.StringVar(
			&f.Search,
			"search",
			"",
			"`text`: an id, an IP address, or part of the name of a deployment or its account",
		)
		page(cmd, &p)
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		f.Account = id.ID(of)
		var err error
		if f.Statuses, err = statusesOf(statuses, deployment.Statuses); err != nil {
			return err
		}
		if err := checkPage(p); err != nil {
			return err
		}
		all, _, err := o.Console.Deployments(cmd.Context(), o.DB, f, p)
		if err != nil {
			return err
		}
		return printDeployments(cmd, out, all, all)
	}))
	var reason string
	cmd.AddCommand(operatorCommandOn(
		"terminate DEPLOYMENT",
		"Terminate a deployment at once; its account reads the reason",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&reason, "reason", "", "`text` that the account reads")
			requireFlags(cmd, "reason")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			d, err := o.TerminateDeployment(cmd.Context(), id.ID(on), reason)
			if err != nil {
				return err
			}
			return printDeployments(cmd, out, d, []operator.Deployment{d})
		},
	))
	return cmd
}

// statusesOf returns the texts as statuses, of which there are only those.
func statusesOf[S ~string](texts []string, known []S) (out []S, err error) {
	for _, t := range texts {
		if !slices.Contains(known, S(t)) {
			return nil, fmt.Errorf("--status must be one or more of %v, not %q", known, t)
		}
		out = append(out, S(t))
	}
	return out, nil
}

func printDeployments(cmd *cobra.Command, out *output, v any, all []operator.Deployment) error {
	var rows [][]any
	for _, d := range all {
		rows = append(rows, []any{
			d.ID, d.Name, d.AccountName, d.Status, d.Provider, fmt.Sprintf("%d × %s", d.GPUCount, d.GPUType),
			text(d.IPAddress), d.HourlyPrice, d.CreatedAt.Format(time.RFC3339),
		})
	}
	heads := []any{"DEPLOYMENT", "NAME", "ACCOUNT", "STATUS", "PROVIDER", "GPUS", "ADDRESS", "PRICE/HR", "CREATED"}
	return out.print(cmd.OutOrStdout(), v, heads, rows)
}

func volumes() *cobra.Command {
	cmd := &cobra.Command{Use: "volumes", Aliases: []string{"volume"}, Short: "List volumes of all accounts"}
	var f volume.FilterAll
	var p db.Page
	var statuses []string
	var of string
	cmd.AddCommand(operatorCommand("list", "List volumes of all accounts, newest first", func(cmd *cobra.Command) {
		flags := cmd.Flags()
		flags.StringSliceVar(&statuses, "status", nil, "`statuses`, comma-separated; default: all but deleted")
		flags.StringVar(&f.Provider, "provider", "", "provider `slug`; default: all")
		flags.StringVar(&of, "account", "", "`id` of the account; default: all")
		flags.StringVar(&f.Search, "search", "", "`text`: an id, or part of the name of a volume or its account")
		page(cmd, &p)
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		f.Account = id.ID(of)
		var err error
		if f.Statuses, err = statusesOf(statuses, volume.Status("").Enum()); err != nil {
			return err
		}
		if err := checkPage(p); err != nil {
			return err
		}
		all, _, err := o.Console.Volumes(cmd.Context(), o.DB, f, p)
		if err != nil {
			return err
		}
		var rows [][]any
		for _, v := range all {
			rows = append(rows, []any{
				v.ID, v.Name, v.AccountName, v.Status, v.Provider, v.Region, v.SizeGB, v.HourlyPrice,
				v.CreatedAt.Format(time.RFC3339),
			})
		}
		heads := []any{"VOLUME", "NAME", "ACCOUNT", "STATUS", "PROVIDER", "REGION", "GB", "PRICE/HR", "CREATED"}
		return out.print(cmd.OutOrStdout(), all, heads, rows)
	}))
	return cmd
}
