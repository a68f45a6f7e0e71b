// Package quickstart runs the specification's quick start, its four steps as
// they are written there, with curl and ssh, against the real binary. Only the host, the
// key and the placeholder of the public key are replaced.
package quickstart
