// Package voltageparktest is a fake of Voltage Park's on-demand API: small pages by default, money
// as text, a bare list of presets, pending rentals without addresses, empty responses, and refusals
// in the cloud's two forms. Requests must have exactly the form of the documents.
//
// It does not own what the adapter makes of it. Where the documents are silent it does what is
// harder for the adapter.
package voltageparktest
