package main

import (
	"bytes"
	"encoding/json"

	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/billetcloud/billet/internal/version"
	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return version.Get().Write(cmd.OutOrStdout(), "billetd", format)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "text", "output `format`: text or json")
	return cmd
}

func openapi() *cobra.Command {
	return &cobra.Command{
		Use:   "openapi",
		Short: "Print the OpenAPI 3.1 document of the API",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var lines bytes.Buffer // one value per line, for readable diffs
			if err := json.Indent(&lines, httpapi.Document("1.0"), "", " "); err != nil {
				return err
			}
			lines.WriteByte('\n')
			_, err := lines.WriteTo(cmd.OutOrStdout())
			return err
		},
	}
}
