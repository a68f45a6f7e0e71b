// Package outbound owns requests to addresses that a tenant chose: a POST that connects only to
// public addresses, and that a receiver cannot keep busy for long.
//
// It does not own what is sent, to whom, or when it is retried: package webhook does.
//
// Invariants:
//   - The address is checked when the connection is made, after the name was resolved. A name that
//     points to a private network, also if only the second time it is resolved, is not connected
//     to. Not public are loopback, link-local, private, shared (CGNAT), multicast, unspecified,
//     reserved and documentation addresses of IPv4 and of IPv6, and IPv6 addresses that contain
//     such an IPv4 address: mapped, NAT64, 6to4, Teredo. The operator may allow networks.
//   - No redirect is followed and no proxy is used, whatever the environment says.
//   - A request has a timeout as a whole. No more of a response is read than is stored, and only as
//     plain text.
//   - No problem that it reports contains an address: a tenant learns nothing of how names are
//     resolved here.
package outbound
