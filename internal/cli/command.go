package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// mutating is withClient for commands that change something. It rejects an output format that
// cannot show the result before anything is changed.
func (t *tool) mutating(cmd *cobra.Command, run runFunc) *cobra.Command {
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if t.format == "csv" {
			return errCSVForOne
		}
		return run(ctx, c, args)
	})
}

var errCSVForOne = usageError("-o csv is for lists; use json or yaml for a single object.")

// printResult prints the result of a change: a line for users, the object v for programs.
func printResult(t *tool, id string, v any, format string, args ...any) error {
	if t.humanOutput() {
		return t.print(clean(fmt.Sprintf(format, args...)))
	}
	return show(t, id, v)
}

// humanOutput reports whether the output is a table or text for users.
func (t *tool) humanOutput() bool { return t.format == "table" || t.format == "wide" }

// yesFlag adds --yes.
func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "skip confirmation")
}

// confirm asks for confirmation. With --yes, or without a terminal, it asks nothing and returns
// nil.
func (t *tool) confirm(ctx context.Context, yes bool, question string) error {
	if yes || !t.interactive() {
		return nil
	}
	fmt.Fprintf(t.Err, "%s [y/N] ", clean(question))
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(t.In).ReadString('\n') // end of input counts as no
		answer <- line
	}()
	select {
	case line := <-answer:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return nil
		}
		return &cliError{exitOther, "NOT_CONFIRMED", "canceled; nothing was changed."}
	case <-ctx.Done():
		t.note("")
		return &cliError{exitInterrupted, "INTERRUPTED", "interrupted; nothing was changed."}
	}
}

// confirmDestructive is confirm for what cannot be undone: without a terminal it requires --yes.
func (t *tool) confirmDestructive(ctx context.Context, yes bool, question string) error {
	if !yes && !t.interactive() {
		return usageError("this cannot be undone. Without a terminal to confirm, add --yes.")
	}
	return t.confirm(ctx, yes, question)
}

// findFunc returns the completions of an argument.
type findFunc func(ctx context.Context, c *client.Client) ([]cobra.Completion, error)

// completeFirstArg completes the first argument with the results of find. Errors and slow answers
// complete nothing.
func (t *tool) completeFirstArg(cmd *cobra.Command, find findFunc) {
	cmd.ValidArgsFunction = func(
		cmd *cobra.Command, args []string, _ string,
	) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return t.completions(cmd.Context(), find), cobra.ShellCompDirectiveNoFileComp
	}
}

func (t *tool) completions(ctx context.Context, find findFunc) []cobra.Completion {
	p, err := t.signedIn()
	if err != nil {
		return nil
	}
	config := t.config(p)
	config.MaxRetries, config.OnRetry = -1, nil
	c, err := client.New(config)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	found, err := find(ctx, c)
	if err != nil {
		return nil
	}
	for i, completion := range found {
		value, description, _ := strings.Cut(completion, "\t")
		found[i] = cobra.CompletionWithDesc(clean(value), clean(description))
	}
	return found
}
