// Package chaos runs three servers on a PostgreSQL that fails over, with a Redis, behind a
// balancer, and disturbs them in every way while tenants work. Then it compares what was
// acknowledged, the database, the cloud, the charges, what webhooks received and what streams
// showed.
//
// The servers are the real program. The primary and its synchronous standby are real, too, and
// plain processes on the loopback address. The cloud is the fake of Voltage Park, which is part of
// the test and survives the servers. Between each server and its databases is a proxy that cuts
// connections, stalls them, or leaves them half-open. One server's clock is always wrong.
//
// A round is one fault, from a list in an order that the seed draws. After each, every server must
// succeed again, in a long run within a minute, and no deployment may have had two machines. At
// the end everything comes to rest and is checked. The answers about each deployment are also
// checked for linearizability: they must be those of a single copy, in an order that real time
// allows.
//
//	go test ./test/chaos                      each fault once
//	make chaos ROUNDS=1000
//	go test ./test/chaos -run TestChaos -seed 7
//	go test ./test/chaos -run TestLostWrites -rounds 1
//
// The last one shows what is lost without a synchronous standby.
//
// All decisions come from one seed, which a failure prints. How they interleave is the machine's,
// so a failure may need several runs of its seed to appear again.
//
// It owns no expectation of a single request (test/e2e does), and none of the steps at which one
// server is killed (test/crash does).
package chaos
