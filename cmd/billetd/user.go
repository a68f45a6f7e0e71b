package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/spf13/cobra"
)

// password reads the first line of the input, or generates a password. It reports whether it
// generated one, which must be shown.
func password(cmd *cobra.Command, fromInput bool) (text string, generated bool, err error) {
	if !fromInput {
		return rand.Text(), true, nil
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), false, nil
}

// userOutput is a user, with the password if it was generated.
type userOutput struct {
	account.User
	Password string `json:"password,omitempty"`
}

func (p userOutput) print(cmd *cobra.Command, out *output) error {
	heads, row := []any{"ID", "EMAIL", "OPERATOR"}, []any{p.ID, p.Email, p.Operator}
	if p.Password != "" {
		heads, row = append(heads, "PASSWORD (shown only now)"), append(row, p.Password)
	}
	return out.print(cmd.OutOrStdout(), p, heads, [][]any{row})
}

func users() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Manage users"}
	var of, email, name, role string
	var operator, fromInput bool
	cmd.AddCommand(operatorCommand("create", "Create a user", func(cmd *cobra.Command) {
		f := cmd.Flags()
		f.StringVar(&of, "account", "", "`id` of the account")
		f.StringVar(&email, "email", "", "`email` address for sign-in")
		f.StringVar(&name, "name", "", "display `name`")
		f.StringVar(&role, "role", string(account.Owner), "`role`: owner, admin, member, viewer or billing")
		f.BoolVar(&operator, "operator", false, "make the user an operator, with access to every account")
		f.BoolVar(&fromInput, "password-stdin", false,
			"read the password from standard input; default: generate and show one")
		requireFlags(cmd, "account", "email")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		text, generated, err := password(cmd, fromInput)
		if err != nil {
			return err
		}
		p, err := o.CreateUser(cmd.Context(), id.ID(of), account.Role(role),
			account.UserRequest{Email: email, Name: name, Password: text, Operator: operator})
		if err != nil {
			return err
		}
		if !generated {
			text = ""
		}
		return userOutput{p, text}.print(cmd, out)
	}))
	var pages db.Page
	cmd.AddCommand(
		operatorCommand(
			"list",
			"List the users of all accounts",
			func(cmd *cobra.Command) { page(cmd, &pages) },
			func(cmd *cobra.Command, o *app.Operator, out *output) error {
				if err := checkPage(pages); err != nil {
					return err
				}
				list, _, err := o.Accounts.ListUsers(cmd.Context(), o.DB, pages)
				var rows [][]any
				for _, p := range list {
					rows = append(rows,
						[]any{p.ID, p.Email, p.Name, p.Operator, p.TOTP, p.Passkeys, p.CreatedAt.Format(time.RFC3339)})
				}
				return errors.Join(
					err,
					out.print(cmd.OutOrStdout(), list,
						[]any{"ID", "EMAIL", "NAME", "OPERATOR", "TOTP", "PASSKEYS", "CREATED"}, rows),
				)
			},
		),
	)
	cmd.AddCommand(
		operatorCommand("set-password", "Set a user's password and end their sessions", func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&email, "email", "", "`email` address of the user")
			cmd.Flags().BoolVar(&fromInput, "password-stdin", false,
				"read the password from standard input; default: generate and show one")
			requireFlags(cmd, "email")
		}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
			text, generated, err := password(cmd, fromInput)
			if err != nil {
				return err
			}
			p, err := o.SetPassword(cmd.Context(), email, text)
			if err != nil {
				return err
			}
			if !generated {
				text = ""
			}
			return userOutput{p, text}.print(cmd, out)
		}),
	)
	var revoke bool
	cmd.AddCommand(
		operatorCommand(
			"set-operator",
			"Make a user an operator, with access to every account",
			func(cmd *cobra.Command) {
				cmd.Flags().StringVar(&email, "email", "", "`email` address of the user")
				cmd.Flags().BoolVar(&revoke, "revoke", false, "remove the operator role")
				requireFlags(cmd, "email")
			},
			func(cmd *cobra.Command, o *app.Operator, out *output) error {
				p, err := o.SetOperator(cmd.Context(), email, !revoke)
				if err != nil {
					return err
				}
				return userOutput{User: p}.print(cmd, out)
			},
		),
	)
	cmd.AddCommand(
		operatorCommand("reset-factors", "Remove a user's authenticator app and passkeys", func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&email, "email", "", "`email` address of the user")
			requireFlags(cmd, "email")
		}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
			p, err := o.ResetFactors(cmd.Context(), email)
			if err != nil {
				return err
			}
			return userOutput{User: p}.print(cmd, out)
		}),
		operatorCommand("delete", "Delete a user: what they sign in with and are known by", func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&email, "email", "", "`email` address of the user")
			requireFlags(cmd, "email")
		}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
			p, err := o.DeleteUser(cmd.Context(), email)
			if err != nil {
				return err
			}
			return userOutput{User: p}.print(cmd, out)
		}),
	)
	return cmd
}
