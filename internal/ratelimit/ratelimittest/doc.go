// Package ratelimittest is what every ratelimit.Limiter must do, as a test suite.
package ratelimittest
