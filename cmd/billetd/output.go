package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// output prints the result of a command, as a table or as JSON.
type output struct{ format string }

func (o *output) flag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.format, "output", "o", "table", "output `format`: table or json")
}

// print writes v as JSON, or the rows as a table with the headings.
func (o *output) print(w io.Writer, v any, heads []any, rows [][]any) error {
	switch o.format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "table":
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		for _, row := range append([][]any{heads}, rows...) {
			for i, cell := range row {
				if i > 0 {
					fmt.Fprint(t, "\t")
				}
				fmt.Fprint(t, cell)
			}
			fmt.Fprintln(t)
		}
		return t.Flush()
	}
	return fmt.Errorf("--output must be table or json, not %q", o.format)
}
