// Package bmc owns the client of baseboard management controllers (BMCs) that speak Redfish: it
// reads a server's inventory, switches it on and off, has it start once from a CD image at a URL,
// and changes the password.
//
// It does not own which servers exist, what they boot, or when something is retried. Package
// bmctest is an emulator of a BMC, with the quirks of real ones.
//
// Invariants:
//
//   - Every error of a BMC is an *Error with a Kind. A BMC that does not answer is
//     KindUnreachable, which says nothing about the server: retry later.
//   - Every operation may be repeated. What was changed is read again; a success means that the
//     BMC shows it, not only that it accepted the request. The exception is a reset: if its
//     answer was lost, a repetition resets again.
//   - Only the operator chooses the address, and BMCs are in private networks, so every address
//     may be connected to. No redirect is followed, no proxy is used, and a link to another host
//     is an error: a BMC cannot have this program call something else.
//   - An answer is read up to 4 MB, a collection up to 128 members. A request has a timeout, and
//     so has waiting for an effect.
//   - Passwords are in no error. A call inside a database transaction is refused.
package bmc
