// Package provideraccount owns which upstream clouds this Billet sells from: the operator's accounts there, their settings, their sealed
// credentials and their markup, from the database and from a file. It opens them for the composition root, and looks one over for
// an operator who wants to know whether the cloud is as its adapter believes.
//
// It does not own what an adapter does (provider/…), nor offers, machines or prices. A running server keeps the providers that it was
// started with.
//
// Invariants:
//   - A credential is encrypted in the database, for its slug only, and is never shown, logged or part of an error.
//   - A slug stands for one account for as long as anything refers to it: its kind and base URL never change.
//   - What a provider is set up with was accepted by its adapter first.
package provideraccount
