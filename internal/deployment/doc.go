// Package deployment owns a tenant's machine through its life: what a request
// may ask for, the lifecycle, the reconciliation with the provider, and the order in
// which machines, money and volumes change together.
//
// It does not own the money (wallet), the hours (meter), the offers (catalog),
// the volumes (volume) or the upstream's side (provider); it leads them, and none of
// them knows of it.
//
// Invariants:
//   - The intent is committed before the provider is asked, and our id goes upstream with it. A launch whose
//     outcome is unknown is repeated with the same reference, which gives the same machine.
//   - The provider is never asked inside a transaction, nor by a request of the API: requests write rows
//     and leave jobs behind; Reconcile asks.
//   - A status changes only along an edge of the table below, by an UPDATE that is guarded by the old status, in
//     the same transaction as the money that goes with it and the event that tells of it.
//   - Running means that SSH answered. The first hour begins then; until then nothing is owed.
//   - The tenant's time, and bill, end with the accepted terminate (or the planned instant, also when the server was down
//     then and whoever ends the deployment first); the machine's end is pursued until the provider confirms it, however long that takes.
//   - A provider has a minute for an answer, and nothing that it says can keep a change from being written.
//   - Nothing is launched once the time for it is up, nor by a run that another was quicker than: what it saw of launches that were
//     asked for must still be so when it writes down its own, and its job must still be its own when it asks.
//   - A deployment that failed costs nothing, and its machine, if there is one, is ended like any other.
//
// The lifecycle; a test holds this drawing against the table in transition.go:
//
//	pending     -- launching       --> deploying
//	pending     -- requested       --> terminating
//	pending     -- scheduled       --> terminating
//	pending     -- past_due        --> terminating
//	deploying   -- ready           --> running
//	deploying   -- no_capacity     --> failed
//	deploying   -- rejected        --> failed
//	deploying   -- timed_out       --> failed
//	deploying   -- lost            --> failed
//	deploying   -- requested       --> terminating
//	deploying   -- scheduled       --> terminating
//	deploying   -- past_due        --> terminating
//	running     -- switched_off    --> stopped
//	running     -- lost            --> interrupted
//	running     -- requested       --> terminating
//	running     -- scheduled       --> terminating
//	running     -- past_due        --> terminating
//	stopped     -- switched_on     --> running
//	stopped     -- lost            --> interrupted
//	stopped     -- requested       --> terminating
//	stopped     -- scheduled       --> terminating
//	stopped     -- past_due        --> terminating
//	terminating -- confirmed_ended --> terminated
//
// What is decided where the specification is silent: a stopped deployment is paid for, since the machine is kept;
// termination protection refuses DELETE, but neither a planned end nor past_due; an action (reboot, …) that was
// under way when the server crashed may be carried out once more.
package deployment
