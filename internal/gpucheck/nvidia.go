package gpucheck

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// notReady are exit codes of nvidia-smi while a driver is being installed: it is not loaded (9),
// its library is missing (12), or they differ in version (18).
var notReady = []int{9, 12, 18}

// nvidia reads what nvidia-smi reports, in the formats of its documents v10 to v13.
func (s sections) nvidia() machine {
	m := machine{}
	smi := s.get("smi")
	switch {
	case smi == nil:
		m.unreadVerdict, m.unread = NotChecked, "The machine has no nvidia-smi, so its GPUs are unknown."
		m.checks = []Check{{CheckCompute, NotChecked, "The GPUs are unknown."}}
		return m
	case smi.hung():
		m.unreadVerdict, m.unread = Failed, "nvidia-smi did not answer in time, which a GPU that hangs can cause."
		m.checks = []Check{{CheckCompute, NotChecked, "It was not tried, since nvidia-smi did not answer."}}
		return m
	}
	log, err := parseXML(smi.text)
	if err != nil || log.name != "nvidia_smi_log" {
		m.unreadVerdict, m.unread = NotChecked, "The output of nvidia-smi could not be read."
		if smi.ended && slices.Contains(notReady, smi.code) || smi.code != 0 && s.unloaded("nvidia") {
			m.noDriver = true
			m.unread = sentence("The NVIDIA driver is not ready: " +
				cmp.Or(smi.firstLine(), "nvidia-smi printed nothing"))
			m.checks = []Check{{CheckCompute, NotChecked, "It was not tried, since the NVIDIA driver is not ready."}}
			return m
		}
		if smi.ended && smi.code != 0 {
			m.unreadVerdict = Failed
			m.unread = sentence("nvidia-smi failed: " + cmp.Or(smi.firstLine(), "it printed nothing"))
		}
		m.checks = []Check{s.cuda(0)}
		return m
	}
	m.driver, m.cuda = clean(log.value("driver_version")), clean(log.value("cuda_version"))
	var devices []*element
	for _, e := range log.children {
		if e.name != "gpu" || len(devices) == maxGPUs {
			continue
		}
		m.gpus = append(m.gpus, GPU{
			Index: len(devices), Model: clean(e.value("product_name")), UUID: clean(e.value("uuid")),
			Serial: clean(e.value("serial")), BusID: clean(cmp.Or(e.id, e.value("pci/pci_bus_id"))),
			MemoryMiB: number(e.value("fb_memory_usage/total")),
		})
		link := e.at("pci/pci_gpu_link_info")
		m.pcieSpeed = append(m.pcieSpeed, pcieWidth1[number(link.value("pcie_gen/max_link_gen"))]*
			float64(number(link.value("link_widths/max_link_width"))))
		devices = append(devices, e)
	}
	if len(devices) == 0 {
		m.unreadVerdict, m.unread = Failed, "The driver reports no GPU."
	}
	m.worn = slices.ContainsFunc(devices, remapFailed)
	compute := s.cuda(len(devices))
	if slices.ContainsFunc(devices, joining) {
		compute = Check{CheckCompute, NotChecked,
			"The GPUs have not joined their NVLink fabric yet, so it is not known."}
	}
	m.checks = []Check{
		compute,
		each(CheckECC, devices, ecc, "Memory errors are corrected, and none was uncorrectable since the last reset."),
		each(CheckRowRemap, devices, rowRemap, "No repair of memory failed or waits for a reset."),
		each(CheckReset, devices, reset, "The driver asks for no reset."),
		each(CheckPartitioning, devices, mig, "The GPUs are not partitioned."),
		each(CheckPower, devices, power, "The power limits are the default."),
		each(CheckClocks, devices, clocks, "Nothing slows the clocks down."),
		each(CheckPCIe, devices, pcie(devices), "The PCIe links have the width that is usual for them."),
		each(CheckFabric, devices, fabric, "The NVLink fabric is ready."),
		s.nvlink(m.gpus),
	}
	return m
}

// each runs a check on each GPU.
func each(name string, devices []*element, f func(t *tally, i int, e *element), passed string) Check {
	t := newTally(name)
	for i, e := range devices {
		f(t, i, e)
	}
	return t.check(passed)
}

// number is the number at the beginning of a text such as "81559 MiB" or "16x"; 0 if there is
// none. It has an upper limit, so that a sum of some never overflows.
func number(text string) int {
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	if end == 0 {
		return 0
	}
	const most = 1 << 30
	n, err := strconv.Atoi(text[:end])
	if err != nil {
		return most
	}
	return min(n, most)
}

func watts(text string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, " W"), 64)
	if err != nil {
		return 0
	}
	return n
}

// counter reports whether an element counts errors that could not be corrected. Before v12 they
// were the total of double-bit errors.
func counter(e *element) bool { return strings.Contains(e.name, "uncorrectable") }

func ecc(t *tally, i int, e *element) {
	errors, counted := 0, false
	count := func(c *element) {
		if text := strings.TrimSpace(c.text); text != "" && text[0] >= '0' && text[0] <= '9' {
			errors, counted = max(errors, number(text)), true
		}
	}
	e.at("ecc_errors/volatile").each(func(c *element) {
		if counter(c) {
			count(c)
		}
	})
	count(e.at("ecc_errors/volatile/double_bit/total"))
	switch mode := e.value("ecc_mode/current_ecc"); {
	case errors > 0:
		t.add(Failed, i, "uncorrectable memory errors since the last reset: %d", errors)
	case e.value("ecc_errors/aggregate/sram_threshold_exceeded") == "Yes",
		e.value("ecc_errors/unrepairable_memory") == "Yes":
		t.add(Failed, i, "too many memory errors, so the GPU must be replaced")
	case mode == "Disabled" && strings.Contains(e.value("product_name"), "RTX"):
		t.add(NotChecked, i, "error correction (ECC) is off, as is usual for this model")
	case mode == "Disabled":
		t.add(Warning, i, "error correction (ECC) is off")
	case mode != "Enabled" || !counted:
		t.add(NotChecked, i, "no error correction (ECC) is reported")
	default:
		t.pass()
	}
}

// remapFailed reports whether the GPU's memory can no longer be repaired.
func remapFailed(e *element) bool { return e.value("remapped_rows/remapped_row_failure") == "Yes" }

func rowRemap(t *tally, i int, e *element) {
	pending, failure := e.value("remapped_rows/remapped_row_pending"), e.value("remapped_rows/remapped_row_failure")
	// GPUs before Ampere retire pages.
	retired := cmp.Or(e.value("retired_pages/pending_retirement"), e.value("retired_pages/pending_blacklist"))
	switch {
	case remapFailed(e):
		t.add(Failed, i, "a repair of memory failed, so the GPU must be replaced")
	case pending == "Yes" || retired == "Yes" || e.value("ecc_errors/channel_repair_pending") == "Yes" ||
		e.value("ecc_errors/tpc_repair_pending") == "Yes":
		t.add(Failed, i, "a repair of memory waits for a reset")
	case pending == "No" && failure == "No" || retired == "No":
		t.pass()
	default:
		t.add(NotChecked, i, "no repairs of memory are reported")
	}
}

func reset(t *tally, i int, e *element) {
	lost := false
	e.each(func(c *element) {
		if text := strings.ToLower(c.text); strings.Contains(text, "gpu is lost") ||
			strings.Contains(text, "gpu requires reset") {
			lost = true
		}
	})
	action := e.value("gpu_recovery_action") // since v13
	required := e.value("gpu_reset_status/reset_required")
	drain := e.value("gpu_reset_status/drain_and_reset_recommended")
	switch lower := strings.ToLower(action); {
	case lost:
		t.add(Failed, i, "the driver lost the GPU")
	case strings.Contains(lower, "reset"), strings.Contains(lower, "reboot"), strings.Contains(lower, "drain"):
		t.add(Failed, i, "the driver asks for this: %s", clean(action))
	case required == "Yes" || drain == "Yes":
		t.add(Failed, i, "the driver asks for a reset")
	case lower == "none" || action == "" && required == "No":
		t.pass()
	default:
		t.add(NotChecked, i, "the driver does not report whether it asks for a reset")
	}
}

func mig(t *tally, i int, e *element) {
	switch now, next := e.value("mig_mode/current_mig"), e.value("mig_mode/pending_mig"); {
	case now == "Enabled":
		t.add(Failed, i, "it is partitioned (MIG is on)")
	case next == "Enabled":
		t.add(Warning, i, "it is partitioned (MIG) after the next reset")
	case now == "Disabled":
		t.pass()
	default:
		t.add(NotChecked, i, "no partitions (MIG) are reported")
	}
}

func power(t *tally, i int, e *element) {
	readings := e.at("gpu_power_readings")
	if len(readings.children) == 0 {
		readings = e.at("power_readings") // before v12
	}
	limit := watts(cmp.Or(readings.value("current_power_limit"), readings.value("enforced_power_limit"),
		readings.value("power_limit")))
	usual := watts(readings.value("default_power_limit"))
	switch {
	case limit <= 0 || usual <= 0:
		t.add(NotChecked, i, "no power limit is reported")
	case limit < usual-0.5:
		t.add(Warning, i, "the power limit is %.0f W instead of %.0f W", limit, usual)
	default:
		t.pass()
	}
}

// slowdowns are what makes the hardware or driver lower the clocks, by the end of the element's
// name.
var slowdowns = []struct {
	end, says string
	verdict   Verdict
}{
	{"_hw_thermal_slowdown", "it is slowed down because it is too hot", Failed},
	{"_hw_power_brake_slowdown", "it is slowed down because of its power supply", Failed},
	{"_hw_slowdown", "it is slowed down by the hardware", Failed},
	{"_sw_thermal_slowdown", "the driver slows it down because it is hot", Warning},
}

func clocks(t *tally, i int, e *element) {
	reasons := e.at("clocks_event_reasons")
	if len(reasons.children) == 0 {
		reasons = e.at("clocks_throttle_reasons") // before v12
	}
	known := false
	for _, s := range slowdowns {
		for _, c := range reasons.children {
			if !strings.HasSuffix(c.name, s.end) {
				continue
			}
			switch strings.TrimSpace(c.text) {
			case "Active":
				t.add(s.verdict, i, "%s", s.says)
				return
			case "Not Active":
				known = true
			}
		}
	}
	set, usual := e.value("applications_clocks/graphics_clock"), e.value("default_applications_clocks/graphics_clock")
	switch {
	case number(set) > 0 && number(set) < number(usual):
		t.add(Warning, i, "its clock is set to %d MHz instead of %d MHz", number(set), number(usual))
	case known:
		t.pass()
	default:
		t.add(NotChecked, i, "no reasons for lower clocks are reported")
	}
}

// width returns the width of a GPU's PCIe link.
func width(e *element) int {
	return number(e.value("pci/pci_gpu_link_info/link_widths/current_link_width"))
}

// pcie judges the links. Clouds put some cards, such as T4 and A10G, into narrow slots, so a narrow
// link is a fault of a socketed GPU, or of one card if the others have wider links.
func pcie(devices []*element) func(t *tally, i int, e *element) {
	widest := 0
	for _, e := range devices {
		widest = max(widest, width(e))
	}
	return func(t *tally, i int, e *element) {
		link, model := e.at("pci/pci_gpu_link_info"), e.value("product_name")
		width, most := width(e), number(link.value("link_widths/max_link_width"))
		now, best := number(link.value("pcie_gen/current_link_gen")), number(link.value("pcie_gen/max_link_gen"))
		switch busy := number(e.value("utilization/gpu_util")) >= 50; {
		case width <= 0 || most <= 0:
			t.add(NotChecked, i, "no PCIe width is reported")
		case width < most && (meshed(model) || width < widest && !strings.Contains(model, "GeForce")):
			t.add(Failed, i, "it has %d of %d PCIe lanes", width, most)
		case width < most:
			t.add(Warning, i, "it has %d of %d PCIe lanes", width, most)
		case busy && now > 0 && now < best: // an idle GPU lowers it
			t.add(Warning, i, "its PCIe link has generation %d instead of %d under load", now, best)
		default:
			t.pass()
		}
	}
}

// joining reports whether a GPU is about to join its fabric, as after each start of a machine.
// Until then no CUDA program starts.
func joining(e *element) bool { return e.value("fabric/state") == "In Progress" }

func fabric(t *tally, i int, e *element) {
	state, status := e.value("fabric/state"), e.value("fabric/status")
	degraded := e.value("fabric/health/bandwidth")
	switch {
	case state == "":
		t.add(NotChecked, i, "it is not part of an NVLink fabric")
	case joining(e):
		t.add(NotChecked, i, "it has not joined the NVLink fabric yet (%s)", clean(state))
	case state != "Completed":
		t.add(Failed, i, "it has not joined the NVLink fabric (%s)", clean(state))
	case status != "" && status != "Success":
		t.add(Failed, i, "it could not join the NVLink fabric (%s)", clean(status))
	case degraded == "Degraded":
		t.add(Warning, i, "its NVLink fabric is degraded")
	default:
		t.pass()
	}
}
