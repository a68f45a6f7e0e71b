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

// What `billetd serve --sim --demo` prints works when it is pasted into a terminal in another
// directory, where nothing of Billet is on the PATH. Only ssh is told not to ask about host keys.
func TestWhatTheServerPrintsCanBePasted(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "billet"), "./cmd/billet")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// A copy: a link would lead back to where billet is not.
	sh(t, dir, "cp "+servertest.Binary(t)+" bin/billetd")

	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	serve := exec.CommandContext(ctx, "./bin/billetd", "serve", "--sim", "--demo", "--listen", "127.0.0.1:0", "--metrics-listen", "")
	serve.Dir, serve.Cancel = dir, func() error { return serve.Process.Signal(os.Interrupt) }
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); _ = serve.Wait() }()
	var printed []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		printed = append(printed, lines.Text())
		if strings.Contains(lines.Text(), "sim advance") {
			break
		}
	}
	text := strings.Join(printed, "\n")

	home := filepath.Join(elsewhere, "home")
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("PATH", filepath.Join(elsewhere, "tools")+":"+os.Getenv("PATH"))
	real, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	sh(t, elsewhere, "mkdir tools && cat >tools/ssh <<'EOF' && chmod +x tools/ssh\n#!/bin/sh\nexec "+real+
		" -i \"$HOME/.ssh/id_ed25519\" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \"$@\" nvidia-smi -L\nEOF")

	_, paste, found := strings.Cut(text, "ready to paste into another terminal:\n")
	steps, rest, found2 := strings.Cut(paste, "\n  # 4. ")
	if !found || !found2 {
		t.Fatalf("no quick start in\n%s", text)
	}
	var lines []string
	for line := range strings.Lines(rest) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	line := func(part string) string {
		for _, l := range lines {
			if strings.Contains(l, part) {
				return l
			}
		}
		t.Fatalf("no line with %q in\n%s", part, rest)
		return ""
	}
	// Until the machine runs, which the paste does not wait for: its status is asked as the paste asks.
	wait := "for i in $(seq 600); do curl -s \"$BILLET/deployments?status=running\" -H \"Authorization: Bearer $KEY\" | grep -q sshCommand && break; sleep 0.1; done"
	got := sh(t, elsewhere, "set -e\n"+steps+"\n"+wait+"\n"+line("sshCommand\":"))
	if strings.Count(got, "NVIDIA B200") < 8 {
		t.Errorf("no eight GPUs in\n%s", got)
	}
	sh(t, elsewhere, line("sim advance"))
	for _, command := range []string{line("billet login "), line("billet deploy")} {
		if got := sh(t, elsewhere, strings.Fields(command)[0]+" version -o json"); !json.Valid([]byte(got)) {
			t.Errorf("%s: %s", command, got)
		}
	}
}
