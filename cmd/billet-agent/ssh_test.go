//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rackagent"
)

// rescueClient is OpenSSH's client of a server of this process.
type rescueClient struct {
	t    *testing.T
	args []string
}

func newRescueClient(t *testing.T) *rescueClient {
	t.Helper()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("no OpenSSH client")
	}
	host, err := provider.NewHostKey()
	check(t, err)
	own, err := provider.NewHostKey() // a key pair like any other
	check(t, err)
	s := &sshServer{
		home: t.TempDir(), environ: []string{"PATH=" + os.Getenv("PATH"), "PS1=rescue# "}, greeting: "Hello.\n",
		sftp: []string{"/bin/false"},
		start: func(cmd *exec.Cmd) (func() syscall.WaitStatus, error) {
			return func() syscall.WaitStatus {
				_ = cmd.Wait()
				return cmd.ProcessState.Sys().(syscall.WaitStatus)
			}, cmd.Start()
		},
	}
	check(t, s.configure(rackagent.Shell{AuthorizedKeys: []string{own.Public + " me"}, HostKey: host.Private}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go s.serve(l)
	dir := t.TempDir()
	_, port, err := net.SplitHostPort(l.Addr().String())
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "key"), []byte(own.Private), 0o600))
	known := "[127.0.0.1]:" + port + " " + host.Public + "\n"
	check(t, os.WriteFile(filepath.Join(dir, "known"), []byte(known), 0o600))
	return &rescueClient{t, []string{
		"-F", "/dev/null", "-i", filepath.Join(dir, "key"), "-p", port,
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile=" + filepath.Join(dir, "known"),
	}}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run returns the streams, and the exit code.
func (c *rescueClient) run(input string, args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "ssh", append(c.args, args...)...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problems
	if err := cmd.Run(); cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// OpenSSH's client runs programs and a shell, and learns how they ended.
func TestRescueShell(t *testing.T) {
	c := newRescueClient(t)
	out, problems, code := c.run("from here", "root@127.0.0.1", "cat; echo aside >&2; exit 7")
	if out != "from here" || strings.TrimSpace(problems) != "aside" || code != 7 {
		t.Errorf("%q, %q, %d", out, problems, code)
	}
	if _, _, code := c.run("", "root@127.0.0.1", "kill -9 $$"); code == 0 {
		t.Error("a program that was killed has succeeded")
	}
	out, _, code = c.run("tty; stty size; echo term=$TERM\nexit 3\n", "-tt", "root@127.0.0.1")
	for _, want := range []string{"Hello.\r\n", "/dev/pts/", "term="} {
		if !strings.Contains(out, want) {
			t.Errorf("a terminal shows %q, without %q", out, want)
		}
	}
	if code != 3 {
		t.Errorf("the shell ended with %d", code)
	}
	big := strings.Repeat("0123456789abcdef", 1<<16)
	if out, _, code := c.run(big, "root@127.0.0.1", "cat"); out != big || code != 0 {
		t.Errorf("%d bytes of %d were echoed; %d", len(out), len(big), code)
	}
}

// Only root with one of the deployment's keys gets in, and nothing is forwarded.
func TestRescueLetsOnlyTheTenantIn(t *testing.T) {
	c := newRescueClient(t)
	if _, problems, code := c.run("", "daemon@127.0.0.1", "true"); code != 255 {
		t.Errorf("another user: %d, %s", code, problems)
	}
	if _, problems, code := c.run("", "-W", "127.0.0.1:1", "root@127.0.0.1"); code == 0 {
		t.Errorf("forwarded: %s", problems)
	}
	other, err := provider.NewHostKey()
	check(t, err)
	c.args[3] = filepath.Join(t.TempDir(), "other")
	check(t, os.WriteFile(c.args[3], []byte(other.Private), 0o600))
	if _, problems, code := c.run("", "root@127.0.0.1", "true"); code != 255 {
		t.Errorf("another key: %d, %s", code, problems)
	}
	s := &sshServer{}
	if err := s.configure(rackagent.Shell{AuthorizedKeys: []string{"nonsense"}, HostKey: other.Private}); err == nil {
		t.Error("a line that is no key was taken")
	}
	if _, err := ssh.ParsePrivateKey([]byte(other.Private)); err != nil {
		t.Fatal(err)
	}
}

// The first process of a system waits for its own programs, and for those of others.
func TestChildrenKnowHowTheyEnd(t *testing.T) {
	if os.Getenv("BILLET_TEST_REAPER") == "" { // it would wait for the processes of other tests
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "BILLET_TEST_REAPER=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	family := &children{waiting: map[int]chan syscall.WaitStatus{}}
	go family.reap(t.Context())
	for range 20 {
		stranger := exec.Command("/bin/true")
		check(t, stranger.Start())
		wait, err := family.start(&exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 5"}})
		check(t, err)
		if status := wait(); status.ExitStatus() != 5 {
			t.Fatalf("it ended with %d", status.ExitStatus())
		}
	}
}

// Connections that do not sign in take no place of those that do.
func TestRescueStrangersDoNotKeepTheTenantOut(t *testing.T) {
	c := newRescueClient(t)
	address := "127.0.0.1:" + c.args[5]
	for i := range 3 * maxConnections {
		for _, from := range []string{"127.0.0.2", fmt.Sprintf("127.0.1.%d", i)} {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			conn, err := d.DialContext(t.Context(), "tcp", address)
			check(t, err)
			t.Cleanup(func() { conn.Close() })
		}
	}
	if out, problems, code := c.run("", "root@127.0.0.1", "echo in"); out != "in\n" || code != 0 {
		t.Errorf("%q, %q, %d", out, problems, code)
	}
}

// An address has a few connections that have not signed in, and so has the network of one with
// IPv6.
func TestStrangersAreCountedByAddress(t *testing.T) {
	s := strangers{from: map[netip.Prefix]int{}}
	at := func(text string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text)) }
	for i := range maxStrangersOf {
		if !s.enter(at(fmt.Sprintf("[2001:db8::%d]:1", i+1))) {
			t.Fatalf("number %d was refused", i)
		}
	}
	if s.enter(at("[2001:db8::ffff]:2")) {
		t.Error("one more of the same network was let in")
	}
	if !s.enter(at("192.0.2.1:1")) {
		t.Error("another address was refused")
	}
	s.leave(at("[2001:db8::1]:1"))
	if !s.enter(at("[2001:db8::ffff]:2")) {
		t.Error("the place of one that left was not given")
	}
	for s.all > 0 {
		for p := range s.from {
			s.leave(net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.Addr(), 1)))
		}
	}
	if len(s.from) != 0 {
		t.Errorf("%d addresses are kept", len(s.from))
	}
}
