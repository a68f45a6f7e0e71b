// Package deployment owns a tenant's machine through its life: what a request may ask for, the
// lifecycle, reconciling with the provider, and the order in which machines, money and volumes
// change together.
//
// It does not own the money (wallet), the hours (meter), the offers (catalog), the volumes (volume)
// or the machines themselves (provider). It calls them, and none of them knows it.
//
// # Reconciling
//
// A job for each deployment runs Reconcile: it reads the row, calls decide, and applies the
// decision. decide (decide.go) is a pure function of the row, of what was observed, and of the
// time. Some decisions are questions to the provider: the answer becomes part of the observation,
// and decide is called again. The appliers are grouped by phase of life: launch.go, running.go and
// end.go. A second job for each provider runs Watch (watch.go), which compares all its machines
// with the rows.
//
// # Invariants
//
//   - The intent is committed before the provider is asked, and the deployment's id goes upstream
//     with the request. A launch whose outcome is unknown is repeated with the same reference,
//     which gives the same machine.
//   - The provider is never asked inside a transaction, nor by an API request: requests write rows
//     and enqueue jobs; Reconcile asks.
//   - A status changes only along an edge of the table below, by an UPDATE that is guarded by the
//     old status, in the same transaction as the money and the event that belong to the change.
//   - Running means that SSH answered, and where the offer's policy requires it, that the GPUs
//     passed. The first hour begins then; before that, nothing is charged.
//   - The verdict on a machine's GPUs is committed before anything follows from it. Each machine
//     has one at its launch. A machine that failed, or was not checked, is ended like one of an
//     offer that failed before the next candidate is asked for.
//   - No hour begins that would pass maxSpend, whatever the server or the meter's sweep missed.
//   - The tenant's time, and bill, end with the accepted termination or at the planned instant,
//     also if the server was down then and whatever ends the deployment first. The machine's end is
//     requested until the provider confirms it, with backoff and without a limit.
//   - A provider has a minute for an answer, and no text that it sends can prevent a change from
//     being written.
//   - Nothing is launched after the launch deadline, nor by a run that lost a race: the launches
//     that it saw must be unchanged when it records its own, and its job must still be its own when
//     it asks.
//   - Where the provider's account cannot be opened, a deployment that was never sent to it fails
//     at the launch deadline, and one that may have been sent waits until the provider can be
//     asked.
//   - A failed deployment costs nothing, and its machine, if there is one, is ended like any other.
//
// # Lifecycle
//
// A test compares this table with the one in transition.go:
//
//	pending     -- launching       --> deploying
//	pending     -- timed_out       --> failed
//	pending     -- requested       --> terminating
//	pending     -- scheduled       --> terminating
//	pending     -- past_due        --> terminating
//	pending     -- operator        --> terminating
//	deploying   -- ready           --> running
//	deploying   -- no_capacity     --> failed
//	deploying   -- rejected        --> failed
//	deploying   -- timed_out       --> failed
//	deploying   -- lost            --> failed
//	deploying   -- unhealthy       --> failed
//	deploying   -- not_checked     --> failed
//	deploying   -- requested       --> terminating
//	deploying   -- scheduled       --> terminating
//	deploying   -- past_due        --> terminating
//	deploying   -- operator        --> terminating
//	running     -- switched_off    --> stopped
//	running     -- lost            --> interrupted
//	running     -- requested       --> terminating
//	running     -- scheduled       --> terminating
//	running     -- max_runtime     --> terminating
//	running     -- max_spend       --> terminating
//	running     -- budget          --> terminating
//	running     -- past_due        --> terminating
//	running     -- operator        --> terminating
//	stopped     -- switched_on     --> running
//	stopped     -- lost            --> interrupted
//	stopped     -- requested       --> terminating
//	stopped     -- scheduled       --> terminating
//	stopped     -- max_runtime     --> terminating
//	stopped     -- max_spend       --> terminating
//	stopped     -- budget          --> terminating
//	stopped     -- past_due        --> terminating
//	stopped     -- operator        --> terminating
//	terminating -- confirmed_ended --> terminated
//
// # Health
//
// Where the offer's policy is report or require, the machine is launched with one more key
// (health.go), and its GPUs are checked over SSH once that answers. With report, the deployment
// starts after about a minute at most, whatever the verdict. With require, it starts only if the
// GPUs passed, perhaps with a warning. A first failure that may pass (gpucheck) is recorded, and a
// second check decides. If they failed, or were not checked until the launch deadline, the offer is
// abandoned. An unreachable machine is not called broken: its cause is
// not_checked. The key is removed before the start, unless the request keeps it. A removal that
// fails is retried while the deployment runs.
//
// # Downtime
//
// Each list of a provider's machines says which of them work; downtime.go records when one was last
// seen to work, first seen not to, and seen to work again. A list that could not be read says
// nothing, so that a provider that does not answer is no downtime. A machine that is lost was down
// from when it was last seen until its bill ended. What is owed for it is decided in package
// servicecredit.
//
// A deployment has at most maxDowntimes of them, and one more for its loss, which are kept as long
// as the deployment.
//
// Decided where the specification is silent: a stopped deployment is billed, since its machine is
// kept; termination protection refuses DELETE, but neither autoTerminateAt, maxSpend,
// maxRuntimeMinutes, a budget, a past due account nor the operator;
// an action (such as a reboot) that was in progress when the server crashed may be performed twice.
package deployment
