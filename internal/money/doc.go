// Package money owns amounts of US dollars, exact to the micro-dollar.
//
// It owns the type Micros, its decimal form on the wire, and the one rounding
// rule of the project: half-up, once per charge. It does not own wallets,
// prices or who pays; those use it.
//
// Invariants: no floating-point number touches an amount; every operation that
// could overflow an int64 says so instead of wrapping.
package money
