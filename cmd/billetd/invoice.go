package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/spf13/cobra"
)

func invoices() *cobra.Command {
	cmd := &cobra.Command{Use: "invoices", Aliases: []string{"invoice"}, Short: "Manage invoices, their seller and tax"}
	cmd.AddCommand(invoiceList(), invoiceSettings(), invoiceRates(), exchangeRates())
	return cmd
}

func invoiceList() *cobra.Command {
	var p db.Page
	var of, month string
	return operatorCommand("list", "List invoices and credit notes of all accounts, newest first",
		func(cmd *cobra.Command) {
			page(cmd, &p)
			cmd.Flags().StringVar(&of, "account", "", "only documents of this `account`")
			cmd.Flags().StringVar(&month, "month", "", "only documents of this `month`, such as 2026-11")
		},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			if err := checkPage(p); err != nil {
				return err
			}
			all, _, err := o.Invoices.ListAll(cmd.Context(), o.DB, invoice.Filter{Account: id.ID(of), Month: month}, p)
			if err != nil {
				return err
			}
			var rows [][]any
			for _, i := range all {
				rows = append(rows, []any{
					i.Number, i.Type, i.Month, i.Account, i.Total, i.Tax, i.Due, i.IssuedAt.Format(time.RFC3339), i.ID,
				})
			}
			return out.print(cmd.OutOrStdout(), all, []any{
				"NUMBER", "TYPE", "MONTH", "ACCOUNT", "TOTAL", "TAX", "DUE", "ISSUED", "ID",
			}, rows)
		})
}

// fromFile reads JSON without unknown fields.
func fromFile(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := errors.Join(d.Decode(into), f.Close()); err != nil {
		return fmt.Errorf("--file %s: %w", path, err)
	}
	return nil
}

func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func invoiceSettings() *cobra.Command {
	var file string
	return operatorCommand("settings", "Print the settings of invoices as JSON, or replace them with those of a file",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&file, "file", "", "JSON `file` with the settings, as this command prints them")
		},
		func(cmd *cobra.Command, o *app.Operator, _ *output) error {
			var set invoice.Settings
			if file != "" {
				if err := fromFile(file, &set); err != nil {
					return err
				}
			}
			err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				if file == "" {
					set, err = o.Invoices.Settings(ctx, tx)
					return err
				}
				set, err = o.Invoices.SetSettings(ctx, tx, set)
				return err
			})
			if err != nil {
				return err
			}
			return printJSON(cmd, set)
		})
}

func invoiceRates() *cobra.Command {
	var file string
	return operatorCommand("tax-rates", "Print all tax rates as JSON, or replace them with those of a file",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&file, "file", "", "JSON `file` with a list of rates, as this command prints them")
		},
		func(cmd *cobra.Command, o *app.Operator, _ *output) error {
			rates := []invoice.TaxRate{}
			if file != "" {
				if err := fromFile(file, &rates); err != nil {
					return err
				}
			}
			err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				if file == "" {
					rates, err = o.Invoices.TaxRates(ctx, tx)
					return err
				}
				rates, err = o.Invoices.SetTaxRates(ctx, tx, rates)
				return err
			})
			if err != nil {
				return err
			}
			return printJSON(cmd, rates)
		})
}
