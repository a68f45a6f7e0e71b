// Package ipaddr owns which IP addresses are public on the Internet, and which belong to private,
// local or special networks.
//
// It does not own which connections are allowed: the packages that connect decide that.
package ipaddr
