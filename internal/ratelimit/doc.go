// Package ratelimit counts requests in fixed windows of one minute of real time, aligned to the
// minute, for any number of buckets.
//
// It does not own what a bucket is, how many requests it admits, or the response headers: the API
// does. Only a fixed window makes the three headers literally true: so many a minute, so many left,
// and a full limit again at that second. The cost is known: twice the limit can pass around the end
// of a window.
//
// Invariants: in one window a bucket admits exactly its limit, however many requests come at once;
// a refused request is not counted; the buckets used in the current window bound the memory.
package ratelimit
