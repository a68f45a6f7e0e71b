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
//   - A machine that has had a tenant is unerased until an erasure has passed that names each of
//     its drives by serial number. No machine becomes ready while it is unerased.
//   - A machine belongs to at most one deployment, and a deployment has at most one machine: the
//     reference is unique in the database, and assigning is one UPDATE.
//   - A BMC has one row, and so has an address: two rows of one server would end each other's
//     tenants.
//   - The password of a BMC is encrypted, for its machine only, and is never shown, logged or part
//     of an error.
//
// # Lifecycle
//
// A test compares this table with the one in state.go:
//
//	enrolled    -- inspect     --> inspecting
//	enrolled    -- drained     --> retired
//	enrolled    -- quarantined --> quarantined
//	inspecting  -- inspected   --> validating
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
// # Tables
//
//   - rack_machine: a row for each server, at most MaxMachines. Removing a machine deletes its row.
//   - rack_transition: the last maxHistory changes of state of each machine, deleted with it.
package rack
