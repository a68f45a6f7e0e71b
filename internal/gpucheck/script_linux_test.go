package gpucheck_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/gpucheck"
)

// shells are those that a machine may have as its sh.
var shells = [][]string{{"dash"}, {"busybox", "sh"}, {"bash", "--posix"}}

// machine is a directory with the programs of a machine, and what the script may not change.
type machine struct {
	t           *testing.T
	bin, sys    string
	home        string
	script      string
	outputs     int      // files that tools print
	aliveReader *os.File // at its end when no process of the script is left
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{t: t, bin: dir + "/bin", sys: dir + "/sys/", home: dir + "/home"}
	for _, d := range []string{m.bin, m.sys, m.home} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.script = strings.ReplaceAll(gpucheck.Script(gpucheck.LevelQuick), "/sys/", m.sys)
	return m
}

// tool writes a program.
func (m *machine) tool(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.bin, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// file writes a file below /sys.
func (m *machine) file(path, text string) {
	m.t.Helper()
	path = m.sys + path
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		m.t.Fatal(err)
	}
}

// prints is a program that prints a section of a golden file.
func (m *machine) prints(golden, section string) string {
	m.t.Helper()
	_, text, _ := strings.Cut(golden, "@begin "+section+"\n")
	text, _, found := strings.Cut(text, "\n@end "+section)
	if !found {
		m.t.Fatalf("no section %s", section)
	}
	m.outputs++
	path := filepath.Join(m.bin, section+strconv.Itoa(m.outputs)+".out")
	text = strings.TrimPrefix(strings.ReplaceAll("\n"+text, "\n|", "\n"), "\n")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
	return "cat '" + path + "'"
}

// good writes the programs and files of a good machine with eight H100.
func (m *machine) good() {
	all := golden(m.t, h)
	m.tool("nvidia-smi", "case $1 in\n-q) "+m.prints(all, "smi")+" ;;\ntopo) "+m.prints(all, "topo")+
		" ;;\nnvlink) "+m.prints(all, "nvlink")+" ;;\nesac\n")
	m.tool("deviceQuery", "echo 'Detected 8 CUDA Capable device(s)'; echo 'Result = PASS'\n")
	m.tool("dmesg", "echo '[ 1.0] NVRM: loading NVIDIA UNIX Open Kernel Module'\n")
	for i := range 8 {
		d := "bus/pci/devices/0000:1" + strconv.Itoa(i) + ":00.0/"
		for name, text := range map[string]string{
			"class": "0x030200", "vendor": "0x10de", "device": "0x2330",
			"current_link_width": "16", "max_link_width": "16",
		} {
			m.file(d+name, text+"\n")
		}
		p := "class/infiniband/mlx5_" + strconv.Itoa(i) + "/ports/1/"
		for name, text := range map[string]string{
			"link_layer": "InfiniBand", "state": "4: ACTIVE", "phys_state": "5: LinkUp", "rate": "400 Gb/sec (4X NDR)",
		} {
			m.file(p+name, text+"\n")
		}
	}
	m.file("bus/pci/devices/0000:00:00.0/class", "0x060000\n") // a bridge
	m.file("module/nvidia/version", "535.183.01\n")
}

// start starts the script in a shell.
func (m *machine) start(shell []string) (*exec.Cmd, *bytes.Buffer) {
	m.t.Helper()
	if _, err := exec.LookPath(shell[0]); err != nil {
		m.t.Fatalf("no %s here; scripts/need.sh installs it", shell[0])
	}
	alive, writer, err := os.Pipe()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { alive.Close() })
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	m.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, shell[0], append(slices.Clone(shell[1:]), "-s")...)
	cmd.Dir = m.home
	cmd.Env = []string{"PATH=" + m.bin + ":" + os.Getenv("PATH"), "HOME=" + m.home, "TMPDIR=" + m.home}
	cmd.Stdin = strings.NewReader(m.script)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.ExtraFiles = []*os.File{nil, nil, nil, nil, nil, writer} // 8, which the script does not close
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	writer.Close()
	m.aliveReader = alive
	return cmd, &out
}

// run runs the script, and checks that it left neither a process nor a file.
func (m *machine) run(shell []string) []byte {
	m.t.Helper()
	cmd, out := m.start(shell)
	if err := cmd.Wait(); err != nil {
		m.t.Errorf("%v", err)
	}
	m.nothingLeft()
	return out.Bytes()
}

func (m *machine) nothingLeft() {
	m.t.Helper()
	// Each process of the script holds the other end of the pipe.
	if _, err := io.ReadAll(m.aliveReader); err != nil {
		m.t.Error(err)
	}
	files, err := os.ReadDir(m.home)
	if err != nil || len(files) > 0 {
		m.t.Errorf("files are left: %v %v", files, err)
	}
}

// eachShell runs a test in each shell.
func eachShell(t *testing.T, f func(t *testing.T, m *machine, shell []string)) {
	for _, shell := range shells {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.good()
			f(t, m, shell)
		})
	}
}

// slow is a program that does not end, and neither does what it starts, not even when asked to.
const slow = "trap '' TERM HUP INT; sleep 86400 & while :; do sleep 86400; done\n"

func TestScript_GoodMachine(t *testing.T) {
	eachShell(t, func(t *testing.T, m *machine, shell []string) {
		r := gpucheck.Judge(m.run(shell), gpucheck.LevelQuick, h100)
		if r.Verdict != gpucheck.Passed || without(r) != "" || len(r.GPUs) != 8 {
			t.Errorf("%s, not passed: %s\n%+v", r.Verdict, without(r), r)
		}
	})
}

// TestScript_NoDriver: the tools of an image are there, and the kernel has no driver. Nothing is
// known of the GPUs, which are on the bus. With a driver, the same output is of GPUs that failed.
func TestScript_NoDriver(t *testing.T) {
	eachShell(t, func(t *testing.T, m *machine, shell []string) {
		m.tool("nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 255\n")
		if r := gpucheck.Judge(m.run(shell), gpucheck.LevelQuick, h100); r.Verdict != gpucheck.Failed {
			t.Errorf("with a driver: %s, not passed: %s", r.Verdict, without(r))
		}
		if err := os.RemoveAll(m.sys + "module/nvidia"); err != nil {
			t.Fatal(err)
		}
		if r := gpucheck.Judge(m.run(shell), gpucheck.LevelQuick, h100); r.Verdict != gpucheck.NotChecked {
			t.Errorf("without one: %s, not passed: %s", r.Verdict, without(r))
		}
	})
}

// TestScript_ToolHangs: the script ends what does not end, and goes on.
func TestScript_ToolHangs(t *testing.T) {
	eachShell(t, func(t *testing.T, m *machine, shell []string) {
		m.script = strings.Replace(m.script, "section topo 20", "section topo 1", 1)
		m.tool("nvidia-smi", "case $1 in -q) "+m.prints(golden(t, h), "smi")+" ;; topo) "+slow+" ;; esac\n")
		r := gpucheck.Judge(m.run(shell), gpucheck.LevelQuick, h100)
		if r.Verdict != gpucheck.Passed || without(r) != "nvlink=not_checked" {
			t.Errorf("%s, not passed: %s", r.Verdict, without(r))
		}
	})
}

// TestScript_DriverHangs: if the first call hangs, the others are not tried.
func TestScript_DriverHangs(t *testing.T) {
	eachShell(t, func(t *testing.T, m *machine, shell []string) {
		m.script = strings.NewReplacer("section ready 60", "section ready 1", "section smi 40", "section smi 1").
			Replace(m.script)
		m.tool("nvidia-smi", "[ $1 = -q ] || touch \"$HOME/called\"\n"+slow)
		r := gpucheck.Judge(m.run(shell), gpucheck.LevelQuick, h100)
		if r.Verdict != gpucheck.Failed || verdicts(r)[gpucheck.CheckGPUCount] != gpucheck.Failed {
			t.Errorf("%s, not passed: %s", r.Verdict, without(r))
		}
	})
}

// TestScript_FabricStarts: on a machine that has just started, GPUs join their fabric, and CUDA
// programs fail until the fabric manager runs. The script waits for both.
func TestScript_FabricStarts(t *testing.T) {
	eachShell(t, func(t *testing.T, m *machine, shell []string) {
		m.script = strings.NewReplacer("do sleep 2", "do sleep 0", "sleep 5 ;;", "sleep 0 ;;").Replace(m.script)
		once := func(file, first, then string) string {
			file = filepath.Join(m.bin, file)
			return "if [ -e '" + file + "' ]; then " + then + "; else touch '" + file + "'; " + first + "; fi\n"
		}
		all := golden(t, h)
		xml := m.prints(strings.ReplaceAll(all, "<state>Completed", "<state>In Progress"), "smi")
		m.tool("nvidia-smi", "case $* in\n'-q') "+once("joined", "echo '  State      : In Progress'", "true")+" ;;\n"+
			"'-q -x') [ -e '"+m.bin+"/joined' ] || { "+xml+"; exit; }\n"+m.prints(all, "smi")+" ;;\n"+
			"topo*) "+m.prints(all, "topo")+" ;;\nesac\n")
		m.tool("deviceQuery", once("started", "echo 'cudaGetDeviceCount returned 802'; echo 'Result = FAIL'; exit 1",
			"echo 'Detected 8 CUDA Capable device(s)'; echo 'Result = PASS'"))
		if r := gpucheck.Judge(m.run(shell), gpucheck.LevelQuick, h100); r.Verdict != gpucheck.Passed {
			t.Errorf("%s, not passed: %s\n%+v", r.Verdict, without(r), r.Checks)
		}
	})
}

// TestScript_ProcessesLeft: a tool that ends and leaves a process holds nothing up for long.
func TestScript_ProcessesLeft(t *testing.T) {
	eachShell(t, func(t *testing.T, m *machine, shell []string) {
		m.script = strings.Replace(m.script, "section devicequery 90", "section devicequery 1", 1)
		m.tool("deviceQuery", "sleep 86400 & sleep 86400 >/dev/null & echo 'Result = PASS'\n")
		r := gpucheck.Judge(m.run(shell), gpucheck.LevelQuick, h100)
		if verdicts(r)[gpucheck.CheckCollection] != gpucheck.Passed ||
			verdicts(r)[gpucheck.CheckCompute] != gpucheck.Failed {
			t.Errorf("not passed: %s", without(r))
		}
	})
}

// TestScript_EndlessOutput: what a tool prints is cut, and what follows is still collected.
func TestScript_EndlessOutput(t *testing.T) {
	for name, prints := range map[string]string{"lines": "yes 'GPU 0: x'", "one line": "cat /dev/zero",
		"empty lines": "yes ''"} {
		t.Run(name, func(t *testing.T) {
			eachShell(t, func(t *testing.T, m *machine, shell []string) {
				m.tool("nvidia-smi", "trap '' PIPE\ncase $1 in -q) "+m.prints(golden(t, h), "smi")+" ;; nvlink) "+
					prints+" ;; topo) "+m.prints(golden(t, h), "topo")+" ;; esac\n")
				out := m.run(shell)
				r := gpucheck.Judge(out, gpucheck.LevelQuick, h100)
				if len(out) > 1<<20 || r.Verdict != gpucheck.Passed || without(r) != "" {
					t.Errorf("%d bytes, %s, not passed: %s", len(out), r.Verdict, without(r))
				}
			})
		})
	}
}

// TestScript_Ended: the end of the script is the end of what it started.
func TestScript_Ended(t *testing.T) {
	eachShell(t, func(t *testing.T, m *machine, shell []string) {
		begun := filepath.Join(m.bin, "begun")
		if err := syscall.Mkfifo(begun, 0o600); err != nil {
			t.Fatal(err)
		}
		m.tool("nvidia-smi", "echo >'"+begun+"'\n"+slow)
		cmd, out := m.start(shell)
		if _, err := os.ReadFile(begun); err != nil { // until the tool runs
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the script ended as if all was well")
		}
		m.nothingLeft()
		r := gpucheck.Judge(out.Bytes(), gpucheck.LevelQuick, h100)
		if r.Verdict == gpucheck.Passed || verdicts(r)[gpucheck.CheckCollection] != gpucheck.NotChecked {
			t.Errorf("%s, not passed: %s", r.Verdict, without(r))
		}
	})
}

// TestScript_WithoutTools: a machine without a GPU's tools.
func TestScript_WithoutTools(t *testing.T) {
	eachShell(t, func(t *testing.T, m *machine, shell []string) {
		m.tool("nvidia-smi", "echo 'No devices were found'; exit 6\n")
		m.tool("dmesg", "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1\n")
		for _, name := range []string{"sudo", "journalctl"} {
			m.tool(name, "exit 1\n")
		}
		r := gpucheck.Judge(m.run(shell), gpucheck.LevelQuick, h100)
		if r.Verdict != gpucheck.Failed || verdicts(r)[gpucheck.CheckKernelLog] != gpucheck.NotChecked ||
			r.Checks[1].Detail != "nvidia-smi failed: No devices were found." {
			t.Errorf("%+v", r.Checks)
		}
	})
}

// TestScript_AMD: the tools of AMD.
func TestScript_AMD(t *testing.T) {
	eachShell(t, func(t *testing.T, m *machine, shell []string) {
		all := golden(t, "mi300x-amd-smi-7.txt")
		m.tool("nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9\n")
		m.tool("amd-smi", "case $1 in static) "+m.prints(all, "amdstatic")+" ;; metric) "+m.prints(all, "amdmetric")+
			" ;; esac\n")
		m.tool("rocminfo", m.prints(all, "rocminfo")+"\n")
		r := gpucheck.Judge(m.run(shell), gpucheck.LevelQuick, mi3)
		if r.Verdict != gpucheck.Passed || without(r) != "infiniband=not_checked" {
			t.Errorf("%s, not passed: %s", r.Verdict, without(r))
		}
	})
}

// TestScript_Stress: the tools of levels 2 and 3.
func TestScript_Stress(t *testing.T) {
	for level, asks := range map[gpucheck.Level]string{gpucheck.LevelMedium: "2", gpucheck.LevelCommission: "3"} {
		m := newMachine(t)
		m.good()
		m.script = strings.ReplaceAll(gpucheck.Script(level), "/sys/", m.sys)
		all := golden(t, s3)
		m.tool("dcgmi", "[ \"$*\" = 'diag -r "+asks+" -j' ] && "+m.prints(all, "dcgm")+"\n")
		m.tool("nvbandwidth", m.prints(all, "nvbandwidth")+"\n")
		m.tool("all_reduce_perf", m.prints(all, "allreduce")+"\n")
		r := gpucheck.Judge(m.run(shells[0]), level, h100)
		if r.Verdict != gpucheck.Passed || without(r) != "" {
			t.Errorf("level %d: %s, not passed: %s", level, r.Verdict, without(r))
		}
	}
}

// TestScript_Bounds: the limits of all sections together are within those that callers rely on.
func TestScript_Bounds(t *testing.T) {
	section := regexp.MustCompile(`section ([a-z]+) (\d+) (\d+) `)
	stress := []string{"nvbandwidth", "allreduce"}
	instead := []string{"devicequery", "rocmsmi"} // of cuda, and of amdstatic
	var previous time.Duration
	for _, l := range gpucheck.Level(0).Enum() {
		var most time.Duration
		size := 0
		for _, s := range section.FindAllStringSubmatch(gpucheck.Script(l), -1) {
			seconds, _ := strconv.Atoi(s[2])
			bytes, _ := strconv.Atoi(s[3])
			if l < gpucheck.LevelMedium && (s[1] == "dcgm" || slices.Contains(stress, s[1])) ||
				s[1] == "dcgm" && (seconds > 1000) != (l == gpucheck.LevelCommission) ||
				slices.Contains(instead, s[1]) {
				continue
			}
			most += time.Duration(seconds) * time.Second
			size += bytes
		}
		if most == 0 || most > l.Bound() || l.Bound() <= previous || size > gpucheck.MaxOutput {
			t.Errorf("level %d: at most %s and %d bytes, the bound is %s", l, most, size, l.Bound())
		}
		previous = l.Bound()
	}
}
