package node

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/provider/sim/nvidiasmi"
)

// working returns how many GPUs the tools report.
func (g GPUs) working() int {
	if g.Fault == nvidiasmi.FaultGPUCount {
		return max(g.Count-1, 0)
	}
	return g.Count
}

// text is a script that prints something and ends with an exit code.
func text(prints string, code int) string {
	return fmt.Sprintf("#!/bin/sh\n# %s\nprintf '%%s' %s\nexit %d\n", simulatedNote, quote(prints), code)
}

// deviceQuery is NVIDIA's sample program of that name, which shows whether CUDA programs start.
func deviceQuery(g GPUs) string {
	const head = "deviceQuery Starting...\n" + simulatedNote +
		"\n\n CUDA Device Query (Runtime API) version (CUDART static linking)\n\n"
	if g.Fault == nvidiasmi.FaultCompute {
		return text(head+"cudaGetDeviceCount returned 999\n-> unknown error\nResult = FAIL\n", 1)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%sDetected %d CUDA Capable device(s)\n", head, g.working())
	for i := range g.working() {
		fmt.Fprintf(&b, "\nDevice %d: \"%s\"\n  Total amount of global memory: %d MBytes\n", i, g.name(), g.MemoryMB)
	}
	fmt.Fprintf(&b, "\ndeviceQuery, CUDA Driver = CUDART, NumDevs = %d\nResult = PASS\n", g.working())
	return text(b.String(), 0)
}

// rocmInfo is AMD's program of that name.
func rocmInfo(g GPUs) string {
	if g.Fault == nvidiasmi.FaultCompute {
		return text("ROCk module is NOT loaded, possibly no GPU devices\n", 1)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nHSA Agents\n*******\nAgent 1\n*******\n  Device Type:             CPU\n", simulatedNote)
	for i := range g.working() {
		fmt.Fprintf(&b, "*******\nAgent %d\n*******\n  Marketing Name:          %s\n", i+2, g.name())
		b.WriteString("  Device Type:             GPU\n")
	}
	return text(b.String()+"*** Done ***\n", 0)
}

// kernelLog is dmesg. The host's log says nothing about a simulated machine.
func kernelLog(g GPUs) string {
	log := "[    0.000000] Linux version of a simulated machine\n"
	if g.Fault == nvidiasmi.FaultXid && g.nvidia() {
		log += "[   12.345678] NVRM: Xid (PCI:0000:1b:00): 79, pid='<unknown>', name=<unknown>, " +
			"GPU has fallen off the bus.\n"
	}
	if g.Fault == nvidiasmi.FaultXid && g.amd() {
		log += "[   12.345678] amdgpu 0000:05:00.0: uncorrectable hardware errors detected\n"
	}
	return text(log, 0)
}

// rocmJSON is what rocm-smi --json prints.
func rocmJSON(g GPUs) string {
	cards := map[string]map[string]string{"system": {"Driver version": "6.3.6"}}
	for i := range g.working() {
		cards["card"+strconv.Itoa(i)] = map[string]string{
			"Unique ID": fmt.Sprintf("0x%016x", i+1), "Card series": g.name(),
			"VRAM Total Memory (B)":      strconv.FormatInt(g.MemoryMB<<20, 10),
			"VRAM Total Used Memory (B)": "0",
		}
	}
	out, err := json.Marshal(cards)
	if err != nil {
		return "{}"
	}
	return string(out) + "\n"
}

func rocmTool(g GPUs) string {
	var names, memory strings.Builder
	for i := range g.working() {
		fmt.Fprintf(&names, "GPU[%d]\t: Card series: %s\n", i, g.name())
		fmt.Fprintf(
			&memory,
			"GPU[%d]\t: VRAM Total Memory (B): %d\nGPU[%d]\t: VRAM Total Used Memory (B): 0\n",
			i,
			g.MemoryMB<<20,
			i,
		)
	}
	return fmt.Sprintf(`#!/bin/sh
# %s
printf '%%s\n' 'rocm-smi: the GPUs are simulated' >&2
[ $# -eq 0 ] && { printf '%%s' %s; exit 0; }
case " $* " in *" --json "*) printf '%%s' %s; exit 0 ;; esac
while [ $# -gt 0 ]; do
	case $1 in
	--showproductname) printf '%%s' %s ;;
	--showmeminfo) shift; printf '%%s' %s ;;
	*)
		printf 'rocm-smi (simulated): option "%%s" is not supported; ' "$1" >&2
		echo 'there are --showproductname, --showmeminfo vram and --json.' >&2
		exit 2 ;;
	esac
	[ $# -gt 0 ] && shift
done
exit 0
`, simulatedNote, quote(g.table("rocm-smi (simulated)")), quote(rocmJSON(g)), quote(names.String()),
		quote(memory.String()))
}
