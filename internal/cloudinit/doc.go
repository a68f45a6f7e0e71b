// Package cloudinit owns what may be given to a machine to run at its first start: a cloud-config text, a bounded YAML mapping.
//
// It does not own what a cloud does with it, nor which offers can run one.
//
// Invariants:
//   - What Check takes is a mapping whose names are each given once, and what is wrong with another is told in one sentence for a tenant.
//   - What Split takes apart is all there, or it is refused.
package cloudinit
