// Package racks starts the service agent for real: in QEMU, without hardware virtualization, with
// UEFI firmware, an NVMe drive of two namespaces and a second drive, from the ISO
// image that BMCs get, by Redfish over an emulated BMC. A tenant's system is deployed, used over
// SSH, and erased, and the drives are read from outside. It needs QEMU and the tools that build
// the images; scripts/need.sh installs them.
package racks
