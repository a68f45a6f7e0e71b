package cli

import (
	"context"
	"log/slog"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/mcp"
	"github.com/spf13/cobra"
)

func (t *tool) mcp() *cobra.Command {
	cmd := &cobra.Command{
		Use: "mcp", Short: "Serve an agent by the Model Context Protocol", Args: cobra.NoArgs,
		Long: `Serves an agent, such as a coding assistant, by the Model Context Protocol on standard input and output. The agent's program starts it;
its configuration says so:

    {"mcpServers": {"billet": {"command": "billet", "args": ["mcp"]}}}

The agent can look at offers, machines and money with any login. It can deploy, extend and terminate only with an API key that has a
spending limit, and only in two steps: a quote, and then a deploy of that quote. docs/mcp.md has the whole of it.`,
		Example: `  billet mcp
  billet mcp --profile agent`,
	}
	return t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if terminal(t.In) {
			t.note("billet: this waits for an agent's messages; its program is to start it. Ctrl-C ends it.")
		}
		log := slog.New(slog.NewTextHandler(t.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		return mcp.Serve(ctx, mcp.Config{Client: c, Version: t.Version.Version, Now: t.Now, Log: log}, t.In, t.Out)
	})
}
