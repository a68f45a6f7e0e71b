// Package gpucheck owns what a GPU check collects on a machine, and how that is judged.
//
// [Script] is a shell program that runs on the machine over SSH; [Judge] reads what it printed and
// compares it with what the offer says. Both are pure: the package calls no network and no
// database, so the server and the command line share it. It does not own when a machine is checked,
// who connects to it, or what follows from a verdict; nothing here moves money.
//
// # Levels
//
//	1  seconds: what drivers and the kernel report, and whether CUDA or ROCm programs start
//	2  minutes: also DCGM's medium diagnostics, nvbandwidth and all_reduce_perf, where installed
//	3  up to an hour: the same with DCGM's long diagnostics, to commission a machine
//
// # Verdicts
//
// A check compares one property of all GPUs. It is passed only if every GPU reports the property
// and it is right. What a GPU does not have (a GeForce has no ECC), what a tool does not report and
// what is not understood is not_checked, never passed.
//
// The verdict of the report is the first of these that applies:
//
//	failed       a check failed
//	not_checked  one of the required checks was not made
//	warning      a check has a warning
//	passed       otherwise
//
// A state of a machine that is still starting is not_checked too: a driver that is being installed,
// GPUs that are about to join their fabric, and CUDA errors 802 and 803. So is a machine whose
// kernel has no driver of the GPUs, since its image has none: no offer promises a driver, and the
// tools of both makers then fail as they do for GPUs that are dead. What needs no driver still
// counts: the PCI bus and the kernel's log.
//
// Required are "collection" (the script came to its end, and nothing was cut), "gpu_count" and
// "compute" (a program can use every GPU); at levels 2 and 3 also at least one of "dcgm",
// "nvbandwidth" and "nccl". Other checks may be not_checked in a report that passed.
//
// # Invariants
//
//   - Judge returns a report for any bytes and any expectation. It never panics, and reads at most
//     MaxOutput bytes.
//   - The work grows with the length of the output and not faster: sections have the script's
//     limits.
//   - The output is not trusted: a tenant can change what the machine's tools print. Texts from it
//     are shortened and freed of control characters before they are in a report.
//   - Script ends within the level's Bound even if a tool hangs, and leaves neither a file nor a
//     process, except one that the kernel itself cannot end.
//   - A correct report never depends on a GPU's PCIe generation at idle, which drivers lower.
package gpucheck
