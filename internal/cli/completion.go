package cli

import (
	"github.com/spf13/cobra"
)

var shells = []cobra.Completion{"bash", "zsh", "fish", "powershell"}

func (t *tool) completion() *cobra.Command {
	return &cobra.Command{
		Use: "completion <bash|zsh|fish|powershell>", Short: "Generate a shell completion script",
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: shells, DisableFlagsInUseLine: true,
		Long: `Prints a script with which your shell completes commands, flags and the names of your
machines. Names are looked up on the server, for up to two seconds.

bash, with the package bash-completion:

    billet completion bash > ~/.local/share/bash-completion/completions/billet     # create the directory first

zsh, with completion enabled (autoload -U compinit; compinit), in a directory of $fpath:

    billet completion zsh > "${fpath[1]}/_billet"

fish:

    billet completion fish > ~/.config/fish/completions/billet.fish

PowerShell, in your $PROFILE file:

    billet completion powershell | Out-String | Invoke-Expression

Completion is active in new shells. To try it in the current one: source <(billet completion bash)`,
		Example: "  source <(billet completion bash)\n" +
			"  billet completion fish > ~/.config/fish/completions/billet.fish",
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(t.Out, true)
			case "zsh":
				return root.GenZshCompletion(t.Out)
			case "fish":
				return root.GenFishCompletion(t.Out, true)
			}
			return root.GenPowerShellCompletionWithDesc(t.Out)
		},
	}
}
