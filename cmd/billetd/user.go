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

// password is the first line of the input, or one that is made here; made tells which, since only that one needs to be shown.
func password(cmd *cobra.Command, fromInput bool) (text string, made bool, err error) {
	if !fromInput {
		return rand.Text(), true, nil
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), false, nil
}

// userOutput is a user, and the password where nobody else knows it.
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

func persons() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Make and list people who sign in, and help those who cannot"}
	var of, email, name, role string
	var operator, fromInput bool
	cmd.AddCommand(verb("create", "Make a user who can sign in", func(cmd *cobra.Command) {
		f := cmd.Flags()
		f.StringVar(&of, "account", "", "the account that they belong to")
		f.StringVar(&email, "email", "", "what they sign in with")
		f.StringVar(&name, "name", "", "what they are called")
		f.StringVar(&role, "role", string(account.Owner), "owner, admin, member, viewer or billing")
		f.BoolVar(&operator, "operator", false, "they run this server: they see every account")
		f.BoolVar(&fromInput, "password-stdin", false, "read the password from the input; one is made and shown without this")
		must(cmd, "account", "email")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		text, made, err := password(cmd, fromInput)
		if err != nil {
			return err
		}
		p, err := o.CreateUser(cmd.Context(), id.ID(of), account.Role(role), account.UserRequest{Email: email, Name: name, Password: text, Operator: operator})
		if err != nil {
			return err
		}
		if !made {
			text = ""
		}
		return userOutput{p, text}.print(cmd, out)
	}))
	var pages db.Page
	cmd.AddCommand(verb("list", "List the people of all accounts", func(cmd *cobra.Command) { page(cmd, &pages) }, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		if err := checkPage(pages); err != nil {
			return err
		}
		list, _, err := o.Accounts.ListPersons(cmd.Context(), o.DB, pages)
		var rows [][]any
		for _, p := range list {
			rows = append(rows, []any{p.ID, p.Email, p.Name, p.Operator, p.TOTP, p.Passkeys, p.CreatedAt.Format(time.RFC3339)})
		}
		return errors.Join(err, out.print(cmd.OutOrStdout(), list, []any{"ID", "EMAIL", "NAME", "OPERATOR", "TOTP", "PASSKEYS", "CREATED"}, rows))
	}))
	cmd.AddCommand(verb("set-password", "Give a user another password, and end their sessions", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&email, "email", "", "whose password")
		cmd.Flags().BoolVar(&fromInput, "password-stdin", false, "read the password from the input; one is made and shown without this")
		must(cmd, "email")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		text, made, err := password(cmd, fromInput)
		if err != nil {
			return err
		}
		p, err := o.SetPassword(cmd.Context(), email, text)
		if err != nil {
			return err
		}
		if !made {
			text = ""
		}
		return userOutput{p, text}.print(cmd, out)
	}))
	var revoke bool
	cmd.AddCommand(verb("set-operator", "Make a user an operator, who sees every account", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&email, "email", "", "who")
		cmd.Flags().BoolVar(&revoke, "revoke", false, "they are one no longer")
		must(cmd, "email")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		p, err := o.SetOperator(cmd.Context(), email, !revoke)
		if err != nil {
			return err
		}
		return userOutput{User: p}.print(cmd, out)
	}))
	cmd.AddCommand(verb("reset-factors", "Take away a user's authenticator app and passkeys, which they have lost", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&email, "email", "", "whose")
		must(cmd, "email")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		p, err := o.ResetFactors(cmd.Context(), email)
		if err != nil {
			return err
		}
		return userOutput{User: p}.print(cmd, out)
	}))
	return cmd
}
