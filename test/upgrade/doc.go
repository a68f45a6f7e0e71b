// Package upgrade rolls three servers of the real binary from this version to the next one under
// load, on PostgreSQL and Redis. The next version is made by the test: the same code with further
// migrations of a big table.
package upgrade
