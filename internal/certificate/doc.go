// Package certificate owns the server's TLS certificates: those that it gets and renews by ACME for
// its domains, and those that an operator puts into files. It decides when to order a certificate
// and when to try again, and selects the certificate of a handshake.
//
// It does not own listeners, redirects or cookies, nor the ACME protocol, which certmagic speaks.
// It keeps what certmagic needs: the account, and the answers to challenges, so that any replica
// can answer them.
//
// Invariants:
//   - Private keys are stored sealed, and are in no log, message or error.
//   - Only the holder of a domain's lock orders its certificate. The lock is a row with a lease by
//     the database's clock: a holder that crashed loses it after a minute, and one that is late
//     cannot write any more.
//   - An attempt is counted and the next one set before the ACME server is asked, so neither a
//     crash nor a restart nor a second replica makes more attempts than the backoff allows.
//   - A certificate in use is replaced only by one that was read completely and fits its key.
//   - Rows of domains that are no longer served are deleted a month after their certificate's end.
package certificate
