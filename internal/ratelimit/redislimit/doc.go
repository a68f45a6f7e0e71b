// Package redislimit counts requests in Redis, so that replicas share their limits. It is the only room that
// knows Redis, which carries counters and nothing else: lose it, and nothing is lost.
//
// Invariants: time is that of the Redis server, so replicas whose clocks differ count in the same window; one request is
// one round trip; a Redis that does not answer within a tenth of a second is left alone for a few seconds, while
// each replica counts for itself, so that the API goes on at limits that are exact per replica.
package redislimit
