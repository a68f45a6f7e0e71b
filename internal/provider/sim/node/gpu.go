package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// simulatedNote stands in everything that speaks of GPUs.
const simulatedNote = "SIMULATED by Billet: no GPU is attached to this machine."

var amdModel = regexp.MustCompile(`(?i)\b(amd|radeon|instinct|mi[0-9]{2,3}x?)\b`)

func (g GPUs) amd() bool { return g.Count > 0 && amdModel.MatchString(g.Model) }

func (g GPUs) nvidia() bool { return g.Count > 0 && !g.amd() }

// name is the model as the tools print it: never without saying what it is.
func (g GPUs) name() string { return printable(g.Model) + " (simulated)" }

// gpuID is a number for GPU i of a machine that stays the same over restarts.
func gpuID(machine string, i int) string {
	h := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s/%d", machine, i)))
	return fmt.Sprintf("GPU-%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:32])
}

// writeGPUTools writes nvidia-smi and rocm-smi as shell scripts, so that they need nothing but a shell.
func writeGPUTools(dir, machine string, g GPUs) error {
	nvidia, rocm := noTool("nvidia-smi", "NVIDIA"), noTool("rocm-smi", "AMD")
	if g.nvidia() {
		nvidia = nvidiaTool(machine, g)
	}
	if g.amd() {
		rocm = rocmTool(g)
	}
	for name, text := range map[string]string{"nvidia-smi": nvidia, "rocm-smi": rocm} {
		path := filepath.Join(dir, name)
		// Not written through: the user may have put a link there.
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// quote makes one word of the shell from any text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func noTool(tool, maker string) string {
	return "#!/bin/sh\necho " + quote(tool+": this machine has no "+maker+" GPU, not even a simulated one.") + " >&2\nexit 9\n"
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

func nvidiaTool(machine string, g GPUs) string {
	var list strings.Builder
	var uuids []string
	for i := range g.Count {
		fmt.Fprintf(&list, "GPU %d: %s (UUID: %s)\n", i, g.name(), gpuID(machine, i))
		uuids = append(uuids, gpuID(machine, i))
	}
	return fmt.Sprintf(`#!/bin/sh
# %s
name=%s
memory=%d
uuids=%s
count=%d

note() { printf '%%s\n' 'nvidia-smi: the GPUs are simulated' >&2; }

# value FIELD INDEX UUID: one field of one GPU, with its unit.
value() {
	mib=' MiB' percent=' %%' watt=' W'
	[ -n "$nounits" ] && mib='' percent='' watt=''
	case $1 in
	name | gpu_name) printf '%%s' "$name" ;;
	index) printf '%%s' "$2" ;;
	uuid | gpu_uuid) printf '%%s' "$3" ;;
	count) printf '%%s' "$count" ;;
	memory.total | memory.free) printf '%%s%%s' "$memory" "$mib" ;;
	memory.used) printf '0%%s' "$mib" ;;
	utilization.gpu | utilization.memory) printf '0%%s' "$percent" ;;
	power.draw) printf '0.00%%s' "$watt" ;;
	driver_version) printf 'simulated' ;;
	*) return 1 ;;
	esac
}

query() {
	fields=$(printf '%%s' "$1" | tr ',' ' ')
	for field in $fields; do
		value "$field" 0 x >/dev/null || { printf 'nvidia-smi (simulated): field "%%s" is not a known field.\n' "$field" >&2; exit 2; }
	done
	note
	if [ -z "$noheader" ]; then
		sep=
		for field in $fields; do
			case $field in
			memory.*) unit=' [MiB]' ;;
			utilization.*) unit=' [%%]' ;;
			power.*) unit=' [W]' ;;
			*) unit= ;;
			esac
			printf '%%s%%s%%s' "$sep" "$field" "$unit"
			sep=', '
		done
		printf '\n'
	fi
	i=0
	for uuid in $uuids; do
		if [ -z "$only" ] || [ "$only" = "$i" ] || [ "$only" = "$uuid" ]; then
			sep=
			for field in $fields; do
				printf '%%s' "$sep"
				value "$field" "$i" "$uuid"
				sep=', '
			done
			printf '\n'
		fi
		i=$((i + 1))
	done
}

list= fields= csv= noheader= nounits= only=
while [ $# -gt 0 ]; do
	case $1 in
	-L | --list-gpus) list=1 ;;
	--query-gpu=*) fields=${1#*=} ;;
	--format=*)
		for word in $(printf '%%s' "${1#*=}" | tr ',' ' '); do
			case $word in
			csv) csv=1 ;;
			noheader) noheader=1 ;;
			nounits) nounits=1 ;;
			*) printf 'nvidia-smi (simulated): format "%%s" is not supported.\n' "$word" >&2; exit 2 ;;
			esac
		done
		;;
	-i) shift; only=$1 ;;
	--id=*) only=${1#*=} ;;
	*) printf 'nvidia-smi (simulated): option "%%s" is not supported; there are -L, -i, --query-gpu= and --format=csv[,noheader][,nounits].\n' "$1" >&2; exit 2 ;;
	esac
	shift
done
if [ -n "$list" ]; then
	note
	printf '%%s' %s
elif [ -n "$fields" ]; then
	[ -n "$csv" ] || { printf 'nvidia-smi (simulated): --query-gpu needs --format=csv.\n' >&2; exit 2; }
	query "$fields"
else
	printf '%%s' %s
fi
`, simulatedNote, quote(g.name()), g.MemoryMB, quote(strings.Join(uuids, " ")), g.Count,
		quote(list.String()), quote(g.table("nvidia-smi (simulated)")))
}

func rocmTool(g GPUs) string {
	var names, memory strings.Builder
	for i := range g.Count {
		fmt.Fprintf(&names, "GPU[%d]\t: Card series: %s\n", i, g.name())
		fmt.Fprintf(&memory, "GPU[%d]\t: VRAM Total Memory (B): %d\nGPU[%d]\t: VRAM Total Used Memory (B): 0\n", i, g.MemoryMB<<20, i)
	}
	return fmt.Sprintf(`#!/bin/sh
# %s
printf '%%s\n' 'rocm-smi: the GPUs are simulated' >&2
[ $# -eq 0 ] && { printf '%%s' %s; exit 0; }
while [ $# -gt 0 ]; do
	case $1 in
	--showproductname) printf '%%s' %s ;;
	--showmeminfo) shift; printf '%%s' %s ;;
	*) printf 'rocm-smi (simulated): option "%%s" is not supported; there are --showproductname and --showmeminfo vram.\n' "$1" >&2; exit 2 ;;
	esac
	[ $# -gt 0 ] && shift
done
exit 0
`, simulatedNote, quote(g.table("rocm-smi (simulated)")), quote(names.String()), quote(memory.String()))
}
