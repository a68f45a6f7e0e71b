package gpucheck

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// amd reads what amd-smi reports, or rocm-smi where that is missing.
func (s sections) amd() machine {
	m := machine{amd: true}
	static, old := s.get("amdstatic"), s.get("rocmsmi")
	tool, name := static, "amd-smi"
	if tool == nil {
		tool, name = old, "rocm-smi"
	}
	switch {
	case tool == nil:
		m.unreadVerdict, m.unread = NotChecked, "The machine has neither amd-smi nor rocm-smi, so its GPUs are unknown."
	case tool.hung():
		m.unreadVerdict, m.unread = Failed, name+" did not answer in time, which a GPU that hangs can cause."
	case tool == old:
		m.readROCm(old)
	default:
		m.readAMD(static, s.get("amdmetric"))
	}
	if len(m.gpus) == 0 && m.unread == "" {
		m.unreadVerdict, m.unread = NotChecked, "The output of "+name+" could not be read."
		switch {
		case s.unloaded("amdgpu"):
			m.noDriver = true
			m.unread = "The kernel has not loaded the AMD driver (amdgpu), so the GPUs are unknown."
		case tool.ended && tool.code != 0:
			m.unreadVerdict = Failed
			m.unread = sentence(name + " failed: " + cmp.Or(tool.firstLine(), "it printed nothing"))
		}
	}
	compute := s.rocm(len(m.gpus))
	if m.noDriver {
		compute = Check{CheckCompute, NotChecked, "It says nothing, since the AMD driver is not loaded."}
	}
	m.checks = append([]Check{compute}, m.checks...)
	return m
}

// anyMap is a JSON object of which only some fields are known.
type anyMap map[string]any

// object returns the object at a key, or an empty one.
func (a anyMap) object(key string) anyMap {
	o, _ := a[key].(map[string]any)
	return o
}

// text returns the text or number at a key; amd-smi has {"value": 16, "unit": "W"} for some. It is
// "" for N/A.
func (a anyMap) text(key string) string {
	switch v := a[key].(type) {
	case string:
		if strings.EqualFold(v, "N/A") {
			return ""
		}
		return v
	case json.Number:
		return v.String()
	case map[string]any:
		return anyMap(v).text("value")
	}
	return ""
}

// decode reads the first JSON value of a text; tools print warnings before it.
func decode(text []byte) any {
	i := bytes.IndexAny(text, "{[")
	if i < 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text[i:]))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// amdList reads the GPUs of amd-smi, which are a list or, since ROCm 7, the list gpu_data.
func amdList(run *section) []anyMap {
	if run == nil {
		return nil
	}
	v := decode(run.text)
	if o, is := v.(map[string]any); is {
		v = o["gpu_data"]
	}
	list, _ := v.([]any)
	var out []anyMap
	for _, x := range list {
		if o, is := x.(map[string]any); is && len(out) < maxGPUs {
			out = append(out, o)
		}
	}
	return out
}

// mib is a size with its unit in MiB; amd-smi calls MiB MB.
func mib(size anyMap) int {
	n := number(size.text("value"))
	if strings.HasPrefix(strings.ToUpper(size.text("unit")), "G") {
		return min(n, 1<<20) << 10
	}
	return n
}

func (m *machine) readAMD(static, metric *section) {
	devices := amdList(static)
	metrics := map[string]anyMap{}
	for _, o := range amdList(metric) {
		metrics[o.text("gpu")] = o
	}
	ecc, link := newTally(CheckECC), newTally(CheckPCIe)
	clock, parts := newTally(CheckClocks), newTally(CheckPartitioning)
	for i, o := range devices {
		asic, board := o.object("asic"), o.object("board")
		m.driver = cmp.Or(m.driver, clean(o.object("driver").text("version")))
		m.gpus = append(m.gpus, GPU{
			Index:  i,
			Model:  clean(cmp.Or(asic.text("market_name"), board.text("product_name"))),
			UUID:   clean(o.text("uuid")),
			Serial: clean(cmp.Or(asic.text("asic_serial"), board.text("product_serial"))),
			BusID:  clean(o.object("bus").text("bdf")), MemoryMiB: mib(o.object("vram").object("size")),
		})
		now := metrics[cmp.Or(o.text("gpu"), strconv.Itoa(i))]
		amdECC(ecc, i, now.object("ecc").text("total_uncorrectable_count"))
		amdLink(link, i, now.object("pcie").text("width"), o.object("bus").text("max_pcie_width"))
		switch now.object("power").text("throttle_status") {
		case "UNTHROTTLED":
			clock.pass()
		case "THROTTLED":
			clock.add(Warning, i, "it is slowed down")
		default:
			clock.add(NotChecked, i, "no reasons for lower clocks are reported")
		}
		part := o.object("partition")
		switch mode := cmp.Or(part.text("compute_partition"), part.text("accelerator_partition")); mode {
		case "SPX":
			parts.pass()
		case "":
			parts.add(NotChecked, i, "no partitions are reported")
		default:
			parts.add(Failed, i, "it is partitioned (%s)", clean(mode))
		}
	}
	if len(devices) == 0 {
		return
	}
	m.checks = []Check{
		ecc.check("No uncorrectable memory error is reported."), parts.check("The GPUs are not partitioned."),
		clock.check("Nothing slows the clocks down."), link.check("The PCIe links have their full width."),
	}
}

func amdECC(t *tally, i int, count string) {
	switch n, err := strconv.Atoi(count); {
	case err != nil:
		t.add(NotChecked, i, "no memory errors are reported")
	case n > 0:
		t.add(Failed, i, "uncorrectable memory errors: %d", n)
	default:
		t.pass()
	}
}

func amdLink(t *tally, i int, now, most string) {
	switch width, full := number(now), number(most); {
	case width <= 0 || full <= 0:
		t.add(NotChecked, i, "no PCIe width is reported")
	case width < full:
		t.add(Failed, i, "it has %d of %d PCIe lanes", width, full)
	default:
		t.pass()
	}
}

// name is what a card is called. Some versions have only PCI device numbers, which name nothing.
func (a anyMap) name() string {
	for _, key := range []string{"card series", "device name", "card model"} {
		if name := a.text(key); name != "" && !strings.HasPrefix(name, "0x") {
			return name
		}
	}
	return ""
}

// readROCm reads rocm-smi, which has an object for each card, with texts whose case differs between
// versions.
func (m *machine) readROCm(run *section) {
	cards, _ := decode(run.text).(map[string]any)
	lower := func(o map[string]any) anyMap {
		out := anyMap{}
		for k, v := range o {
			out[strings.ToLower(k)] = v
		}
		return out
	}
	order := func(a, b string) int {
		return cmp.Or(cmp.Compare(number(a[len("card"):]), number(b[len("card"):])), cmp.Compare(a, b))
	}
	names := slices.DeleteFunc(slices.Collect(maps.Keys(cards)), func(k string) bool {
		return !strings.HasPrefix(k, "card")
	})
	slices.SortFunc(names, order)
	for _, name := range names[:min(len(names), maxGPUs)] {
		o, is := cards[name].(map[string]any)
		if !is {
			continue
		}
		card := lower(o)
		size, err := strconv.ParseInt(card.text("vram total memory (b)"), 10, 64)
		if err != nil || size < 0 {
			size = 0
		}
		m.gpus = append(m.gpus, GPU{
			Index: len(m.gpus), Model: clean(card.name()),
			UUID: clean(card.text("unique id")), BusID: clean(card.text("pci bus")), MemoryMiB: int(size >> 20),
		})
	}
	if system, is := cards["system"].(map[string]any); is {
		m.driver = clean(lower(system).text("driver version"))
	}
	if len(m.gpus) > 0 {
		m.checks = []Check{{CheckECC, NotChecked, "rocm-smi does not report memory errors. amd-smi does."}}
	}
}

// rocm reports whether a ROCm program starts and finds each of the GPUs.
func (s sections) rocm(gpus int) Check {
	c := Check{CheckCompute, NotChecked, "Whether ROCm programs start is unknown: rocminfo is not installed."}
	run := s.get("rocminfo")
	switch {
	case run == nil:
		return c
	case run.hung():
		c.Verdict, c.Detail = Failed, "A ROCm program did not start in time."
		return c
	case !run.good():
		c.Verdict, c.Detail = Failed, sentence("No ROCm program starts: "+cmp.Or(run.firstLine(), "rocminfo failed"))
		return c
	}
	found := 0
	for line := range strings.Lines(string(run.text)) {
		if name, value, is := strings.Cut(strings.TrimSpace(line), ":"); is && name == "Device Type" &&
			strings.TrimSpace(value) == "GPU" {
			found++
		}
	}
	switch {
	case found == 0 && gpus == 0:
		c.Detail = "Whether ROCm programs start is unknown: the GPUs are unknown."
	case found < gpus:
		c.Verdict, c.Detail = Failed, fmt.Sprintf("ROCm programs can use %d of %s.", found, plural(gpus, "GPU"))
	default:
		c.Verdict, c.Detail = Passed, "ROCm programs find each GPU."
	}
	return c
}
