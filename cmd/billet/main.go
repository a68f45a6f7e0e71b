// Command billet is the tenant's command line. For now it tells its version.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// release is set by the linker.
var release = "dev"

func main() {
	root := &cobra.Command{
		Use: "billet", Short: "Rent bare-metal GPUs from a Billet cloud", SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "billet", release)
		return err
	}})
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "billet:", err)
		os.Exit(1)
	}
}
