package gpucheck_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/gpucheck"
)

const fabric = "InfiniBand 3200 Gb/s"

var (
	h100 = gpucheck.Expected{GPUType: "NVIDIA H100", GPUCount: 8, GPUMemoryGB: 80, Interconnect: fabric}
	b200 = gpucheck.Expected{GPUType: "NVIDIA B200", GPUCount: 8, GPUMemoryGB: 180, Interconnect: fabric}
	ada  = gpucheck.Expected{GPUType: "NVIDIA RTX 4090", GPUCount: 2, GPUMemoryGB: 24}
	t4   = gpucheck.Expected{GPUType: "NVIDIA T4", GPUCount: 1, GPUMemoryGB: 16, Interconnect: "Ethernet 100 Gb/s"}
	mi3  = gpucheck.Expected{GPUType: "AMD MI300X", GPUCount: 8, GPUMemoryGB: 192}
	mi2  = gpucheck.Expected{GPUType: "AMD MI210", GPUCount: 4, GPUMemoryGB: 64}
)

func golden(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// verdicts returns the verdict of each check.
func verdicts(r gpucheck.Report) map[string]gpucheck.Verdict {
	out := map[string]gpucheck.Verdict{}
	for _, c := range r.Checks {
		out[c.Name] = c.Verdict
	}
	return out
}

// without returns the names of the checks that are not passed.
func without(r gpucheck.Report) string {
	var out []string
	for _, c := range r.Checks {
		if c.Verdict != gpucheck.Passed {
			out = append(out, c.Name+"="+string(c.Verdict))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestJudge_GoodMachines: each good machine passes, and what it does not have is not checked.
func TestJudge_GoodMachines(t *testing.T) {
	for name, c := range map[string]struct {
		want      gpucheck.Expected
		open      string // the checks that are not passed
		model     string
		driver    string
		cuda      string
		memoryMiB int
	}{
		"h100-v12.txt": {h100, "", "NVIDIA H100 80GB HBM3", "535.183.01", "12.2", 81559},
		"b200-v13.txt": {b200, "", "NVIDIA B200", "590.44.01", "13.1", 183359},
		"rtx4090-v13.txt": {ada, "ecc=not_checked fabric=not_checked infiniband=not_checked nvlink=not_checked " +
			"partitioning=not_checked row_remap=not_checked", "NVIDIA GeForce RTX 4090", "580.105.08", "13.0", 24564},
		"t4-v10.txt": {t4, "fabric=not_checked infiniband=not_checked nvlink=not_checked partitioning=not_checked " +
			"reset=not_checked xid=not_checked", "Tesla T4", "450.80.02", "11.0", 15360},
		"mi300x-amd-smi-6.txt": {mi3, "infiniband=not_checked", "AMD Instinct MI300X", "6.10.5", "", 196592},
		"mi300x-amd-smi-7.txt": {mi3, "infiniband=not_checked", "AMD Instinct MI300X", "6.10.5", "", 196592},
		"mi210-rocm-smi.txt": {mi2, "ecc=not_checked infiniband=not_checked", "AMD Instinct MI210", "6.3.6", "",
			65520},
	} {
		t.Run(name, func(t *testing.T) {
			r := gpucheck.Judge([]byte(golden(t, name)), gpucheck.LevelQuick, c.want)
			if r.Verdict != gpucheck.Passed || without(r) != c.open {
				t.Errorf("verdict %s, not passed: %s\n%+v", r.Verdict, without(r), r.Checks)
			}
			if len(r.GPUs) != c.want.GPUCount || r.DriverVersion != c.driver || r.CUDAVersion != c.cuda {
				t.Fatalf("%d GPUs, driver %q, CUDA %q", len(r.GPUs), r.DriverVersion, r.CUDAVersion)
			}
			last := r.GPUs[len(r.GPUs)-1]
			if last.Model != c.model || last.MemoryMiB != c.memoryMiB || last.UUID == "" && c.driver != "6.10.5" ||
				last.Index != len(r.GPUs)-1 {
				t.Errorf("%+v", last)
			}
			checkReport(t, r)
		})
	}
}

// fault is a change of a good machine's output, and the checks that it alone changes.
type fault struct {
	name, file string
	want       gpucheck.Expected
	old, new   string
	nth        int // which occurrence of old, from 0; -1 for all
	checks     string
	verdict    gpucheck.Verdict
	says       string // in the first of the checks
}

// replaceNth replaces the occurrence n of a text, from 0; all if n is negative.
func replaceNth(text, old, with string, n int) string {
	if n < 0 {
		return strings.ReplaceAll(text, old, with)
	}
	at := 0
	for ; n >= 0; n-- {
		i := strings.Index(text[at:], old)
		if i < 0 {
			return text
		}
		at += i + len(old)
	}
	return text[:at-len(old)] + with + text[at:]
}

const h, b, g = "h100-v12.txt", "b200-v13.txt", "rtx4090-v13.txt"

var faults = []fault{
	{"wrong model", h, h100, "NVIDIA H100 80GB HBM3</product_name>", "NVIDIA A100-SXM4-80GB</product_name>", 3,
		"gpu_model=failed", "failed", "GPU 3: NVIDIA A100-SXM4-80GB, but the offer says NVIDIA H100."},
	{"variant", h, h100, "NVIDIA H100 80GB HBM3</product_name>", "NVIDIA H100 PCIe</product_name>", -1,
		"gpu_model=warning", "warning", "GPUs 0, 1, 2, 3, 4, 5, 6 and 7: NVIDIA H100 PCIe, a variant"},
	{"less memory", b, b200, "183359 MiB", "81559 MiB", 2, "gpu_memory=failed", "failed", "GPU 2: 81559 MiB"},
	{"unknown memory", b, b200, "183359 MiB", "N/A", 2, "gpu_memory=not_checked", "passed", "GPU 2: the driver"},
	{"ECC v12 SRAM", h, h100, "<sram_uncorrectable>0", "<sram_uncorrectable>2", 6, "ecc=failed", "failed",
		"GPU 3: uncorrectable memory errors since the last reset: 2."},
	{"ECC v13 parity", b, b200, "<sram_uncorrectable_parity>0", "<sram_uncorrectable_parity>1", 0, "ecc=failed",
		"failed", "GPU 0"},
	{"ECC v13 SECDED", b, b200, "<sram_uncorrectable_secded>0", "<sram_uncorrectable_secded>7", 0, "ecc=failed",
		"failed", "7"},
	{"ECC DRAM", b, b200, "<dram_uncorrectable>0", "<dram_uncorrectable>1", 2, "ecc=failed", "failed", "GPU 1"},
	{"ECC before the last reset", b, b200, "<dram_uncorrectable>0", "<dram_uncorrectable>1", 1, "", "passed", ""},
	{"ECC v10", "t4-v10.txt", t4, "<total>0", "<total>3", 1, "ecc=failed", "failed", "3"},
	{"ECC corrected v10", "t4-v10.txt", t4, "<total>0", "<total>3", 0, "", "passed", ""},
	{"ECC threshold", b, b200, "<sram_threshold_exceeded>No", "<sram_threshold_exceeded>Yes", 5, "ecc=failed",
		"failed", "GPU 5"},
	{"ECC off", h, h100, "<current_ecc>Enabled", "<current_ecc>Disabled", 4, "ecc=warning", "warning", "GPU 4"},
	{"ECC off by default", g, ada, "<current_ecc>N/A", "<current_ecc>Disabled", -1, "", "passed", ""},
	{"ECC deprecated", h, h100, "<sram_uncorrectable>0</sram_uncorrectable>\n|\t\t\t\t<dram_correctable>4" +
		"</dram_correctable>\n|\t\t\t\t<dram_uncorrectable>0<", "<sram_uncorrectable>N/A</sram_uncorrectable>\n|" +
		"<dram_uncorrectable>Requested functionality has been deprecated<", 0, "ecc=not_checked", "passed", "GPU 0"},
	{"remap pending", h, h100, "<remapped_row_pending>No", "<remapped_row_pending>Yes", 1, "row_remap=failed",
		"failed", "GPU 1: a repair of memory waits"},
	{"remap failure", h, h100, "<remapped_row_failure>No", "<remapped_row_failure>Yes", 1, "row_remap=failed",
		"failed", "GPU 1: a repair of memory failed"},
	{"channel repair", b, b200, "<channel_repair_pending>No", "<channel_repair_pending>Yes", 1, "row_remap=failed",
		"failed", "GPU 1"},
	{"retirement pending", "t4-v10.txt", t4, "<pending_retirement>No", "<pending_retirement>Yes", 0,
		"row_remap=failed", "failed", "GPU 0"},
	{"reset v12", h, h100, "<reset_required>No", "<reset_required>Yes", 2, "reset=failed", "failed", "GPU 2"},
	{"drain v12", h, h100, "<drain_and_reset_recommended>No", "<drain_and_reset_recommended>Yes", 2, "reset=failed",
		"failed", "GPU 2"},
	{"reset v13", b, b200, "<gpu_recovery_action>None", "<gpu_recovery_action>GPU Reset", 2, "reset=failed",
		"failed", "GPU Reset"},
	{"drain v13", b, b200, "<gpu_recovery_action>None", "<gpu_recovery_action>Drain and Reset", 2, "reset=failed",
		"failed", "Drain and Reset"},
	{"recovery not known", b, b200, "<gpu_recovery_action>None", "<gpu_recovery_action>N/A", 2,
		"reset=not_checked", "passed", "GPU 2"},
	{"GPU lost", b, b200, "<current_power_limit>1000.00 W", "<current_power_limit>GPU is lost", 2,
		"reset=failed power=not_checked", "failed", "GPU 2: the driver lost the GPU."},
	{"MIG", h, h100, "<current_mig>Disabled", "<current_mig>Enabled", 0, "partitioning=failed", "failed", "GPU 0"},
	{"MIG pending", h, h100, "<pending_mig>Disabled", "<pending_mig>Enabled", 0, "partitioning=warning", "warning", ""},
	{"power limit", h, h100, "<current_power_limit>700.00 W", "<current_power_limit>500.00 W", 6, "power=warning",
		"warning", "GPU 6: the power limit is 500 W instead of 700 W."},
	{"power limit v10", "t4-v10.txt", t4, "<enforced_power_limit>70.00 W", "<enforced_power_limit>60.00 W", 0,
		"power=warning", "warning", ""},
	{"slowdown", h, h100, "_hw_slowdown>Not Active", "_hw_slowdown>Active", 1, "clocks=failed", "failed", "GPU 1"},
	{"too hot", h, h100, "_hw_thermal_slowdown>Not Active", "_hw_thermal_slowdown>Active", 1, "clocks=failed",
		"failed", "too hot"},
	{"power brake", h, h100, "_hw_power_brake_slowdown>Not Active", "_hw_power_brake_slowdown>Active", 1,
		"clocks=failed", "failed", "power supply"},
	{"hot", h, h100, "_sw_thermal_slowdown>Not Active", "_sw_thermal_slowdown>Active", 1, "clocks=warning",
		"warning", "hot"},
	{"slowdown v10", "t4-v10.txt", t4, "_hw_slowdown>Not Active", "_hw_slowdown>Active", 0, "clocks=failed",
		"failed", ""},
	{"clocks set", h, h100, "<applications_clocks>\n|\t\t\t<graphics_clock>1980", "<applications_clocks>\n|\t\t\t" +
		"<graphics_clock>1200", 0, "clocks=warning", "warning", "GPU 0: its clock is set to 1200 MHz"},
	{"PCIe width", h, h100, "<current_link_width>16x", "<current_link_width>8x", 7, "pcie=failed", "failed",
		"GPU 7: it has 8 of 16 PCIe lanes."},
	{"PCIe width of a narrow slot", "t4-v10.txt", t4, "<current_link_width>16x", "<current_link_width>8x", 0,
		"pcie=warning", "warning", "GPU 0"},
	{"PCIe width of a GeForce", g, ada, "<current_link_width>16x", "<current_link_width>8x", 1, "pcie=warning",
		"warning", "GPU 1"},
	{"PCIe generation under load", h, h100, "<gpu_util>0 %", "<gpu_util>97 %", 3, "pcie=warning", "warning",
		"GPU 3: its PCIe link has generation 1 instead of 5 under load."},
	{"fabric", b, b200, "<state>Completed", "<state>In Progress", 0,
		"fabric=not_checked compute=not_checked", "not_checked", "In Progress"},
	{"fabric not started", b, b200, "<state>Completed", "<state>Not Started", 0, "fabric=failed", "failed",
		"Not Started"},
	{"fabric status", b, b200, "<status>Success", "<status>Failure", 0, "fabric=failed", "failed", "Failure"},
	{"NVLink pair", h, h100, "GPU2\tNV18\tNV18\t X \tNV18\tNV18\tNV18", "GPU2\tNV18\tNV18\t X \tNV18\tNV18\tSYS", 0,
		"nvlink=failed", "failed", "GPU 2: NVLinks are down: 0 instead of 18 to GPU 5."},
	{"NVLinks of a pair", h, h100, "GPU2\tNV18", "GPU2\tNV16", 0, "nvlink=failed", "failed", "16 instead of 18"},
	{"no NVLink", h, h100, "NV18", "SYS", -1, "nvlink=warning", "warning", ""},
	{"NVLink inactive", h, h100, "Link 4: 26.562 GB/s", "Link 4: <inactive>", 5, "nvlink=warning", "warning",
		"GPU 5: 1 NVLink down."},
	{"topology not readable", h, h100, "@end topo 0", "@end topo 1", 0, "nvlink=not_checked", "passed", ""},
	{"Xid of hardware", h, h100, "|readable\n", "|readable\n|[ 12.5] NVRM: Xid (PCI:0000:1b:00): 79, pid=1, GPU\n", 0,
		"xid=failed", "failed", "Xid 79 on 0000:1b:00"},
	{"Xid of a program", h, h100, "|readable\n", "|readable\n|NVRM: Xid (PCI:0000:1b:00): 31, pid=1, MMU\n", 0,
		"xid=warning", "warning", "caused by a program"},
	{"Xid of a repair", h, h100, "|readable\n", "|readable\n|NVRM: Xid (PCI:0000:1b:00): 63, Row remapper\n", 0,
		"xid=warning", "warning", "a repair of memory"},
	{"unknown Xid", h, h100, "|readable\n", "|readable\n|NVRM: Xid (PCI:0000:1b:00): 999, new\n", 0,
		"xid=warning", "warning", "Xid 999"},
	{"fallen off", h, h100, "|readable\n", "|readable\n|NVRM: GPU at PCI:0000:1b:00: GPU has fallen off the bus.\n", 0,
		"xid=failed", "failed", ""},
	{"log not readable", h, h100, "|readable\n\n@end kernel 0", "@end kernel 1", 0, "xid=not_checked", "passed", ""},
	{"CUDA without fabric manager", h, h100, "|init 0\n", "|init 802\n", 0, "compute=not_checked",
		"not_checked", "No CUDA program starts yet: the NVSwitch fabric manager does not run (CUDA error 802)."},
	{"CUDA during an update of the driver", h, h100, "|init 0\n", "|init 803\n", 0, "compute=not_checked",
		"not_checked", "CUDA error 803"},
	{"CUDA starts on one only later", h, h100, "|device 6 0\n", "|device 6 802\n", 0, "compute=not_checked",
		"not_checked", "GPU 6"},
	{"CUDA does not start", h, h100, "|init 0\n", "|init 999\n", 0, "compute=failed", "failed", "error 999"},
	{"CUDA finds fewer", h, h100, "|count 0 8\n", "|count 0 7\n", 0, "compute=failed", "failed", "7 of 8 GPUs"},
	{"CUDA fails on one", h, h100, "|device 6 0\n", "|device 6 999\n", 0, "compute=failed", "failed",
		"GPU 6: no CUDA program can use it: unknown error (CUDA error 999)."},
	{"GPU in use", h, h100, "|device 6 0\n", "|device 6 2\n", 0, "compute=not_checked", "not_checked", "GPU 6"},
	{"CUDA crashes", h, h100, "|device 3 0\n|device 4 0\n|device 5 0\n|device 6 0\n|device 7 0\n|end\n\n@end cuda 0",
		"@end cuda 139", 0, "compute=failed", "failed", ""},
	{"CUDA hangs", h, h100, "@end cuda 0", "@end cuda 137", 0, "compute=failed", "failed", "did not start in time"},
	{"no CUDA library", h, h100, "|init 0\n", "|library missing\n", 0, "compute=not_checked", "not_checked", ""},
	{"no Python", h, h100, "@begin cuda", "@begin other", 0, "compute=not_checked", "not_checked", "Python 3"},
	{"deviceQuery fails", "t4-v10.txt", t4, "Result = PASS", "cudaGetDeviceCount returned 999\n|Result = FAIL", 0,
		"compute=failed", "failed", "CUDA error 999"},
	{"ports down", h, h100, "4: ACTIVE", "1: DOWN", -1, "infiniband=failed", "failed", "None of 8 InfiniBand ports"},
	{"port down", h, h100, "4: ACTIVE", "1: DOWN", 4, "infiniband=warning", "warning", "7 of 8"},
	{"no ports", h, h100, "@end ports 0", "@end ports 1", 0, "infiniband=not_checked", "passed", ""},
	{"ended early", h, h100, "@begin done\n@end done 0\n", "", 0, "collection=not_checked", "not_checked", ""},
	{"AMD ECC", "mi300x-amd-smi-6.txt", mi3, `"total_uncorrectable_count": 0`, `"total_uncorrectable_count": 2`, 4,
		"ecc=failed", "failed", "GPU 4"},
	{"AMD partition", "mi300x-amd-smi-7.txt", mi3, `"SPX"`, `"CPX"`, 4, "partitioning=failed", "failed", "CPX"},
	{"AMD slowed", "mi300x-amd-smi-7.txt", mi3, `"UNTHROTTLED"`, `"THROTTLED"`, 4, "clocks=warning", "warning", ""},
	{"AMD PCIe", "mi300x-amd-smi-7.txt", mi3, `"width": 16`, `"width": 8`, 4, "pcie=failed", "failed", "8 of 16"},
	{"AMD missing", "mi300x-amd-smi-7.txt", mi3, "Device Type:             GPU", "", 3, "compute=failed", "failed",
		"7 of 8 GPUs"},
	{"AMD without name", "mi210-rocm-smi.txt", mi2, "AMD Instinct MI210", "0x740f", -1, "gpu_model=not_checked",
		"passed", ""},
	{"AMD reset", "mi210-rocm-smi.txt", mi2, "|readable\n", "|readable\n|amdgpu 0000:05:00.0: GPU reset begin!\n", 0,
		"xid=warning", "warning", ""},
}

// TestJudge_Faults: each fault gives exactly its verdict, and changes no other check.
func TestJudge_Faults(t *testing.T) { testFaults(t, gpucheck.LevelQuick, faults) }

func testFaults(t *testing.T, l gpucheck.Level, faults []fault) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			good := golden(t, f.file)
			text := replaceNth(good, f.old, f.new, f.nth)
			if text == good {
				t.Fatal("the fault changed nothing")
			}
			want := verdicts(gpucheck.Judge([]byte(good), l, f.want))
			first := ""
			for i, c := range strings.Fields(f.checks) {
				name, v, _ := strings.Cut(c, "=")
				want[name] = gpucheck.Verdict(v)
				if i == 0 {
					first = name
				}
			}
			r := gpucheck.Judge([]byte(text), l, f.want)
			got := verdicts(r)
			for name, v := range want {
				if got[name] != v {
					t.Errorf("%s: got %s, want %s", name, got[name], v)
				}
			}
			if r.Verdict != f.verdict {
				t.Errorf("the whole: got %s, want %s", r.Verdict, f.verdict)
			}
			for _, c := range r.Checks {
				if c.Name == first && !strings.Contains(c.Detail, f.says) {
					t.Errorf("got %q, want %q", c.Detail, f.says)
				}
			}
			checkReport(t, r)
		})
	}
}

// TestJudge_MissingGPU: seven of eight.
func TestJudge_MissingGPU(t *testing.T) {
	text := golden(t, h)
	begin := strings.LastIndex(text, "|\t<gpu id=")
	end := strings.LastIndex(text, "|\t</gpu>\n") + len("|\t</gpu>\n")
	r := gpucheck.Judge([]byte(text[:begin]+text[end:]), gpucheck.LevelQuick, h100)
	if v := verdicts(r); r.Verdict != gpucheck.Failed || v[gpucheck.CheckGPUCount] != gpucheck.Failed ||
		r.Checks[1].Detail != "The machine has 7 working GPUs, but the offer says 8." || len(r.GPUs) != 7 {
		t.Errorf("%+v", r)
	}
	r = gpucheck.Judge([]byte(text[:begin]+text[end:]), gpucheck.LevelQuick, gpucheck.Expected{})
	if r.Checks[1].Detail != "The PCI bus has 8 GPUs, but the driver reports 7." {
		t.Errorf("%+v", r.Checks[1])
	}
}

// TestJudge_WithoutReport: machines whose GPUs are unknown.
func TestJudge_WithoutReport(t *testing.T) {
	const done = "@begin done\n@end done 0\n"
	const undriven = "@begin drivers\n@end drivers 0\n"
	const driven = "@begin drivers\n|nvidia\n|amdgpu\n@end drivers 0\n"
	bus := "@begin pci\n|0000:1b:00.0 0x10de 0x2330 0x030200 16 16\n@end pci 0\n"
	for name, c := range map[string]struct {
		output  string
		want    gpucheck.Expected
		count   gpucheck.Verdict
		verdict gpucheck.Verdict
		detail  string
	}{
		"nothing":   {"", h100, "not_checked", "not_checked", "no nvidia-smi"},
		"garbage":   {"<html>\x00\xff", h100, "not_checked", "not_checked", ""},
		"no setsid": {"@missing setsid\n", h100, "not_checked", "not_checked", ""},
		"no tool":   {bus + done, h100, "not_checked", "not_checked", "no nvidia-smi"},
		"no GPU on the bus": {"@begin pci\n@end pci 0\n" + done, h100, "failed", "failed",
			"The machine has no GPU on its PCI bus."},
		"driver fails": {"@begin smi\n|\n|NVIDIA-SMI has failed because it couldn't communicate with " +
			"the NVIDIA driver.\n@end smi 9\n@begin cuda\n|init 999\n|end\n@end cuda 0\n" + done, h100,
			"not_checked", "not_checked", "couldn't communicate"},
		"driver is updated": {"@begin smi\n|Failed to initialize NVML: Driver/library version mismatch\n" +
			"@end smi 18\n" + done, h100, "not_checked", "not_checked", "version mismatch"},
		"driver crashes": {"@begin smi\n|Unable to determine the device handle\n@end smi 15\n" + done, h100,
			"failed", "failed", "device handle"},
		"hangs": {"@begin smi\n@end smi 137\n" + done, h100, "failed", "failed",
			"did not answer in time"},
		"no devices": {"@begin smi\n|No devices were found\n@end smi 6\n" + done, h100, "failed", "failed",
			"No devices"},
		"not XML":     {"@begin smi\n|hello\n@end smi 0\n" + done, h100, "not_checked", "not_checked", ""},
		"no AMD tool": {done, mi3, "not_checked", "not_checked", "neither amd-smi nor rocm-smi"},
		"AMD fails": {"@begin amdstatic\n|ERROR:root:Driver not loaded\n@end amdstatic 2\n" + done, mi3,
			"failed", "failed", ""},
		"no NVIDIA driver": {bus + undriven + "@begin smi\n|NVIDIA-SMI has failed\n@end smi 255\n" +
			"@begin cuda\n|init 100\n|end\n@end cuda 0\n" + done, h100, "not_checked", "not_checked",
			"The NVIDIA driver is not ready: NVIDIA-SMI has failed."},
		"no tool, no NVIDIA driver": {bus + undriven + done, h100, "not_checked", "not_checked", "no nvidia-smi"},
		"NVIDIA driver, and it fails": {bus + driven + "@begin smi\n|NVIDIA-SMI has failed\n@end smi 255\n" + done,
			h100, "failed", "failed", "NVIDIA-SMI has failed"},
		"no NVIDIA driver, and GPUs fell off": {bus + "@begin kernel\n|readable\n|NVRM: GPU at PCI:0000:1b:00: GPU " +
			"has fallen off the bus.\n@end kernel 0\n" + undriven + done, h100, "not_checked", "failed", ""},
		"no NVIDIA driver, and no GPU": {"@begin pci\n@end pci 0\n" + undriven + "@begin smi\n@end smi 9\n" + done,
			h100, "failed", "failed", "no GPU on its PCI bus"},
		"no AMD driver": {undriven + "@begin amdstatic\n|ERROR:root:Driver not loaded\n@end amdstatic 2\n" +
			"@begin rocminfo\n|ROCk module is NOT loaded\n@end rocminfo 1\n" + done, mi3, "not_checked",
			"not_checked", "has not loaded the AMD driver"},
		"no AMD driver, rocm-smi": {undriven + "@begin rocmsmi\n|ERROR:root:Driver not initialized (amdgpu not " +
			"found in modules)\n@end rocmsmi 0\n@begin rocminfo\n@end rocminfo 255\n" + done, mi2, "not_checked",
			"not_checked", "has not loaded the AMD driver"},
		"AMD driver, and it fails": {driven + "@begin amdstatic\n|ERROR:root:No device\n@end amdstatic 2\n" +
			"@begin rocminfo\n|hsa_init failed\n@end rocminfo 1\n" + done, mi3, "failed", "failed", "No device"},
		"tools without a driver's module": {undriven + golden(t, "mi210-rocm-smi.txt"), mi2, "passed", "passed", ""},
		"AMD hangs": {"@begin amdstatic\n@end amdstatic 137\n" + done, mi3, "failed", "failed",
			"amd-smi did not answer"},
		"not AMD JSON": {"@begin rocmsmi\n|{\"card0\": 3}\n@end rocmsmi 0\n" + done, mi3, "not_checked",
			"not_checked", ""},
		"tool of the other maker": {"@begin smi\n|no driver\n@end smi 9\n" +
			golden(t, "mi210-rocm-smi.txt"), mi2, "passed", "passed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := gpucheck.Judge([]byte(c.output), gpucheck.LevelQuick, c.want)
			if r.Verdict != c.verdict || verdicts(r)[gpucheck.CheckGPUCount] != c.count ||
				!strings.Contains(r.Checks[1].Detail, c.detail) {
				t.Errorf("%s %+v", r.Verdict, r.Checks)
			}
			checkReport(t, r)
		})
	}
}

// TestJudge_WithoutExpectation: zero values are not judged.
func TestJudge_WithoutExpectation(t *testing.T) {
	for _, name := range []string{h, b, g, "mi210-rocm-smi.txt", "mi300x-amd-smi-7.txt"} {
		r := gpucheck.Judge([]byte(golden(t, name)), gpucheck.LevelQuick, gpucheck.Expected{})
		v := verdicts(r)
		if r.Verdict != gpucheck.Passed || v[gpucheck.CheckGPUModel] != gpucheck.NotChecked ||
			v[gpucheck.CheckGPUMemory] != gpucheck.NotChecked || len(r.GPUs) == 0 {
			t.Errorf("%s: %s %s", name, r.Verdict, without(r))
		}
	}
}

// TestJudge_Models compares what offers and drivers call the same GPU.
func TestJudge_Models(t *testing.T) {
	for _, c := range []struct {
		offer, driver string
		want          gpucheck.Verdict
	}{
		{"NVIDIA H100", "NVIDIA H100 80GB HBM3", "passed"}, {"NVIDIA H100 PCIe", "NVIDIA H100 PCIe", "passed"},
		{"NVIDIA H100", "NVIDIA H100 PCIe", "warning"}, {"NVIDIA H100 NVL", "NVIDIA H100 NVL", "passed"},
		{"H100_80GB", "NVIDIA H100 80GB HBM3", "passed"}, {"8x H100 SXM5", "NVIDIA H100 80GB HBM3", "passed"},
		{"NVIDIA A100", "NVIDIA A100-SXM4-40GB", "passed"}, {"NVIDIA A10", "NVIDIA A10G", "failed"},
		{"NVIDIA L40", "NVIDIA L40S", "failed"}, {"NVIDIA B200", "NVIDIA B200 (simulated)", "passed"},
		{"NVIDIA RTX 4090", "NVIDIA GeForce RTX 4090", "passed"},
		{"NVIDIA RTX 4080", "NVIDIA GeForce RTX 4080 SUPER", "warning"},
		{"NVIDIA RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation", "passed"},
		{"NVIDIA RTX PRO 6000 Blackwell", "NVIDIA RTX PRO 6000 Blackwell Server Edition", "passed"},
		{"NVIDIA P100", "Tesla P100-PCIE-16GB", "passed"}, {"NVIDIA V100", "Tesla V100-SXM2-32GB", "passed"},
		{"NVIDIA GH200", "NVIDIA GH200 480GB", "passed"}, {"NVIDIA", "NVIDIA H100", "not_checked"},
		{"NVIDIA H100", "N/A", "not_checked"},
	} {
		text := strings.ReplaceAll(golden(t, h), "NVIDIA H100 80GB HBM3</product_name>", c.driver+"</product_name>")
		r := gpucheck.Judge([]byte(text), gpucheck.LevelQuick, gpucheck.Expected{GPUType: c.offer})
		if got := verdicts(r)[gpucheck.CheckGPUModel]; got != c.want {
			t.Errorf("offer %q, driver %q: got %s, want %s", c.offer, c.driver, got, c.want)
		}
	}
}

// TestJudge_Bounds: what a machine prints without end is cut, and never passes.
func TestJudge_Bounds(t *testing.T) {
	good := golden(t, h)
	filler := strings.Repeat("|"+strings.Repeat("x", 1000)+"\n", gpucheck.MaxOutput/1000+1)
	for name, output := range map[string]string{
		"lines":      filler,
		"in the XML": strings.Replace(good, "|\t<gpu id=", filler+"|\t<gpu id=", 1),
		"at the end": good + filler,
		"no line":    strings.Repeat("x", gpucheck.MaxOutput+10),
		"deep":       "@begin smi\n|" + strings.Repeat("<a>", gpucheck.MaxOutput/3-20) + "\n@end smi 0\n",
		"many": "@begin smi\n|<nvidia_smi_log>" + strings.Repeat("<gpu/>", gpucheck.MaxOutput/6-100) +
			"</nvidia_smi_log>\n@end smi 0\n",
		"sections":  strings.Repeat("@begin a\n", gpucheck.MaxOutput/9),
		"deep JSON": "@begin amdstatic\n|" + strings.Repeat("[", gpucheck.MaxOutput/2) + "\n@end amdstatic 0\n",
	} {
		for _, want := range []gpucheck.Expected{h100, mi3} {
			r := gpucheck.Judge([]byte(output), gpucheck.LevelQuick, want)
			if v := verdicts(r)[gpucheck.CheckCollection]; r.Verdict == gpucheck.Passed || v == gpucheck.Passed {
				t.Errorf("%s: %s, collection %s", name, r.Verdict, v)
			}
			checkReport(t, r)
		}
	}
}

// checkReport checks what holds for every report.
func checkReport(t testing.TB, r gpucheck.Report) {
	t.Helper()
	if !slices.Contains(r.Level.Enum(), r.Level) || !slices.Contains(r.Verdict.Enum(), r.Verdict) || r.GPUs == nil {
		t.Errorf("level %d, verdict %q", r.Level, r.Verdict)
	}
	if len(r.GPUs) > 128 || len(r.Checks) > 20 {
		t.Errorf("%d GPUs, %d checks", len(r.GPUs), len(r.Checks))
	}
	checkTexts(t, r)
	by := verdicts(r)
	failed := slices.ContainsFunc(r.Checks, func(c gpucheck.Check) bool { return c.Verdict == gpucheck.Failed })
	if failed != (r.Verdict == gpucheck.Failed) {
		t.Errorf("verdict %s of %v", r.Verdict, by)
	}
	made := func(name string) bool { return by[name] == gpucheck.Passed || by[name] == gpucheck.Warning }
	if (r.Verdict == gpucheck.Passed || r.Verdict == gpucheck.Warning) && (len(r.GPUs) == 0 ||
		!made(gpucheck.CheckCollection) || !made(gpucheck.CheckGPUCount) || !made(gpucheck.CheckCompute)) {
		t.Errorf("verdict %s of %d GPUs, %v", r.Verdict, len(r.GPUs), by)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// checkTexts checks that each text is short and printable, and each check well formed.
func checkTexts(t testing.TB, r gpucheck.Report) {
	t.Helper()
	text := func(what, s string, most int) {
		if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most ||
			strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s: %q is no short, printable text", what, s)
		}
	}
	names := map[string]bool{}
	for _, c := range r.Checks {
		if names[c.Name] || c.Name == "" || !slices.Contains(c.Verdict.Enum(), c.Verdict) ||
			!strings.HasSuffix(c.Detail, ".") {
			t.Errorf("check %+v", c)
		}
		names[c.Name] = true
		text(c.Name, c.Detail, 1500)
	}
	for _, g := range r.GPUs {
		for _, s := range []string{g.Model, g.UUID, g.Serial, g.BusID} {
			text("GPU", s, 120)
		}
		if g.MemoryMiB < 0 {
			t.Errorf("%+v", g)
		}
	}
	text("driver", r.DriverVersion, 120)
	text("CUDA", r.CUDAVersion, 120)
}

// FuzzJudge: a report is well formed whatever a machine prints, and the same each time. Its seeds
// are small, since the fuzzer is slow with long ones.
func FuzzJudge(f *testing.F) {
	for _, name := range []string{g, "t4-v10.txt", "mi210-rocm-smi.txt"} {
		f.Add([]byte(golden(f, name)), 1, "NVIDIA H100", 8, 80, "InfiniBand")
	}
	for _, c := range faults {
		if c.file == "t4-v10.txt" || c.file == "mi210-rocm-smi.txt" {
			f.Add([]byte(replaceNth(golden(f, c.file), c.old, c.new, c.nth)), 2, c.want.GPUType, 0, 0, "")
		}
	}
	for name, text := range map[string]string{
		"topo":      "\tGPU0\tGPU1\n|GPU0\t X \tNV18\n|GPU1\tNV18\t X \n",
		"kernel":    "readable\n|NVRM: Xid (PCI:0000:1b:00): 79, pid=1\n",
		"ports":     "mlx5_0/1;InfiniBand;4: ACTIVE;5: LinkUp;400 Gb/sec (4X NDR)\n",
		"amdstatic": `[{"asic": {"market_name": "AMD MI300X"}, "vram": {"size": {"value": 9, "unit": "GB"}}}]`,
		"amdmetric": `{"gpu_data": [{"gpu": 0, "ecc": {"total_uncorrectable_count": 1}, "pcie": {"width": 8}}]}`,
		"cuda":      "init 0\n|count 0 2\n|device 0 0\n|device 1 999\n|end\n",
		"dcgm": `{"DCGM Diagnostic": {"test_categories": [{"tests": [{"name": "a", "results": [{"entity_id": 1, ` +
			`"status": "Fail", "warnings": [{"error_severity": 5, "warning": "x"}]}]}]}]}}`,
		"nvbandwidth": `{"nvbandwidth": {"testcases": [{"name": "host_to_device_memcpy_ce", "status": "Passed", ` +
			`"bandwidth_matrix": [["55.1", "N/A", 12]]}]}}`,
		"allreduce": "1 1 float sum -1 1.0 1.0 40 0 1.0 1.0 1.0 0\n|# Out of bounds values : 0 OK\n",
	} {
		text = "@begin " + name + "\n|" + text + "\n@end " + name + " 0\n@begin done\n@end done 0\n"
		f.Add([]byte(text), 3, "", 2, 0, "InfiniBand")
	}
	f.Fuzz(func(t *testing.T, output []byte, level int, model string, gpus, memory int, link string) {
		want := gpucheck.Expected{GPUType: model, GPUCount: gpus, GPUMemoryGB: memory, Interconnect: link}
		r := gpucheck.Judge(output, gpucheck.Level(level), want)
		checkReport(t, r)
		again := gpucheck.Judge(output, gpucheck.Level(level), want)
		a, _ := json.Marshal(r)
		b, _ := json.Marshal(again)
		if string(a) != string(b) {
			t.Errorf("the same output is judged differently:\n%s\n%s", a, b)
		}
	})
}
