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

// act makes a command that changes something: like verb, but the format is looked at first, so that nothing is done whose answer cannot be written.
func (t *tool) act(cmd *cobra.Command, run func(ctx context.Context, c *client.Client, args []string) error) *cobra.Command {
	return t.verb(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if t.format == "csv" {
			return usage("-o csv is for lists; take json or yaml for one thing.")
		}
		return run(ctx, c, args)
	})
}

// did answers with what became of one thing: a line for people, the thing itself for programs.
func did(t *tool, id string, v any, format string, args ...any) error {
	if t.forPeople() {
		return t.print(clean(fmt.Sprintf(format, args...)))
	}
	return show(t, id, v)
}

// forPeople tells whether a user reads the answer.
func (t *tool) forPeople() bool { return t.format == "table" || t.format == "wide" }

// yesFlag adds --yes.
func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do not ask")
}

// agree asks whoever is there whether to go on. Where nobody is, or with --yes, the command line has said it all.
func (t *tool) agree(ctx context.Context, yes bool, question string) error {
	if yes || !t.asks() {
		return nil
	}
	fmt.Fprintf(t.Err, "%s [y/N] ", clean(question))
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(t.In).ReadString('\n') // an end of the input is no answer, and so a no
		answer <- line
	}()
	select {
	case line := <-answer:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return nil
		}
		return &fault{exitOther, "NOT_AGREED", "nothing was changed."}
	case <-ctx.Done():
		t.note("")
		return &fault{exitInterrupted, "INTERRUPTED", "interrupted; nothing was changed."}
	}
}

// agreeToLoss is agree for what cannot be undone: without somebody to ask, --yes must be there.
func (t *tool) agreeToLoss(ctx context.Context, yes bool, question string) error {
	if !yes && !t.asks() {
		return usage("this cannot be undone, and there is nobody to ask; give --yes.")
	}
	return t.agree(ctx, yes, question)
}

// suggest completes the first argument with what find knows, within a moment, and says nothing where that does not come about.
func (t *tool) suggest(cmd *cobra.Command, find func(ctx context.Context, c *client.Client) ([]cobra.Completion, error)) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return t.known(cmd.Context(), find), cobra.ShellCompDirectiveNoFileComp
	}
}

func (t *tool) known(ctx context.Context, find func(ctx context.Context, c *client.Client) ([]cobra.Completion, error)) []cobra.Completion {
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
	for i, f := range found {
		value, description, _ := strings.Cut(f, "\t")
		found[i] = cobra.CompletionWithDesc(clean(value), clean(description))
	}
	return found
}
