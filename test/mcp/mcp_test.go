package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZwpBijBd19lrp1GO7KtPM2MVlY6axv+5hGmH8ABvX8 agent@example"

func TestMain(m *testing.M) { os.Exit(servertest.Run(m)) }

// setup builds billet, starts a server, and returns both with the environment of a client.
func setup(t *testing.T) (billet string, s *servertest.Server, env []string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("node_modules", ".package-lock.json")); err != nil {
		t.Fatal("the npm packages of this test are missing: run scripts/npm.sh")
	}
	billet = filepath.Join(t.TempDir(), "billet")
	build := exec.Command("go", "build", "-o", billet, "./cmd/billet")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s = servertest.Start(t, "--sim")
	account, _ := s.Key("5000")
	key := s.KeyOf(account, "--max-spend-per-day", "5000", "--read-limit", "1000")
	return billet, s, append(os.Environ(), "BILLET_URL="+s.URL, "BILLET_API_KEY="+key, "HOME="+t.TempDir(), "KEY="+key)
}

// limited returns the test's context with a time limit for a program.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestTypeScriptSDK lists and calls every tool with the official TypeScript SDK.
func TestTypeScriptSDK(t *testing.T) {
	billet, s, env := setup(t)
	key := strings.TrimPrefix(env[len(env)-1], "KEY=")
	cmd := exec.CommandContext(limited(t), "node", "client.mjs", billet, publicKey)
	var errs strings.Builder
	cmd.Env, cmd.Stderr = env, &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if id, asked := strings.CutPrefix(lines.Text(), "running "); asked {
			s.Running(key, id)
			_, _ = io.WriteString(in, "ok\n")
			continue
		}
		last = lines.Text()
	}
	if err := cmd.Wait(); err != nil || errs.Len() > 0 {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	var report struct {
		Listed, Called, Roots []string
		WithoutKey            struct {
			Code   string
			Fields []struct{ Field string }
		}
		Running string
		Ended   bool
	}
	if err := json.Unmarshal([]byte(last), &report); err != nil {
		t.Fatalf("%v: %s", err, last)
	}
	if len(report.Listed) < 15 || !reflect.DeepEqual(report.Listed, report.Called) {
		t.Errorf("listed %v, called %v", report.Listed, report.Called)
	}
	if !reflect.DeepEqual(report.Roots, []string{"object"}) {
		t.Errorf("types of the schemas: got %v, want object", report.Roots)
	}
	// A quote without a key is an error of a field that the tool has.
	if w := report.WithoutKey; w.Code != "INVALID_REQUEST" || len(w.Fields) != 1 || w.Fields[0].Field != "sshKeyIds" {
		t.Errorf("create_quote without a key: got %+v", w)
	}
	if report.Running != "running" || !report.Ended {
		t.Errorf("got %s, want the deployment running and then ended", last)
	}
}

// TestInspector lists and calls tools with the command line of the MCP Inspector.
func TestInspector(t *testing.T) {
	billet, _, env := setup(t)
	inspect := func(args ...string) map[string]any {
		t.Helper()
		cmd := exec.CommandContext(limited(t), "node", append([]string{
			filepath.Join(
				"node_modules",
				"@modelcontextprotocol",
				"inspector-cli",
				"build",
				"cli.js",
			), "--cli", billet, "mcp",
		}, args...)...)
		var errs strings.Builder
		cmd.Env, cmd.Stderr = env, &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s%s", args, err, out, errs.String())
		}
		var v map[string]any
		if err := json.Unmarshal(out, &v); err != nil {
			t.Fatalf("%v: %s", args, out)
		}
		return v
	}
	if tools, _ := inspect("--method", "tools/list")["tools"].([]any); len(tools) < 15 {
		t.Errorf("got %d tools, want at least 15", len(tools))
	}
	r := inspect(
		"--method",
		"tools/call",
		"--tool-name",
		"list_offers",
		"--tool-arg",
		"search=b200",
		"--tool-arg",
		"limit=1",
	)
	if c, _ := r["structuredContent"].(map[string]any); len(c["items"].([]any)) != 1 {
		t.Errorf("list_offers: got %v, want one item", r)
	}
}
