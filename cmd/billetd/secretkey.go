package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/spf13/cobra"
)

func secretKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use: "secret-key", Short: "Manage the key that encrypts secrets",
		Long: `The secret key encrypts what the server must be able to read again, such as the API keys of
providers. A key is known by its name, which is no secret.`,
	}
	cmd.AddCommand(keyStatus(), rotateKey(), addKey(), useKey(), resealKey(), forgetKey(), replaceKey())
	return cmd
}

// keyCommand is operatorCommand for the commands that work without a former key, too. Its argument
// is "" if there is none.
func keyCommand(
	use, short, long string,
	run func(ctx context.Context, cmd *cobra.Command, o *app.Operator, c app.Config, key string) error,
) *cobra.Command {
	common := &commonFlags{}
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := app.OpenForKeys(cmd.Context(), common.cfg)
			if err != nil {
				return err
			}
			return errors.Join(run(cmd.Context(), cmd, o, common.cfg, strings.Join(args, "")), o.Close())
		},
	}
	if strings.Contains(use, " ") {
		cmd.Args = oneArgument
	}
	return common.flags(cmd)
}

func keyStatus() *cobra.Command {
	out := &output{}
	cmd := keyCommand("status", "Show the secret keys, and how many values each has encrypted",
		`Shows which key the servers encrypt with, which ones did before, which ones are configured here
without being used, and how many values of the database each has encrypted.`,
		func(ctx context.Context, cmd *cobra.Command, o *app.Operator, _ app.Config, _ string) error {
			keys, err := o.SecretKeys(ctx)
			if err != nil {
				return err
			}
			var rows [][]any
			for _, k := range keys {
				here := "no"
				if k.Configured {
					here = "yes"
				}
				rows = append(rows, []any{k.Name, k.State, here, k.Values, when(k.ForgetAfter, "-")})
			}
			heads := []any{"KEY", "STATE", "CONFIGURED", "VALUES", "FORGET AFTER"}
			return out.print(cmd.OutOrStdout(), keys, heads, rows)
		})
	out.flag(cmd)
	return cmd
}

func rotateKey() *cobra.Command {
	cmd := keyCommand("rotate", "Replace the secret key while the server runs",
		`Replaces the secret key of a server with the built-in database while the server runs: adds a new
key to secret.key, has the server encrypt with it, and encrypts every value again. If it is
interrupted, repeat it.

The former key stays in secret.key until billetd secret-key forget removes it, one hour later at the
earliest. Backups from before need it: keep a copy of secret.key with them.

With PostgreSQL, use billetd secret-key add, use and reseal.`,
		func(ctx context.Context, cmd *cobra.Command, o *app.Operator, c app.Config, _ string) error {
			w := cmd.OutOrStdout()
			_, done, err := o.RotateSecretKey(ctx, c, func(text string) { fmt.Fprintln(w, text) })
			if err != nil {
				return err
			}
			return printResealed(ctx, cmd, o, done)
		})
	cmd.Example = `  billetd secret-key rotate
  billetd secret-key status
  billetd backup --output billet.backup --recipient age1…
  billetd secret-key forget 1f2e3d4c`
	return cmd
}

// printResealed says what was done, and what is left to do.
func printResealed(ctx context.Context, cmd *cobra.Command, o *app.Operator, done secret.Resealed) error {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "Encrypted %s again.\n", counted(done.Values, "value"))
	for _, p := range done.Problems {
		fmt.Fprintf(w, "Could not be decrypted: %s\n", p)
	}
	if done.Unopened > 0 {
		return fmt.Errorf("could not decrypt %s, and left it as it is. Set again what is named above, and repeat this",
			counted(done.Unopened, "value"))
	}
	keys, err := o.SecretKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		switch {
		case k.State != app.KeyFormer:
		case k.ForgetAfter == nil:
			fmt.Fprintf(w, "%d values are encrypted with the former key %s again: a server wrote them meanwhile. "+
				"Repeat this.\n", k.Values, k.Name)
		default:
			fmt.Fprintf(w, "Nothing is encrypted with the former key %s any more. Backups from before need it. "+
				"Make a new backup, and run billetd secret-key forget %s after %s.\n",
				k.Name, k.Name, k.ForgetAfter.Format(time.RFC3339))
		}
	}
	return nil
}

func addKey() *cobra.Command {
	cmd := keyCommand("add", "Add a new secret key to secret.key, without using it yet",
		`Adds a new key to secret.key in the data directory. Servers can decrypt with it at once, and encrypt
with it after billetd secret-key use. If one was added and not used yet, it stays the only one.

With several servers, copy secret.key to each of them before the next step. They need no restart. If
BILLET_SECRET_KEY or --secret-key-command has the key, put the new key in front of it there, with a
space between them, and restart each server. openssl rand -base64 32 prints a key.`,
		func(ctx context.Context, cmd *cobra.Command, o *app.Operator, c app.Config, _ string) error {
			name, err := o.AddSecretKey(ctx, c)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "secret.key has the new key %s. When every server has it, run "+
				"billetd secret-key use %s.\n", name, name)
			return err
		})
	cmd.Example = `  billetd secret-key add                  # at one server; then copy secret.key to the others
  billetd secret-key use 5a6b7c8d
  billetd secret-key reseal
  billetd secret-key forget 1f2e3d4c      # later, at each server`
	return cmd
}

func useKey() *cobra.Command {
	return keyCommand("use <key>", "Have all servers encrypt with another secret key",
		`Has all servers encrypt with a key that each of them has. They notice within seconds. A server
without that key says so in its log, and cannot read what the others encrypt: give it the key, or go
back with billetd secret-key use and the former key.`,
		func(ctx context.Context, cmd *cobra.Command, o *app.Operator, _ app.Config, key string) error {
			before, err := o.UseSecretKey(ctx, key)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Servers encrypt with the key %s; it was %s. "+
				"Run billetd secret-key reseal.\n", key, before)
			return err
		})
}

func resealKey() *cobra.Command {
	return keyCommand("reseal", "Encrypt again what a former secret key has encrypted",
		`Encrypts every value of the database that a former key has encrypted with the present one, while
servers run. Values that change meanwhile are left alone. It can be interrupted and repeated.`,
		func(ctx context.Context, cmd *cobra.Command, o *app.Operator, _ app.Config, _ string) error {
			done, err := o.ResealSecrets(ctx)
			if err != nil {
				return err
			}
			return printResealed(ctx, cmd, o, done)
		})
}

func forgetKey() *cobra.Command {
	yes := false
	cmd := keyCommand("forget <key>", "Remove a former secret key that is not needed any more",
		`Removes a former key from the database, and from secret.key. It is refused while a value is
encrypted with the key, for an hour after the last one was encrypted again, and unless a backup was
made since. With several servers, run it at each, or remove the key from their secret.key.

Keep a copy of the former key with the backups that were made before: they cannot be restored
without it.`,
		func(ctx context.Context, cmd *cobra.Command, o *app.Operator, c app.Config, key string) error {
			removed, err := o.ForgetSecretKey(ctx, c, key, yes)
			if err != nil {
				return err
			}
			text := "The database does not need the key %s. It is not in secret.key of the data directory; remove it " +
				"where it is configured.\n"
			if removed {
				text = "The database does not need the key %s, and it was removed from secret.key.\n"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), text, key)
			return err
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "confirm that the key is kept for the backups that need it")
	return cmd
}

func replaceKey() *cobra.Command {
	common, yes := &commonFlags{}, false
	replace := &cobra.Command{
		Use: "replace", Args: cobra.NoArgs, Short: "Replace a lost secret key",
		Long: `The database records which key encrypts its secrets, and rejects servers with another
key. If that key is permanently lost, this command records the key in the data directory, or that of
BILLET_SECRET_KEY or --secret-key-command, in its place. Stop all servers first. To replace a key
that is not lost, use billetd secret-key rotate.

Secrets encrypted with the lost key cannot be recovered: users set up their authenticator apps
again, webhooks need new secrets, and providers their API keys (billetd provider key).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return errors.New(
					"secrets encrypted with the current key will become unreadable; " +
						"if that key is permanently lost, add --yes",
				)
			}
			before, after, err := app.ReplaceSecretKey(cmd.Context(), common.cfg)
			if err != nil {
				return err
			}
			if before == "" {
				before = "none"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The database's secret key is now %s; it was %s.\n", after, before)
			return err
		},
	}
	common.flags(replace)
	replace.Flags().BoolVar(&yes, "yes", false, "confirm that the key is permanently lost")
	return replace
}
