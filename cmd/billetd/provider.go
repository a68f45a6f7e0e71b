package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/spf13/cobra"
)

// restart follows every change: a running server keeps the providers that it was started with.
const restart = "A running server takes this over when it is started again."

func providers() *cobra.Command {
	cmd := &cobra.Command{Use: "provider", Short: "Connect the clouds to sell from: add their keys, check them, set markups", Long: `Connect the clouds to sell from. Their keys are kept encrypted.

  billetd provider kinds
  billetd provider add voltage-park --api-key-stdin < voltage-park.key
  billetd provider check voltage-park

` + restart + ` Several accounts at one cloud
need a --slug each. A file with the same content goes to billetd serve --providers-file.`}
	cmd.AddCommand(providerKinds(), providerAdd(), providerList(), providerKey(), providerMarkup(), providerCheck(), providerRemove())
	return cmd
}

// secretIn is where an API key comes from: never from a flag, which everybody on the machine can read.
type secretIn struct {
	stdin bool
	file  string
}

func (k *secretIn) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&k.stdin, "api-key-stdin", false, "read the API key from the standard input")
	cmd.Flags().StringVar(&k.file, "api-key-file", "", "read the API key from this file")
}

func (k *secretIn) read(in io.Reader) (string, error) {
	switch {
	case k.stdin == (k.file != ""):
		return "", errors.New("give exactly one of --api-key-stdin and --api-key-file")
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
		markup := "the server's"
		if p.Markup != nil {
			markup = fmt.Sprintf("%d.%02d %%", *p.Markup/100, *p.Markup%100)
		}
		var settings []string
		for _, name := range slices.Sorted(maps.Keys(p.Settings)) {
			settings = append(settings, name+"="+p.Settings[name])
		}
		base := p.BaseURL
		if base == "" {
			base = "the cloud's own"
		}
		rows = append(rows, []any{p.Slug, p.Kind, p.Name, base, markup, strings.Join(settings, " "), p.KeyChangedAt.Format("2006-01-02")})
	}
	return out.print(cmd.OutOrStdout(), v, []any{"SLUG", "KIND", "NAME", "BASE URL", "MARKUP", "SETTINGS", "KEY SINCE"}, rows)
}

func providerKinds() *cobra.Command {
	return verb("kinds", "List the clouds that there are adapters for, and their settings", func(*cobra.Command) {}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		var rows [][]any
		for _, k := range o.Supply.Kinds() {
			rows = append(rows, []any{k.Word, k.Name, ""})
			for _, name := range slices.Sorted(maps.Keys(k.Settings)) {
				rows = append(rows, []any{"", "", name + ": " + k.Settings[name]})
			}
		}
		rows = append(rows, []any{"", "every kind", ""})
		for _, name := range slices.Sorted(maps.Keys(provideraccount.Common)) {
			rows = append(rows, []any{"", "", name + ": " + provideraccount.Common[name]})
		}
		return out.print(cmd.OutOrStdout(), o.Supply.Kinds(), []any{"KIND", "NAME", "SETTINGS"}, rows)
	})
}

func providerAdd() *cobra.Command {
	var p provideraccount.Provider
	var k secretIn
	var markup string
	var settings []string
	return verbOn("add KIND", "Connect an account at a cloud", func(cmd *cobra.Command) {
		k.flags(cmd)
		f := cmd.Flags()
		f.StringVar(&p.Slug, "slug", "", "what it is called in the API; the kind without this")
		f.StringVar(&p.Name, "name", "", "what people read; the cloud's name without this")
		f.StringVar(&p.BaseURL, "base-url", "", "where its API is; the cloud's own without this")
		f.StringVar(&markup, "markup", "", "per cent above its prices; what the server is set to without this")
		f.StringArrayVar(&settings, "setting", nil, "name=value, as billetd provider kinds lists them; may be given more than once")
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
		fmt.Fprintf(cmd.ErrOrStderr(), "Try the key with `billetd provider check %s`. %s\n", added.Slug, restart)
		return printProviders(cmd, out, added, []provideraccount.Provider{added})
	})
}

func providerList() *cobra.Command {
	return verb("list", "List the accounts at clouds; their keys are not shown", func(*cobra.Command) {}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		all, err := o.Supply.List(cmd.Context(), o.DB)
		if err != nil {
			return err
		}
		return printProviders(cmd, out, all, all)
	})
}

func providerKey() *cobra.Command {
	var k secretIn
	return verbOn("key PROVIDER", "Replace the API key of an account at a cloud", func(cmd *cobra.Command) {
		k.flags(cmd)
	}, func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
		key, err := k.read(cmd.InOrStdin())
		if err != nil {
			return err
		}
		p, err := o.ChangeProviderKey(cmd.Context(), on, key)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), restart)
		return printProviders(cmd, out, p, []provideraccount.Provider{p})
	})
}

func providerMarkup() *cobra.Command {
	var percent string
	return verbOn("markup PROVIDER", "Set what tenants pay above a cloud's prices", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&percent, "percent", "", `such as 12.5, or "default" for what the server is set to`)
		must(cmd, "percent")
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
		fmt.Fprintln(cmd.ErrOrStderr(), restart)
		return printProviders(cmd, out, p, []provideraccount.Provider{p})
	})
}

func providerCheck() *cobra.Command {
	h, out := &house{}, &output{}
	cmd := &cobra.Command{
		Use: "check PROVIDER", Short: "Ask a cloud what changes nothing there, and say what is not as its adapter believes", Args: oneArgument,
		Long: `Ask a cloud what changes nothing there: its offers, twice; machines and volumes, also such as there are
not. Each answer is compared with what the adapter believes, down to fields that it does not know. Nothing
is launched, ended or paid for. It ends with 1 where an answer differs or did not come.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := app.OpenOperator(cmd.Context(), h.c)
			if err != nil {
				return err
			}
			defer func() { _ = o.Close() }()
			looks, err := o.CheckProvider(cmd.Context(), h.c, args[0])
			if err != nil {
				return err
			}
			var rows [][]any
			bad := 0
			for _, l := range looks {
				rows = append(rows, []any{l.Verdict, l.What, fmt.Sprintf("%d ms", l.Took), l.Detail})
				if l.Verdict == provideraccount.Differs || l.Verdict == provideraccount.Failed {
					bad++
				}
			}
			if err := out.print(cmd.OutOrStdout(), looks, []any{"VERDICT", "WHAT", "TOOK", "DETAIL"}, rows); err != nil || bad == 0 {
				return err
			}
			return fmt.Errorf("%d of %d answers differ from what the adapter believes, or did not come", bad, len(looks))
		},
	}
	out.flag(cmd)
	cmd.Flags().StringVar(&h.c.ProvidersFile, "providers-file", "", "where the provider stands, if that is not the database")
	return h.flags(cmd)
}

func providerRemove() *cobra.Command {
	return verbOn("remove PROVIDER", "Forget an account at a cloud and its key; refused while something of ours is there", func(*cobra.Command) {}, func(cmd *cobra.Command, slug string, o *app.Operator, _ *output) error {
		if err := o.RemoveProvider(cmd.Context(), slug); err != nil {
			return err
		}
		_, err := fmt.Fprintln(cmd.ErrOrStderr(), "Removed. "+restart)
		return err
	})
}
