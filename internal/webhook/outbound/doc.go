// Package outbound owns the one way in which Billet sends a request to an address that a tenant chose: a POST that can reach
// nothing but public addresses, and that nobody can keep busy for long.
//
// It does not own what is sent, to whom, or when it is tried again: webhook does.
//
// Invariants:
//   - The address is judged when the connection is made, after the name was resolved: a name that points to a private network, now or
//     only at the second look, is not connected to. What is not public: loopback, link-local, private, shared (CGNAT), multicast, unspecified,
//     reserved and documentation addresses, of IPv4 and of IPv6, and any IPv4 address among them in the clothes of IPv6: mapped,
//     NAT64, 6to4, Teredo. The operator may open networks.
//   - No redirect is followed and no proxy is used, whatever the environment says.
//   - A request has a time-out as a whole; of an answer no more is read than is kept. What is kept of it is plain text.
//   - No problem that it names tells an address: a tenant learns nothing of how names are resolved here.
package outbound
