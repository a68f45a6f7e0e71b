// Package ironic is the adapter to OpenStack Ironic, which installs an operator's own servers.
//
// It owns Ironic's paths, bodies and status words, and the terms under "billet" in a node's extra.
// It does not own servers, drivers or images: the operator enrolls them in Ironic.
//
// Invariants:
//   - A machine is an allocation whose name is the reference. Ironic keeps names unique, so one
//     reference never has two machines, and no list has to be read before a launch.
//   - The nodes of an offer have the same resource class, the same region and equal terms. The
//     terms are the operator's, and none is guessed: a node without valid terms is not sold, and
//     Examine reports it.
//   - Ironic chooses among the nodes of the offer that are available, so two launches never get
//     one node.
//   - An allocation whose node is not being deployed yet is no machine for Machine: a launch that
//     was interrupted is called again and continues. Machines lists it, so that it is not lost.
//   - A node that Ironic cannot reach is not broken: only a state that Ironic reports counts.
//   - A refusal because a node is locked says nothing: it is KindUnavailable.
//   - The address and the login user of a machine are those of its launch, whatever the operator
//     changes meanwhile.
//
// Ironic wipes drives between tenants where the operator has not turned automated cleaning off.
// A node's password is never read. There are no volumes: Ironic cannot attach any to a machine that
// runs. Sign-in is by HTTP basic authentication; Keystone is not supported.
//
// # Inferred
//
//   - Power off is at once, because a soft one may never end.
//   - A node that is rescued or serviced is unhealthy and not lost.
//   - The image's cloud-init gives the keys of the config drive to the user that the setting images
//     names.
//   - A reinstallation keeps the config drive of the launch.
//
// # Confirmed
//
// Against a real Ironic 21.4.4 with the driver fake-hardware: everything but what happens in a real
// server, which that driver has none of.
package ironic
