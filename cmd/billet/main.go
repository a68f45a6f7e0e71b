// Command billet is the tenant's command line. For now it tells its version.
package main

import (
	"fmt"
	"os"

	"github.com/billetcloud/billet/internal/version"
	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{
		Use: "billet", Short: "Rent bare-metal GPUs from a Billet cloud", SilenceUsage: true, SilenceErrors: true,
	}
	var format string
	verb := &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return version.Get().Write(cmd.OutOrStdout(), "billet", format)
	}}
	verb.Flags().StringVarP(&format, "output", "o", "text", "text or json")
	root.AddCommand(verb)
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "billet:", err)
		os.Exit(1)
	}
}
