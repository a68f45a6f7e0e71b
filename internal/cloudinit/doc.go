// Package cloudinit owns what may be given to a machine to run at its first start: a cloud-config,
// which is a bounded YAML mapping, checked against the facts of cloud-init's published schema.
//
// It does not own what a cloud does with it, nor which offers can run one.
//
// Invariants:
//   - What Check accepts is one mapping with known keys, each given once, whose values have the
//     types that cloud-init wants. Everything that is wrong with another is named at once, with line
//     and column, in sentences for a tenant.
//   - What Split takes apart is all there, or it is refused.
package cloudinit
