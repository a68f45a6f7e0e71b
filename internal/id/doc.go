// Package id owns identifiers: a prefix that says what is named, and a ULID in
// lower case, so that ids of a kind sort by the time they were made.
//
// It does not own secrets: an id is guessable by design and must never serve as one.
//
// Invariants: ids made by one Maker strictly increase for a kind; an id's text is
// at most 40 characters of [a-z0-9_].
package id
