// Package secreturl owns one sentence: a URL that holds a password is taken or refused without any part of the password in what is said.
//
// Parsers of URLs name what they could not read, and where a password has characters that belong to URLs, what
// they could not read is the password: "postgres://u:p@ss#w@host" has the host "ss". So such a URL is checked here
// before any parser or driver sees it.
//
// Invariants:
//   - No message of this package holds a character of the URL.
//   - A URL that passes has its password where every parser looks for it.
package secreturl
