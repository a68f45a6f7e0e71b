// Package signedhead signs, once a day, how far the ledger of each account has come, so that a
// history that was rewritten as a whole, with all of its hashes, is found.
//
// A head is an account's newest transaction: its number and hash, which covers all before it. A
// day's statement has the Merkle root of the heads that changed since the day before, and the hash
// of the statement before it. So the newest signature covers everything.
//
// A daily job verifies the signatures, has package wallet verify the ledger, and opens an issue for
// each row that was changed. It does not know what a transaction is.
//
// # Invariants
//
//   - An Ed25519 key is made at the first start, and another one only where the server's secret key
//     was replaced, which opens no sealed private part. Each statement names its key.
//   - A day is signed once, after the one before it. A day on which no server ran has no statement.
//   - Heads are read in the transaction that signs them, and what is committed later is in a later
//     statement.
//   - What is signed stays: heads and statements are never changed or deleted. There is at most one
//     head for each account and day on which its money moved, so the table grows more slowly than
//     that of transactions.
package signedhead
