// Package health owns the checks of a machine's GPUs: which offers are checked, the SSH key that
// Billet logs in with, the one SSH session that a check is, and the results.
//
// It does not own what is run on a machine and how its output is judged (gpucheck), nor when a
// check runs and what follows from it (deployment).
//
// # Getting in
//
// A machine that is to be checked is launched with one more authorized key, made for it alone. Its
// private part is sealed in the database. Deleting the private part makes the line on the machine
// worthless; RemoveKey takes the line away, too, and proves it by a login that is refused. root
// on the machine can remove the line at any time. Then the machine is not checked any more.
//
// # Tables
//
// gpu_check has the newest [Kept] checks of each deployment: each insert deletes what is older. At
// most one of a deployment is not finished. They are kept as long as the deployment.
//
// # Invariants
//
//   - Nothing is sent to a machine that shows another host key than the deployment knows, and
//     nothing connects to an address that is not on the Internet, unless the provider's machines
//     may have those.
//   - A session ends at its deadline, whatever the machine sends or does not send, and reads at
//     most gpucheck.MaxOutput of a node, and little more of the connection itself. Few checks run
//     in a process at once.
//   - A machine that could not be reached, or did not let Billet in, is not checked. That is never
//     passed, and never failed.
//   - The verdict of a machine is the worst of its nodes: failed, then not_checked, then warning,
//     then passed.
package health
