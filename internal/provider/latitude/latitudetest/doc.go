// Package latitudetest is a fake of Latitude.sh: its API over HTTP, as strict as its documents, with machines whose SSH answers.
//
// It owns what the cloud would do with a request, its limits and its moods. It does not own how the network behaves: that is upstreamtest's. Time
// is its server's clock; nothing happens of itself, and what is due has happened when a request looks. It needs nothing of the adapter, so
// another process may be its client.
package latitudetest
