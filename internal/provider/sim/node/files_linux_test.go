package node

import (
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"
)

func sftpRoundTrip(t *testing.T, c *gossh.Client) {
	t.Helper()
	files, err := sftp.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	want := make([]byte, 1<<20)
	_, _ = rand.Read(want)
	w, err := files.Create("round-trip") // relative to the home directory
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadFrom(bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := files.Open("round-trip")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes returned as %d: %v", len(want), len(got), err)
	}
	if got := must(t, c, "wc -c < ~/round-trip"); got != "1048576" {
		t.Errorf("size inside: %s", got)
	}
}

func TestFileTransfer(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	e := started(t, testSpec(t, l))
	c := connect(t, e, l)
	sftpRoundTrip(t, c)

	// What SFTP opens is opened with a session's rights.
	files, err := sftp.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if list, err := files.ReadDir("/proc/1/root/"); err == nil {
		t.Errorf("/proc/1/root: %v", list)
	}
	if list, err := files.ReadDir("/proc/self/fd"); err != nil {
		t.Error(err)
	} else {
		for _, f := range list {
			if target, err := files.ReadLink("/proc/self/fd/" + f.Name()); err == nil &&
				strings.HasPrefix(target, "socket:") {
				t.Errorf("SFTP holds a socket: %s", target)
			}
		}
	}
}

// TestRealClients uses the programs that users have.
func TestRealClients(t *testing.T) {
	for _, program := range []string{"ssh", "scp", "sftp"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here", program)
		}
	}
	t.Parallel()
	l := newLogin(t)
	e := started(t, testSpec(t, l))
	dir := t.TempDir()
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte(e.KnownHosts()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(dir, "local")
	if err := os.WriteFile(local, bytes.Repeat([]byte("data"), 1<<18), 0o644); err != nil {
		t.Fatal(err)
	}
	host := e.Address.Addr().String()
	port := strings.TrimPrefix(e.Address.String(), host+":")
	options := []string{
		"-F",
		"/dev/null",
		"-i",
		l.file,
		"-o",
		"UserKnownHostsFile=" + known,
		"-o",
		"StrictHostKeyChecking=yes",
		"-o",
		"BatchMode=yes",
		"-o",
		"IdentitiesOnly=yes",
	}
	call := func(stdin, program string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(within(t), program, append(append([]string{}, options...), args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s %v: %v: %s", program, args, err, stderr.String())
		}
		return string(out)
	}
	if got := call("in\n", "ssh", "-p", port, "root@"+host, "cat; hostname"); got != "in\ntrain-run-1\n" {
		t.Errorf("ssh: %q", got)
	}
	if got := call("echo script; exit 0\n", "ssh", "-p", port, "root@"+host); !strings.Contains(got, "script") {
		t.Errorf("ssh with a script: %q", got)
	}
	if got := call("", "ssh", "-tt", "-p", port, "root@"+host, "stty size; tty"); !strings.Contains(got, "/dev/pts/") {
		t.Errorf("ssh -tt: %q", got)
	}
	call("", "scp", "-P", port, local, "root@"+host+":copied")
	call("", "scp", "-O", "-P", port, local, "root@"+host+":copied-as-before")
	call("put "+local+" by-sftp\nget copied "+local+".back\n", "sftp", "-b", "-", "-P", port, "root@"+host)
	if got := call("", "ssh", "-p", port, "root@"+host, "cat copied copied-as-before by-sftp "+
		"| wc -c"); strings.TrimSpace(
		got,
	) != "3145728" {
		t.Errorf("copied %q bytes", got)
	}
	if back, err := os.Stat(local + ".back"); err != nil || back.Size() != 1<<20 {
		t.Errorf("brought back: %v, %v", back, err)
	}
}
