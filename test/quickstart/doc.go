// Package quickstart runs the quick starts as they are written, with curl and ssh, against the
// real binary: the specification's four steps, those of README.md, and those that the server
// prints. Only addresses, keys and the home directory differ.
package quickstart
