package cli

import (
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// Help for flags that several commands share.
var (
	typeHelp = "instance `type`: " + joined(client.InstanceTypes())
	sortHelp = sortBy([]string{"createdAt", "name"})
)

// sortBy is the help of a flag that sorts by the keys.
func sortBy(keys []string) string {
	return "sort by `keys` " + joined(keys) + "; prefix - for descending, separate several by commas"
}

// joined lists the values of an enumeration: "a, b or c".
func joined[T ~string](values []T) string {
	texts := texts(values)
	last := len(texts) - 1
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}

func texts[T ~string](values []T) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return texts
}

// fixed completes a flag with the values of an enumeration.
func fixed[T ~string](values []T) cobra.CompletionFunc {
	return cobra.FixedCompletions(texts(values), cobra.ShellCompDirectiveNoFileComp)
}
