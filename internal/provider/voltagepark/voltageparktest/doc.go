// Package voltageparktest is a fake of Voltage Park's on-demand API: small pages by default, money as text, a bare list of presets, pending rentals without
// addresses, empty answers, and refusals in the cloud's two forms. What it is sent must have exactly the form that the documents give.
//
// It does not own what the adapter makes of it. Where the documents are silent it does what is harder on the adapter.
package voltageparktest
