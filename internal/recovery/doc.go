// Package recovery owns what a server does whose database is older than the world: it was restored
// from a backup, or a replica took over that lacked the last commits. Machines were launched and
// ended since, and the database does not know.
//
// While a recovery lasts, the server reads the providers and reports what differs, and nothing
// else: no machine is launched or ended, no hour charged, no mail or webhook sent, and tenants
// change nothing. The operator decides about each machine that has no deployment. Ending the
// recovery ends the deployments whose machine is gone, billed until the backup, and has the server
// go on. For [Settling] after that, what follows from money that the database has lost waits.
//
// It does not own the comparison (packages deployment and volume), the issues, nor how a backup is
// written (package backup).
//
// Invariants:
//   - A recovery ends only after every provider that has something here was asked since its
//     operator wanted the end, and only while no machine or volume without an owner is undecided.
//   - A provider that knows none of its machines is not believed, unless an operator confirms
//     it.
//   - A database with own servers leaves the recovery only once an operator has confirmed that they
//     did not change hands since the backup: only the lost rows knew.
//   - It ends in one transaction. A crash before that leaves the recovery as it was.
package recovery
