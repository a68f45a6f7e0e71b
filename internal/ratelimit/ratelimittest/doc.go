// Package ratelimittest is the test suite for every ratelimit.Limiter. Each implementation runs it.
//
// It owns no limiter and no clock: the caller passes both.
package ratelimittest
