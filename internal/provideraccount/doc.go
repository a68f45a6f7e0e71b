// Package provideraccount owns the operator's accounts at upstream clouds: their settings, sealed
// credentials and markups, from the database and from a file. It opens them for the composition
// root, and checks for an operator whether a cloud behaves as its adapter expects.
//
// It does not own what an adapter does (provider/…), nor offers, machines or prices. A running
// server reads Version every few seconds and opens what has changed.
//
// Invariants:
//   - A credential is encrypted in the database, for its slug only, and is never shown, logged or
//     part of an error.
//   - A slug names one account as long as anything refers to it: its kind and base URL never
//     change.
//   - An adapter has accepted the settings of every account when it was stored. One that cannot be
//     opened later is reported, and does not keep the others from being used.
package provideraccount
