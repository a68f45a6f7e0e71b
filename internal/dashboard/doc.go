// Package dashboard owns the web pages as they are served: the files that `make build` builds from
// web/, embedded in the program, with headers that let browsers cache what cannot change and load
// nothing from other hosts.
//
// It does not own the pages' source (web/), nor what they show: they call the same API as everyone
// else. It has no state, and knows neither accounts nor sessions: the HTTP API passes on the
// requests for paths that are not its own, and limits their rate.
//
// The build's output is never committed. Without it the program works except for the pages, which
// explain how to build them.
//
// Invariants:
//   - Only embedded files are served; a request's path is a key and never reaches a file system.
//   - Files below /assets have a hash of their content in their names, never change, and may be
//     cached forever. All others are revalidated by ETag.
//   - No page loads a script, style, font or picture from another host, and none can be framed. A
//     script in index.html itself is allowed by its hash only.
package dashboard
