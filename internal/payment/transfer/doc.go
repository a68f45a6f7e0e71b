// Package transfer is the payment processor for bank transfers: a page with the operator's bank
// details and a reference, and an operator who confirms that the money has arrived.
//
// It owns the references. Each is unique, is easy to find in a bank statement, and has check
// digits as ISO 11649 defines them (RF…), which many banks check when they are typed. It does not
// own the bank details (settings). Its rows are kept as long as their top-ups.
package transfer
