// Package release tests what a release consists of beside the code: that the systemd unit, its settings and the container's name flags that
// the server has, that a Debian package can be built of it twice to the same byte, and that the real programs say their version, answer a
// service manager, and tell whether they are well. That whole releases are the same is `make release-check`.
package release
