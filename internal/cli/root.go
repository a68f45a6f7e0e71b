package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const (
	groupBrowse   = "browse"
	groupMachines = "machines"
	groupAccount  = "account"
	groupSetup    = "setup"
)

// Cobra has this setting for the whole process, so it is set once and not for each command line.
func init() {
	cobra.EnableCommandSorting = false // help lists commands in the order in which they are used
}

func (t *tool) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "billet",
		Short: "Rent bare-metal GPUs by the hour from a Billet cloud",
		Long: `billet rents bare-metal GPUs by the hour from a Billet cloud.

From sign-in to a shell on a machine:

    billet login https://billet.example     # authorize this device in the dashboard
    billet offers b200                      # list offers, cheapest first, with live price and stock
    billet deploy                           # choose an offer, confirm the price, wait for SSH
    billet ssh my-machine                   # open a shell
    billet terminate my-machine             # terminate the machine and show the refund

Lists are tables by default. Use -o json, yaml or csv in programs, and -o id in scripts:

    billet ps -o json
    billet terminate --yes $(billet ps -o id)

The environment variables BILLET_URL and BILLET_API_KEY replace a login, BILLET_PROFILE selects a
profile, and NO_COLOR turns colors off.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			text := fmt.Sprintf("unknown command %q.", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += " Did you mean " + strings.Join(near, " or ") + "?"
			}
			return usageError("%s\nRun 'billet --help' for a list of commands.", text)
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return t.checkFormat() },
	}
	root.AddGroup(
		&cobra.Group{ID: groupBrowse, Title: "Browse:"},
		&cobra.Group{ID: groupMachines, Title: "Machines:"},
		&cobra.Group{
			ID:    groupAccount,
			Title: "Storage, keys & billing:",
		},
		&cobra.Group{ID: groupSetup, Title: "Setup:"},
	)
	root.SetHelpCommandGroupID(groupSetup)
	root.SetCompletionCommandGroupID(groupSetup)
	f := root.PersistentFlags()
	f.StringVarP(&t.format, "output", "o", "table", "output `format`: "+strings.Join(formats, ", "))
	f.StringVar(&t.profile, "profile", "", "`name` of the login to use (BILLET_PROFILE)")
	f.StringVar(&t.url, "url", "", "server `address`, instead of the login's (BILLET_URL)")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		t.format = formatOf(t.args, t.format)
		return usageError("%s\nRun '%s --help' for usage.", err, cmd.CommandPath())
	})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupBrowse, t.offers(), t.check(), t.quote(), t.gpus(), t.providers(), t.regions())
	add(groupMachines, t.deploy(), t.ps(), t.show(), t.wait(), t.ssh(), t.scp(), t.sshConfig(), t.console(), t.health(),
		t.events(), t.set(), t.tag(false), t.tag(true), t.autoTerminate(),
		t.power("reboot"), t.power("power-off"), t.power("power-on"), t.rescue(), t.reinstall(), t.terminate())
	add(groupAccount, t.volumes(), t.keys(), t.images(), t.wallet(), t.credits(), t.redeem(), t.topUp(),
		t.topUps(), t.autoTopUp(),
		t.paymentMethods(), t.bill(), t.usage(), t.quotas(), t.invoices(), t.budgets(),
		t.serviceCredits(), t.announcements(),
		t.webhooks())
	add(groupSetup, t.login(), t.logout(), t.whoami(), t.profiles(), t.doctor(), t.api(), t.mcp(),
		t.completion(), t.man(), t.version())
	root.AddCommand(exitCodes())
	root.SuggestionsMinimumDistance = 2
	explainArgumentErrors(root)
	return root
}

// explainArgumentErrors turns errors about arguments into usage errors that show the command's
// usage line.
func explainArgumentErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				if _, is := errors.AsType[*cliError](err); is {
					return err
				}
				return usageError("%s\nUsage: %s", err, strings.TrimSpace(cmd.UseLine()))
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		explainArgumentErrors(sub)
	}
}

func (t *tool) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !t.humanOutput() {
				return show(t, t.Version.Version, t.Version)
			}
			_, err := fmt.Fprintln(t.Out, "billet", t.Version)
			return err
		},
	}
}
