package main

import (
	"errors"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/promo"
	"github.com/spf13/cobra"
)

func promoCodes() *cobra.Command {
	cmd := &cobra.Command{
		Use: "promo-codes", Aliases: []string{"promo-code"}, Short: "Manage promo codes",
		Long: `Creates codes with which accounts add credit to their balance, each account once.`,
	}
	cmd.AddCommand(promoCodeCreate(), promoCodeList(), promoCodeEnable("enable", "Enable a promo code", true),
		promoCodeEnable("disable", "Disable a promo code; what was redeemed stays", false), promoCodeRedemptions())
	return cmd
}

func promoCodeCreate() *cobra.Command {
	var code, amount, from, until string
	var times, days int64
	set := promo.Settings{Enabled: true}
	return operatorCommand("create", "Create a promo code", func(cmd *cobra.Command) {
		f := cmd.Flags()
		f.StringVar(&code, "code", "", "`code`, in any case; default: a generated one that cannot be guessed")
		f.StringVar(&amount, "amount", "", "credit of each account in `USD`")
		f.Int64Var(&times, "max-redemptions", 0, "`number` of accounts that can redeem it; default: no limit")
		f.Int64Var(&days, "credit-days", 0, "`days` after which a credit expires; default: never")
		f.StringVar(&from, "from", "",
			"`time` from which it can be redeemed (RFC 3339), or the date before; default: at once")
		f.StringVar(&until, "until", "",
			"`date` until whose end it can be redeemed (UTC), or an exact time (RFC 3339); default: no end")
		f.BoolVar(&set.NewAccountsOnly, "new-accounts-only", false,
			"only for accounts that were created in the last 30 days")
		requireFlags(cmd, "amount")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		m, err := money.Parse(amount)
		if err != nil {
			return errors.New("--amount must be an amount in US dollars, such as 50 or 49.99")
		}
		set.Amount = m
		if times != 0 {
			set.MaxRedemptions = &times
		}
		if days != 0 {
			set.CreditDays = &days
		}
		if set.ValidFrom, err = timeOf("from", from); err != nil {
			return err
		}
		if set.ValidUntil, err = timeOf("until", until); err != nil {
			return err
		}
		c, err := o.CreatePromoCode(cmd.Context(), code, set)
		if err != nil {
			return err
		}
		return printPromoCodes(cmd, out, c, []promo.Code{c})
	})
}

func promoCodeList() *cobra.Command {
	var p db.Page
	return operatorCommand("list", "List promo codes, newest first", func(cmd *cobra.Command) { page(cmd, &p) },
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			if err := checkPage(p); err != nil {
				return err
			}
			all, _, err := o.PromoCodes.List(cmd.Context(), o.DB, p)
			if err != nil {
				return err
			}
			return printPromoCodes(cmd, out, all, all)
		})
}

func promoCodeEnable(use, short string, enabled bool) *cobra.Command {
	return operatorCommandOn(use+" PROMO-CODE", short+", by its id", func(*cobra.Command) {},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			c, err := o.EnablePromoCode(cmd.Context(), id.ID(on), enabled)
			if err != nil {
				return err
			}
			return printPromoCodes(cmd, out, c, []promo.Code{c})
		})
}

func promoCodeRedemptions() *cobra.Command {
	var p db.Page
	return operatorCommandOn("redemptions PROMO-CODE", "List who has redeemed a promo code, newest first",
		func(cmd *cobra.Command) { page(cmd, &p) },
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			if err := checkPage(p); err != nil {
				return err
			}
			all, _, err := o.PromoCodes.Redemptions(cmd.Context(), o.DB, id.ID(on), p)
			if err != nil {
				return err
			}
			var rows [][]any
			for _, r := range all {
				rows = append(rows, []any{r.AccountID, r.CreditID, when(&r.CreatedAt, "")})
			}
			return out.print(cmd.OutOrStdout(), all, []any{"ACCOUNT", "CREDIT", "REDEEMED"}, rows)
		})
}

func printPromoCodes(cmd *cobra.Command, out *output, v any, all []promo.Code) error {
	var rows [][]any
	for _, c := range all {
		most := any("no limit")
		if c.MaxRedemptions != nil {
			most = *c.MaxRedemptions
		}
		rows = append(rows, []any{
			c.ID, c.Code, c.Amount, c.Redemptions, most, when(c.ValidUntil, "no end"), c.Enabled,
		})
	}
	return out.print(cmd.OutOrStdout(), v,
		[]any{"PROMO CODE", "CODE", "AMOUNT", "REDEEMED", "MAXIMUM", "VALID UNTIL", "ENABLED"}, rows)
}
