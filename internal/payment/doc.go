// Package payment owns how money gets into wallets: top-ups, the payments behind them, automatic
// top-ups, and what happens to money that was paid in and is refunded or disputed.
//
// It does not own the books (wallet), nor how a processor is called: a Processor is an
// implementation of the seam in processor.go, such as payment/stripe.
package payment
