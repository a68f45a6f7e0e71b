// Package emailaddr decides which email addresses mail may be sent to: one plain address in ASCII
// at a dotted host name, without a display name, comments, quotes or an IP address. What net/mail
// accepts is far more than that.
//
// It does not know whether an address receives mail.
package emailaddr
