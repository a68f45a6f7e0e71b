// Package altcha owns the proof-of-work challenges that a browser solves before a form of a
// stranger is accepted: the parameters and signature of ALTCHA version 2, as its widget reads them,
// and the check of a solution. A solution costs the sender of many forms processor time, and one
// user nothing but a moment.
//
// It does not own which forms require one, nor limits of requests: a patient program pays the
// price.
//
// Invariants:
//   - A challenge is signed, so it needs no row, and no number of its solution is computed with
//     before the signature is checked.
//   - A solution is accepted once, by one replica, for the use that its challenge names, until it
//     expires. A wrong solution does not use up the challenge.
package altcha
