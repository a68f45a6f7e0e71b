// Package crash kills the real server under random work, again and again, and then compares what it had acknowledged, what the
// database has, what the upstream has, what was charged, and what the tenants' webhooks were told.
//
// A history is one data directory and one database. In each of its rounds the server is started, several tenants with several keys
// work at random while the clock is moved, and the server is killed with SIGKILL: at a random moment, or at one of the
// steps that package crashpoint names. What had no answer is asked again with its Idempotency-Key. After every few rounds
// the history comes to rest and is checked, and then goes on.
//
// The upstream is the simulator, which lives in the server, or the real adapter of a cloud on that cloud's fake, which lives in the test: it
// outlives the kills, follows the server's clock, shows a new machine only after a while, and has troubles befall requests while there is work.
// What it really has is asked of the fake itself. Its account has high limits, by the adapter's settings, so that work waits for the clock that is moved
// and not for real time. The short form meets, on a fake, the steps at which a cloud is asked; a long run meets all.
//
// TestReplicas has three servers on one PostgreSQL database instead, and real time: one machine's clock is wrong, the cloud is slow, and servers are
// killed, crash at steps, or are stopped for longer than a lease. After each round the machines that every deployment ever had are counted.
//
//	go test ./test/crash                      a short form, on each cloud and engine
//	make crash ROUNDS=500                     as many on each cloud and engine
//	make crash ROUNDS=100 CLOUD=spheron
//	make crash ROUNDS=500 CLOUD=replicas
//	go test ./test/crash -run TestCrash/sim/sqlite -seed 7 -rounds 25
//
// All decisions come from one seed, which a failure prints. The same seed makes the same decisions; what the server had done
// when the signal came depends on the machine, so a failure may take several runs of its seed to come back.
//
// It owns no expectation of a single request (test/e2e does), and none of a simulator that misbehaves.
package crash
