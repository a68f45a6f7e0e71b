// Package netstring writes lists of fields as bytes that no other list has, to be hashed or signed.
// docs/ledger.md describes the encoding for other programs.
package netstring
