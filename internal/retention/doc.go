// Package retention owns how long old rows are kept: events, the audit log and closed issues. What
// is of value is written to files of JSON lines first, where the operator wants that.
//
// It does not own the rows: their packages say which are old, and delete them. Rows that are of use
// for a fixed time only, such as answers for an Idempotency-Key, are deleted by their own packages.
// Nothing of the ledger is ever deleted. docs/operators.md lists what is kept for how long.
//
// # Archiving
//
// A file has the rows from one id to another, in their order. First the range is written into the
// database, then the file, which is synchronized to the disk and only then gets its name, and then
// one transaction deletes the rows and writes the file's SHA-256. A server that is killed in
// between leaves the range, and the next run writes the same bytes to the same name. So no row is
// lost, and none is in two files.
//
// # Invariants
//
//   - A kind has at most one range whose rows are not deleted yet. Old rows do not change, and none
//     are added to the range, so its file is always the same.
//   - The rows are deleted only by the transaction that records the file, and only if there are as
//     many as the file has lines. Of two servers that write the same range, one deletes.
//   - A run deletes a bounded number of rows, in transactions of a bounded size, and is repeated.
//
// # Tables
//
//   - archive_file: a row for each file of up to 2,000 rows. Kept, because its SHA-256 proves the
//     file: some 200 bytes for a megabyte that was deleted.
package retention
