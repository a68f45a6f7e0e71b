// Package spherontest is a fake of Spheron's API: its bodies, limits and pitfalls, as far as they
// are publicly known.
//
// It does not own the HTTP server, the faults, the clock and the machines' SSH, which are
// upstreamtest's. It knows nothing of the adapter, and works for another process that has its URL
// and Key.
//
// The pitfalls: 403 without a User-Agent of one's own; paging that counts groups, with a page size
// of the cloud's choice; a filter that selects groups, not offers; no region in an offer; a deploy
// whose fields must come from one offer and that needs a team; an address while the machine is
// still deploying; no sshCommand, and a user only sometimes; refusals to end what is too young or
// has ended; two limits of requests; lists that leave out what has ended.
package spherontest
