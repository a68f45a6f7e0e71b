// Package rack owns the operator's own servers: the inventory, their states, who has which, and the
// record of how the drives of each were erased.
//
// It does not own how a server is controlled (bmc), what runs on it to read, erase and install it
// (rackagent), nor how its offers are sold (provider/racks).
//
// # Invariants
//
//   - A state changes only along an edge of the table below, by an UPDATE that is guarded by the
//     old state. Each change is kept in the machine's history with its cause and reason.
//   - A machine that was entered, or has had a tenant, is unerased until an erasure has passed that
//     names each of its drives by serial number and size, but for those that the operator has
//     declared destroyed. No machine becomes ready while it is unerased.
//   - The agent is started only on a machine that was off until then, and whose Secure Boot is as
//     it was at the inspection. Nothing proves that it is the agent that reports: root on bare
//     metal can write firmware, and what that starts can read the token (docs/racks.md, Threats).
//   - A machine that is quarantined or retired while it is unerased is switched off.
//   - A machine without a BMC has the same life, and no power: the agent is started by SSH in
//     place of what runs (host.go), and restarts the machine whatever comes of its job. That it
//     does not answer ends no tenancy. A tenant who keeps us out has it quarantined when they
//     leave, so it is sold to trusted accounts only. After each erasure it gets a system that it is
//     reached by. An installation that a deployment's end finds under way is finished first.
//   - A machine belongs to at most one deployment, and a deployment has at most one machine: the
//     reference is unique in the database, and assigning is one UPDATE.
//   - A token is that of one job on one machine. It is stored as a hash, ends with the job, and its
//     image is no longer served once the agent has asked for the job.
//   - No BMC is called inside a transaction, nor by a request, except for its console.
//   - The console of a machine is that of the deployment that has it, from when something is
//     installed until it is returned. It is not available while the agent installs.
//   - A rescue runs the agent with the keys of the launch, and changes no drive. That an agent
//     which has served them is silent ends nothing. What ends it starts the machine from its drive,
//     and leaves the agent the time to unmount.
//   - A BMC has one row, and so has an address: two rows of one server would end each other's
//     tenants.
//   - The password of a BMC is encrypted, for its machine only, and is never shown, logged or part
//     of an error.
//   - After each tenant it is replaced. The new one is stored before the BMC gets it, and stays
//     known until the BMC has let it sign in or another one is to be set.
//
// # Lifecycle
//
// A test compares this table with the one in state.go:
//
//	enrolled    -- inspect     --> inspecting
//	enrolled    -- drained     --> retired
//	enrolled    -- quarantined --> quarantined
//	inspecting  -- inspected   --> validating
//	inspecting  -- erase       --> erasing
//	inspecting  -- failed      --> quarantined
//	inspecting  -- timed_out   --> quarantined
//	inspecting  -- quarantined --> quarantined
//	validating  -- passed      --> ready
//	validating  -- failed      --> quarantined
//	validating  -- timed_out   --> quarantined
//	validating  -- quarantined --> quarantined
//	ready       -- assigned    --> assigned
//	ready       -- inspect     --> inspecting
//	ready       -- validate    --> validating
//	ready       -- drained     --> retired
//	ready       -- quarantined --> quarantined
//	assigned    -- returned    --> erasing
//	assigned    -- drained     --> draining
//	draining    -- returned    --> erasing
//	draining    -- released    --> assigned
//	erasing     -- erased      --> validating
//	erasing     -- retired     --> retired
//	erasing     -- failed      --> quarantined
//	erasing     -- timed_out   --> quarantined
//	erasing     -- quarantined --> quarantined
//	quarantined -- released    --> inspecting
//	quarantined -- erase       --> erasing
//	quarantined -- drained     --> retired
//	retired     -- released    --> inspecting
//	retired     -- erase       --> erasing
//
// # Work
//
// A job for each machine runs Work: it reads the rows, calls decide (decide.go), a pure function of
// the rows and the time, and does that step (work.go). The agent's calls (agent.go) write rows and
// enqueue the job. So each step may be repeated after a crash: what a BMC is told is told again,
// and a machine is started for a job with a new token each time.
//
// A BMC that does not answer ends nothing: it is asked again, and the deployment keeps its machine.
// A machine without a BMC whose tenant has left, and that does not answer, is quarantined after
// hostLimit.
// A deployment that ends has its machine until that is certainly switched off.
//
// A BMC that refuses Billet's password or certificate for long is an issue (refusal.go).
//
// # Tables
//
//   - rack_machine: a row for each server, at most MaxMachines. Removing a machine deletes its row.
//   - rack_transition: the last maxHistory changes of state of each machine, deleted with it.
//   - rack_job: the agent's last job on each machine, deleted with it.
//   - rack_erasure: a row for each erasure that ended, deleted erasuresKept after it by the next.
//   - rack_image: at most maxImages.
//   - rack_identity: one row.
package rack
