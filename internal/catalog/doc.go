// Package catalog owns what can be had: offers, providers, regions and GPU types as
// a tenant sees them, under one name each, where volumes can be had, the operator's markup, price history, how launches
// of each offer went, and the sync that asks the providers.
//
// It does not own machines, volumes or money: an offer is a promise of a price at
// an instant, and the room that acts on one fixes that price for itself, and reports what became of it. Nor does it own
// the accounts' own markups (account); it is told of them.
//
// Everything but price history is served from memory, from a snapshot that is never changed once
// it is published. A GET therefore asks neither a provider nor the database.
//
// Invariants:
//   - An offer keeps its id for ever: one id for each provider, region and key, also when the
//     offer vanishes (it is withdrawn: not listed, not found) and comes back.
//   - The snapshot is what the database holds at its version. Each sync that changes
//     something raises the version in its own transaction, so replicas see it by Load.
//   - An answer that was asked for earlier never overwrites one that was asked for later.
//   - A price point is written exactly when price, availability or stock change.
//   - What a provider says is checked before it is believed: a malformed offer is
//     dropped and reported, and does not cost the others their place.
//   - A provider that does not answer keeps its last offers; they become unavailable when it has been
//     asked in vain for 3 × SyncEvery and are withdrawn after 15 × SyncEvery. One failure never does that,
//     however long ago the last success is.
//   - Lists have one order: by the sort, ties by id.
//   - A name's name is the name itself, and a text that is not understood in full is its own name.
//   - All prices of a Market are of one account: what it sees there is what it pays. Price history alone is at the usual prices.
//   - A deployment counts once in the figures of each offer that it tried, with the first word that was reported of the two.
package catalog
