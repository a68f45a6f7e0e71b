// Package cli implements `billet`, the tenant's command line, on top of the public Go client.
//
// It owns the commands and their help, profiles and credential storage, tables and machine-readable
// formats, prompts and confirmations, progress output and exit codes.
//
// It does not own the API calls: retries, idempotency, pagination and long polling belong to
// package client. It imports no server package, so any program that uses the client can do what
// `billet` does.
//
// # Invariants
//
//   - Standard output has the result and nothing else. Prompts, progress and errors go to standard
//     error.
//   - Without a terminal on standard input and standard error, nothing is prompted for. A missing
//     value is an error that names its flag.
//   - A command that spends money or destroys data first shows what it will do and asks for
//     confirmation, unless --yes is set, or there is no terminal and the flags are complete.
//   - With -o json, yaml or csv, the output is for programs: no colors, no other text, the API's
//     field names. Errors are JSON.
//   - Errors for users name flags, arguments and commands, not the API's fields and calls.
//   - The exit codes are those of `billet help exit-codes` and never change.
//   - An API key is never printed and never passed to another program.
//   - Text from the server, such as names, is printed without its control characters.
package cli
