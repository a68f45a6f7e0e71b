package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"
)

// TestAuthorizedKeysOutliveAStartAndNotAReinstall takes the order's key out and puts another in.
func TestAuthorizedKeysOutliveAStartAndNotAReinstall(t *testing.T) {
	t.Parallel()
	first, second := newLogin(t), newLogin(t)
	spec := testSpec(t, first)
	c := connect(t, started(t, spec), first)
	files := "cat ~/.ssh/authorized_keys; stat -c %a ~/.ssh ~/.ssh/authorized_keys; ls -A ~"
	if got := must(t, c, files); got != first.line+"\n700\n600\n.bashrc\n.profile\n.ssh" {
		t.Errorf("at first: %s", got)
	}
	must(t, c, "echo '"+second.line+"' > ~/.ssh/authorized_keys; rm ~/.profile")
	again := func() Endpoint {
		t.Helper()
		if err := Stop(within(t), spec.Dir); err != nil {
			t.Fatal(err)
		}
		e, err := Start(within(t), spec)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := again()
	if _, err := gossh.Dial("tcp", e.Address.String(), clientConfig(t, e, gossh.PublicKeys(first.signer))); err == nil {
		t.Error("a key that was taken out gets in after a start")
	}
	if got := must(t, connect(t, e, second), "ls -A ~"); got != ".bashrc\n.ssh" {
		t.Errorf("after a start: %s", got)
	}
	if err := Stop(within(t), spec.Dir); err != nil {
		t.Fatal(err)
	}
	if err := Wipe(within(t), spec.Dir); err != nil {
		t.Fatal(err)
	}
	e = again()
	if _, err := gossh.Dial("tcp", e.Address.String(), clientConfig(t, e,
		gossh.PublicKeys(second.signer))); err == nil {
		t.Error("a key outlived the reinstall")
	}
	connect(t, e, first)

	// A machine of the time before there were such files and three host keys.
	must(t, connect(t, e, first), "rm -r /var/lib/cloud; echo '# mine' > ~/.ssh/authorized_keys; rm ~/.bashrc")
	if err := Stop(within(t), spec.Dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"host_key_rsa", "host_key_ecdsa"} {
		if err := os.Remove(filepath.Join(spec.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	old := e.HostKeys[0]
	e = again()
	if e.HostKeys[0] != old || len(e.HostKeys) != len(hostKeyKinds) {
		t.Errorf("host keys %q, the one before was %q", e.HostKeys, old)
	}
	if got := must(t, connect(t, e, first),
		"cat ~/.ssh/authorized_keys; ls ~/.bashrc"); got != "# mine\n"+first.line+"\n/root/.bashrc" {
		t.Errorf("an older machine: %s", got)
	}
	if got := (state{HostKey: old}).endpoint().HostKeys; !slices.Equal(got, []string{old}) {
		t.Errorf("a machine that has been running since: %q", got)
	}
}

// TestTheServersUmaskIsNotTheMachines is not parallel: the umask belongs to the process.
func TestTheServersUmaskIsNotTheMachines(t *testing.T) {
	l := newLogin(t)
	spec := testSpec(t, l)
	before := syscall.Umask(0o077)
	_, err := Start(within(t), spec)
	syscall.Umask(before)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, started(t, spec), l)
	for path, want := range map[string]string{
		"/etc/passwd": "644", "/etc/profile.d": "755", "/home": "755", "/srv": "755", "/opt": "755", "/var": "755",
		"/var/log":       "755",
		"/usr/local/bin": "755", "/tmp": "1777", "/root": "700",
	} {
		if got := must(t, c, "stat -c %a "+path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := must(t, c, "umask"); got != "0022" {
		t.Errorf("umask: %s", got)
	}
	files, err := sftp.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if err := files.Mkdir("made"); err != nil {
		t.Fatal(err)
	}
	if got := must(t, c, "umask 077; mkdir ~/closed; stat -c %a ~/made ~/closed"); strings.Fields(got)[0] != "755" ||
		strings.Fields(got)[1] != "700" {
		t.Error(got)
	}
}
