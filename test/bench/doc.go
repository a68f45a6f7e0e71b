// The program bench measures Billet on one machine, in one run, beside what it is built on: the calls of its API
// beside a bare net/http handler that writes the same bytes and beside the same statements run straight on the
// database, and the hourly sweep beside a bare loop of the same inserts. It prints ratios; figures of one machine say
// little of another's.
//
// It owns the filling, the load and the arithmetic, and no room's behaviour: the rooms are built as the server builds
// them, authentication, rate limits and the log of requests are in their places, and the statements of a baseline are
// those that a request was seen to run, recorded between database/sql and the driver.
//
// Invariants: a figure and its baseline come from one process, in turns of under a second, so that whatever else the
// machine does falls on both; an answer with another status than was expected fails the run; every database it fills is gone
// when it ends.
package main
