package quickstart_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// TestWelcomeCanBePasted runs what `billetd serve --sim --demo` prints, in another directory and
// without Billet on the PATH.
func TestWelcomeCanBePasted(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	buildBillet(t, filepath.Join(dir, "bin"))
	// A copy: the server would follow a link to a directory that has no billet.
	sh(t, dir, "cp "+servertest.Binary(t)+" bin/billetd")
	text := serveWelcome(t, dir)

	newHome(t, elsewhere)
	wrapSSH(t, elsewhere, "nvidia-smi -L")
	_, paste, found := strings.Cut(text, "ready to paste into another terminal:\n")
	steps, rest, found2 := strings.Cut(paste, "\n  # 4. ")
	if !found || !found2 {
		t.Fatalf("no quick start in\n%s", text)
	}
	commands := splitCommands(rest)
	command := func(part string) string {
		for _, c := range commands {
			if strings.Contains(c, part) {
				return c
			}
		}
		t.Fatalf("no command with %q in\n%s", part, rest)
		return ""
	}
	wait := `for i in $(seq 600); do curl -s "$BILLET_URL/api/v1/inventory/deployments?status=running" ` +
		`-H "Authorization: Bearer $BILLET_API_KEY" | grep -q sshCommand && break; sleep 0.1; done`
	got := sh(t, elsewhere, "set -e\n"+steps+"\n"+wait+"\n"+command("sshCommand\":"))
	if strings.Count(got, "NVIDIA B200") < 8 {
		t.Errorf("nvidia-smi does not list eight GPUs:\n%s", got)
	}
	sh(t, elsewhere, command("sim advance"))
	for _, c := range []string{command("billet login "), command("billet deploy")} {
		if got := sh(t, elsewhere, strings.Fields(c)[0]+" version -o json"); !json.Valid([]byte(got)) {
			t.Errorf("%s: version is not JSON: %s", c, got)
		}
	}
}

// serveWelcome starts bin/billetd of dir, and returns what it prints.
func serveWelcome(t *testing.T, dir string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	serve := exec.CommandContext(ctx, "./bin/billetd", "serve", "--sim", "--demo",
		"--listen", "127.0.0.1:0", "--metrics-listen", "")
	serve.Dir, serve.Cancel = dir, func() error { return serve.Process.Signal(os.Interrupt) }
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = serve.Wait() })
	var printed []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		printed = append(printed, lines.Text())
		if strings.Contains(lines.Text(), "sim advance") {
			break
		}
	}
	return strings.Join(printed, "\n")
}

// splitCommands returns the lines, each joined with those that it continues in.
func splitCommands(text string) []string {
	var out []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}
