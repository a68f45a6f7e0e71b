// Package observe counts and traces what the server does: calls of providers, runs of jobs and
// launches.
//
// It is told by hooks (provider.Observer, job.Config.Observe, catalog.OnReport,
// rest.Config.Observe), so that the packages that do the work know neither Prometheus nor
// OpenTelemetry.
//
// Invariants:
//   - The values of labels are bounded: slugs of provider accounts, and words of this program. No
//     label has what a tenant wrote.
//   - Every series of a provider exists as soon as the provider does, with zero.
//   - Without an endpoint for traces there is no span, and nothing is stored with jobs.
package observe
