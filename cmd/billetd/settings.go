package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/spf13/cobra"
)

func settingsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "settings",
		Short: "Show and change settings without a restart",
		Long: `Show and change the settings that apply without a restart: name and links of the installation,
logo and color, mail server, sign-up policy, public pages and payments. A running server applies a
change within seconds.

  billetd settings show
  billetd settings set installation.name="Example Cloud" branding.primaryColor=#1f6feb
  billetd settings set-logo logo.png
  billetd settings set mail.host=smtp.example.com mail.user=billet \
    mail.fromAddress=no-reply@example.com --mail-password-stdin < smtp.password`,
	}
	cmd.AddCommand(settingsShow(), settingsSet(), settingsSetLogo(), settingsRemoveLogo())
	return cmd
}

func settingsShow() *cobra.Command {
	return operatorCommand("show", "Show the settings", func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			s, err := o.Settings.Peek(cmd.Context(), o.DB)
			if err != nil {
				return err
			}
			return printSettings(cmd, out, s)
		})
}

func settingsSet() *cobra.Command {
	password := secretIn{stdinFlag: "mail-password-stdin", fileFlag: "mail-password-file", what: "mail password"}
	stripeKey := secretIn{stdinFlag: "stripe-key-stdin", fileFlag: "stripe-key-file", what: "key of Stripe"}
	stripeSecret := secretIn{
		stdinFlag: "stripe-webhook-secret-stdin", fileFlag: "stripe-webhook-secret-file",
		what: "signing secret of Stripe's webhook",
	}
	cmd := operatorCommand("set [NAME=VALUE …]", "Change settings; others keep their values",
		func(cmd *cobra.Command) {
			password.flags(cmd)
			stripeKey.flags(cmd)
			stripeSecret.flags(cmd)
			cmd.Flags().Bool("sim", false, "the server runs with --sim: accept a Stripe test key")
			cmd.Long = "Change settings; others keep their values. An empty value clears a setting. " +
				"The settings are:\n\n  " + strings.Join(settings.Names(), "\n  ")
		},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			c, err := settings.Assign(cmd.Flags().Args())
			if err != nil {
				return err
			}
			for _, secret := range []struct {
				in *secretIn
				to **string
			}{
				{&password, &c.Mail.Password}, {&stripeKey, &c.Payments.StripeKey},
				{&stripeSecret, &c.Payments.StripeWebhookSecret},
			} {
				if !secret.in.given() {
					continue
				}
				text, err := secret.in.read(cmd.InOrStdin())
				if err != nil {
					return err
				}
				text = strings.TrimRight(text, "\r\n")
				*secret.to = &text
			}
			if c.Empty() {
				return errors.New("nothing to set: give NAME=VALUE, such as installation.name=\"Example Cloud\"")
			}
			s, err := o.ChangeSettings(cmd.Context(), c)
			if err != nil {
				return err
			}
			return printSettings(cmd, out, s)
		})
	cmd.Args = cobra.ArbitraryArgs
	return cmd
}

func settingsSetLogo() *cobra.Command {
	cmd := operatorCommand("set-logo FILE", "Upload the logo",
		func(cmd *cobra.Command) {
			cmd.Long = "Upload the logo of the dashboard, the public pages and emails: a PNG, JPEG or WebP image " +
				"of up to 256 KiB, and from 16 to 1024 pixels wide and high."
		},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			content, err := readLogo(cmd.Flags().Arg(0))
			if err != nil {
				return err
			}
			s, err := o.SetLogo(cmd.Context(), content)
			if err != nil {
				return err
			}
			return printSettings(cmd, out, s)
		})
	cmd.Args = cobra.ExactArgs(1)
	return cmd
}

// readLogo reads no more of a file than a logo may have.
func readLogo(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, settings.MaxLogo+1))
}

func settingsRemoveLogo() *cobra.Command {
	return operatorCommand("remove-logo", "Remove the logo and show the built-in one again", func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			s, err := o.SetLogo(cmd.Context(), nil)
			if err != nil {
				return err
			}
			return printSettings(cmd, out, s)
		})
}

// printSettings prints a row for each setting, with the name that `settings set` takes.
func printSettings(cmd *cobra.Command, out *output, s settings.Settings) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	var groups map[string]json.RawMessage
	if err := json.Unmarshal(text, &groups); err != nil {
		return err
	}
	var rows [][]any
	for _, name := range append(settings.Names(), "mail.passwordSet", "mail.configured", "branding.logo",
		"payments.stripeKeySet", "payments.stripeWebhookSecretSet", "payments.stripeLive") {
		group, setting, _ := strings.Cut(name, ".")
		var values map[string]any
		if err := json.Unmarshal(groups[group], &values); err != nil {
			return err
		}
		rows = append(rows, []any{name, settingText(values[setting])})
	}
	slices.SortStableFunc(rows, func(a, b []any) int { return strings.Compare(groupOf(a), groupOf(b)) })
	return out.print(cmd.OutOrStdout(), s, []any{"SETTING", "VALUE"}, rows)
}

func groupOf(row []any) string {
	group, _, _ := strings.Cut(fmt.Sprint(row[0]), ".")
	return group
}

func settingText(v any) string {
	switch v := v.(type) {
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, fmt.Sprint(one))
		}
		return orDash(strings.Join(all, ","))
	case map[string]any: // the logo
		return fmt.Sprint(v["url"])
	case nil:
		return "-"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return orDash(fmt.Sprint(v))
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
