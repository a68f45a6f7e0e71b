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

// What the machine writes beside its output cannot control the terminal, nor fill it.
func TestHealthBySSH_Remarks(t *testing.T) {
	bin := t.TempDir()
	const program = "#!/bin/sh\nprintf 'a\\033]0;title\\007b\\n' >&2; head -c 1000000 /dev/zero | tr '\\0' x >&2\n" +
		"case \" $* \" in *' -a -x '*) echo no forwarding ;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	shown, err := os.Create(filepath.Join(t.TempDir(), "shown"))
	if err != nil {
		t.Fatal(err)
	}
	defer shown.Close()
	tool := &tool{System: System{Err: shown, Env: []string{
		"BILLET_CONFIG_DIR=" + t.TempDir(), "BILLET_URL=https://billet.example", "BILLET_API_KEY=x",
		"PATH=" + os.Getenv("PATH"),
	}}}
	out, err := tool.runScript(t.Context(), machine(), &sshFlags{identity: "id"}, gpucheck.LevelQuick)
	if err != nil || string(out) != "no forwarding\n" {
		t.Errorf("%q, %v", out, err)
	}
	text, err := os.ReadFile(shown.Name())
	if err != nil || !strings.Contains(string(text), "a]0;titleb\nxxx") || len(text) > 2*maxRemarks {
		t.Errorf("%d bytes: %.40q, %v", len(text), text, err)
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
