package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider/sim/nvidiasmi"
)

// simulatedNote stands in everything that speaks of GPUs.
const simulatedNote = nvidiasmi.Note

var amdModel = regexp.MustCompile(`(?i)\b(amd|radeon|instinct|mi[0-9]{2,3}x?)\b`)

func (g GPUs) amd() bool { return g.Count > 0 && amdModel.MatchString(g.Model) }

func (g GPUs) nvidia() bool { return g.Count > 0 && !g.amd() }

// name is the model as the tools print it: never without saying what it is.
func (g GPUs) name() string { return printable(g.Model) + " (simulated)" }

// writeGPUTools writes the programs by which a GPU check judges a machine, as shell scripts:
// nvidia-smi and deviceQuery, rocm-smi and rocminfo, and dmesg. program is the running binary as
// the machine sees it.
func writeGPUTools(dir, program, machine string, g GPUs) error {
	nvidia, rocm := noTool("nvidia-smi", "NVIDIA"), noTool("rocm-smi", "AMD")
	if g.nvidia() {
		var err error
		if nvidia, err = nvidiaTool(program, machine, g); err != nil {
			return err
		}
	}
	tools := map[string]string{"nvidia-smi": nvidia, "rocm-smi": rocm, "dmesg": kernelLog(g)}
	switch {
	case g.nvidia():
		tools["deviceQuery"] = deviceQuery(g)
	case g.amd():
		tools["rocm-smi"], tools["rocminfo"] = rocmTool(g), rocmInfo(g)
	}
	for name, text := range tools {
		if err := replaceProgram(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

// replaceProgram writes a script. It is not written through: the user may have put a link there.
func replaceProgram(path, text string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o755)
}

// quote makes one word of the shell from any text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func noTool(tool, maker string) string {
	return "#!/bin/sh\necho " + quote(
		tool+": this machine has no "+maker+" GPU, not even a simulated one.",
	) + " >&2\nexit 9\n"
}

// table draws the tools' default view.
func (g GPUs) table(title string) string {
	var b strings.Builder
	line := "+-----+------------------------------------------+-------------------------+---------+\n"
	fmt.Fprintf(&b, "%s\n%s\n", title, simulatedNote)
	b.WriteString(line)
	fmt.Fprintf(&b, "| %-3s | %-40s | %-23s | %-7s |\n", "GPU", "Name", "Memory used / total", "Load")
	b.WriteString(line)
	for i := range g.Count {
		fmt.Fprintf(&b, "| %3d | %-40s | %23s | %7s |\n", i, g.name(), fmt.Sprintf("0 / %d MiB", g.MemoryMB), "0 %")
	}
	b.WriteString(line)
	b.WriteString("No process uses a GPU, and none could: CUDA and ROCm programs find no device here.\n")
	return b.String()
}

// nvidiaTool is a script that calls the running binary, which prints what nvidia-smi would.
func nvidiaTool(program, machine string, g GPUs) (string, error) {
	system, err := json.Marshal(
		nvidiasmi.System{
			Machine:   machine,
			Model:     printable(g.Model),
			Count:     g.Count,
			MemoryMiB: g.MemoryMB,
			CPUs:      runtime.NumCPU(),
			Fault:     g.Fault,
		},
	)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(
		"#!/bin/sh\n# %s\nexec %s %s %s %s \"$@\"\n",
		simulatedNote,
		quote(program),
		InitArg,
		roleNvidiaSMI,
		quote(string(system)),
	), nil
}

// runNvidiaSMI is nvidia-smi: its first argument is the machine, the others are the user's.
func runNvidiaSMI() error {
	if len(os.Args) < 4 {
		return errors.New("want a machine")
	}
	var system nvidiasmi.System
	if err := json.Unmarshal([]byte(os.Args[3]), &system); err != nil {
		return err
	}
	system.Now = time.Now
	os.Exit(system.Run(os.Args[4:], os.Stdout, os.Stderr, func(d time.Duration) bool { time.Sleep(d); return true }))
	return nil
}
