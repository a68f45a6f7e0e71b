// Package ratelimit owns the counting of requests: fixed windows of one minute of real
// time, aligned to the minute, for any number of buckets.
//
// It does not own what a bucket is, how many requests it admits, or the headers that tell of it
// (httpapi does). Only a fixed window makes the three headers literally true: so many a
// minute, so many left, and fresh again at that second. What it costs is known: across the end of
// a window twice the limit can pass.
//
// Invariants: in one window a bucket admits exactly its limit, however many ask at once; a refused request
// is not counted; memory is bounded by the buckets used in the present window.
package ratelimit
