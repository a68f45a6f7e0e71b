package release_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

const top = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// program builds a command and returns its path.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-o", path, "./cmd/"+name)
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

func TestProgramsReportVersion(t *testing.T) {
	for _, name := range []string{"billetd", "billet"} {
		path := program(t, name)
		text := run(t, path, "version")
		build := ` \((commit [0-9a-f]{7}, \d{4}-\d\d-\d\d, (modified, )?)?go\S+ \S+/\S+\)`
		if !regexp.MustCompile(`^` + name + ` (dev|v\S+)` + build + `\n$`).MatchString(text) {
			t.Errorf("%s version: got %q", name, text)
		}
		var i struct {
			Version, Go, OS, Arch string
			Commit, Date          *string
			Modified              *bool
		}
		if err := json.Unmarshal([]byte(run(t, path, "version", "-o", "json")), &i); err != nil {
			t.Fatal(err)
		}
		if i.Version == "" || i.Go != runtime.Version() || i.OS != runtime.GOOS || i.Arch != runtime.GOARCH ||
			i.Commit == nil || i.Date == nil || i.Modified == nil {
			t.Errorf("%s version -o json: got %+v, want every field", name, i)
		}
		if !strings.HasPrefix(text, name+" "+i.Version+" ") {
			t.Errorf("got %q as text and %q in JSON", text, i.Version)
		}
	}
}

// TestPackagingSettingsAreFlags: a setting that no flag reads would have no effect.
func TestPackagingSettingsAreFlags(t *testing.T) {
	help := run(t, program(t, "billetd"), "serve", "--help")
	flags := map[string]bool{"BILLET_SECRET_KEY": true} // intentionally not a flag
	for _, m := range regexp.MustCompile(`--([a-z-]+) `).FindAllStringSubmatch(help, -1) {
		flags["BILLET_"+strings.ToUpper(strings.ReplaceAll(m[1], "-", "_"))] = true
	}
	// What .env says to Compose itself.
	compose := map[string]bool{"BILLET_IMAGE": true, "BILLET_DOMAIN": true}
	for _, file := range []string{
		"packaging/systemd/billetd.service", "packaging/systemd/billetd.env",
		"packaging/systemd/billetd-operator", "packaging/systemd/billet-backup.service",
		"packaging/container/Dockerfile", "docs/install.md", "packaging/compose/compose.yaml",
		"packaging/compose/compose.https.yaml", "packaging/helm/billet/values.yaml",
		"packaging/helm/billet/templates/deployment.yaml",
	} {
		names := regexp.MustCompile(`BILLET_[A-Z_]+`).FindAllString(read(t, file), -1)
		if len(names) == 0 {
			t.Errorf("%s has no settings", file)
		}
		for _, name := range names {
			if !flags[name] && !compose[name] {
				t.Errorf("%s sets %s, which the server does not read", file, name)
			}
		}
	}
}

// TestPackagingPathsAgree: the unit, the package and the container use the same paths.
func TestPackagingPathsAgree(t *testing.T) {
	unit, build := read(t, "packaging/systemd/billetd.service"), read(t, "packaging/deb/build.sh")
	for _, line := range []string{
		"Type=notify", "User=billet", "StateDirectory=billet", "Environment=BILLET_DATA_DIR=/var/lib/billet ",
		"EnvironmentFile=-/etc/billet/billetd.env", "ExecStart=/usr/bin/billetd serve", "NoNewPrivileges=yes",
		"ProtectSystem=strict",
	} {
		if !strings.Contains(unit, "\n"+line) {
			t.Errorf("the unit has no line %s", line)
		}
	}
	for _, path := range []string{
		"usr/bin/billetd", "usr/lib/systemd/system/billetd.service", "usr/lib/sysusers.d/billet.conf",
		"etc/billet/billetd.env",
	} {
		if !strings.Contains(build, " "+path+"\n") {
			t.Errorf("the package has no %s", path)
		}
	}
	for _, m := range regexp.MustCompile(`"\$here/(\S+)"`).FindAllStringSubmatch(build, -1) {
		if _, err := os.Stat(filepath.Join(top, "packaging", m[1])); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(read(t, "packaging/systemd/sysusers.conf"), "\nu billet ") {
		t.Error("sysusers.conf does not create the unit's user")
	}
	image := read(t, "packaging/container/Dockerfile")
	if !strings.Contains(image, "\nUSER 65532:65532\n") || !strings.Contains(image, "FROM scratch\n") {
		t.Error("the container has a base image or runs as root")
	}
}

func TestDebianPackageIsReproducible(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("Debian's packages are built on Debian")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"billetd": "a program", "billet": "another", "THIRD-PARTY.txt": "licenses",
		"agent/billet-agent": "agent", "agent/agent-iso.sh": "a script",
		"share/bash-completion/completions/billet": "complete", "share/man/man1/billet.1": "manual",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	build := func(version string) (string, [32]byte) {
		file := filepath.Join(t.TempDir(), "billet.deb")
		cmd := exec.Command(filepath.Join(top, "packaging", "deb", "build.sh"), version, "arm64", dir, file)
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1764000000", "COMPRESSION=none")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return file, sha256.Sum256(b)
	}
	file, sum := build("v1.2.0-rc.1")
	// Times and modes on disk do not matter.
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		past := time.Unix(1_500_000_000, 0)
		return os.Chtimes(path, past, past)
	}); err != nil {
		t.Fatal(err)
	}
	if _, again := build("v1.2.0-rc.1"); again != sum {
		t.Error("two packages of the same files differ")
	}
	got := run(t, "dpkg-deb", "--field", file, "Version", "Architecture")
	if got != "Version: 1.2.0~rc.1\nArchitecture: arm64\n" {
		t.Errorf("fields: got %q", got)
	}
	listed := run(t, "dpkg-deb", "--contents", file)
	for _, line := range []string{
		`-rwxr-xr-x root/root +\d+ \S+ \S+ ./usr/bin/billetd`,
		`-rw------- root/root +\d+ \S+ \S+ ./etc/billet/billetd.env`,
		`-rw-r--r-- root/root +\d+ \S+ \S+ ./usr/share/man/man1/billet.1.gz`,
		`-rwxr-xr-x root/root +\d+ \S+ \S+ ./usr/sbin/billetd-operator`,
		`-rwxr-xr-x root/root +\d+ \S+ \S+ ./usr/lib/billet/agent-iso.sh`,
		`-rwxr-xr-x root/root +\d+ \S+ \S+ ./usr/lib/billet/billet-backup`,
		`-rw------- root/root +\d+ \S+ \S+ ./etc/billet/backup.env`,
		`-rw-r--r-- root/root +\d+ \S+ \S+ ./usr/lib/systemd/system/billet-backup.timer`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(listed) {
			t.Errorf("no file matches %s:\n%s", line, listed)
		}
	}
	const settings = "/etc/billet/billetd.env\n/etc/billet/backup.env\n"
	if conf := run(t, "dpkg-deb", "--info", file, "conffiles"); conf != settings {
		t.Errorf("conffiles: got %q", conf)
	}
}

func TestServiceNotifyAndHealth(t *testing.T) {
	// The path of TempDir may be longer than a socket's name can be.
	dir, err := os.MkdirTemp("", "billet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := servertest.Prepare(t, t.TempDir())
	if !s.TryRestart(0, "NOTIFY_SOCKET="+socket) {
		t.Fatal("the server did not start")
	}
	if err := l.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 64)
	n, err := l.Read(message)
	if err != nil || string(message[:n]) != "READY=1" {
		t.Errorf("notify: got %q, %v, want READY=1", message[:n], err)
	}

	path := program(t, "billetd")
	address := strings.TrimPrefix(s.URL, "http://")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{address, ":" + port, "0.0.0.0:" + port} {
		run(t, path, "health", "--listen", listen)
	}
	s.Kill()
	cmd := exec.Command(path, "health")
	cmd.Env = append(os.Environ(), "BILLET_LISTEN="+address)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), address) {
		t.Errorf("health of a killed server: got %v, %s, want an error with its address", err, out)
	}
}
