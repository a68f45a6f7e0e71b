package quickstart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// A checkout is a directory as `make run` leaves it, with a server that runs in it.
type checkout struct {
	dir    string
	server *servertest.Server
}

func newCheckout(t *testing.T) checkout {
	t.Helper()
	s := servertest.Start(t, "--sim", "--demo")
	dir := t.TempDir()
	buildBillet(t, filepath.Join(dir, "bin"))
	if err := os.Symlink(servertest.Binary(t), filepath.Join(dir, "bin", "billetd")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.Dir, filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	newHome(t, dir)
	sh(t, dir, `ssh-keygen -q -t ed25519 -N "" -C user@machine -f home/.ssh/id_ed25519`)
	return checkout{dir, s}
}

// run runs the shell blocks as one script that prints each command.
func (c checkout) run(t *testing.T, blocks []string) string {
	t.Helper()
	script := strings.ReplaceAll(strings.Join(blocks, "\n"), "http://127.0.0.1:8080", c.server.URL)
	return sh(t, c.dir, "set -ex\n"+script)
}

// readmeBlocks returns the shell blocks of a section of README.md.
func readmeBlocks(t *testing.T, title string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(b), "\n## "+title+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", title)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var out []string
	for i, part := range strings.Split(section, "```") {
		if script, is := strings.CutPrefix(part, "sh\n"); is && i%2 == 1 {
			out = append(out, script)
		}
	}
	return out
}

func wantAll(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("the output lacks %q", part)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestReadmeQuickStart(t *testing.T) {
	c := newCheckout(t)
	wrapSSH(t, c.dir, "")
	blocks := readmeBlocks(t, "Quick start")
	if len(blocks) != 6 {
		t.Fatalf("got %d shell blocks, want 6", len(blocks))
	}
	out := c.run(t, blocks)
	wantAll(t, out, `"my-laptop"`, `"id":"off_abc123"`, "NVIDIA B200", `"type":"refund"`)
}

func TestReadmeCommandLine(t *testing.T) {
	c := newCheckout(t)
	for _, name := range []string{
		"BILLET_URL", "BILLET_API_KEY", "BILLET_PROFILE", "BILLET_CONFIG_DIR", "XDG_CONFIG_HOME",
	} {
		t.Setenv(name, "")
	}
	blocks := readmeBlocks(t, "Command line")
	if len(blocks) != 2 || !strings.Contains(blocks[0], "billet login") {
		t.Fatalf("got %d shell blocks, want a login by browser and one by key", len(blocks))
	}
	out := c.run(t, blocks[1:])
	wantAll(t, out, "Server ", "off_abc123", "my-machine is running", "billet ssh my-machine", "NVIDIA B200",
		"deployment.running", "my-machine will terminate at ")
	// The termination was too early, so it was scheduled.
	c.server.Advance("27m")
	if left := sh(t, c.dir, "./bin/billet ps -o id"); strings.TrimSpace(left) != "" {
		t.Errorf("after the minimum runtime there are still deployments: %s", left)
	}
}

func buildBillet(t *testing.T, into string) {
	t.Helper()
	build := exec.Command("go", "build", "-o", filepath.Join(into, "billet"), "./cmd/billet")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build billet: %v\n%s", err, out)
	}
}

// newHome makes dir/home the home directory.
func newHome(t *testing.T, dir string) {
	t.Helper()
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
}

// wrapSSH puts an ssh first on the PATH that uses $HOME, which ssh itself ignores, and does not
// ask about host keys. It runs the command after the caller's arguments.
func wrapSSH(t *testing.T, dir, command string) {
	t.Helper()
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(dir, "tools")+":"+os.Getenv("PATH"))
	sh(t, dir, "mkdir tools && cat >tools/ssh <<'EOF' && chmod +x tools/ssh\n#!/bin/sh\nexec "+ssh+
		" -F none -i \"$HOME/.ssh/id_ed25519\" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \"$@\" "+
		command+"\nEOF")
}
