// Package bmctest is an emulator of a Redfish BMC with its server: an http.Handler with power,
// virtual CD, boot override, accounts and Secure Boot, the quirks of real BMCs, and functions that
// a test sets to run what the server would run.
//
// It does not own what a server does after it was started. Config.OnBoot is called with the CD that
// it starts from; a test runs a scripted agent there, or a QEMU.
//
// Invariants: one request is answered at a time, as many BMCs do. After Close no function of the
// Config runs.
//
// What clients that others wrote make of it is tested with gofish and with sushy, Ironic's client.
package bmctest
