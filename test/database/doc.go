// Package database tests the real server beside databases that misbehave: connections that a firewall has forgotten, a
// primary that is killed and comes back, a pooler in between, another version's or another key's database.
//
// It owns the programs that it needs for that, a TCP proxy, a private PostgreSQL and a PgBouncer, all on the loopback
// address, and ends them. It starts servers through test/servertest.
package database
