// Package cloudinit owns what a machine can be given to run at its first start: a cloud-config,
// which is a YAML mapping of limited size, checked against cloud-init's published schema.
//
// It does not own what a cloud does with it, nor which offers can run one.
//
// Invariants:
//   - What Check accepts is one mapping with known keys, each given once, whose values have the
//     types that cloud-init expects. Otherwise Check reports every problem, with line and column,
//     in sentences for a tenant.
//   - Split loses nothing: it refuses what it cannot split completely.
package cloudinit
