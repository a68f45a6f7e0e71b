# Collects what Billet judges the GPUs of a machine by. It changes nothing and writes no file.
#
# Each section is a line "@begin NAME", the output of one command with | before each line, and a line
# "@end NAME CODE" with its exit code. A command that takes too long is killed, with everything that it
# started: CODE is then 137. The section "done" is last.
#
# It needs setsid, head, sed and sleep, which util-linux, coreutils and busybox have.

# shellcheck disable=SC2016 # the texts in single quotes are programs
inner='
seconds=$1 bytes=$2; shift 2
( exec >/dev/null 3>&- 4>&-; sleep "$seconds"; kill -9 0 ) &
exec 4>&1
code=$( {
	{ "$@" 2>&1 </dev/null 3>&- 4>&-; echo "$?" >&3; } |
	head -c "$bytes" 3>&- 4>&- |
	sed -e "/<supported_clocks>/,/<\/supported_clocks>/d" -e "s/^/|/" >&4 3>&-
} 3>&1 )
exit "$code"'

# section NAME SECONDS BYTES COMMAND… runs a command in a process group of its own, whose first process
# ends with the command. Not even a command that cannot be killed, since a driver does not return, is
# waited for.
section() {
	name=$1; shift
	printf '@begin %s\n' "$name"
	setsid sh -c "$inner" sh "$@" </dev/null &
	leader=$!
	wait "$leader"; code=$?
	kill -9 "-$leader"
	leader=
	printf '\n@end %s %s\n' "$name" "$code"
}

has() { command -v "$1" >/dev/null; }

pci='
for d in /sys/bus/pci/devices/*; do
	[ -r "$d/class" ] || continue
	read -r class <"$d/class"
	case $class in 0x0300* | 0x0302* | 0x0380* | 0x1200* | 0x0207*) ;; *) continue ;; esac
	line=${d##*/}
	for f in vendor device class current_link_width max_link_width; do
		v=-; [ -r "$d/$f" ] && read -r v <"$d/$f"
		line="$line ${v:--}"
	done
	echo "$line"
done
[ -d /sys/bus/pci/devices ]'

kernel='
errors="NVRM: Xid|fallen off the bus|amdgpu.*(GPU reset|[Uu]ncorrectable)|AER:.*([Uu]ncorrect|[Ff]atal)"
for as in "" "sudo -n"; do
	for log in dmesg "journalctl -k -b -q --no-pager"; do
		$as $log >/dev/null 2>&1 || continue
		echo readable
		$as $log | grep -E "$errors" | tail -n 200
		exit 0
	done
done
exit 1'

ports='
for p in /sys/class/infiniband/*/ports/*; do
	[ -r "$p/state" ] || continue
	card=${p%/ports/*}
	line="${card##*/}/${p##*/}"
	for f in link_layer state phys_state rate; do
		v=; [ -r "$p/$f" ] && read -r v <"$p/$f"
		line="$line;$v"
	done
	echo "$line"
done
[ -d /sys/class/infiniband ]'

drivers='
for m in nvidia amdgpu; do
	[ -d "/sys/module/$m" ] && echo "$m"
done
[ -d /sys/module ]'

cuda='
import ctypes
try:
    lib = ctypes.CDLL("libcuda.so.1")
except OSError:
    print("library missing")
    raise SystemExit(3)
def call(name, *args):
    return getattr(lib, name)(*args)
ref = ctypes.byref
result = call("cuInit", 0)
print("init %d" % result)
count = ctypes.c_int()
if result == 0:
    result = call("cuDeviceGetCount", ref(count))
    print("count %d %d" % (result, count.value))
size = ctypes.c_size_t(1 << 20)
for i in range(min(count.value, 64)):
    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    copy = ctypes.create_string_buffer(size.value)
    result = call("cuDeviceGet", ref(device), i)
    result = result or call("cuDevicePrimaryCtxRetain", ref(context), device)
    retained = result == 0
    result = result or call("cuCtxSetCurrent", context)
    result = result or call("cuMemAlloc_v2", ref(memory), size)
    result = result or call("cuMemsetD8_v2", memory, ctypes.c_ubyte(165), size)
    result = result or call("cuMemcpyDtoH_v2", copy, memory, size)
    if result == 0 and copy.raw != b"\xa5" * size.value:
        result = -1
    print("device %d %d" % (i, result))
    if memory.value:
        call("cuMemFree_v2", memory)
    if retained:
        call("cuDevicePrimaryCtxRelease", device)
print("end")'

# GPUs of a machine that has just started join their fabric, and CUDA programs fail until they have.
ready='while nvidia-smi -q | grep -q "State *: In Progress"; do sleep 2; done'

# retry COMMAND… runs a CUDA program again while the fabric manager is starting.
retry='
for try in 1 2 3 4; do
	out=$("$@" 2>&1 | head -c 60000)
	case $out in *"init 802"* | *"returned 802"*) sleep 5 ;; *) break ;; esac
done
printf "%s\n" "$out"'

nvidia() {
	section ready 60 1024 sh -c "$ready"
	section smi 40 1048576 nvidia-smi -q -x
	[ "$code" -eq 137 ] && return # every other call would hang, too
	section topo 20 65536 nvidia-smi topo -m
	section nvlink 20 131072 nvidia-smi nvlink -s
	samples=/usr/local/cuda/extras/demo_suite/deviceQuery
	if has deviceQuery; then
		section devicequery 90 131072 sh -c "$retry" sh deviceQuery
	elif has python3; then
		section cuda 90 65536 sh -c "$retry" sh python3 -u -c "$cuda"
	elif [ -x "$samples" ]; then
		section devicequery 90 131072 sh -c "$retry" sh "$samples"
	fi
}

amd() {
	if has amd-smi; then
		section amdstatic 40 262144 amd-smi static --json
		[ "$code" -eq 137 ] && return
		section amdmetric 40 262144 amd-smi metric --json
	elif has rocm-smi; then
		section rocmsmi 40 262144 rocm-smi --showproductname --showuniqueid --showmeminfo vram --showdriverversion --json
	fi
	has rocminfo && section rocminfo 40 262144 rocminfo
}

stress() {
	if has dcgmi; then
		if [ "$level" -ge 3 ]; then section dcgm 2700 262144 dcgmi diag -r 3 -j
		else section dcgm 900 262144 dcgmi diag -r 2 -j; fi
	fi
	if has nvbandwidth; then
		section nvbandwidth 300 262144 nvbandwidth -j -t host_to_device_memcpy_ce \
			device_to_host_memcpy_ce device_to_device_memcpy_read_ce
	fi
	if has all_reduce_perf; then
		section allreduce 300 131072 sh -c 'all_reduce_perf -b 512M -e 4G -f 2 -g "$(nvidia-smi -L | grep -c "^GPU ")"'
	fi
}

main() {
	exec 2>/dev/null
	level=$1 leader=
	trap '[ -z "$leader" ] || kill -9 "-$leader"; exit 143' HUP INT TERM
	LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/cuda/bin:/opt/rocm/bin
	export LC_ALL PATH
	unset CUDA_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES
	for tool in setsid head sed sleep; do
		has "$tool" || { printf '@missing %s\n' "$tool"; exit 1; }
	done
	section pci 10 65536 sh -c "$pci"
	section kernel 20 65536 sh -c "$kernel"
	section ports 10 65536 sh -c "$ports"
	section drivers 10 1024 sh -c "$drivers"
	if has nvidia-smi; then nvidia; fi
	amd
	[ "$level" -ge 2 ] && stress
	printf '@begin done\n@end done 0\n'
}
