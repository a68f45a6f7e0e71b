package node

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gpuTools is a directory with the tools that a machine's GPUs come with.
type gpuTools struct {
	t   *testing.T
	dir string
}

func newGPUTools(t *testing.T, g GPUs) gpuTools {
	t.Helper()
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell here")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tools := gpuTools{t, t.TempDir()}
	for range 2 { // as at every start
		if err := writeGPUTools(tools.dir, self, "m", g); err != nil {
			t.Fatal(err)
		}
	}
	return tools
}

func (g gpuTools) call(command string) (stdout, stderr string, code int) {
	g.t.Helper()
	cmd := exec.Command("sh", "-c", filepath.Join(g.dir, command))
	var told strings.Builder
	cmd.Stderr = &told
	out, err := cmd.Output()
	if _, is := errors.AsType[*exec.ExitError](err); err != nil && !is {
		g.t.Fatal(err)
	}
	return string(out), told.String(), cmd.ProcessState.ExitCode()
}

func TestGPUTools_NVIDIA(t *testing.T) {
	g := newGPUTools(t, GPUs{Model: "NVIDIA B200", Count: 2, MemoryMB: 183359})
	exact := map[string]string{
		"nvidia-smi --query-gpu=name,memory.total --format=csv,noheader": "NVIDIA B200 " +
			"(simulated), 183359 MiB\nNVIDIA B200 (simulated), 183359 MiB\n",
		"nvidia-smi --query-gpu=index,memory.total --format=csv": "index, memory.total [MiB]\n" +
			"0, 183359 MiB\n1, 183359 MiB\n",
		"nvidia-smi --query-gpu=index,utilization.gpu,count --format=csv,noheader,nounits -i 1": "1, 0, 2\n",
		"nvidia-smi topo -m | head -2 | tail -1 | cut -f 1-3":                                   "GPU0\t X \tNV18\n",
	}
	for command, want := range exact {
		if out, stderr, code := g.call(command); out != want || code != 0 || !strings.Contains(stderr, "simulated") {
			t.Errorf("%s: got %q, %q, %d, want %q and a note on stderr", command, out, stderr, code, want)
		}
	}
	list, _, _ := g.call("nvidia-smi -L")
	if lines := strings.Split(strings.TrimSpace(list), "\n"); len(lines) != 2 ||
		!strings.HasPrefix(lines[1], "GPU 1: NVIDIA B200 (simulated) (UUID: GPU-") ||
		lines[0][7:] == lines[1][7:] {
		t.Errorf("nvidia-smi -L: got %q, want two GPUs", list)
	}
	table, _, code := g.call("nvidia-smi")
	if code != 0 || strings.Count(table, "NVIDIA B200 (simulated)") != 2 ||
		!strings.Contains(table, "no GPU is attached") ||
		!strings.Contains(table, "183359MiB") {
		t.Errorf("nvidia-smi: got %d and %s, want a table of two GPUs", code, table)
	}
}

func TestGPUTools_WrongUse(t *testing.T) {
	g := newGPUTools(t, GPUs{Model: "NVIDIA B200", Count: 2, MemoryMB: 183359})
	for _, command := range []string{
		"nvidia-smi --query-gpu=nonsense --format=csv", "nvidia-smi --reset", "nvidia-smi --query-gpu=name", "rocm-smi",
	} {
		if out, stderr, code := g.call(command); code == 0 || out+stderr == "" {
			t.Errorf("%s: got %q, %q, %d, want a message and a failure", command, out, stderr, code)
		}
	}
}

func TestGPUTools_AMD(t *testing.T) {
	g := newGPUTools(t, GPUs{Model: "AMD MI300X", Count: 8, MemoryMB: 196608})
	if _, stderr, code := g.call("nvidia-smi"); code == 0 || !strings.Contains(stderr, "no NVIDIA GPU") {
		t.Errorf("nvidia-smi: got %q, %d, want that there is no NVIDIA GPU", stderr, code)
	}
	if out, _, code := g.call("rocm-smi"); code != 0 || strings.Count(out, "AMD MI300X (simulated)") != 8 {
		t.Errorf("rocm-smi: got %d and %s, want eight GPUs", code, out)
	}
	if out, _, code := g.call("rocm-smi --showproductname --showmeminfo vram"); code != 0 ||
		!strings.Contains(out, "206158430208") ||
		!strings.Contains(out, "MI300X (simulated)") {
		t.Errorf("rocm-smi with options: got %d and %s, want names and memory", code, out)
	}
}

// A model's name is text, never shell.
func TestGPUTools_OddName(t *testing.T) {
	g := newGPUTools(t, GPUs{Model: "x'; echo broken; '%s $(echo y)\n", Count: 1})
	if out, _, code := g.call("nvidia-smi --query-gpu=name --format=csv,noheader"); code != 0 ||
		out != "x'; echo broken; '%s $(echo y) (simulated)\n" {
		t.Errorf("nvidia-smi: got %q, %d, want the name as it is", out, code)
	}
}

func TestHostname(t *testing.T) {
	for text, want := range map[string]string{
		"Train Run #1": "train-run-1", "": "machine", "---": "machine", "日本": "machine", "a.b_c": "a-b-c",
		strings.Repeat("x", 80): strings.Repeat("x", 63), strings.Repeat("x", 62) + "--y": strings.Repeat("x", 62),
	} {
		if got := hostname(text); got != want {
			t.Errorf("hostname(%q) = %q, want %q", text, got, want)
		}
	}
}
