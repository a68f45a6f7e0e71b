// Package secreturl parses URLs that contain a password, such as database URLs, so that no part of
// the password gets into a message.
//
// URL parsers quote what they cannot parse. If a password contains characters that have a meaning
// in URLs, the quoted part is the password: "postgres://u:p@ss#w@host" has the host "ss". So such a
// URL is checked here before another parser or a driver gets it.
//
// Invariants:
//   - No error of this package contains a character of the URL.
//   - An accepted URL has its password where every parser expects it.
package secreturl
