// Package cli is the tenant's command line, `billet`: one file for each verb, on the public client.
//
// It owns how people and scripts talk to a Billet server from a shell: the verbs and their help, profiles and where credentials
// are kept, tables and the formats for programs, what is asked of a user before money is spent, progress while waiting, and exit codes.
//
// It does not own the calls themselves: retries, idempotency, pages and long polls are client's. It knows nothing of the server's rooms: what
// `billet` can do, every program with the client can.
//
// # What is always true
//
//   - Standard output has the answer and nothing else. Questions, progress and errors are on standard error.
//   - Nothing is asked of anybody where standard input or standard error is not a terminal: what is missing is an error that names the flag.
//   - What costs money or destroys something shows so first and asks, unless --yes is there or nobody can be asked and the flags say it all.
//   - With -o json, yaml or csv an answer is for programs: no colours, no words in between, the API's own field names; errors are JSON.
//   - The exit codes are those of `billet help exit-codes`, and stay.
//   - An API key is never printed, and never given to another program.
//   - Text of the server, such as names, reaches a terminal without its control characters.
package cli
