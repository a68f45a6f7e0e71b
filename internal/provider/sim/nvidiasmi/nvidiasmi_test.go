package nvidiasmi_test

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/sim/nvidiasmi"
)

func system(model string, count int) nvidiasmi.System {
	return nvidiasmi.System{
		Machine:   "m",
		Model:     model,
		Count:     count,
		MemoryMiB: 183359,
		CPUs:      16,
		Now: func() time.Time {
			return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		},
	}
}

func run(t *testing.T, s nvidiasmi.System, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	code = s.Run(args, &out, &errs, func(time.Duration) bool { return false })
	return out.String(), errs.String(), code
}

// What other projects' programs ask, in their own words, and what they look for in the answer.
func TestProgramsGetTheAnswersThatTheyParse(t *testing.T) {
	t.Parallel()
	s := system("NVIDIA H100", 8)
	for name, c := range map[string]struct {
		args []string
		want string // a regular expression for the whole of standard output
	}{
		"PyTorch and vLLM collect_env: driver version": {nil,
			`(?s).*Driver Version: (\d+\.\d+\.\d+) .*CUDA Version: \d+\.\d+ .*`},
		"PyTorch collect_env: models": {[]string{"-L"},
			`(GPU \d+: .+ \(UUID: GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\)\n){8}`},
		"vLLM collect_env: topology": {[]string{"topo", "-m"},
			`(?s)\tGPU0\t.*GPU7\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \tNV18\t.*Legend:.*`},
		"Ray: accelerator type": {[]string{"--query-gpu=name", "--format=csv,noheader"},
			`(NVIDIA H100 \(simulated\)\n){8}`},
		"Ansible's usual fact": {[]string{"--query-gpu=count", "--format=csv,noheader"}, `(8\n){8}`},
		"Slurm and Kubernetes scripts: free memory": {
			[]string{"--query-gpu=index,memory.free", "--format=csv,noheader,nounits"}, `(\d, 183359\n){8}`},
		"nvidia_gpu_exporter: its fields": {[]string{"--query-gpu=timestamp,driver_version,count,name," +
			"serial,uuid,pci.bus_id,pci.domain,pcie.link.gen.current,pcie.link.width.max,index," +
			"fan.speed,pstate,clocks_throttle_reasons.active,memory.total,memory.used,utilization.gpu," +
			"ecc.mode.current,ecc.errors.corrected.volatile.dram,temperature.gpu,power.draw," +
			"clocks.current.graphics,clocks.max.sm,mig.mode.current", "--format=csv"},
			`timestamp, driver_version, .*, memory\.total \[MiB\], memory\.used \[MiB\], ` +
				`utilization\.gpu \[%\], .*, power\.draw \[W\], clocks\.current\.graphics \[MHz\], .*\n` +
				`(2026/11/29 12:00:00\.000, .*, 0x0000000000000001, 183359 MiB, 0 MiB, 0 %, Enabled, 0, 28, ` +
				`70\.00 W, 120 MHz, 1980 MHz, Disabled\n){8}`},
		"a watchdog: processes": {
			[]string{"--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader"}, ``},
		"a watchdog: the head": {[]string{"--query-compute-apps=pid,used_gpu_memory", "--format=csv"},
			`pid, used_gpu_memory \[MiB\]\n`},
		"one GPU by index": {[]string{"-i", "3", "--query-gpu=index", "--format=csv,noheader"}, `3\n`},
		"two GPUs":         {[]string{"--id=1,2", "--query-gpu=index", "--format=csv,noheader"}, `1\n2\n`},
		"one section": {[]string{"-q", "-d", "MEMORY", "-i", "0"},
			`(?s).*Attached GPUs +: 8\nGPU 00000000:1B:00\.0\n    FB Memory Usage\n        Total +: 183359 MiB\n` +
				`.*Free +: 183359 MiB\n\n`},
		"spaces in a list of fields": {[]string{"--query-gpu=index, name", "--format=csv, " +
			"noheader", "-i", "0"}, `0, NVIDIA H100 \(simulated\)\n`},
		"NVLink": {[]string{"nvlink", "-s"}, `(GPU \d+: .*\n(\t Link \d+: [\d.]+ GB/s\n){18}){8}`},
		"a loop that is ended at once": {[]string{"--query-gpu=index", "--format=csv,noheader", "-i", "0", "-l", "1"},
			`0\n`},
	} {
		out, errs, code := run(t, s, c.args...)
		if code != 0 || !regexp.MustCompile("^"+c.want+"$").MatchString(out) || strings.Count(errs, "\n") != 1 ||
			!strings.Contains(errs, "simulated") {
			t.Errorf("%s: %d, %q\n%s", name, code, errs, out)
		}
	}
}

// The log, its XML, the list and the queries state the same facts.
func TestEveryFormStatesTheSameFacts(t *testing.T) {
	t.Parallel()
	s := system("NVIDIA B200", 2)
	out, _, code := run(t, s, "-q", "-x")
	var log struct {
		Driver string `xml:"driver_version"`
		Count  int    `xml:"attached_gpus"`
		GPUs   []struct {
			ID     string `xml:"id,attr"`
			Name   string `xml:"product_name"`
			UUID   string `xml:"uuid"`
			Memory string `xml:"fb_memory_usage>total"`
			Power  string `xml:"gpu_power_readings>instant_power_draw"`
			Util   string `xml:"utilization>gpu_util"`
			Temp   string `xml:"temperature>gpu_temp"`
			SM     string `xml:"clocks>sm_clock"`
		} `xml:"gpu"`
	}
	if err := xml.Unmarshal([]byte(out), &log); err != nil || code != 0 || log.Count != 2 || len(log.GPUs) != 2 {
		t.Fatalf("%v, %d: %s", err, code, out)
	}
	list, _, _ := run(t, s, "-L")
	text, _, _ := run(t, s, "-q")
	for i, g := range log.GPUs {
		q, _, _ := run(
			t,
			s,
			"-i",
			fmt.Sprint(i),
			"--query-gpu=pci.bus_id,name,uuid,memory.total,power.draw,utilization.gpu,clocks.sm,driver_version,temperature.gpu",
			"--format=csv,noheader",
		)
		want := strings.Join(
			[]string{
				g.ID,
				g.Name,
				g.UUID,
				g.Memory,
				g.Power,
				g.Util,
				g.SM,
				log.Driver,
				strings.TrimSuffix(g.Temp, " C"),
			},
			", ",
		)
		if strings.TrimSpace(q) != want {
			t.Errorf("the query has %q, the XML %q", q, want)
		}
		if !strings.Contains(list, g.UUID) || !strings.Contains(text, g.UUID) || !strings.Contains(text, g.ID) {
			t.Errorf("%s is not everywhere", g.UUID)
		}
	}
	if log.GPUs[0].UUID == log.GPUs[1].UUID || log.GPUs[0].ID == log.GPUs[1].ID {
		t.Error("two GPUs are the same")
	}
	table, _, _ := run(t, s)
	width := 0
	for _, line := range strings.Split(table, "\n") {
		if strings.HasPrefix(line, "|") || strings.HasPrefix(line, "+") {
			if width == 0 {
				width = len(line)
			}
			if len(line) != width {
				t.Errorf("%d columns instead of %d: %s", len(line), width, line)
			}
		}
	}
}

// Every field that help lists can be asked for, alone, with a name that has no unit of its own.
func TestEveryListedFieldCanBeQueried(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"NVIDIA B200", "NVIDIA RTX 4090", "Something else"} {
		s := system(model, 1)
		help, _, _ := run(t, s, "--help-query-gpu")
		names := regexp.MustCompile(`(?m)^"([a-zA-Z0-9_.]+)"$`).FindAllStringSubmatch(help, -1)
		if len(names) < 150 {
			t.Fatalf("%d fields", len(names))
		}
		for _, n := range names {
			out, _, code := run(t, s, "--query-gpu="+n[1], "--format=csv,noheader,nounits")
			if code != 0 || strings.TrimSpace(out) == "" || strings.Count(out, "\n") != 1 {
				t.Errorf("%s: %d %q", n[1], code, out)
			}
		}
	}
}

func TestWhatCannotBeDoneHasNVIDIAsExitCodes(t *testing.T) {
	t.Parallel()
	s := system("NVIDIA L40S", 2)
	for args, want := range map[string]int{
		"--query-gpu=nonsense --format=csv": 2, "--query-gpu=name": 2, "--query-gpu=name " +
			"--format=xml": 2, "--no-such": 2, "topo": 2, "vgpu": 2,
		"-i 2 -L": 6, "-i GPU-00000000 -L": 6, "-pm 1": 3, "--gpu-reset": 3, "-l 0": 2, "-q -d NOTHING": 2,
		"mig -lgi": 6,
	} {
		out, _, code := run(t, s, strings.Fields(args)...)
		if code != want || out == "" {
			t.Errorf("%s: %d %q, want %d", args, code, out, want)
		}
	}
	out, _, _ := run(t, s, "topo", "-m")
	if !strings.Contains(out, "GPU0\t X \tSYS\t") { // no NVLink
		t.Error(out)
	}
}
