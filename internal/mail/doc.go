// Package mail owns the mails that the server sends: which kinds there are, what they say, whom
// they go to, and the outbox from which they are sent by SMTP.
//
// It does not own what causes a mail, who is a member (account), the mail server's settings
// (settings), nor mail that comes in.
//
// Invariants:
//   - A mail is a row of the transaction that causes it, with the job that sends it. There is one
//     for each cause, recipient and kind, however often the cause is repeated.
//   - Without a mail server nothing is enqueued, so that no old mail is sent when one is set up.
//   - A mail is tried until the server takes it, refuses it for good, or its time is over. A crash
//     may send it again, with the same Message-ID, but loses none.
//   - A server that does not answer occupies one of a few senders for at most half a minute.
//   - An address without a mailbox, by the server's code, gets no mail for a month or until the
//     settings change. No other answer suppresses an address.
//   - What a mail says may contain a link that signs a user in, so it is sealed in the database,
//     and deleted once the mail is sent. Headers contain no text of users.
//   - A member can switch off every kind except those that concern security or the loss of data.
package mail
