// Package upstream owns what the adapters to upstream clouds have in common:
//
//   - an account's settings, and the client that keeps to a cloud's request budget, bounds the size
//     of responses and turns failures into a *provider.Error;
//   - complete lists, paged or not, that many callers share;
//   - Fleet, the machines of a cloud that knows them by its own ids, and Keys, its SSH keys;
//   - amounts of money as clouds write them;
//   - the mark by which a machine is known as ours.
//
// It does not own any cloud's paths, bodies or status words. Those belong to the adapter.
//
// Invariants:
//   - A request that changes something is sent at most once per call. Only reads are retried, with
//     jitter.
//   - A missing or malformed response is KindUnavailable. It never says anything about a machine.
//   - The credential goes to the configured host only, never through a redirect. It appears in no
//     error, log line or URL.
//   - A wait for the budget that would outlast the caller's deadline fails at once, as
//     KindThrottled.
//   - Inside a database transaction nothing is requested, answered from a list or locked.
//   - Amounts are exact: no float stands between a cloud's text and micro-dollars.
package upstream
