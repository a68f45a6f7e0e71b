// Package crash kills the real server under random work, again and again, and then compares what it had acknowledged, what the
// database has, what the simulated upstream has and what was charged.
//
// A history is one data directory and one database. In each of its rounds the server is started, several tenants with several keys
// work at random while the clock is moved, and the server is killed with SIGKILL: at a random moment, or at one of the
// steps that package crashpoint names. What had no answer is asked again with its Idempotency-Key. After every few rounds
// the history comes to rest and is checked, and then goes on.
//
//	go test ./test/crash                      a short form
//	make crash ROUNDS=500                     on each engine
//	go test ./test/crash -run TestCrash/sqlite -seed 7 -rounds 25
//
// All decisions come from one seed, which a failure prints. The same seed makes the same decisions; what the server had done
// when the signal came depends on the machine, so a failure may take several runs of its seed to come back.
//
// It owns no expectation of a single request (test/e2e does), and none of an upstream that misbehaves.
package crash
