// Package ipaddr owns which IP addresses can be reached from everywhere on the Internet, and which are
// of private, local or special networks.
//
// It does not own who may connect where: that is decided by the packages that connect.
package ipaddr
