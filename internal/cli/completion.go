package cli

import (
	"github.com/spf13/cobra"
)

var shells = []cobra.Completion{"bash", "zsh", "fish", "powershell"}

func (t *tool) completion() *cobra.Command {
	return &cobra.Command{
		Use: "completion <bash|zsh|fish|powershell>", Short: "Completion for your shell", Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: shells, DisableFlagsInUseLine: true,
		Long: `Prints what a shell needs to complete billet's verbs, flags, and the names of your machines. It asks the server for the names, for two seconds at
most.

bash, with the package bash-completion:

    billet completion bash > ~/.local/share/bash-completion/completions/billet     # after: mkdir -p there

zsh, where completion is on (autoload -U compinit; compinit), into a directory of $fpath:

    billet completion zsh > "${fpath[1]}/_billet"

fish:

    billet completion fish > ~/.config/fish/completions/billet.fish

PowerShell, in the file that $PROFILE names:

    billet completion powershell | Out-String | Invoke-Expression

A new shell has it. To try it in this one: source <(billet completion bash)`,
		Example: "  source <(billet completion bash)\n  billet completion fish > ~/.config/fish/completions/billet.fish",
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
