// Package mcp lets programs that decide for themselves, such as a language model's agent, work with a Billet server by the Model Context Protocol.
//
// It owns the tools that such a program is offered: their names, descriptions, inputs and answers, the two steps before money is spent or a machine
// is destroyed, and which API keys may spend at all. It does not own the calls, which are client's, nor how a login is found, which is cli's.
//
// # What is always true
//
//   - Tools that only read work with any key. Those that spend, or touch a machine, ask at each call what the key is, and work only with one that has a
//     spending limit: bounded says which count.
//   - Nothing is deployed but what a quote of this session showed, whole: price, end, keys. A quote makes one machine, however often deploy is called.
//   - Every machine that is deployed has a planned end.
//   - Nothing is terminated without a token of this session's can_terminate for that machine.
//   - An answer has no secret, and no text of others with control or invisible characters: what it says is data.
//   - What the API refuses is a tool's error with the API's code, its message, and what to do.
//   - Only messages of the protocol are written to the output. What is no message is answered as
//     JSON-RPC 2.0 says, and ends nothing; a request that was read is answered before the session ends.
//   - The schema of every answer has an object at its root and is open. A refusal names the tool's own inputs.
package mcp
