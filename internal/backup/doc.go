// Package backup owns the file format of backups of an SQLite database: how one is written,
// encrypted, read and verified.
//
// It does not own when a backup is made or where it is restored to (package app does), nor what a
// restored server may do (package recovery).
//
// A backup is a gzipped tar archive, encrypted with age (age-encryption.org/v1) unless the operator
// wants it in clear: `age -d -i key.txt FILE | tar xz` unpacks one without Billet. Its members are,
// in this order, backup.json (Manifest), billet.db, and, if wanted, secret.key.
//
// Invariants:
//   - The secret key is only in an encrypted backup.
//   - A backup is complete or not read at all: the database is compared with the manifest's length
//     and SHA-256 before anything uses it.
//   - What is read is bounded by what the manifest says.
package backup
