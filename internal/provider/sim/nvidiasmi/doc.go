// Package nvidiasmi owns what a simulated machine's nvidia-smi prints: the table, lists, queries,
// the log as text and XML, and the topology, the same facts in each of them.
//
// It does not own which GPUs a machine pretends to have, nor how the program gets into it. It reads
// no hardware: programs that load NVIDIA's libraries (NVML, CUDA) find none on a simulated machine.
//
// Invariants:
//   - Field names, units, order, separators and exit codes are those that NVIDIA documents for
//     nvidia-smi of driver 570, so that programs which parse them work. What a field cannot say is
//     [N/A], as on a real GPU that lacks it.
//   - Every name of a GPU says that it is simulated; so does a line on standard error.
//   - The GPUs idle: none has a process, a load, or an error, except for one that has a fault.
package nvidiasmi
