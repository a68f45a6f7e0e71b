package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/spf13/cobra"
)

// verb is a command that opens the database for itself. It works also while the server runs.
func verb(use, short string, add func(*cobra.Command), run func(cmd *cobra.Command, o *app.Operator, out *output) error) *cobra.Command {
	cmd := verbOn(use, short, add, func(cmd *cobra.Command, _ string, o *app.Operator, out *output) error { return run(cmd, o, out) })
	cmd.Args = cobra.NoArgs
	return cmd
}

// verbOn is a verb that takes one argument.
func verbOn(use, short string, add func(*cobra.Command), run func(cmd *cobra.Command, on string, o *app.Operator, out *output) error) *cobra.Command {
	h, out := &house{}, &output{}
	cmd := &cobra.Command{Use: use, Short: short, Args: oneArgument, RunE: func(cmd *cobra.Command, args []string) error {
		o, err := app.OpenOperator(cmd.Context(), h.c)
		if err != nil {
			return err
		}
		return errors.Join(run(cmd, strings.Join(args, ""), o, out), o.Close())
	}}
	out.flag(cmd)
	add(cmd)
	return h.flags(cmd)
}

// oneArgument takes exactly one, and shows how where that is not so.
func oneArgument(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("one argument is needed: %s", cmd.UseLine())
	}
	return nil
}

// must marks flags as required.
func must(cmd *cobra.Command, names ...string) {
	for _, n := range names {
		if err := cmd.MarkFlagRequired(n); err != nil {
			panic(err)
		}
	}
}

// page is the flags of a list.
func page(cmd *cobra.Command, p *db.Page) {
	cmd.Flags().IntVar(&p.Number, "page", 1, "which page, from 1")
	cmd.Flags().IntVar(&p.Limit, "limit", 100, "how many rows, 1 to 100")
}

func checkPage(p db.Page) error {
	if p.Number < 1 || p.Limit < 1 || p.Limit > 100 {
		return errors.New("--page counts from 1, and --limit is 1 to 100")
	}
	return nil
}

func accounts() *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "Make and list accounts, and set their markup"}
	var name, credit string
	cmd.AddCommand(verb("create", "Make an account with a wallet", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&name, "name", "", "what it is called")
		cmd.Flags().StringVar(&credit, "credit", "0", "US dollars to start with")
		must(cmd, "name")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		amount, err := money.Parse(credit)
		if err != nil || amount < 0 {
			return errors.New("--credit: an amount in US dollars of at least 0, such as 100 or 49.99")
		}
		a, err := o.CreateAccount(cmd.Context(), name, amount)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), a, []any{"ID", "NAME", "CREDIT"}, [][]any{{a.ID, a.Name, amount}})
	}))
	var p db.Page
	cmd.AddCommand(verb("list", "List the accounts", func(cmd *cobra.Command) { page(cmd, &p) }, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		if err := checkPage(p); err != nil {
			return err
		}
		list, _, err := o.Accounts.List(cmd.Context(), o.DB, p)
		var rows [][]any
		for _, a := range list {
			rows = append(rows, []any{a.ID, a.Name, a.CreatedAt.Format(time.RFC3339)})
		}
		return errors.Join(err, out.print(cmd.OutOrStdout(), list, []any{"ID", "NAME", "CREATED"}, rows))
	}))
	markup := verb("markup <account> <percent>|default", "Give an account a markup of its own, or the usual ones again; running servers take it over within seconds", func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			of, percent := id.ID(cmd.Flags().Arg(0)), cmd.Flags().Arg(1)
			var own *int64
			if percent != "default" {
				bp, err := provideraccount.ParseMarkup(percent)
				if err != nil {
					return fmt.Errorf("%w, nor default", err)
				}
				own = &bp
			}
			a, err := o.SetMarkup(cmd.Context(), of, own)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), map[string]any{"account": a.ID, "name": a.Name, "markupBasisPoints": a.Markup}, []any{"ID", "NAME", "MARKUP"}, [][]any{{a.ID, a.Name, percent}})
		})
	markup.Args = cobra.ExactArgs(2)
	cmd.AddCommand(markup)
	return cmd
}

func keys() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Make, list and revoke API keys"}
	var of, name, key string
	var scopes, networks []string
	var read, write, deploy int
	var expires time.Duration
	var may spending
	cmd.AddCommand(verb("create", "Make an API key; it is shown once", func(cmd *cobra.Command) {
		f := cmd.Flags()
		f.StringVar(&of, "account", "", "whose key it is")
		f.StringVar(&name, "name", "", "what it is called")
		f.StringSliceVar(&scopes, "scopes", nil, "what it may do, comma-separated; everything without this")
		f.StringSliceVar(&networks, "networks", nil, "from where it may be used, as addresses or CIDR; from everywhere without this")
		f.DurationVar(&expires, "expires-in", 0, "how long it works; for ever without this")
		f.IntVar(&read, "read-limit", account.DefaultLimits.Read, "reads a minute")
		f.IntVar(&write, "write-limit", account.DefaultLimits.Write, "writes a minute")
		f.IntVar(&deploy, "deploy-limit", account.DefaultLimits.Deploy, "deploys a minute")
		may.flags(f)
		must(cmd, "account", "name")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		limits, err := may.limits(cmd.Flags())
		if err != nil {
			return err
		}
		r := account.KeyRequest{Name: name, Scopes: account.AllScopes(), AllowedNetworks: networks, Limits: account.LimitOverrides{Read: given(cmd, "read-limit", &read), Write: given(cmd, "write-limit", &write), Deploy: given(cmd, "deploy-limit", &deploy)}}
		if len(scopes) > 0 {
			r.Scopes = nil
			for _, s := range scopes {
				r.Scopes = append(r.Scopes, account.Scope(s))
			}
		}
		if expires > 0 {
			at := o.Clock.Now().Add(expires)
			r.ExpiresAt = &at
		}
		k, secret, err := o.CreateKey(cmd.Context(), id.ID(of), r, limits)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), map[string]any{"id": k.ID, "key": secret, "name": k.Name, "scopes": k.Scopes, "limits": k.Limits, "spendingLimits": orNone(limits)},
			[]any{"ID", "KEY (shown only now)"}, [][]any{{k.ID, secret}})
	}))
	var p db.Page
	cmd.AddCommand(verb("list", "List an account's API keys", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&of, "account", "", "whose keys")
		page(cmd, &p)
		must(cmd, "account")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		if err := checkPage(p); err != nil {
			return err
		}
		list, _, err := o.Accounts.ListKeys(cmd.Context(), o.DB, id.ID(of), db.NewestFirst, p)
		if err != nil {
			return err
		}
		shown, err := withSpending(cmd.Context(), o.DB, list)
		var rows [][]any
		for _, k := range shown {
			rows = append(rows, []any{k.ID, k.Name, k.Prefix, when(k.ExpiresAt, "never"), when(k.RevokedAt, "no"), when(k.LastUsedAt, "never"), inWords(k.Spending)})
		}
		return errors.Join(err, out.print(cmd.OutOrStdout(), shown, []any{"ID", "NAME", "KEY", "EXPIRES", "REVOKED", "LAST USED", "MAY SPEND"}, rows))
	}))
	cmd.AddCommand(verb("revoke", "Revoke an API key for ever; when this returns, no server takes it any more", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&of, "account", "", "whose key it is")
		cmd.Flags().StringVar(&key, "key", "", "the key's id")
		must(cmd, "account", "key")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		k, err := o.RevokeKey(cmd.Context(), id.ID(of), id.ID(key))
		if err != nil {
			return err
		}
		time.Sleep(account.KeyFresh) // a running server may have read the key a moment before
		return out.print(cmd.OutOrStdout(), k, []any{"ID", "REVOKED"}, [][]any{{k.ID, when(k.RevokedAt, "no")}})
	}))
	return cmd
}

// given is the value of a flag that was given, nil of one that was not: such a limit follows the default, should that change.
func given(cmd *cobra.Command, flag string, value *int) *int {
	if cmd.Flags().Changed(flag) {
		return value
	}
	return nil
}

func when(t *time.Time, otherwise string) string {
	if t == nil {
		return otherwise
	}
	return t.Format(time.RFC3339)
}

func wallets() *cobra.Command {
	cmd := &cobra.Command{Use: "wallet", Short: "See and fill wallets"}
	var of, amount, note, reference string
	cmd.AddCommand(verb("credit", "Put money into a wallet, or take some out with a negative amount", func(cmd *cobra.Command) {
		f := cmd.Flags()
		f.StringVar(&of, "account", "", "whose wallet")
		f.StringVar(&amount, "amount", "", "US dollars")
		f.StringVar(&note, "note", "", "what the statement says")
		f.StringVar(&reference, "reference", "", "your name for this credit: the same one works only once")
		must(cmd, "account", "amount")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		m, err := money.Parse(amount)
		if err != nil || m == 0 {
			return errors.New("--amount: an amount in US dollars, such as 100 or 49.99, and not 0")
		}
		w, made, err := o.Credit(cmd.Context(), id.ID(of), m, note, reference)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), map[string]any{"made": made, "account": of, "balance": w.Balance, "held": w.Held, "available": w.Available},
			[]any{"MADE", "BALANCE", "HELD", "AVAILABLE"}, [][]any{{made, w.Balance, w.Held, w.Available}})
	}))
	var p db.Page
	cmd.AddCommand(verb("list", "List the wallets of all accounts", func(cmd *cobra.Command) { page(cmd, &p) }, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		if err := checkPage(p); err != nil {
			return err
		}
		list, err := o.Wallets(cmd.Context(), p)
		var rows [][]any
		for _, w := range list {
			rows = append(rows, []any{w.Account, w.Balance, w.Held, w.Available, when(w.NegativeSince, "no")})
		}
		return errors.Join(err, out.print(cmd.OutOrStdout(), list, []any{"ACCOUNT", "BALANCE", "HELD", "AVAILABLE", "IN ARREARS SINCE"}, rows))
	}))
	return cmd
}
