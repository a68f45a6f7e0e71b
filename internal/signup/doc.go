// Package signup owns how strangers become users: who may register under the operator's policy, the
// mails that prove an email address, the terms that are accepted, the new account with its starting
// credit, and passwords that are reset by mail.
//
// It does not own the links and users themselves (account), the settings (settings), mails that
// wait to be sent (mail), the proof of work (altcha) or the wallet's books (wallet).
//
// Invariants:
//   - Nothing is created for a stranger before they have opened a link that was mailed to their
//     address.
//   - No answer reveals whether a user has an email address. A request does the same work either
//     way, and what differs stands in the mail only.
//   - The policy holds when a registration begins and when it is completed. An invitation of the
//     operator overrides a list of domains, and closed sign-up overrides everything.
//   - The starting credit is given once for a mailbox, however its address is written.
package signup
