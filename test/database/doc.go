// Package database tests the real server with databases that misbehave: connections that a firewall
// has dropped, a primary that is killed and restarted, a pooler in between, a database of another
// version or another key.
//
// It owns the programs for that, a TCP proxy, a private PostgreSQL and a PgBouncer, all on the
// loopback address, and Litestream, and stops them. It starts servers through test/servertest.
package database
