// Package crash kills the real server during random work, again and again. Then it compares what
// the server had acknowledged, the database, the upstream, the charges, and what the tenants'
// webhooks received.
//
// A history is one data directory and one database. In each of its rounds the server starts,
// several tenants with several keys work at random while the clock advances, and the server is
// killed with SIGKILL: at a random moment, or at one of the steps of package crashpoint. Requests
// without an answer are repeated with their Idempotency-Key. After every few rounds the history
// comes to rest and is checked, and then continues.
//
// The upstream is the simulator, which is part of the server, or the fake of a cloud, which is part
// of the test and is used through the real adapter. The fake survives the kills, follows the
// server's clock, shows a new machine only after a delay, and has troubles while there is work.
// What it really has is read from the fake itself. Its account has high limits, so that work waits
// for the simulated clock and not for real time. On a fake, the short form covers the steps that
// call the cloud; a long run covers all.
//
// Two of the tenants top up, on payment pages and automatically, with cards that work, are
// declined, must be confirmed, take days, or are disputed. An operator refunds, here and at the
// processor. The processor is the fake of Stripe, which is part of the test, too: its events come
// late, twice, in another order or never. What it was paid is compared with the wallets.
//
// TestReplicas runs three servers on one PostgreSQL database instead, in real time: the clock of
// one machine is wrong, the cloud is slow, and servers are killed, crash at steps, or are stopped
// for longer than a lease. After each round the machines that every deployment ever had are
// counted.
//
// TestRacks kills billetd, in real time, at each step of package rack while own servers are
// inspected, rented out, switched, reinstalled and erased. Their BMCs, agents and drives are
// emulated by the test and survive. A server has one tenant, and is given to the next one only
// after an erasure that passed and that its agent did; each deployment is charged once and ends.
//
//	go test ./test/crash                      a short form, on each cloud and engine
//	make crash ROUNDS=500                     as many on each cloud and engine
//	make crash ROUNDS=100 CLOUD=spheron
//	make crash ROUNDS=500 CLOUD=replicas
//	go test ./test/crash -run TestRacks -rounds 100
//	go test ./test/crash -run TestCrash/sim/sqlite -seed 7 -rounds 25
//
// All decisions come from one seed, which a failure prints. The same seed makes the same decisions.
// What the server had done at the signal depends on the machine, so a failure may need several runs
// of its seed to appear again.
//
// It owns no expectation of a single request (test/e2e does), and none of a simulator with faults.
package crash
