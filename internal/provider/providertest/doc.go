// Package providertest is the conformance suite for implementations of provider.Provider.
//
// It owns what every room may rely on whatever the cloud behind it: launching the same reference again, in parallel or
// after a lost answer, never makes a second machine; ending what has ended succeeds; capabilities and interfaces
// agree; what is not there is KindNotFound; nothing is called inside a database transaction.
//
// It does not own how a provider is reached or reset: an implementation's test hands it a [Harness].
//
// A test of an implementation is one line:
//
//	providertest.Run(t, func(t *testing.T) providertest.Harness { … })
package providertest
