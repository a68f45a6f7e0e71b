// Package fuzz calls the real server with everything that its OpenAPI document describes, valid and
// invalid, and checks every answer.
//
// Requests are generated from the server's document: valid ones, with values from earlier answers
// so that deep states are reached, and invalid ones, most of which must be refused. They are
// written to the connection byte by byte, so that they include what no HTTP library would send. A
// run is one data directory, one sequence of requests, some of them sent twice, and a clock that
// advances in between. At its end everything finishes, and the ledger and the upstream are checked.
//
//	go test ./test/fuzz                                     a short form, always the same
//	make fuzz FUZZTIME=5m                                   other requests, and all fuzz targets
//	go test ./test/fuzz -run TestHTTP/sqlite -seed 7        the requests of one run again
//
// All choices come from the seed, which a failure prints with the request as a shell command. Ids
// differ between runs, and so may the progress of background work: a request that depends on it may
// need several runs of its seed to fail again.
//
// It calls the real server and not its handler. The database and the checks cost more than the
// loopback device, and half of the interesting input is not yet a request where the handler begins.
//
// It owns no expectation of a valid request's effect (test/e2e does), and none of a server that is
// killed (test/crash).
package fuzz
