// Package acmetest starts Let's Encrypt's own test server, pebble, with a DNS server whose records
// a test sets. Both are built from the module in the directory pebble, which pins them.
package acmetest
