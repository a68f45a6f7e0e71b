// Package ironictest starts a real OpenStack Ironic for tests, of the Debian package
// python3-ironic: one process with an SQLite database in a temporary directory, and servers of the
// driver fake-hardware, which are none. The driver redfish is enabled, too.
//
// It does not own what happens in a server: with that driver a deployment takes a moment, and
// leaves the power off.
//
// Where the package is missing, tests are skipped, unless BILLET_TEST_REQUIRE_IRONIC is set.
package ironictest
