// Package racks rents out a server for real: billetd is set up by the commands of docs/racks.md,
// and its machine is in QEMU, without hardware virtualization, with UEFI firmware, an NVMe drive of
// two namespaces and a second drive. An emulated BMC starts it from the agent's ISO image. A tenant
// deploys a system by the API and uses it over SSH, until that is ended; the machine is erased, and
// the drives are read from outside.
//
// Billetd, the BMC and the machine are in a network of their own, with the document's addresses.
// The images are built before, because that may need the Internet. It needs QEMU and the tools that
// build the images; scripts/need.sh installs them.
package racks
