// Package fuzz asks the real server for everything that its OpenAPI document describes, well and badly, and checks every answer.
//
// Requests are made from the document that the server gives: valid ones, whose values are taken from earlier answers so that
// deep states are reached, and spoilt ones, of which most are known to deserve a refusal. They are written to the connection byte by
// byte, so that what no HTTP library would send is sent too. A run is one data directory, one sequence of requests, some of
// which are put twice, and a clock that is moved in between. At its end all comes to rest, and the books and the upstream are looked at.
//
//	go test ./test/fuzz                                     a short form, always the same
//	make fuzz FUZZTIME=5m                                   other requests each time, and the fuzz targets of all packages
//	go test ./test/fuzz -run TestHTTP/sqlite -seed 7        the requests of one run again
//
// All choices come from the seed, which a failure prints with the request as a command for the shell. Ids differ from run to run, and
// what the background work has done by then may: a request that needs it may take several runs of its seed to fail again.
//
// The real server is asked and not its handler, since a request costs more in the database and in the checks here than on the
// loopback device, and half of what is worth asking is not a request yet where the handler begins.
//
// It owns no expectation of what a good request does (test/e2e does), and none of a server that is killed (test/crash).
package fuzz
