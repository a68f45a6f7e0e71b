package gpucheck

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Shares of what is usual below which a speed is a warning and a fault.
const (
	slow   = 0.75
	broken = 0.5
)

// pcieWidth1 is the speed of a PCIe link of width 1 in GB/s, by generation.
var pcieWidth1 = map[int]float64{1: 0.25, 2: 0.5, 3: 0.985, 4: 1.969, 5: 3.938, 6: 7.563}

// nvbandwidth judges the speed of copies. The tool has no limits of its own, so each GPU is
// compared with the others, and copies from and to the host with the PCIe link.
func (s sections) nvbandwidth(m machine) Check {
	c := Check{CheckNVBandwidth, NotChecked, "nvbandwidth is not installed on the machine."}
	run := s.get("nvbandwidth")
	switch {
	case run == nil:
		return c
	case run.hung():
		c.Verdict, c.Detail = Failed, "nvbandwidth did not end in time."
		return c
	}
	document, _ := decode(run.text).(map[string]any)
	root := anyMap(document).object("nvbandwidth")
	var failed, warnings, slowest []string
	for _, test := range root.objects("testcases") {
		name := strings.TrimSuffix(clean(test.text("name")), "_ce")
		switch test.text("status") {
		case "Passed":
			host := strings.Contains(name, "host")
			speeds := matrix(test)
			if len(speeds) == 0 {
				continue
			}
			slowest = append(slowest, fmt.Sprintf("%s %.0f GB/s", name, speeds[0].gbps))
			if host || m.mesh() {
				f, w := outliers(name, speeds, host, m.pcieSpeed)
				failed, warnings = append(failed, f...), append(warnings, w...)
			}
		case "Error":
			why := clean(test.text("error"))
			if strings.Contains(why, "out of memory") {
				c.Detail = "nvbandwidth could not run: the GPUs have too little memory, or programs use it."
				return c
			}
			failed = append(failed, name+" failed: "+why)
		}
	}
	switch {
	case len(failed) > 0:
		c.Verdict, c.Detail = Failed, "Copies are too slow or fail: "+sentence(listed(failed))
	case len(warnings) > 0:
		c.Verdict, c.Detail = Warning, "Copies are slow: "+sentence(listed(warnings))
	case len(slowest) == 0:
		c.Detail = sentence("nvbandwidth could not run: " +
			cmp.Or(clean(root.text("error")), run.firstLine(), "it printed nothing"))
	default:
		c.Verdict, c.Detail = Passed, "The slowest copies: "+sentence(listed(slowest))
	}
	return c
}

// speed is that of copies from a GPU (or the host) to another.
type speed struct {
	from, to int
	gbps     float64
}

// matrix reads the speeds of a test, the slowest first.
func matrix(test anyMap) (out []speed) {
	rows, _ := test["bandwidth_matrix"].([]any)
	for i, row := range rows[:min(len(rows), maxGPUs)] {
		cells, _ := row.([]any)
		for j, cell := range cells[:min(len(cells), maxGPUs)] {
			n, err := strconv.ParseFloat(anyMap{"x": cell}.text("x"), 64)
			if err == nil && n > 0 && n < 1e6 { // N/A, or a GPU with itself
				out = append(out, speed{i, j, n})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b speed) int { return cmp.Compare(a.gbps, b.gbps) })
	return out
}

// outliers compares speeds, the slowest first, with the median, and with the links in GB/s.
func outliers(name string, speeds []speed, host bool, links []float64) (failed, warnings []string) {
	median := speeds[len(speeds)/2].gbps
	for _, s := range speeds {
		where := fmt.Sprintf("GPU %d to GPU %d", s.from, s.to)
		if host {
			where = fmt.Sprintf("GPU %d", s.to)
		}
		text := fmt.Sprintf("%s of %s is %.0f GB/s, usual are %.0f", name, where, s.gbps, median)
		switch {
		case s.gbps < broken*median:
			failed = append(failed, text)
		case s.gbps < slow*median:
			warnings = append(warnings, text)
		case host && s.to < len(links) && s.gbps < broken*links[s.to]:
			warnings = append(warnings, fmt.Sprintf("%s of %s is %.0f GB/s, its PCIe link could carry %.0f", name,
				where, s.gbps, links[s.to]))
		}
	}
	return failed, warnings
}

// mesh reports whether NVLink is meant to connect each GPU with every other.
func (m machine) mesh() bool {
	return len(m.gpus) > 1 && !slices.ContainsFunc(m.gpus, func(g GPU) bool { return !meshed(g.Model) })
}

// usualBus is the bus bandwidth in GB/s that eight GPUs with NVSwitch reach in all_reduce_perf.
var usualBus = []struct {
	model *regexp.Regexp
	gbps  float64
}{
	{regexp.MustCompile(`(?i)\bB[23]00\b`), 700},
	{regexp.MustCompile(`(?i)\b(H100|H200|H20)\b`), 420},
	{regexp.MustCompile(`(?i)\bA100\b`), 220},
}

// usualBus returns what the GPUs reach in all_reduce_perf, in GB/s; 0 if that is not known.
func (m machine) usualBus() float64 {
	for _, u := range usualBus {
		if len(m.gpus) == 8 && m.mesh() && u.model.MatchString(m.gpus[0].Model) {
			return u.gbps
		}
	}
	return 0
}

var (
	outOfBounds = regexp.MustCompile(`# Out of bounds values : (\d{1,12}) (OK|FAILED)`)
	rank        = regexp.MustCompile(`(?m)^\s*#\s+Rank\s+\d+`)
)

// nccl judges all_reduce_perf: whether the sums are right, and for models whose speed is known,
// whether they are fast.
func (s sections) nccl(m machine) Check {
	c := Check{CheckNCCL, NotChecked, "all_reduce_perf is not installed on the machine."}
	run := s.get("allreduce")
	switch {
	case run == nil:
		return c
	case run.hung():
		c.Verdict, c.Detail = Failed, "all_reduce_perf did not end in time."
		return c
	}
	text := string(run.text)
	fastest, wrong := busBandwidth(text)
	bounds := outOfBounds.FindStringSubmatch(text)
	ranks := len(rank.FindAllString(text, -1))
	usual := m.usualBus()
	switch {
	case strings.Contains(text, "out of memory"):
		c.Detail = "all_reduce_perf could not run: the GPUs have too little memory, or programs use it."
	case wrong || bounds != nil && (bounds[2] == "FAILED" || bounds[1] != "0"):
		c.Verdict, c.Detail = Failed, "A sum over all GPUs was wrong."
	case strings.Contains(text, "Test NCCL failure") || strings.Contains(text, "Test CUDA failure"):
		c.Verdict, c.Detail = Failed, "The GPUs could not compute a sum together: all_reduce_perf failed."
	case !run.good() || fastest <= 0 || bounds == nil:
		c.Detail = sentence("all_reduce_perf could not run: " + cmp.Or(run.firstLine(), "it printed nothing"))
	case fastest < broken*usual:
		c.Verdict = Failed
		c.Detail = fmt.Sprintf("The GPUs exchange %.0f GB/s; usual are %.0f.", fastest, usual)
	case fastest < slow*usual:
		c.Verdict = Warning
		c.Detail = fmt.Sprintf("The GPUs exchange %.0f GB/s; usual are %.0f.", fastest, usual)
	case ranks > 0 && ranks < len(m.gpus):
		c.Verdict = Warning
		c.Detail = fmt.Sprintf("Only %d of %s took part in all_reduce_perf.", ranks, plural(len(m.gpus), "GPU"))
	default:
		c.Verdict, c.Detail = Passed, fmt.Sprintf("The GPUs exchange %.0f GB/s.", fastest)
	}
	return c
}

// busBandwidth returns the highest bus bandwidth of the table, and whether it counts wrong values.
// Its columns are size, count, type, operation and root, then time, two bandwidths and wrong
// values, once or twice.
func busBandwidth(text string) (fastest float64, wrong bool) {
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) != 9 && len(w) != 13 || number(w[0]) == 0 {
			continue
		}
		for at := 7; at < len(w); at += 4 {
			if n, err := strconv.ParseFloat(w[at], 64); err == nil && n < 1e6 {
				fastest = max(fastest, n)
			}
			wrong = wrong || number(w[at+1]) > 0
		}
	}
	return fastest, wrong
}
