package nvidiasmi

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// field is something that --query-gpu asks for: its unit, and its value of a GPU.
type field struct {
	unit  string
	value func(g gpu) string
}

const none = "[N/A]"

func constant(v string) func(gpu) string { return func(gpu) string { return v } }

func number[N int | int64](f func(g gpu) N) func(gpu) string {
	return func(g gpu) string { return fmt.Sprint(f(g)) }
}

func watts(f func(g gpu) float64) func(gpu) string {
	return func(g gpu) string { return fmt.Sprintf("%.2f", f(g)) }
}

// ifECC is a value of GPUs that have ECC.
func ifECC(v string) func(gpu) string {
	return func(g gpu) string {
		if g.ecc {
			return v
		}
		return none
	}
}

func orNone(v string) string {
	if v == "" {
		return none
	}
	return v
}

// fields are by name as NVIDIA's --help-query-gpu has them.
var fields = makeFields()

func makeFields() map[string]field {
	all := map[string]field{
		"timestamp":      {"", func(g gpu) string { return g.Now().Format("2006/01/02 15:04:05.000") }},
		"driver_version": {"", constant(driverVersion)},
		"count":          {"", func(g gpu) string { return fmt.Sprint(g.Count) }},
		"name":           {"", gpu.name},
		"serial":         {"", gpu.serial},
		"uuid":           {"", gpu.uuid},
		"index":          {"", func(g gpu) string { return fmt.Sprint(g.index) }},
		"compute_cap":    {"", func(g gpu) string { return orNone(g.capability) }},
		"pci.bus_id":     {"", gpu.busID},
		"pci.domain":     {"", constant("0x0000")},
		"pci.bus":        {"", func(g gpu) string { return fmt.Sprintf("0x%02X", g.bus()) }},
		"pci.device":     {"", constant("0x00")},
		"pci.baseClass":  {"", constant("0x3")},
		"pci.subClass":   {"", constant("0x2")},
		"pci.device_id":  {"", func(g gpu) string { return orNone(g.deviceID) }},
		"fan.speed": {" %", func(g gpu) string {
			if g.passive {
				return none
			}
			return "0"
		}},
		"memory.total":    {" MiB", number(func(g gpu) int64 { return g.MemoryMiB })},
		"memory.reserved": {" MiB", number(gpu.reservedMiB)},
		"memory.used":     {" MiB", constant("0")},
		// Free and used are of what the driver does not keep, but a real idle GPU shows all as free
		// within a few MiB, and schedulers compare it with the total.
		"memory.free":            {" MiB", number(func(g gpu) int64 { return g.MemoryMiB })},
		"power.draw":             {" W", watts(gpu.idleWatts)},
		"power.draw.average":     {" W", watts(gpu.idleWatts)},
		"power.draw.instant":     {" W", watts(gpu.idleWatts)},
		"power.limit":            {" W", watts(func(g gpu) float64 { return float64(g.watts) })},
		"enforced.power.limit":   {" W", watts(func(g gpu) float64 { return float64(g.watts) })},
		"power.default_limit":    {" W", watts(func(g gpu) float64 { return float64(g.watts) })},
		"power.max_limit":        {" W", watts(func(g gpu) float64 { return float64(g.watts) })},
		"power.min_limit":        {" W", watts(func(g gpu) float64 { return float64(g.minWatts) })},
		"clocks.max.graphics":    {" MHz", number(func(g gpu) int { return g.smMHz })},
		"clocks.max.sm":          {" MHz", number(func(g gpu) int { return g.smMHz })},
		"clocks.max.memory":      {" MHz", number(func(g gpu) int { return g.memoryMHz })},
		"clocks.current.memory":  {" MHz", number(func(g gpu) int { return g.memoryMHz })},
		"pcie.link.gen.max":      {"", number(func(g gpu) int { return g.pcieGen })},
		"pcie.link.gen.gpumax":   {"", number(func(g gpu) int { return g.pcieGen })},
		"pcie.link.gen.hostmax":  {"", number(func(g gpu) int { return g.pcieGen })},
		"pcie.link.gen.current":  {"", number(func(g gpu) int { return g.pcieGen })},
		"mig.mode.current":       {"", eccUnless(FaultPartitioning, "Enabled", "Disabled")},
		"mig.mode.pending":       {"", ifECC("Disabled")},
		"fabric.state":           {"", func(g gpu) string { return g.fabric("Completed") }},
		"fabric.status":          {"", func(g gpu) string { return g.fabric("Success") }},
		"pstate":                 {"", constant("P0")},
		"compute_mode":           {"", constant("Default")},
		"display_mode":           {"", constant("Disabled")},
		"display_attached":       {"", constant("No")},
		"display_active":         {"", constant("Disabled")},
		"persistence_mode":       {"", constant("Enabled")},
		"accounting.mode":        {"", constant("Disabled")},
		"accounting.buffer_size": {"", constant("4000")},
		"addressing_mode":        {"", constant("HMM")},
		"temperature.gpu":        {"", constant("28")},
		"temperature.gpu.tlimit": {" C", constant("60")},
		"temperature.memory":     {"", ifECC("27")},
		"power.management":       {"", constant("Enabled")},
		"gpu_recovery_action":    {"", constant("None")},
		"gsp.mode.current":       {"", constant("Enabled")},
		"gsp.mode.default":       {"", constant("Enabled")},

		"pcie.link.width.max":     {"", constant("16")},
		"pcie.link.width.current": {"", unless(FaultPCIe, "8", "16")},
		"remapped_rows.pending":   {"", eccUnless(FaultRowRemap, "Yes", "No")},
		"remapped_rows.failure":   {"", ifECC("No")},
		"retired_pages.pending":   {"", ifECC("No")},

		"encoder.stats.sessionCount": {"", constant("0")}, "encoder.stats.averageFps": {"", constant("0")},
		"encoder.stats.averageLatency": {"", constant("0")}, "c2c.mode": {"", constant("Disabled")},
	}
	for _, name := range []string{"gpu", "memory", "encoder", "decoder", "jpeg", "ofa"} {
		all["utilization."+name] = field{" %", constant("0")}
	}
	idle := map[string]int{"graphics": 120, "sm": 120, "video": 780}
	for name, mhz := range idle {
		all["clocks.current."+name] = field{" MHz", constant(fmt.Sprint(mhz))}
	}
	for _, name := range []string{"graphics", "memory"} {
		top := all["clocks.max."+name]
		all["clocks.applications."+name], all["clocks.default_applications."+name] = top, top
	}
	for _, when := range []string{"volatile", "aggregate"} {
		for _, kind := range []string{"corrected", "uncorrected"} {
			for _, where := range []string{
				"device_memory", "dram", "sram", "register_file", "l1_cache", "l2_cache", "texture_memory", "cbu",
				"total",
			} {
				all["ecc.errors."+kind+"."+when+"."+where] = field{"", ifECC("0")}
			}
		}
	}
	for _, when := range []string{"volatile", "aggregate"} {
		for _, where := range []string{"device_memory", "dram", "total"} {
			all["ecc.errors.uncorrected."+when+"."+where] = field{"", eccUnless(FaultECC, "3", "0")}
		}
	}
	for _, name := range []string{"remapped_rows.correctable", "remapped_rows.uncorrectable",
		"retired_pages.single_bit_ecc.count", "retired_pages.double_bit.count"} {
		all[name] = field{"", ifECC("0")}
	}
	all["ecc.mode.current"], all["ecc.mode.pending"] = field{"", ifECC("Enabled")}, field{"", ifECC("Enabled")}
	for _, kind := range []string{"clocks_event_reasons", "clocks_throttle_reasons"} {
		for _, reason := range []string{
			"applications_clocks_setting", "sw_power_cap", "hw_slowdown", "hw_thermal_slowdown",
			"hw_power_brake_slowdown",
			"sw_thermal_slowdown", "sync_boost",
		} {
			all[kind+"."+reason] = field{"", constant("Not Active")}
		}
		all[kind+".hw_slowdown"] = field{"", unless(FaultClocks, "Active", "Not Active")}
		all[kind+".gpu_idle"] = field{"", constant("Active")}
		all[kind+".supported"] = field{"", constant("0x00000000000001FF")}
		all[kind+".active"] = field{"", unless(FaultClocks, "0x0000000000000009", "0x0000000000000001")}
	}
	for _, name := range []string{
		"vbios_version", "inforom.img", "inforom.oem", "inforom.ecc", "inforom.pwr", "gom.current", "gom.pending",
		"driver_model.current", "driver_model.pending", "pci.sub_device_id", "fabric.cliqueId", "fabric.clusterUuid",
		"module.power.draw.average", "module.power.draw.instant", "module.power.limit",
		"vgpu_device_capability.fractional_multi_vgpu",
	} {
		all[name] = field{"", constant(none)}
	}
	for alias, name := range map[string]string{
		"gpu_name": "name", "gpu_serial": "serial", "gpu_uuid": "uuid", "gpu_bus_id": "pci.bus_id",
		"clocks.gr": "clocks.current.graphics", "clocks.sm": "clocks.current.sm", "clocks.mem": "clocks.current.memory",
		"clocks.video": "clocks.current.video", "clocks.max.gr": "clocks.max.graphics",
		"clocks.max.mem": "clocks.max.memory", "clocks.applications.gr": "clocks.applications.graphics",
		"clocks.applications.mem":         "clocks.applications.memory",
		"clocks.default_applications.gr":  "clocks.default_applications.graphics",
		"clocks.default_applications.mem": "clocks.default_applications.memory",
		"retired_pages.sbe":               "retired_pages.single_bit_ecc.count",
		"retired_pages.dbe":               "retired_pages.double_bit.count",
	} {
		all[alias] = all[name]
	}
	return all
}

// fabric is a state of NVSwitch machines.
func (g gpu) fabric(v string) string {
	if g.nvlinks == 0 || g.Count < 8 {
		return none
	}
	return v
}

// lists are queries of things that an idle GPU has none of, with their fields and units.
var lists = map[string]map[string]string{
	"--query-compute-apps": {
		"timestamp": "", "gpu_name": "", "gpu_bus_id": "", "gpu_serial": "", "gpu_uuid": "", "pid": "",
		"process_name": "", "name": "", "used_gpu_memory": " [MiB]", "used_memory": " [MiB]",
	},
	"--query-accounted-apps": {
		"timestamp": "", "gpu_name": "", "gpu_bus_id": "", "gpu_serial": "", "gpu_uuid": "", "vgpu_instance": "",
		"pid": "", "gpu_utilization": " [%]", "gpu_util": " [%]", "mem_utilization": " [%]", "mem_util": " [%]",
		"max_memory_usage": " [MiB]", "max_mem": " [MiB]", "time": " [ms]",
	},
	"--query-retired-pages": {
		"timestamp": "", "gpu_name": "", "gpu_bus_id": "", "gpu_serial": "", "gpu_uuid": "",
		"retired_pages.address": "", "address": "", "retired_pages.cause": "", "cause": "",
	},
}

// csv is how a query is printed.
type csv struct{ noHeader, noUnits bool }

// format reads --format.
func format(text string) (csv, bool) {
	var c csv
	known := false
	for _, word := range strings.Split(text, ",") {
		switch strings.TrimSpace(word) {
		case "csv":
			known = true
		case "noheader":
			c.noHeader = true
		case "nounits":
			c.noUnits = true
		default:
			return c, false
		}
	}
	return c, known
}

func split(names string) []string {
	var out []string
	for _, n := range strings.Split(names, ",") {
		out = append(out, strings.TrimSpace(n))
	}
	return out
}

// unknown returns the first name that is not known.
func unknown[V any](names []string, known map[string]V) string {
	i := slices.IndexFunc(names, func(n string) bool { _, is := known[n]; return !is })
	if i < 0 {
		return ""
	}
	return names[i]
}

// query prints fields of GPUs.
func (c csv) query(w io.Writer, names []string, gpus []gpu) {
	if !c.noHeader {
		heads := make([]string, len(names))
		for i, n := range names {
			if heads[i] = n; fields[n].unit != "" {
				heads[i] += " [" + strings.TrimSpace(fields[n].unit) + "]"
			}
		}
		fmt.Fprintln(w, strings.Join(heads, ", "))
	}
	for _, g := range gpus {
		cells := make([]string, len(names))
		for i, n := range names {
			if cells[i] = fields[n].value(g); cells[i] != none && !c.noUnits {
				cells[i] += fields[n].unit
			}
		}
		fmt.Fprintln(w, strings.Join(cells, ", "))
	}
}

// empty prints the head of a list without entries.
func (c csv) empty(w io.Writer, names []string, units map[string]string) {
	if c.noHeader {
		return
	}
	heads := make([]string, len(names))
	for i, n := range names {
		heads[i] = n + units[n]
	}
	fmt.Fprintln(w, strings.Join(heads, ", "))
}
