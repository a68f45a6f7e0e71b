package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/spf13/cobra"
)

// applies follows every change: a running server looks for changes every few seconds.
const applies = "A running server applies the change within seconds."

func providers() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "provider",
		Short: "Manage provider accounts",
		Long: `Manage the accounts at providers from which you sell machines. API keys are stored
encrypted.

  billetd provider kinds
  billetd provider add voltage-park --api-key-stdin < voltage-park.key
  billetd provider check voltage-park

` + applies + ` Several accounts at one
provider need a --slug each. Alternatively, use a file: billetd serve --providers-file.`,
	}
	cmd.AddCommand(providerKinds(), providerAdd(), providerList(), providerKey(), providerMarkup(), providerCheck(),
		providerUse("pause", provider.Paused, "Make a provider's offers unavailable; its machines stay managed"),
		providerUse("drain", provider.Draining, "Stop selling from a provider, to remove it once nothing is left"),
		providerUse("resume", provider.Sells, "Sell from a paused or draining provider again"), providerRemove())
	return cmd
}

// secretIn reads a secret from standard input or a file. A flag would be visible to all users of
// the machine.
type secretIn struct {
	// stdinFlag and fileFlag are the names of the flags, and what is what the secret is called.
	stdinFlag, fileFlag, what string

	stdin bool
	file  string
}

// apiKeyIn reads an API key.
func apiKeyIn() secretIn {
	return secretIn{stdinFlag: "api-key-stdin", fileFlag: "api-key-file", what: "API key"}
}

func (k *secretIn) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&k.stdin, k.stdinFlag, false, "read the "+k.what+" from standard input")
	cmd.Flags().StringVar(&k.file, k.fileFlag, "", "read the "+k.what+" from this `file`")
}

// given reports whether the secret is to be read.
func (k *secretIn) given() bool { return k.stdin || k.file != "" }

func (k *secretIn) read(in io.Reader) (string, error) {
	switch {
	case k.stdin == (k.file != ""):
		return "", fmt.Errorf("use exactly one of --%s and --%s", k.stdinFlag, k.fileFlag)
	case k.stdin:
		text, err := io.ReadAll(bufio.NewReader(io.LimitReader(in, 64<<10)))
		return string(text), err
	}
	text, err := os.ReadFile(k.file)
	return string(text), err
}

func printProviders(cmd *cobra.Command, out *output, v any, all []provideraccount.Provider) error {
	var rows [][]any
	for _, p := range all {
		markup := "default"
		if p.Markup != nil {
			markup = fmt.Sprintf("%d.%02d%%", *p.Markup/100, *p.Markup%100)
		}
		var settings []string
		for _, name := range slices.Sorted(maps.Keys(p.Settings)) {
			settings = append(settings, name+"="+p.Settings[name])
		}
		base := p.BaseURL
		if base == "" {
			base = "default"
		}
		rows = append(
			rows,
			[]any{
				p.Slug,
				p.Kind,
				p.Name,
				base,
				markup,
				strings.Join(settings, " "),
				p.KeyChangedAt.Format("2006-01-02"),
				cmp.Or(string(p.Use()), "active"),
			},
		)
	}
	return out.print(
		cmd.OutOrStdout(),
		v,
		[]any{"SLUG", "KIND", "NAME", "BASE URL", "MARKUP", "SETTINGS", "KEY SINCE", "STATE"},
		rows,
	)
}

func providerKinds() *cobra.Command {
	return operatorCommand(
		"kinds",
		"List the supported kinds of providers and their settings",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			var rows [][]any
			for _, k := range o.ProviderAccounts.Kinds() {
				rows = append(rows, []any{k.Word, k.Name, ""})
				for _, name := range slices.Sorted(maps.Keys(k.Settings)) {
					rows = append(rows, []any{"", "", name + ": " + k.Settings[name]})
				}
			}
			rows = append(rows, []any{"", "all kinds", ""})
			for _, name := range slices.Sorted(maps.Keys(provideraccount.Common)) {
				rows = append(rows, []any{"", "", name + ": " + provideraccount.Common[name]})
			}
			return out.print(cmd.OutOrStdout(), o.ProviderAccounts.Kinds(), []any{"KIND", "NAME", "SETTINGS"}, rows)
		},
	)
}

func providerAdd() *cobra.Command {
	var p provideraccount.Provider
	k := apiKeyIn()
	var markup string
	var settings []string
	return operatorCommandOn("add KIND", "Add a provider account", func(cmd *cobra.Command) {
		k.flags(cmd)
		f := cmd.Flags()
		f.StringVar(&p.Slug, "slug", "", "`slug` in the API; default: the kind")
		f.StringVar(&p.Name, "name", "", "display `name`; default: the provider's name")
		f.StringVar(&p.BaseURL, "base-url", "", "`URL` of its API; default: the provider's")
		f.StringVar(&markup, "markup", "", "`percent` added to its prices; default: the server's --markup")
		f.StringArrayVar(&settings, "setting", nil, "`name=value` as listed by billetd provider kinds; repeatable")
	}, func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
		p.Kind, p.Settings = on, map[string]string{}
		for _, s := range settings {
			name, value, _ := strings.Cut(s, "=")
			p.Settings[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		if markup != "" {
			bp, err := provideraccount.ParseMarkup(markup)
			if err != nil {
				return fmt.Errorf("--markup: %w", err)
			}
			p.Markup = &bp
		}
		key, err := k.read(cmd.InOrStdin())
		if err != nil {
			return err
		}
		added, err := o.AddProvider(cmd.Context(), p, key)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Run `billetd provider check %s` to verify the key. %s\n", added.Slug, applies)
		return printProviders(cmd, out, added, []provideraccount.Provider{added})
	})
}

func providerList() *cobra.Command {
	return operatorCommand(
		"list",
		"List provider accounts; API keys are not shown",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			all, err := o.ProviderAccounts.List(cmd.Context(), o.DB)
			if err != nil {
				return err
			}
			return printProviders(cmd, out, all, all)
		},
	)
}

func providerKey() *cobra.Command {
	k := apiKeyIn()
	var force bool
	return operatorCommandOn("key PROVIDER", "Replace the API key of a provider account", func(cmd *cobra.Command) {
		k.flags(cmd)
		cmd.Flags().BoolVar(&force, "force", false,
			"use the key even if it shows none of our machines there")
	}, func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
		key, err := k.read(cmd.InOrStdin())
		if err != nil {
			return err
		}
		p, err := o.ChangeProviderKey(cmd.Context(), on, key, force)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), applies)
		return printProviders(cmd, out, p, []provideraccount.Provider{p})
	})
}

func providerMarkup() *cobra.Command {
	var percent string
	return operatorCommandOn("markup PROVIDER", "Set the markup on a provider's prices", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&percent, "percent", "", "`percent`, such as 12.5, or default for the server's --markup")
		requireFlags(cmd, "percent")
	}, func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
		var markup *int64
		if percent != "default" {
			bp, err := provideraccount.ParseMarkup(percent)
			if err != nil {
				return fmt.Errorf("--percent: %w", err)
			}
			markup = &bp
		}
		p, err := o.ChangeProviderMarkup(cmd.Context(), on, markup)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), applies)
		return printProviders(cmd, out, p, []provideraccount.Provider{p})
	})
}

func providerUse(name string, use provider.Use, short string) *cobra.Command {
	return operatorCommandOn(name+" PROVIDER", short, func(*cobra.Command) {},
		func(cmd *cobra.Command, slug string, o *app.Operator, out *output) error {
			p, err := o.SetProviderUse(cmd.Context(), slug, use)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.ErrOrStderr(), applies)
			return printProviders(cmd, out, p, []provideraccount.Provider{p})
		})
}

func providerCheck() *cobra.Command {
	common, out := &commonFlags{}, &output{}
	cmd := &cobra.Command{
		Use: "check PROVIDER", Short: "Check that a provider's API works as expected", Args: oneArgument,
		Long: `Send read-only requests to a provider: offers, machines and volumes, including ones
that do not exist. Each response is compared with what the adapter expects, including unknown
fields. Nothing is launched, terminated or billed. The exit code is 1 if a response differs or a
request fails.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := app.OpenOperator(cmd.Context(), common.cfg)
			if err != nil {
				return err
			}
			defer func() { _ = o.Close() }()
			checks, err := o.CheckProvider(cmd.Context(), common.cfg, args[0])
			if err != nil {
				return err
			}
			var rows [][]any
			bad := 0
			for _, l := range checks {
				rows = append(rows, []any{l.Verdict, l.What, fmt.Sprintf("%d ms", l.Took), l.Detail})
				if l.Verdict == provideraccount.Differs || l.Verdict == provideraccount.Failed {
					bad++
				}
			}
			heads := []any{"RESULT", "CHECK", "DURATION", "DETAIL"}
			if err := out.print(cmd.OutOrStdout(), checks, heads, rows); err != nil || bad == 0 {
				return err
			}
			return fmt.Errorf("%d of %d checks failed or differ from what the adapter expects", bad, len(checks))
		},
	}
	out.flag(cmd)
	cmd.Flags().StringVar(&common.cfg.ProvidersFile, "providers-file", "",
		"YAML `file` with the provider, if it is not in the database")
	return common.flags(cmd)
}

func providerRemove() *cobra.Command {
	return operatorCommandOn(
		"remove PROVIDER",
		"Remove a paused or draining provider account with nothing left",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, slug string, o *app.Operator, _ *output) error {
			if err := o.RemoveProvider(cmd.Context(), slug); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.ErrOrStderr(), "Removed. "+applies)
			return err
		},
	)
}
