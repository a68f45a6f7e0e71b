// Package recovery owns what a server does whose database is older than the world: it was restored
// from a backup, or a replica took over that lacked the last commits. Machines were launched and
// ended since, and the database does not know.
//
// While a recovery lasts, the server reads the providers and reports what differs, and nothing
// else: no machine is launched or ended, no hour charged, no mail or webhook sent, and tenants
// change nothing. The operator decides about each machine that has no deployment. Ending the
// recovery ends the deployments whose machine is gone, billed until the backup, and has the server
// go on.
//
// It does not own the comparison (packages deployment and volume), the issues, nor how a backup is
// written (package backup).
//
// Invariants:
//   - A recovery ends only after every configured provider was asked since its operator wanted the
//     end, and only while no machine without a deployment is undecided.
//   - It ends in one transaction. A crash before that leaves the recovery as it was.
package recovery
