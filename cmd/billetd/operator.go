package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/adjustment"
	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/spf13/cobra"
)

// operatorCommand returns a command that opens the database itself. It also works while the server
// runs.
func operatorCommand(
	use, short string, flags func(*cobra.Command), run func(cmd *cobra.Command, o *app.Operator, out *output) error,
) *cobra.Command {
	runOn := func(cmd *cobra.Command, _ string, o *app.Operator, out *output) error { return run(cmd, o, out) }
	cmd := operatorCommandOn(use, short, flags, runOn)
	cmd.Args = cobra.NoArgs
	return cmd
}

// operatorCommandOn is operatorCommand with one argument.
func operatorCommandOn(
	use, short string, flags func(*cobra.Command),
	run func(cmd *cobra.Command, on string, o *app.Operator, out *output) error,
) *cobra.Command {
	common, out := &commonFlags{}, &output{}
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Lookup("sim") != nil { // few commands have it
				common.cfg.Sim, _ = cmd.Flags().GetBool("sim")
			}
			o, err := app.OpenOperator(cmd.Context(), common.cfg)
			if err != nil {
				return err
			}
			return errors.Join(run(cmd, strings.Join(args, ""), o, out), o.Close())
		},
	}
	out.flag(cmd)
	flags(cmd)
	return common.flags(cmd)
}

// oneArgument requires exactly one argument. The error shows the usage.
func oneArgument(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("expected one argument: %s", cmd.UseLine())
	}
	return nil
}

// requireFlags marks flags as required.
func requireFlags(cmd *cobra.Command, names ...string) {
	for _, n := range names {
		if err := cmd.MarkFlagRequired(n); err != nil {
			panic(err)
		}
	}
}

// page adds the flags of a list.
func page(cmd *cobra.Command, p *db.Page) {
	cmd.Flags().IntVar(&p.Number, "page", 1, "page `number`, from 1")
	cmd.Flags().IntVar(&p.Limit, "limit", 100, "rows per page, 1 to 100")
}

func checkPage(p db.Page) error {
	if p.Number < 1 || p.Limit < 1 || p.Limit > 100 {
		return errors.New("--page must be at least 1, and --limit 1 to 100")
	}
	return nil
}

// createWithOwner creates an account and prints the link with which its owner joins.
func createWithOwner(
	cmd *cobra.Command, o *app.Operator, out *output, name string, credit money.Micros, owner, publicURL string,
) error {
	if publicURL == "" {
		return errors.New("--owner needs --public-url, such as https://gpu.example.com: the link leads there")
	}
	a, i, err := o.CreateAccountWithOwner(cmd.Context(), name, credit, owner, publicURL)
	if err != nil {
		return err
	}
	note := "Send the link to " + i.Email + ". It is shown once."
	if i.Mailed {
		note = "The link is emailed to " + i.Email + ". It is shown once."
	}
	fmt.Fprintln(cmd.ErrOrStderr(), note)
	return out.print(cmd.OutOrStdout(),
		map[string]any{"account": a, "invitation": i.Invitation, "url": i.URL, "mailed": i.Mailed},
		[]any{"ID", "NAME", "CREDIT", "OWNER'S LINK"}, [][]any{{a.ID, a.Name, credit, i.URL}})
}

func accounts() *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "Manage accounts"}
	var name, credit, owner, publicURL string
	cmd.AddCommand(operatorCommand("create", "Create an account with a wallet", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&name, "name", "", "`name` of the account")
		cmd.Flags().StringVar(&credit, "credit", "0", "initial credit in `USD`")
		cmd.Flags().StringVar(&owner, "owner", "", "`email` address of the owner to invite; needs --public-url")
		cmd.Flags().StringVar(&publicURL, "public-url", "", "`URL` of the server for browsers, for the owner's link")
		requireFlags(cmd, "name")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		amount, err := money.Parse(credit)
		if err != nil || amount < 0 {
			return errors.New("--credit must be an amount in US dollars of at least 0, such as 100 or 49.99")
		}
		if owner != "" {
			return createWithOwner(cmd, o, out, name, amount, owner, publicURL)
		}
		a, err := o.CreateAccount(cmd.Context(), name, amount)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), a, []any{"ID", "NAME", "CREDIT"}, [][]any{{a.ID, a.Name, amount}})
	}))
	var p db.Page
	cmd.AddCommand(
		operatorCommand(
			"list",
			"List accounts",
			func(cmd *cobra.Command) { page(cmd, &p) },
			func(cmd *cobra.Command, o *app.Operator, out *output) error {
				if err := checkPage(p); err != nil {
					return err
				}
				list, _, err := o.Accounts.List(cmd.Context(), o.DB, p)
				var rows [][]any
				for _, a := range list {
					rows = append(rows, []any{a.ID, a.Name, a.CreatedAt.Format(time.RFC3339)})
				}
				return errors.Join(err, out.print(cmd.OutOrStdout(), list, []any{"ID", "NAME", "CREATED"}, rows))
			},
		),
	)
	markup := operatorCommand(
		"markup ACCOUNT PERCENT|default",
		"Set an account's markup, or reset it to the default; takes effect within seconds",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			of, percent := id.ID(cmd.Flags().Arg(0)), cmd.Flags().Arg(1)
			var own *int64
			if percent != "default" {
				bp, err := provideraccount.ParseMarkup(percent)
				if err != nil {
					return fmt.Errorf("%w, or default", err)
				}
				own = &bp
			}
			a, err := o.SetMarkup(cmd.Context(), of, own)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(),
				map[string]any{"account": a.ID, "name": a.Name, "markupBasisPoints": a.Markup},
				[]any{"ID", "NAME", "MARKUP"}, [][]any{{a.ID, a.Name, percent}})
		},
	)
	markup.Args = cobra.ExactArgs(2)
	cmd.AddCommand(markup, trustAccount(), suspendAccount(), resumeAccount(), accountQuotas())
	return cmd
}

func trustAccount() *cobra.Command {
	var revoke bool
	return operatorCommandOn("trust ACCOUNT",
		"Offer an account what is for trusted tenants only, such as servers without a BMC",
		func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&revoke, "revoke", false, "no longer; what it has stays")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			a, err := o.SetTrusted(cmd.Context(), id.ID(on), !revoke)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(),
				map[string]any{"account": a.ID, "name": a.Name, "trusted": a.Trusted},
				[]any{"ID", "NAME", "TRUSTED"}, [][]any{{a.ID, a.Name, a.Trusted}})
		})
}

func keys() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Manage API keys"}
	var of, name, key string
	var scopes, networks []string
	var read, write, deploy int
	var expires time.Duration
	var limitFlags spending
	cmd.AddCommand(operatorCommand("create", "Create an API key; it is shown once", func(cmd *cobra.Command) {
		f := cmd.Flags()
		f.StringVar(&of, "account", "", "`id` of the account")
		f.StringVar(&name, "name", "", "`name` of the key")
		f.StringSliceVar(&scopes, "scopes", nil, "`scopes`, comma-separated; default: all")
		f.StringSliceVar(&networks, "networks", nil, "IP allowlist: addresses or CIDR `networks`; default: any")
		f.DurationVar(&expires, "expires-in", 0, "`duration` until it expires; default: never expires")
		f.IntVar(&read, "read-limit", account.DefaultLimits.Read, "read requests per minute")
		f.IntVar(&write, "write-limit", account.DefaultLimits.Write, "write requests per minute")
		f.IntVar(&deploy, "deploy-limit", account.DefaultLimits.Deploy, "deploys per minute")
		limitFlags.flags(f)
		requireFlags(cmd, "account", "name")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		limits, err := limitFlags.limits(cmd.Flags())
		if err != nil {
			return err
		}
		r := account.KeyRequest{
			Name: name, Scopes: account.AllScopes(), AllowedNetworks: networks,
			Limits: account.LimitOverrides{
				Read:   ifSet(cmd, "read-limit", &read),
				Write:  ifSet(cmd, "write-limit", &write),
				Deploy: ifSet(cmd, "deploy-limit", &deploy),
			}}
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
		return out.print(
			cmd.OutOrStdout(),
			map[string]any{
				"id":             k.ID,
				"key":            secret,
				"name":           k.Name,
				"scopes":         k.Scopes,
				"limits":         k.Limits,
				"spendingLimits": orNone(limits),
			},
			[]any{"ID", "KEY (shown only now)"},
			[][]any{{k.ID, secret}},
		)
	}))
	var p db.Page
	cmd.AddCommand(operatorCommand("list", "List an account's API keys", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&of, "account", "", "`id` of the account")
		page(cmd, &p)
		requireFlags(cmd, "account")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		if err := checkPage(p); err != nil {
			return err
		}
		list, _, err := o.Accounts.ListKeys(cmd.Context(), o.DB, id.ID(of), db.NameFilter{}, db.NewestFirst, p)
		if err != nil {
			return err
		}
		shown, err := withSpending(cmd.Context(), o.DB, list)
		var rows [][]any
		for _, k := range shown {
			rows = append(
				rows,
				[]any{
					k.ID,
					k.Name,
					k.Prefix,
					when(k.ExpiresAt, "never"),
					when(k.RevokedAt, "no"),
					when(k.LastUsedAt, "never"),
					describeLimits(k.Spending),
				},
			)
		}
		return errors.Join(
			err,
			out.print(cmd.OutOrStdout(), shown,
				[]any{"ID", "NAME", "KEY", "EXPIRES", "REVOKED", "LAST USED", "SPENDING LIMITS"}, rows),
		)
	}))
	cmd.AddCommand(
		operatorCommand(
			"revoke",
			"Revoke an API key; takes effect before the command returns",
			func(cmd *cobra.Command) {
				cmd.Flags().StringVar(&of, "account", "", "`id` of the account")
				cmd.Flags().StringVar(&key, "key", "", "`id` of the key")
				requireFlags(cmd, "account", "key")
			},
			func(cmd *cobra.Command, o *app.Operator, out *output) error {
				k, err := o.RevokeKey(cmd.Context(), id.ID(of), id.ID(key))
				if err != nil {
					return err
				}
				time.Sleep(account.KeyFresh) // a running server can have cached the key
				return out.print(cmd.OutOrStdout(), k, []any{"ID", "REVOKED"}, [][]any{{k.ID, when(k.RevokedAt, "no")}})
			},
		),
	)
	return cmd
}

// ifSet returns the value of a flag that was set, otherwise nil: that limit follows the default.
func ifSet(cmd *cobra.Command, flag string, value *int) *int {
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
	cmd := &cobra.Command{Use: "wallet", Short: "Manage wallets"}
	var q adjustment.Request
	var of, amount, expires string
	cmd.AddCommand(
		operatorCommand("credit", "Add credit to a wallet, or deduct a negative amount", func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&of, "account", "", "`id` of the account")
			f.StringVar(&amount, "amount", "", "amount in `USD`")
			f.StringVar(&q.Note, "note", "", "`text` on the customer's statement")
			f.StringVar(
				&q.Reference,
				"reference",
				"",
				"`reference`, such as an invoice number; prevents duplicate credits",
			)
			f.StringVar(&q.Reason, "reason", "",
				"`reason` for the operator who approves it; required above wallet.approvalAbove")
			f.StringVar(&expires, "expires", "",
				"`date` after which what is left of the credit expires (UTC), such as 2028-05-31, or an exact time "+
					"(RFC 3339); default: never")
			requireFlags(cmd, "account", "amount")
		}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
			at, err := expiryOf(expires)
			if err != nil {
				return err
			}
			m, err := money.Parse(amount)
			if err != nil || m == 0 {
				return errors.New("--amount must be an amount in US dollars other than 0, such as 100 or 49.99")
			}
			q.Account, q.Amount, q.CreditExpiresAt = id.ID(of), m, at
			did, err := o.Credit(cmd.Context(), q)
			if err != nil {
				return err
			}
			w, made := did.Account, did.Made
			if a := did.Adjustment; a != nil && a.State == adjustment.Pending {
				fmt.Fprintf(cmd.ErrOrStderr(), "billetd: nothing is booked yet: %s waits until an operator approves "+
					"it in the dashboard.\n", a.ID)
			}
			return out.print(
				cmd.OutOrStdout(),
				map[string]any{
					"made":       made,
					"account":    of,
					"balance":    w.Balance,
					"held":       w.Held,
					"available":  w.Available,
					"adjustment": did.Adjustment,
				},
				[]any{"APPLIED", "BALANCE", "ON HOLD", "AVAILABLE"},
				[][]any{{made, w.Balance, w.Held, w.Available}},
			)
		}),
	)
	var p db.Page
	cmd.AddCommand(
		operatorCommand(
			"list",
			"List the wallets of all accounts",
			func(cmd *cobra.Command) { page(cmd, &p) },
			func(cmd *cobra.Command, o *app.Operator, out *output) error {
				if err := checkPage(p); err != nil {
					return err
				}
				list, err := o.Wallets(cmd.Context(), p)
				var rows [][]any
				for _, w := range list {
					rows = append(rows, []any{w.Account, w.Balance, w.Held, w.Available, when(w.NegativeSince, "no")})
				}
				return errors.Join(
					err,
					out.print(cmd.OutOrStdout(), list,
						[]any{"ACCOUNT", "BALANCE", "ON HOLD", "AVAILABLE", "PAST DUE SINCE"}, rows),
				)
			},
		),
		walletCredits(),
	)
	return cmd
}

func walletCredits() *cobra.Command {
	var of string
	var p db.Page
	return operatorCommand("credits", "List the credits of an account", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&of, "account", "", "`id` of the account")
		page(cmd, &p)
		requireFlags(cmd, "account")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		if err := checkPage(p); err != nil {
			return err
		}
		list, err := o.AccountCredits(cmd.Context(), id.ID(of), p)
		if err != nil {
			return err
		}
		var rows [][]any
		for _, c := range list {
			left := any("")
			if c.Remaining != nil {
				left = *c.Remaining
			}
			rows = append(rows, []any{c.ID, c.State, c.Amount, left, when(c.ExpiresAt, "never"), c.Source, c.Note})
		}
		return out.print(cmd.OutOrStdout(), list,
			[]any{"CREDIT", "STATE", "AMOUNT", "LEFT", "EXPIRES", "SOURCE", "NOTE"}, rows)
	})
}

// expiryOf reads the last day of a credit, or an exact time; "" is never.
func expiryOf(text string) (*time.Time, error) { return timeOf("expires", text) }

// timeOf reads a flag that is a date, which stands for its end, or an exact time; nil for none.
func timeOf(flag, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return new(day.AddDate(0, 0, 1)), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("--%s must be a date, such as 2028-05-31, or a time, such as 2028-05-31T12:00:00Z", flag)
	}
	return &at, nil
}
