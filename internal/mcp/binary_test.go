package mcp_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestBinary runs `billet mcp` as an agent's program does. Only protocol messages are on its
// output, and it exits when its input ends.
func TestBinary(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "billet")
	_, here, _, _ := runtime.Caller(0)
	build := exec.Command("go", "build", "-o", binary, "./cmd/billet")
	build.Dir = filepath.Join(filepath.Dir(here), "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := servertest.Start(t, "--sim")
	account, _ := s.Key("5000")
	key := s.KeyOf(account, "--max-spend-per-day", "5000")

	var errs bytes.Buffer
	cmd := exec.Command(binary, "mcp")
	cmd.Env = append(os.Environ(), "BILLET_URL="+s.URL, "BILLET_API_KEY="+key, "HOME="+t.TempDir())
	cmd.Stderr = &errs
	c := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	session, err := c.Connect(t.Context(), &sdk.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	a := &agent{t, session, key}
	if info := session.InitializeResult(); info.ServerInfo.Name != "billet" || info.Instructions == "" {
		t.Errorf("%+v", info)
	}
	d := a.ok("deploy", map[string]any{"quoteId": a.ok("quote", wanted)["quoteId"]})["deployment"].(map[string]any)
	can := a.ok("can_terminate", map[string]any{"deploymentId": d["id"]})
	a.ok("terminate", map[string]any{"deploymentId": d["id"], "confirmToken": can["confirmToken"], "earliest": true})
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if errs.Len() > 0 || !cmd.ProcessState.Success() {
		t.Errorf("%v:\n%s", cmd.ProcessState, errs.String())
	}

	// Without a login, the error is on standard error.
	var out bytes.Buffer
	errs.Reset()
	cmd = exec.Command(binary, "mcp")
	cmd.Env = []string{"HOME=" + t.TempDir()}
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 3 || out.Len() > 0 ||
		!bytes.Contains(errs.Bytes(), []byte("billet login")) {
		t.Errorf("%v %q %q", err, out.String(), errs.String())
	}
}
