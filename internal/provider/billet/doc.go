// Package billet is the adapter to another Billet, so that one can resell what another sells.
//
// It owns how that Billet's public API is called: its offers as ours, its deployments as machines, its volumes as volumes.
//
// It does not own prices as our tenants pay them, nor the account at the other Billet: that is one of its tenants, with an API key and a wallet
// that somebody has to fill.
//
// Invariants:
//   - A launch carries our reference as its Idempotency-Key, which the other Billet remembers for 24 hours, far longer than LaunchLimit: nothing
//     is made twice, so there is no SettleTime. It is looked for first nevertheless, by tag and name, which hold for ever.
//   - A list is everything or an error. It shows what has not ended; what it does not show is asked for by id, which tells how it ended, and where it
//     took several pages by tag, before it is said not to be there.
//   - upstream.Fleet does not serve: it takes what one list leaves out for gone, and here that is asked for by id, which tells how it ended.
//   - An offer's key is "up:" and the other Billet's id, so that it is never taken for an id of our own.
//   - A refusal is known by its code in the envelope; where there is none, by its status.
//
// The price may rise between our look at the offers and the launch. The API could refuse that (maxHourlyPrice), but a launch does not say what our tenant
// has agreed to: the rise is ours to pay, until the next look.
//
// Ending: DELETE is sent without when=earliest. Before the minimum runtime it is refused, which is KindRejected with the time that is left, and the room
// asks again then; so the machine never ends at an instant that the room has not chosen. Offers carry the minimum runtime, so tenants meet it before.
//
// Volumes: a region of ours is a slug, and two providers of the other Billet may use the same. Volumes in it are those of one of them, the first by slug
// that has any there; offers of the other providers in that region have no volumes.
//
// Two Billets must not resell each other: each would sell the other's offers of its own, ever dearer.
//
// # Settings
//
// The API key needs the scopes offers:read, deployments, volumes and ssh-keys, the last three to read and to write. The base URL is where the other Billet is, without a path: https://gpu.example.com. reads-per-minute (60) and writes-per-minute (20) are the limits of
// the API key, of which a tenth is left alone; deploys have a limit of their own (5), which only its refusals keep to. An offer list of a hundred pages
// takes more than a minute of 60 reads: with thousands of offers, have the limits raised.
package billet
