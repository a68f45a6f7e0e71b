package racks_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// require is set where a test fails if something that it needs is missing.
const require = "BILLET_TEST_REQUIRE_QEMU"

// inside is set for a test that runs in a network of its own.
// The others are the files that it uses.
const (
	inside         = "BILLET_TEST_RACKS_INSIDE"
	isoVariable    = "BILLET_TEST_RACKS_ISO"
	tenantVariable = "BILLET_TEST_RACKS_TENANT"
)

func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		for _, args := range [][]string{
			{"link", "set", "lo", "up"},
			{"addr", "add", billetdAddress + "/32", "dev", "lo"},
			{"addr", "add", bmcAddress + "/32", "dev", "lo"},
			// The machine drops what comes from its own address.
			{"route", "add", "local", machineAddress + "/32", "dev", "lo", "src", billetdAddress, "table", "local"},
		} {
			if out, err := exec.Command("busybox", append([]string{"ip"}, args...)...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "ip %s: %v\n%s", strings.Join(args, " "), err, out)
				os.Exit(1)
			}
		}
	}
	os.Exit(servertest.Run(m))
}

// runInside runs the test again as a process whose network has the addresses of docs/racks.md and
// nothing else, so that billetd, the BMC and the machine reach each other as in a rack.
func runInside(t *testing.T, iso, tenant string) {
	t.Helper()
	self, err := os.Executable()
	noError(t, err)
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v"}
	if *metal {
		args = append(args, "-metal")
	}
	if *overSSH {
		args = append(args, "-ssh")
	}
	c := exec.CommandContext(t.Context(), self, args...)
	c.Env = append(os.Environ(), inside+"=1", isoVariable+"="+iso, tenantVariable+"="+tenant,
		"BILLET_TEST_BINARY="+servertest.Binary(t))
	// All processes of a PID namespace end with its first one.
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	c.Stdout, c.Stderr = t.Output(), t.Output()
	switch err := c.Start(); {
	case err != nil && os.Getenv(require) != "":
		t.Fatalf("the kernel must allow a network of its own, as in a privileged container: %v", err)
	case err != nil:
		t.Skipf("NOT TESTED: no machine was started, because the kernel allows no network of its own: %v", err)
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("the test in a network of its own: %v", err)
	}
}
