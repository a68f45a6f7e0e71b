// Command bench measures Billet on one machine, in one run, beside its own foundations: API calls
// beside a bare net/http handler that writes the same bytes and beside the same statements run
// directly on the database, and the hourly sweep beside a bare loop of the same inserts. It prints
// ratios, because figures of one machine do not carry over to another.
//
// It owns the filling, the load and the arithmetic, and no behavior of the server: the packages are
// wired as in the server, with authentication, rate limits and the access log. The statements of a
// baseline are recorded between database/sql and the driver while the server handles a request.
//
// Invariants:
//   - A figure and its baseline come from one process, in turns of less than a second, so that
//     other load on the machine affects both.
//   - An answer with an unexpected status ends the run.
//   - Every database that it fills is deleted when it ends.
package main
