// Package spherontest is a fake of Spheron's API for tests: its bodies, its limits and its traps, from what is publicly known of it.
//
// It owns what the cloud does and says. It does not own the door, the troubles, the clock and the machines' SSH, which are
// upstreamtest's. It knows nothing of the adapter, and works as well for another process that has its URL and Key.
//
// The traps: 403 without a User-Agent of one's own; paging that counts groups and a page size of the cloud's choice; a filter that chooses groups,
// not offers; no region in an offer; a deploy whose fields must come from one offer and that needs a team; an address while the machine is still deploying;
// no sshCommand, and a user only at times; refusals to end what is too young or has ended; two limits of requests; lists that leave out what has ended.
package spherontest
