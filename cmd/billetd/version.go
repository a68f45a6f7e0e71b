package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/spf13/cobra"
)

// release is set by the linker; a build without it is named after its commit.
var release = ""

func versionText() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return "dev-" + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "dev"
}

func version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "billetd", versionText())
		return err
	}}
}

func openapi() *cobra.Command {
	return &cobra.Command{Use: "openapi", Short: "Print the API's OpenAPI 3.1 document", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var lines bytes.Buffer // many, so that a change shows as what it is
		if err := json.Indent(&lines, httpapi.Document("1.0"), "", " "); err != nil {
			return err
		}
		lines.WriteByte('\n')
		_, err := lines.WriteTo(cmd.OutOrStdout())
		return err
	}}
}
