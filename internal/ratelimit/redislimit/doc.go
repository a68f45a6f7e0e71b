// Package redislimit counts requests in Redis, so that replicas share their limits. No other
// package uses Redis. It holds counters and nothing else, so nothing is lost with it.
//
// Invariants: time is that of the Redis server, so replicas whose clocks differ count in the same
// window; one request is one round trip; after a Redis that does not answer within a tenth of a
// second, each replica counts for itself for a few seconds, so the API continues with limits that
// are exact per replica.
package redislimit
