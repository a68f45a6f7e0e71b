package main

import (
	"fmt"
	"io"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db/migrate"
	"github.com/spf13/cobra"
)

func migrateCommand() *cobra.Command {
	common, o := &commonFlags{}, app.MigrateOptions{}
	cmd := &cobra.Command{
		Use: "migrate", Args: cobra.NoArgs, Short: "Migrate the database to the schema of this version",
		Long: `Applies the migrations that the database lacks. Run it with the new version before you replace
the servers: servers of the previous version continue to run. Migrations that they would not work with
wait for --contract. Running it again is safe.

With SQLite, stop the server first, or just start the new version, which migrates by itself. With
PostgreSQL, the server migrates only with --migrate.`,
		Example: `  billetd migrate --database-url postgres://billet@db/billet --dry-run
  billetd migrate --database-url postgres://billet@db/billet
  billetd migrate status --database-url postgres://billet@db/billet`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			comment := ""
			if o.DryRun {
				comment = "-- " // the output is SQL
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%sDatabase: %s\n", comment, common.cfg.DatabaseName())
			m, err := app.Migrate(cmd.Context(), common.cfg, o)
			printMigrated(cmd.OutOrStdout(), m, o, err == nil)
			return err
		},
	}
	common.flags(cmd)
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the migrations and their SQL, and change nothing")
	cmd.Flags().BoolVar(&o.Contract, "contract", false,
		"also apply contract migrations, when no server of an earlier version runs any more")
	cmd.Flags().DurationVar(&o.Wait, "wait", migrate.DefaultWait,
		"how long to wait for another process that migrates")
	cmd.AddCommand(migrateStatus())
	return cmd
}

// printMigrated prints what was applied, also before an error.
func printMigrated(w io.Writer, m app.Migrated, o app.MigrateOptions, succeeded bool) {
	for _, each := range m.Done {
		if o.DryRun {
			fmt.Fprintf(w, "-- Would apply %d_%s (%s, works with servers of the schema %d and later):\n%s\n\n",
				each.Number, each.Name, each.Kind, each.WorksWith, each.SQL())
		} else {
			fmt.Fprintf(w, "Applied %d_%s (%s).\n", each.Number, each.Name, each.Kind)
		}
	}
	if !succeeded {
		return
	}
	if o.DryRun {
		fmt.Fprintf(w, "-- Nothing was changed. The database has the schema %d.\n", m.Schema)
	} else {
		fmt.Fprintf(w, "The database has the schema %d.\n", m.Schema)
	}
	for _, each := range m.Left {
		fmt.Fprintf(w, "%d_%s waits for --contract: servers below the schema %d do not work with it.\n",
			each.Number, each.Name, each.WorksWith)
	}
}

func migrateStatus() *cobra.Command {
	common, out := &commonFlags{}, &output{}
	cmd := &cobra.Command{
		Use: "status", Args: cobra.NoArgs, Short: "Show which migrations the database has",
		Long: `Shows each migration, and whether this version works with the database. It changes nothing.
The exit code is 1 if this version does not work with the database.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := app.SchemaStatus(cmd.Context(), common.cfg)
			if err != nil {
				return err
			}
			if out.format == "table" {
				fmt.Fprintf(cmd.OutOrStdout(), "Database: %s\n\n", common.cfg.DatabaseName())
			}
			rows := make([][]any, 0, len(s.Migrations))
			for _, e := range s.Migrations {
				state := "pending"
				if e.Applied {
					state = "applied"
				}
				rows = append(rows, []any{e.Number, orDash(e.Name), e.Kind, e.WorksWith, state, orDash(e.By)})
			}
			heads := []any{"MIGRATION", "NAME", "KIND", "WORKS WITH", "STATE", "APPLIED BY"}
			if err := out.print(cmd.OutOrStdout(), s, heads, rows); err != nil {
				return err
			}
			if s.Refused != nil {
				return s.Refused
			}
			if out.format == "table" {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nThe database has the schema %d. This version works with "+
					"the schema %d and later, as long as WORKS WITH is at most %d.\n", s.Schema, s.Needs, s.Known)
			}
			return err
		},
	}
	out.flag(cmd)
	return common.flags(cmd)
}
