// Package servicecredit owns what the operator owes an account for a machine that did not work: the
// formula, the proposals, their review, and what was booked.
//
// It does not own what was measured (deployment), what was charged (wallet and meter), nor the
// settings: see settings.ServiceCredits. Whatever finds out that a machine, or some of its GPUs,
// did not work, says so as a Claim: decide takes any number of them.
//
// # Formula
//
// For each charged hour that a claim covers:
//
//	hourly price × seconds / 3600 × failed GPUs / GPUs × factor
//
// rounded half-up to the micro-dollar, once for each hour. At each instant the largest part that
// did not work counts, so claims that overlap do not add up: a service credit is what its claim
// adds to those that are booked. An hour is never credited with more than was charged for it, less
// its refund; of an hour that lasts, with no more than the part that has passed costs.
// No time after the end of the bill is credited, also if an auto-termination that is due is not
// carried out yet.
//
// # States
//
//	proposed ──▶ approved, rejected
//
// # Invariants
//
//   - A measured downtime leads to one service credit at most, by a unique index.
//   - The money of a service credit is in the wallet once: it is booked with its id as the key, by
//     the transaction that approves it. The service credits of an account are approved one after
//     the other, with its wallet locked, each by what is booked then.
//   - What is booked is never more than was proposed. The sum of an hour's credits is never more
//     than was charged for it less what was refunded.
//   - What an operator entered above wallet.approvalAbove is approved by another user; what was
//     approved by who entered it within 24 hours counts together. This does not apply to measured
//     ones.
//   - A provider that does not answer is no downtime. A machine that is off without a request of
//     its tenant may have been shut down from inside: its credit is never automatic.
//
// # Tables
//
// Operators can enter service credits until a deployment has maxOfDeployment, the measured ones
// included. Those that are measured have no limit here: each is of one of the deployment's
// downtimes, whose number deployment limits. Each service credit has up to 745 hours. They
// are kept as long as the account's statement.
//
// Locks are taken in this order: the deployment, its meter, the wallet, the service credit, events
// and jobs.
package servicecredit
