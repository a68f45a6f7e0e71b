// Package catalog owns what is for sale: offers, providers, regions and GPU types as a tenant sees
// them, each under one name; where volumes are available; the prices by markups and price rules;
// price history; the launch statistics of each offer; and the sync that asks the providers.
//
// It does not own machines, volumes or money: an offer is a price at an instant. The package that
// acts on an offer fixes the price itself, and reports the outcome. Package account owns the
// markups of single accounts, pricerule what a rule does to a price.
//
// Everything except price history is served from memory, from a snapshot that never changes once it
// is published. A GET therefore calls neither a provider nor the database.
//
// Invariants:
//   - An offer keeps its ID forever: one ID for each provider, region and key, also when the offer
//     is withdrawn (neither listed nor found) and offered again.
//   - The snapshot is what the database holds at its version. Each sync that changes something
//     raises the version in the same transaction, so other replicas notice it in Load.
//   - An answer to an earlier request never overwrites one to a later request.
//   - A price point is written exactly when price, availability or stock change.
//   - Offers are validated: a malformed offer is dropped and reported, and the others stay.
//   - A provider that does not answer keeps its last offers. They become unavailable after 3 ×
//     SyncEvery without an answer and are withdrawn after 15 × SyncEvery. A single failure never
//     does that, however long ago the last success is.
//   - A provider whose account is removed has nothing for sale: an account that gets its slug later
//     begins without offers, volume prices and health.
//   - Lists have one order: by the sort key, ties by ID.
//   - Normalizing a name twice changes nothing. A text that is not understood in full is its own
//     name.
//   - All prices of a Market are the prices of one account: it pays what it sees. What a rule hides
//     from the account is not in it. The first rule that matches decides; without one, the markups.
//   - Prices are computed from costs at each change of rules and markups, which every replica sees
//     at its next Load. Price history stores the default prices, and the costs for all others.
//   - A deployment counts once in the statistics of each offer that it tried, with the outcome that
//     was reported first.
package catalog
