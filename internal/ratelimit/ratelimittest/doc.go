// Package ratelimittest owns what every ratelimit.Limiter must do, as a test suite that each implementation
// runs. It owns no limiter and no time: whoever runs it gives both.
package ratelimittest
