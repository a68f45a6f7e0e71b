// Package enginetest provides the tests of the engine's packages with a Kit: one database, a frozen
// clock, and the services for jobs, events, money and issues on them, as a server builds them.
//
// It does not have what differs from test to test: the catalog, the provider, and the service that
// is tested. A package's own kit embeds a Kit and adds them.
package enginetest
