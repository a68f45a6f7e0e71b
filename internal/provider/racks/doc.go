// Package racks sells the operator's own servers: it is a provider over package rack, and serves
// the agents that run on them.
//
// It does not own which machine a deployment gets, how machines are installed and erased, or their
// records (rack).
//
// Invariants:
//   - A call only changes rows. What a BMC is told is told by a job of package rack, so that a call
//     is fast, and an effect that was lost is repeated. Only OpenConsole connects to a BMC.
//   - A machine is terminating until it is switched off, and then is gone. It is erased after that,
//     without its deployment.
//   - A caller without the token of a job that runs gets 403, and learns nothing else. A report has
//     at most rackagent.MaxMessage bytes.
package racks
