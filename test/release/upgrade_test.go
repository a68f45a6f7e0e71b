package release_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/test/servertest"
)

// programs returns an environment whose PATH begins with the scripts.
func programs(t *testing.T, scripts map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range scripts {
		write(t, filepath.Join(dir, name), "#!/bin/sh\n"+text+"\n", 0o700)
	}
	return append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
}

// TestUpgradeOfAServerThatRefuses: the package is configured even if the new server does not start.
func TestUpgradeOfAServerThatRefuses(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("Debian's packages are installed on Debian")
	}
	running, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	script := filepath.Join(t.TempDir(), "postinst")
	write(t, script, strings.ReplaceAll(read(t, "packaging/deb/postinst"), "/run/systemd/system", running), 0o700)
	env := programs(t, map[string]string{
		"systemd-sysusers": "exit 0", "install": "exit 0",
		"systemctl": `echo "$*" >>` + log + `; [ "$1" != try-restart ]`,
	})
	configure := func(from string) string {
		cmd := exec.Command(script, "configure", from)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("an upgrade from %q: %v\n%s", from, err, out)
		}
		return string(out)
	}
	if out := configure(""); out != "" {
		t.Errorf("an installation says %s", out)
	}
	if out := configure("1.0.0"); !strings.Contains(out, "journalctl -u billetd") {
		t.Errorf("it does not say that the server did not start: %q", out)
	}
	got, err := os.ReadFile(log)
	if want := "daemon-reload\ndaemon-reload\ntry-restart billetd.service\n"; err != nil || string(got) != want {
		t.Errorf("it called systemctl with %q, %v", got, err)
	}
}

// TestUpgradeCommands: what docs/upgrading.md has in its blocks runs as it is, on each engine, with
// the packaged billetd-operator and its settings. Only root's programs are replaced.
func TestUpgradeCommands(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("Debian's packages are opened on Debian")
	}
	blocks := regexp.MustCompile("(?s)\n```sh\n(.*?)\n```").FindAllStringSubmatch(read(t, "docs/upgrading.md"), -1)
	if len(blocks) != 2 {
		t.Fatalf("there are %d blocks of commands, want one for each engine", len(blocks))
	}
	data := t.TempDir()
	servertest.StartIn(t, data) // it makes the database, and a backup is made while it runs
	upgrade(t, blocks[0][1], data, "")
	if info, err := os.Stat(filepath.Join(data, "before.backup")); err != nil || info.Size() == 0 {
		t.Errorf("there is no backup: %v", err)
	}
	t.Run("postgres", func(t *testing.T) {
		out := upgrade(t, blocks[1][1], t.TempDir(), "BILLET_DATABASE_URL='"+dbtest.PostgresURL(t)+"'\n")
		if n := strings.Count(out, "Database: PostgreSQL "); n != 2 || strings.Contains(out, "Database: SQLite") {
			t.Errorf("%d commands used the database of the settings:\n%s", n, out)
		}
	})
}

// upgrade runs commands where a package is, for a service with the data directory and settings.
func upgrade(t *testing.T, commands, data, settings string) string {
	t.Helper()
	root, at := t.TempDir(), t.TempDir()
	binary, conf, next := program(t, "billetd"), filepath.Join(root, "billetd.env"), filepath.Join(root, "next")
	write(t, conf, settings, 0o600)
	tree := filepath.Join(root, "tree")
	write(t, filepath.Join(tree, "DEBIAN/control"), "Package: billet\nVersion: 1\nArchitecture: all\n"+
		"Maintainer: Test <test@example.com>\nDescription: a test\n", 0o644)
	for _, dir := range []string{tree, filepath.Join(tree, "DEBIAN")} {
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // dpkg-deb wants it
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(tree, "usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(binary, filepath.Join(tree, "usr/bin/billetd")); err != nil {
		run(t, "cp", binary, filepath.Join(tree, "usr/bin/billetd"))
	}
	run(t, "dpkg-deb", "-Znone", "--build", tree, filepath.Join(at, "billet_V_linux_amd64.deb"))
	operator := strings.NewReplacer("/var/lib/billet", data, "/etc/billet/billetd.env", conf,
		"/usr/bin/billetd", binary).Replace(read(t, "packaging/systemd/billetd-operator"))
	cmd := exec.Command("sh", "-euc", strings.ReplaceAll(commands, "/usr/local/bin/billetd-next", next))
	cmd.Dir = at
	cmd.Env = programs(t, map[string]string{
		"sudo": `exec "$@"`, "id": "echo 0", "apt": "exit 0", "runuser": `shift 3; exec "$@"`,
		"billetd-operator": strings.TrimPrefix(operator, "#!/bin/sh\n"),
	})
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", commands, err, out)
	}
	if _, err := os.Stat(next); err == nil {
		t.Error("the program that the commands took out of the package is left")
	}
	return string(out)
}
