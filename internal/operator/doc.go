// Package operator owns what who runs the cloud does with accounts: making them, putting money in and taking it out, setting their markup, and
// seeing all of them at once with what runs on each; and the list of jobs that fail.
//
// It does not own accounts, money or jobs (packages account, wallet and job do), nor who may call it: the edge does, and
// the operator's verbs have the database itself. What providers have that nobody owns is package issue's.
//
// Invariants:
//   - A page of a list costs a number of queries that does not depend on its length.
//   - An account is never without a wallet.
//   - A credit with the same reference is made once, and past due looks at the account in the same change.
package operator
