// Command ogen rents a machine with a client that ogen has made of docs/openapi.json. It checks
// answers against their schemas.
package main
