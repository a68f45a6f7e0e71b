// Package version tells which build of Billet this is, as the Go toolchain wrote it into the program.
//
// # Owns
//
// The words in which both commands say their version, and the one that the API's index and the User-Agent repeat.
//
// # Does not own
//
// The version of the API, which is that of its document, and that of the Go client, which is built into other people's programs.
//
// # Invariants
//
//   - Nothing is handed in by the linker. A build in a checkout, `go install …@version` and a release read the same record, so none
//     of them can call itself something that it is not.
//   - A version is never empty, and fits into a User-Agent. "dev" is a build that nobody recorded, such as one from an unpacked archive
//     of the source.
//   - What was built from files that differ from the commit says so.
package version
