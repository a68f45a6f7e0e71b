package quickstart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// The command line's quick start, as it stands in the README, in a folder as `make run` leaves it. Only the server's address and the home directory are others.
func TestTheReadmesCommandLine(t *testing.T) {
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(b), "\n## The same with the command line\n")
	if !found {
		t.Fatal("the README has no such section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := strings.Split(section, "```")
	if len(blocks) != 5 || !strings.Contains(blocks[1], "billet login") {
		t.Fatalf("%d blocks of shell", len(blocks)/2)
	}
	script := strings.TrimPrefix(blocks[3], "sh\n")

	s := servertest.Start(t, "--sim", "--demo")
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "billet"), "./cmd/billet")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Symlink(s.Dir, filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	for _, name := range []string{"BILLET_URL", "BILLET_API_KEY", "BILLET_PROFILE", "BILLET_CONFIG_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(name, "")
	}
	sh(t, dir, `ssh-keygen -q -t ed25519 -N "" -C user@machine -f home/.ssh/id_ed25519`)
	out := sh(t, dir, "set -ex\n"+strings.ReplaceAll(script, "http://127.0.0.1:8080", s.URL))
	for _, wanted := range []string{
		"Server ", "off_abc123", "my-machine is running", "billet ssh my-machine", "NVIDIA B200", "deployment.running", "my-machine ends at ",
	} {
		if !strings.Contains(out, wanted) {
			t.Errorf("it shows no %q", wanted)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
	// What is too early now happens by itself.
	s.Advance("27m")
	if left := sh(t, dir, "./bin/billet ps -o id"); strings.TrimSpace(left) != "" {
		t.Errorf("still there: %s", left)
	}
}
