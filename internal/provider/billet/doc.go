// Package billet is the adapter to another Billet, so that one can resell what another sells.
//
// It owns how that Billet's public API is called: its offers as ours, its deployments as machines,
// its volumes as volumes.
//
// It does not own prices as our tenants pay them, nor the account at the other Billet: that is one
// of its tenants, with an API key and a wallet that must be funded.
//
// Invariants:
//   - A launch sends our reference as its Idempotency-Key, which the other Billet remembers for 24
//     hours, far longer than LaunchLimit. Nothing is created twice, so there is no SettleTime. The
//     list is read first nevertheless, by tag and name, which last.
//   - A list is everything or an error. It shows what has not ended. What it does not show is read
//     by id, which states how it ended, and by tag where the list took several pages, before it
//     counts as missing.
//   - upstream.Fleet does not fit: it takes what one list leaves out for gone.
//   - An offer's key is "up:" and the other Billet's id, so it is never taken for an id of our own.
//   - A refusal is known by its code in the envelope; where there is none, by its status.
//
// The price may rise between reading the offers and the launch. The API could refuse that
// (maxHourlyPrice), but a launch does not state the price that our tenant has agreed to: the rise
// is ours to pay, until the offers are read again.
//
// Ending: DELETE is sent without when=earliest. Before the minimum runtime it is refused, which is
// KindRejected with the time that is left, and the caller retries then. So a machine never ends at
// a time that the caller has not chosen. Offers state the minimum runtime, so tenants know it
// before.
//
// Volumes: a region of ours is a slug, and two providers of the other Billet may use the same one.
// Volumes in it are those of one of them, the first by slug that has any there. Offers of the other
// providers in that region have no volumes.
//
// Two Billets must not resell each other: each would sell the other's offers of its own, at ever
// higher prices.
//
// # Settings
//
// The API key needs the scopes offers:read, deployments, volumes and ssh-keys, the last three to
// read and to write. The base URL is that of the other Billet, without a path:
// https://gpu.example.com. reads-per-minute (60) and writes-per-minute (20) are the limits of the
// API key, of which a tenth is not used. Deploys have a limit of their own (5), which only its
// refusals enforce. A list of a hundred pages of offers takes more than a minute at 60 reads: with
// thousands of offers, ask for higher limits.
package billet
