// Package release tests the parts of a release beside the code: the systemd unit, its settings and
// the container name only flags that the server has, a Debian package is reproducible, and the real
// programs report their version, notify a service manager, and answer health checks. Whole releases
// are compared by `make release-check`.
package release
