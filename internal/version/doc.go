// Package version returns the version of this build, as the Go toolchain recorded it in the
// program.
//
// It owns the text in which both commands print their version, and the version in the API's index
// and the User-Agent. It does not own the version of the API, which is its document's, nor that of
// the Go client, which is part of other programs.
//
// Invariants:
//   - The linker passes nothing. A build in a checkout, `go install …@version` and a release read
//     the same record.
//   - A version is never empty, and is valid in a User-Agent. "dev" is a build without a record,
//     such as one from an unpacked archive of the source.
//   - A build from files that differ from the commit is marked as modified.
package version
