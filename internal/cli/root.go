package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const (
	groupFind     = "find"
	groupMachines = "machines"
	groupAccount  = "account"
	groupSetup    = "setup"
)

func (t *tool) root() *cobra.Command {
	cobra.EnableCommandSorting = false // a group tells its verbs in the order in which they are used
	root := &cobra.Command{
		Use:   "billet",
		Short: "Rent bare-metal GPUs by the hour from a Billet cloud",
		Long: `billet rents bare-metal GPUs by the hour from a Billet cloud.

From nothing to a prompt inside a machine:

    billet login https://billet.example     # opens the dashboard, which asks whether it is you
    billet offers b200                      # what there is, cheapest first, with live price and stock
    billet deploy                           # asks what to deploy, shows the price, and waits until SSH answers
    billet ssh my-machine                   # a prompt inside
    billet terminate my-machine             # ends it, and shows what comes back

Every list is a table for people; -o json, yaml or csv is for programs, and -o id for scripts:

    billet ps -o json
    billet terminate --yes $(billet ps -o id)

BILLET_URL and BILLET_API_KEY in the environment take the place of a login, BILLET_PROFILE names a profile,
and NO_COLOR takes the colours away.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			text := fmt.Sprintf("there is no verb %q.", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += " Did you mean " + strings.Join(near, " or ") + "?"
			}
			return usage("%s\n'billet --help' shows them all.", text)
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return t.checkFormat() },
	}
	root.AddGroup(&cobra.Group{ID: groupFind, Title: "What there is:"}, &cobra.Group{ID: groupMachines, Title: "Machines:"}, &cobra.Group{ID: groupAccount, Title: "Storage, keys and money:"}, &cobra.Group{ID: groupSetup, Title: "Setting up:"})
	root.SetHelpCommandGroupID(groupSetup)
	root.SetCompletionCommandGroupID(groupSetup)
	f := root.PersistentFlags()
	f.StringVarP(&t.format, "output", "o", "table", "how to answer: "+strings.Join(formats, ", "))
	f.StringVar(&t.profile, "profile", "", "which login to use (BILLET_PROFILE)")
	f.StringVar(&t.url, "url", "", "which server to talk to, instead of the login's (BILLET_URL)")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		t.format = formatOf(t.args, t.format)
		return usage("%s\nSee '%s --help'.", err, cmd.CommandPath())
	})
	for _, in := range []struct {
		group string
		verbs []*cobra.Command
	}{
		{groupFind, []*cobra.Command{t.offers(), t.check(), t.quote(), t.gpus(), t.providers(), t.regions()}},
		{groupMachines, []*cobra.Command{t.deploy(), t.ps(), t.show(), t.wait(), t.ssh(), t.scp(), t.sshConfig(), t.events(), t.set()}},
		{groupMachines, []*cobra.Command{t.power("reboot"), t.power("power-off"), t.power("power-on"), t.reinstall(), t.terminate()}},
		{groupAccount, []*cobra.Command{t.volumes(), t.keys(), t.wallet(), t.usage(), t.webhooks()}},
		{groupSetup, []*cobra.Command{t.login(), t.logout(), t.whoami(), t.profiles(), t.doctor(), t.api(), t.mcp()}},
		{groupSetup, []*cobra.Command{t.completion(), t.man(), t.version()}},
	} {
		for _, v := range in.verbs {
			v.GroupID = in.group
			root.AddCommand(v)
		}
	}
	root.AddCommand(exitCodes())
	root.SuggestionsMinimumDistance = 2
	wordArguments(root)
	return root
}

// wordArguments makes a wrong number of arguments, and an unknown verb, a usage error that says how it is done.
func wordArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				if own := (*fault)(nil); errors.As(err, &own) {
					return err
				}
				return usage("%s\nIt is used so: %s", err, strings.TrimSpace(cmd.UseLine()))
			}
			return nil
		}
	}
	for _, below := range cmd.Commands() {
		wordArguments(below)
	}
}

func (t *tool) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		if !t.forPeople() {
			return show(t, t.Version.Version, t.Version)
		}
		_, err := fmt.Fprintln(t.Out, "billet", t.Version)
		return err
	}}
}
