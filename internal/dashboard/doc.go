// Package dashboard owns the web pages as they are served: the files that `make build` makes of web/, kept inside the
// program, with the headers that let browsers keep what cannot change and load nothing from anywhere else.
//
// It does not own the pages' source (web/), nor anything that they show: they call the same API as everyone else. It has no
// state, and knows neither accounts nor sessions: httpapi asks it for whatever is no path of its own, and bounds how often.
//
// The build's output is never committed. Without it the program is whole but for the pages, and says how to make them.
//
// Invariants:
//   - Only files that were built in are served; a request's path is looked up by name and never reaches a file system.
//   - What lies below /assets has a hash of its content in its name, never changes, and may be kept for ever; everything
//     else is asked for anew and compared by ETag.
//   - No page loads a script, style, font or picture from another host, and none can be framed. A script that stands in
//     index.html itself is allowed by its hash and by nothing else.
package dashboard
