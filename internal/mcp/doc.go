// Package mcp implements a Model Context Protocol (MCP) server, which lets an agent, such as a
// coding assistant, work with a Billet server.
//
// It owns the tools: their names, descriptions, inputs and results, the two steps before money is
// spent or a machine is terminated, and which API keys may spend. It does not own the API calls,
// which belong to package client, nor the login, which belongs to package cli.
//
// # Invariants
//
//   - Tools that only read work with any key. Tools that spend or change a machine check the key at
//     each call and need one whose limits bound its spending: see boundsSpending.
//   - A deploy needs a quote of the same session that showed everything: price, auto-terminate
//     time, SSH keys. A quote creates one machine, however often deploy is called.
//   - Every deployed machine has an auto-terminate time.
//   - A terminate needs a token of can_terminate for that machine, from the same session.
//   - Results contain no secrets, and no control or invisible characters in text from others, which
//     is data.
//   - An API error is a tool error with the API's code, its message, and a hint for the agent. It
//     names the tool's own inputs.
//   - Only protocol messages are written to the output. An invalid message is answered as JSON-RPC
//     2.0 requires and does not end the session. Every request is answered before the session ends.
//   - The schema of every result has an object at its root and is open.
package mcp
