package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/gpucheck"
)

// TestHealthBySSH_Output: what a machine prints without end is cut, ssh is ended, and the API key
// is not in its environment.
func TestHealthBySSH_Output(t *testing.T) {
	for name, c := range map[string]struct {
		ssh, want string
		bytes     int
	}{
		"endless":    {"exec cat /dev/zero", "", gpucheck.MaxOutput + 1},
		"not there":  {"exit 255", "ssh could not connect to training.", 0},
		"another":    {"echo hello; exit 3", "", 6},
		"no API key": {"echo \"${BILLET_API_KEY-none}\"", "", 5},
		"script":     {"[ \"$(tail -n 1)\" = 'main 1' ] && echo script", "", 7},
	} {
		t.Run(name, func(t *testing.T) {
			dir, bin := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte("#!/bin/sh\n"+c.ssh+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			tool := &tool{System: System{Err: os.Stderr, Env: []string{
				"BILLET_CONFIG_DIR=" + dir, "BILLET_URL=https://billet.example", "BILLET_API_KEY=x",
				"PATH=" + os.Getenv("PATH"),
			}}}
			out, err := tool.runScript(t.Context(), machine(), &sshFlags{identity: "id"}, gpucheck.LevelQuick)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if len(out) != c.bytes {
				t.Errorf("%d bytes, want %d", len(out), c.bytes)
			}
		})
	}
}

func TestHealthBySSH_Worse(t *testing.T) {
	for _, c := range []struct{ a, b, want gpucheck.Verdict }{
		{gpucheck.Passed, gpucheck.Passed, gpucheck.Passed},
		{gpucheck.Warning, gpucheck.Passed, gpucheck.Warning},
		{gpucheck.Warning, gpucheck.NotChecked, gpucheck.NotChecked},
		{gpucheck.Failed, gpucheck.NotChecked, gpucheck.Failed},
	} {
		if got := worse(c.a, c.b); got != c.want || worse(c.b, c.a) != c.want {
			t.Errorf("%s and %s: got %s, want %s", c.a, c.b, got, c.want)
		}
	}
}
