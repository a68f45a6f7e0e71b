package node

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestNothingOfTheHostIsReachable(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	spec := testSpec(t, l)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	e := started(t, spec)
	if !e.Isolated {
		t.Fatal("not isolated")
	}
	c := connect(t, e, l)
	const neighbor = "424242"
	o := started(t, testSpec(t, l))
	there := connect(t, o, l)
	must(t, there, "touch /root/"+neighbor+"; (setsid sleep "+neighbor+" >/dev/null 2>&1 &)")
	eventually(
		t,
		"the neighbor's process",
		func() bool { return run(t, there, "pgrep -f '^sleep "+neighbor+"$'").code == 0 },
	)

	// The same question is asked where the answer is known to be yes, so that none passes by a slip
	// of the shell.
	yes := map[string]string{
		"a file of its own":           "test -e /root",
		"a process of its own":        "kill -0 $$",
		"a port of its own":           "test -d /proc/self/net",
		"a directory for its volumes": "test -d /mnt",
		"its list of routes":          "test -r /proc/net/route",
		"its list of interfaces":      "grep -q lo: /proc/net/dev",
	}
	for name, command := range yes {
		if r := run(t, c, command); r.code != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	no := map[string]string{
		"a host file":               "test -e " + secret,
		"the machine's directory":   "test -e " + spec.Dir,
		"the password file":         "grep -q " + "billet-host" + " /etc/passwd",
		"a password in /etc/shadow": "grep -v '^[^:]*:[*]:' /etc/shadow",
		"a host process":            "kill -0 " + strconv.Itoa(os.Getpid()),
		"a host port": fmt.Sprintf(
			"exec 3<>/dev/tcp/127.0.0.1/%d",
			listener.Addr().(*net.TCPAddr).Port,
		),
		"its own port from inside": fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", e.Address.Addr(), e.Address.Port()),
		"PID 1's files": "for f in /proc/1/fd/*; do readlink $f || cat $f || ls $f/; done 2>/dev/null " +
			"| grep .",
		"PID 1's root":                "ls /proc/1/root/",
		"PID 1's directory":           "ls /proc/1/cwd/",
		"PID 1's environment":         "cat /proc/1/environ",
		"PID 1's memory":              "head -c1 /proc/1/mem",
		"PID 1's program":             "readlink /proc/1/exe",
		"the host mounts":             "grep ' / / ' /proc/self/mountinfo | grep -v ' - tmpfs '",
		"writing to /usr":             "touch /usr/bin/x",
		"writing to /dev":             "touch /dev/x",
		"moving /dev/ptmx":            "rm /dev/ptmx",
		"the server's binary":         "test -w /.billet/machine && echo >>/.billet/machine",
		"mounting":                    "mount -t tmpfs none /tmp",
		"remounting /usr":             "mount -o remount,bind,rw /usr",
		"unmounting":                  "umount /root || umount -l /proc/sys",
		"new user namespaces":         "unshare -U true",
		"new mount namespaces":        "unshare -m true",
		"more user namespaces":        "echo 10 > /proc/sys/user/max_user_namespaces",
		"kernel settings":             "echo x > /proc/sys/kernel/domainname",
		"a device":                    "mknod /root/disk b 254 0",
		"network interfaces":          "ip link set lo down",
		"a way to the internet":       "awk 'NR > 1' /proc/net/route | grep .",
		"a network of the host":       "awk 'NR > 2 && $1 != \"lo:\"' /proc/net/dev | grep .",
		"another machine's process":   "pgrep -f '^sleep " + neighbor + "$'",
		"another machine's files":     "ls /root/" + neighbor,
		"another machine's SSH":       fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", o.Address.Addr(), o.Address.Port()),
		"renaming a mount of volumes": "mv /mnt /mnt2",
		"higher limits":               "ulimit -n 1000000",
	}
	for name, command := range no {
		if r := run(t, c, command); r.code == 0 {
			t.Errorf("%s: %s succeeded: %s", name, command, r.out)
		}
	}

	// What is the host's is read only by its mount, not only by the files' owners.
	if got := must(t, c, `awk '$5 ~ "^/([.]billet|usr|lib|bin|etc|dev$|proc/sys)" &&
		$5 != "/usr/local" && $6 !~ /^ro,/' /proc/self/mountinfo`); got != "" {
		t.Errorf("mounted for writing: %s", got)
	}

	// The SSH server has the rights of a session, so only its being hidden keeps its files closed.
	if got := must(t, c, `n=0; for p in /proc/[0-9]*; do grep -q ^sshd $p/cmdline || continue; n=$((n+1))
		readlink $p/fd/*; ls $p/root/ 2>/dev/null; cat $p/environ 2>/dev/null; done; echo $n`); got != "1" {
		t.Errorf("the SSH server's /proc shows %q", got)
	}
	status := must(t, c, "grep -E '^(NoNewPrivs|CapInh|CapPrm|CapBnd|CapAmb|Uid)' /proc/self/status")
	var keep uint64
	for capability := range sessionCaps {
		keep |= 1 << capability
	}
	full := fmt.Sprintf("%016x", keep)
	none := fmt.Sprintf("%016x", 0)
	for field, want := range map[string]string{"NoNewPrivs": "1", "CapInh": none, "CapPrm": full, "CapBnd": full,
		"CapAmb": none} {
		if !strings.Contains(status, field+":\t"+want) {
			t.Errorf("%s is not %s in:\n%s", field, want, status)
		}
	}

	// Seen from outside, no thread of the machine is root or the server's user, unless only that id
	// is mapped.
	want := os.Geteuid()
	if want == 0 {
		want = idBase
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", e.PID))
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads of PID 1: %v, %v", threads, err)
	}
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a thread may end
		}
		if uids := fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d\n", want, want, want, want); !strings.Contains(string(b), uids) {
			t.Errorf("%s does not say %q", path, uids)
		}
	}
}

func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	c := connect(t, started(t, testSpec(t, l)), l)
	must(t, c, "for i in 1 2 3 4 5 6 7 8; do (setsid sh -c 'exit 3' &) ; done")
	eventually(t, "no zombies", func() bool {
		return must(t, c, "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l") == "0"
	})
	if r := run(t, c, "kill 1; kill -INT 1; kill -KILL 1; kill -HUP 1; echo alive"); !strings.Contains(r.out, "alive") {
		t.Errorf("after signals to PID 1: %+v", r)
	}
	must(t, c, "true")
}
