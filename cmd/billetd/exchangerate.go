package main

import (
	"context"
	"errors"
	"os"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/spf13/cobra"
)

func exchangeRates() *cobra.Command {
	cmd := &cobra.Command{
		Use: "exchange-rates", Aliases: []string{"exchange-rate"},
		Short: "Manage the exchange rates that invoices convert their tax with",
	}
	cmd.AddCommand(exchangeRateList(), exchangeRateAdd(), exchangeRateImport(), exchangeRateDelete())
	return cmd
}

func printExchangeRates(cmd *cobra.Command, out *output, all []invoice.ExchangeRate) error {
	var rows [][]any
	for _, r := range all {
		rows = append(rows, []any{r.Currency, r.From, r.PerDollar, r.Rate, r.Dollars, r.Source, r.ID})
	}
	return out.print(cmd.OutOrStdout(), all, []any{
		"CURRENCY", "FROM", "PER DOLLAR", "RATE", "DOLLARS", "SOURCE", "ID",
	}, rows)
}

func exchangeRateList() *cobra.Command {
	var p db.Page
	return operatorCommand("list", "List exchange rates by currency, those of the latest days first",
		func(cmd *cobra.Command) { page(cmd, &p) },
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			if err := checkPage(p); err != nil {
				return err
			}
			all, _, err := o.Invoices.ExchangeRates(cmd.Context(), o.DB, p)
			if err != nil {
				return err
			}
			return printExchangeRates(cmd, out, all)
		})
}

func exchangeRateAdd() *cobra.Command {
	var rate invoice.NewRate
	return operatorCommand("add", "Add an exchange rate, or replace the one of its currency and day",
		func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&rate.Currency, "currency", "", "`code` of the currency in ISO 4217, such as EUR")
			f.StringVar(&rate.From, "from", "", "`day` from which the rate holds, such as 2026-11-27")
			f.StringVar((*string)(&rate.Rate), "rate", "", "`amount` in the currency that --dollars are worth")
			f.StringVar((*string)(&rate.Dollars), "dollars", "1", "`amount` in US dollars")
			f.StringVar(&rate.Source, "source", "", "`name` of who published the rate, such as ECB")
			requireFlags(cmd, "currency", "from", "rate", "source")
		},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			var added []invoice.ExchangeRate
			err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				added, err = o.Invoices.AddExchangeRates(ctx, tx, []invoice.NewRate{rate})
				return err
			})
			if err != nil {
				return err
			}
			return printExchangeRates(cmd, out, added)
		})
}

func exchangeRateImport() *cobra.Command {
	var file string
	var table invoice.RateTable
	return operatorCommand("import", "Import exchange rates from a CSV table of a central bank",
		func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&file, "file", "", "CSV `file` with a column Date and one for each currency")
			f.StringVar(&table.Source, "source", "", "`name` of who published the rates, such as ECB")
			f.StringVar(&table.Currency, "currency", "", "`code` of the currency; the seller's tax currency if omitted")
			f.StringVar(&table.Base, "base", "EUR", "`code` of the currency that the columns are compared with")
			f.StringVar((*string)(&table.Direction), "direction", string(invoice.UnitsPerBase),
				"units_per_base, or base_per_unit for units of the base for one of the column's `currency`")
			f.StringVar(&table.From, "from", "", "first `day` to import, such as 2026-01-01")
			requireFlags(cmd, "file", "source")
		},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			var imported invoice.ImportedRates
			err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				f, err := os.Open(file)
				if err != nil {
					return err
				}
				table.CSV = f
				imported, err = o.Invoices.ImportExchangeRates(ctx, tx, table)
				return errors.Join(err, f.Close())
			})
			if err != nil {
				return err
			}
			head := []any{"CURRENCY", "DAYS", "SKIPPED", "FIRST", "LAST"}
			return out.print(cmd.OutOrStdout(), imported, head, [][]any{
				{imported.Currency, imported.Count, imported.Skipped, imported.First, imported.Last},
			})
		})
}

func exchangeRateDelete() *cobra.Command {
	return operatorCommandOn("delete <id>", "Delete an exchange rate", func(*cobra.Command) {},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			var deleted invoice.ExchangeRate
			err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				deleted, err = o.Invoices.DeleteExchangeRate(ctx, tx, id.ID(on))
				return err
			})
			if err != nil {
				return err
			}
			return printExchangeRates(cmd, out, []invoice.ExchangeRate{deleted})
		})
}
