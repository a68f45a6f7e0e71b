// Package sim is the simulated marketplace that every installation has: five providers with offers,
// prices that move, stock that runs out, machines that take SSH connections, and volumes. It is
// what a fresh checkout deploys to, and what tests use in the place of clouds that cost money.
//
// It plays the part of another party's systems. It therefore keeps its state in a folder of its
// own, never in Billet's database, and knows of Billet only what a cloud would be told: the
// reference of a machine or volume.
//
// # Owns
//
//	lock                                           held by the process that has the world open
//	machines/<provider>/<reference>/machine.json   what was ordered and how far it is
//	machines/<provider>/<reference>/node/          the machine itself (package node)
//	volumes/<provider>/<reference>/volume.json     size, name, which machine has it
//	volumes/<provider>/<reference>/files/          the volume's files
//	trash/                                         what is being deleted
//	probe/                                         while the server tries to isolate a machine
//	faults.json                                    how the world misbehaves, and how often it did
//
// # Does not own
//
// Deployments, tenants and money; what happens inside a machine (package node); markup, which is
// the operator's.
//
// # Shape
//
// [Open] gives a [World]; its [World.Providers] share that world and differ in what they sell and
// can do. Each is composed of types so that a type assertion tells the truth about it.
//
// Nothing runs in the background. How far a machine is follows from its record and the clock;
// each call about a machine, and each list, carries out what is due: the process is
// started, the ended machine's files are deleted. Without
// calls nothing changes, which is harmless.
//
// # Invariants
//
//   - A call that answered is not forgotten: its record was written to the file system, and with
//     real machines synced, before it returned. A server killed at any instant finds the same
//     machines when it opens the world again.
//   - A reference means one machine forever, per provider: a reference whose machine has ended is
//     remembered for a week, and launching it again answers MachineGone instead of making a second
//     machine, unless the request has IgnoreEnded.
//   - Machines outlive the process that opened the world (except with [ListenBanner]). A machine
//     whose own process died, as when the host was restarted, is started again with its files.
//   - An address belongs to one machine of a world at a time.
//   - The lock of the world is never held while a machine is started, stopped or deleted.
//   - Prices depend on the seed, the offer and the hour, and stock on these and the machines taken,
//     unless a fault says otherwise.
//   - Every call goes through one function (call), which is where an upstream's misbehavior is put.
//   - A [Fault] may make a provider silent, slow, wrong and mean, but never the world:
//     [World.Machines] tells what really exists. No fault makes a second machine of a reference or
//     forgets one.
//   - What a fault leaves to chance follows from its seed and how often it was asked, and from
//     nothing else.
//   - What a fault decides for a machine (when it fails, that its SSH is silent) is decided at its
//     launch and stands in its record.
package sim
