package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// withoutNamespaces returns a command that runs billetd without user namespaces, as on a hardened
// host, and as another user than the test's.
func withoutNamespaces(t *testing.T, binary, dir string, user string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	script := `echo 0 > /proc/sys/user/max_user_namespaces &&
		exec setpriv --reuid "$0" --regid "$0" --clear-groups -- "$@"`
	all := append([]string{"-c", script, user, binary, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "",
		"--data-dir", dir, "--sim", "--demo"}, args...)
	cmd := exec.CommandContext(ctx, "/bin/sh", all...)
	same := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: same, GidMappings: same,
		GidMappingsEnableSetgroups: true}
	return cmd
}

// hardened is a host where machines cannot be isolated. Other users than root may run its binary.
type hardened struct {
	t      *testing.T
	base   string
	binary string
}

func newHardened(t *testing.T) hardened {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start a server as another user; CI is")
	}
	base, err := os.MkdirTemp("", "unisolated")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	binary := filepath.Join(base, "billetd")
	content, err := os.ReadFile(servertest.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	return hardened{t, base, binary}
}

// directory makes a data directory of a user.
func (h hardened) directory(name string, owner int) string {
	h.t.Helper()
	dir := filepath.Join(h.base, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chown(dir, owner, owner); err != nil {
		h.t.Fatal(err)
	}
	return dir
}

func TestUnisolatedMachinesAreRefusedWithoutConsent(t *testing.T) {
	h := newHardened(t)
	for name, c := range map[string]struct {
		user string
		uid  int
		args []string
		want []string
	}{
		"an ordinary user": {"1000", 1000, nil, []string{"all rights of the server's user",
			"sudo sysctl -w user.max_user_namespaces=15000", "--sim-unisolated"}},
		"root":                  {"0", 0, nil, []string{"root of this host", "as an ordinary user", "sysctl"}},
		"root that accepts it":  {"0", 0, []string{"--sim-unisolated"}, []string{"root of this host"}},
		"a variable that is no": {"1000", 1000, []string{"--sim-unisolated=false"}, []string{"--sim-unisolated"}},
	} {
		dir := h.directory(strings.ReplaceAll(name, " ", "-"), c.uid)
		out, err := withoutNamespaces(t, h.binary, dir, c.user, c.args...).CombinedOutput()
		if err == nil || strings.Contains(string(out), "Billet serves at") {
			t.Errorf("%s: it serves: %s", name, out)
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: %q is not said: %s", name, want, out)
			}
		}
	}
}

func TestUnisolatedMachinesAreLabeled(t *testing.T) {
	h := newHardened(t)
	dir := h.directory("accepted", 1000)
	cmd := withoutNamespaces(t, h.binary, dir, "1000", "--sim-unisolated")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	banner := ""
	for b := make([]byte, 4096); !strings.Contains(banner, "billetd sim advance"); {
		n, err := out.Read(b)
		if banner += string(b[:n]); err != nil {
			break
		}
	}
	url := regexp.MustCompile(`Billet serves at (http://\S+)`).FindStringSubmatch(banner)
	if url == nil || !strings.Contains(banner, "NOT ISOLATED") {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("banner: %s\n%s", banner, log.String())
	}
	regions := regionNames(t, url[1], filepath.Join(dir, "demo.json"))
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if len(regions) == 0 {
		t.Error("there are no offers")
	}
	for _, name := range regions {
		if !strings.HasSuffix(name, "(not isolated)") {
			t.Errorf("an offer is in %q", name)
		}
	}
	if !strings.Contains(log.String(), "NOT ISOLATED") || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("log: %s", log.String())
	}
}

// regionNames returns the region names of a server's offers.
func regionNames(t *testing.T, url, demo string) []string {
	t.Helper()
	var d struct{ APIKey string }
	text, err := os.ReadFile(demo)
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/inventory/offers", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.APIKey)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var page struct{ Data []struct{ RegionName string } }
	if err := json.NewDecoder(answer.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range page.Data {
		names = append(names, o.RegionName)
	}
	return names
}
