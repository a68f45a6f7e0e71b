// Package latitudetest is a fake of Latitude.sh: its API over HTTP, as strict as its documents,
// with machines that have SSH.
//
// It owns what the cloud does with a request, its limits and its pitfalls. It does not own faults
// and the clock, which are upstreamtest's. Nothing happens by itself: what is due is done before
// each request. It needs nothing of the adapter, so another process may be its client.
package latitudetest
