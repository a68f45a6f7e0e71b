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
		Use: "mcp", Short: "Run an MCP server for an agent", Args: cobra.NoArgs,
		Long: `Runs a Model Context Protocol (MCP) server for an agent, such as a coding assistant,
on standard input and output. The agent's program starts it; add it to that program's configuration:

    {"mcpServers": {"billet": {"command": "billet", "args": ["mcp"]}}}

With any login, the agent can read offers, machines and the wallet. To deploy, extend and terminate,
it needs an API key with a spending limit, and two steps: a quote, then a deploy of that quote. See
docs/mcp.md.`,
		Example: `  billet mcp
  billet mcp --profile agent`,
	}
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if terminal(t.In) {
			t.note(
				"billet: waiting for MCP messages. An agent's program normally starts this command. " +
					"Press Ctrl-C to exit.",
			)
		}
		log := slog.New(slog.NewTextHandler(t.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		return mcp.Serve(ctx, mcp.Config{Client: c, Version: t.Version.Version, Now: t.Now, Log: log}, t.In, t.Out)
	})
}
