// Package providertest is the conformance suite for implementations of provider.Provider.
//
// It owns what callers may rely on at any cloud: launching the same reference again, in parallel or
// after a lost response, never creates a second machine; ending what has ended succeeds;
// capabilities match interfaces; what does not exist is KindNotFound; nothing is called inside a
// database transaction.
//
// It does not own how a provider is reached or reset: an implementation's test passes a [Harness].
//
// A test of an implementation is one line:
//
//	providertest.Run(t, func(t *testing.T) providertest.Harness { … })
package providertest
