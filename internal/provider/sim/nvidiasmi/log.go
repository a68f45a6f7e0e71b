package nvidiasmi

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// entry is a line of the log (-q) and an element of its XML (-x): a value, or a section.
type entry struct {
	label, tag string
	value      string
	section    []entry
	display    string // the word of -d that shows it; "" for what -d leaves out
}

func line(label, tag, value string) entry { return entry{label: label, tag: tag, value: value} }

func section(label, tag, display string, of ...entry) entry {
	return entry{label: label, tag: tag, display: display, section: of}
}

// value is a field of --query-gpu with its unit, so that the two never differ.
func (g gpu) value(name string) string {
	f := fields[name]
	v := f.value(g)
	if v == none {
		return "N/A"
	}
	if name == "temperature.gpu" || name == "temperature.memory" {
		return v + " C"
	}
	return v + f.unit
}

func (g gpu) log() []entry {
	ecc := func(when string) []entry {
		var of []entry
		for _, x := range [][2]string{
			{"SRAM Correctable", "corrected." + when + ".sram"},
			{"SRAM Uncorrectable Parity", "uncorrected." + when + ".sram"},
			{"SRAM Uncorrectable SEC-DED", "uncorrected." + when + ".sram"},
			{"DRAM Correctable", "corrected." + when + ".dram"},
			{"DRAM Uncorrectable", "uncorrected." + when + ".dram"},
		} {
			of = append(
				of,
				line(x[0], tagOf.Replace(strings.ToLower(x[0])), g.value("ecc.errors."+x[1])),
			)
		}
		return of
	}
	clocks := func(kind string) []entry {
		of := []entry{line("Graphics", "graphics_clock", g.value(kind+"graphics"))}
		if _, has := fields[kind+"sm"]; has {
			of = append(of, line("SM", "sm_clock", g.value(kind+"sm")))
		}
		of = append(of, line("Memory", "mem_clock", g.value(kind+"memory")))
		if _, has := fields[kind+"video"]; has {
			of = append(of, line("Video", "video_clock", g.value(kind+"video")))
		}
		return of
	}
	return []entry{
		line("Product Name", "product_name", g.name()),
		line("Product Brand", "product_brand", g.brand),
		line("Product Architecture", "product_architecture", g.arch),
		line("Display Mode", "display_mode", g.value("display_mode")),
		line("Display Active", "display_active", g.value("display_active")),
		line("Persistence Mode", "persistence_mode", g.value("persistence_mode")),
		line("Addressing Mode", "addressing_mode", g.value("addressing_mode")),
		section(
			"MIG Mode",
			"mig_mode",
			"",
			line("Current", "current_mig", g.value("mig.mode.current")),
			line("Pending", "pending_mig", g.value("mig.mode.pending")),
		),
		line("Accounting Mode", "accounting_mode", g.value("accounting.mode")),
		line("Accounting Mode Buffer Size", "accounting_mode_buffer_size", g.value("accounting.buffer_size")),
		line("Serial Number", "serial", g.serial()),
		line("GPU UUID", "uuid", g.uuid()),
		line("Minor Number", "minor_number", fmt.Sprint(g.index)),
		line("VBIOS Version", "vbios_version", g.value("vbios_version")),
		line("MultiGPU Board", "multigpu_board", "No"),
		section(
			"GPU Virtualization Mode",
			"gpu_virtualization_mode",
			"",
			line("Virtualization Mode", "virtualization_mode", "None"),
		),
		section(
			"GPU Reset Status",
			"gpu_reset_status",
			"",
			line("Reset Required", "reset_required", "No"),
			line("Drain and Reset Recommended", "drain_and_reset_recommended", "No"),
		),
		line("GPU Recovery Action", "gpu_recovery_action", g.value("gpu_recovery_action")),
		section(
			"PCI",
			"pci",
			"PCI",
			line("Bus", "pci_bus", fmt.Sprintf("0x%02X", g.bus())),
			line("Device", "pci_device", "0x00"),
			line(
				"Domain",
				"pci_domain",
				"0x0000",
			),
			line("Device Id", "pci_device_id", strings.Trim(g.value("pci.device_id"), "[]")),
			line("Bus Id", "pci_bus_id", g.busID()),
			section(
				"GPU Link Info",
				"pci_gpu_link_info",
				"",
				section(
					"PCIe Generation",
					"pcie_gen",
					"",
					line("Max", "max_link_gen", g.value("pcie.link.gen.max")),
					line("Current", "current_link_gen", g.value("pcie.link.gen.current")),
				),
				section(
					"Link Width",
					"link_widths",
					"",
					line("Max", "max_link_width", g.value("pcie.link.width.max")+"x"),
					line("Current", "current_link_width", g.value("pcie.link.width.current")+"x"),
				),
			),
		),
		line("Fan Speed", "fan_speed", g.value("fan.speed")),
		section("", "", "PERFORMANCE", line("Performance State", "performance_state", "P0")),
		section("Clocks Event Reasons", "clocks_event_reasons", "PERFORMANCE", g.clockReasons()...),
		section(
			"Fabric",
			"fabric",
			"",
			line("State", "state", g.value("fabric.state")),
			line("Status", "status", g.value("fabric.status")),
		),
		section("FB Memory Usage", "fb_memory_usage", "MEMORY",
			line("Total", "total", g.value("memory.total")), line("Reserved", "reserved", g.value("memory.reserved")),
			line("Used", "used", g.value("memory.used")), line("Free", "free", g.value("memory.free"))),
		section("", "", "COMPUTE", line("Compute Mode", "compute_mode", "Default")),
		section(
			"Utilization",
			"utilization",
			"UTILIZATION",
			line(
				"GPU",
				"gpu_util",
				g.value("utilization.gpu"),
			),
			line("Memory", "memory_util", g.value("utilization.memory")),
			line(
				"Encoder",
				"encoder_util",
				g.value("utilization.encoder"),
			),
			line("Decoder", "decoder_util", g.value("utilization.decoder")),
		),
		section(
			"ECC Mode",
			"ecc_mode",
			"ECC",
			line("Current", "current_ecc", g.value("ecc.mode.current")),
			line("Pending", "pending_ecc", g.value("ecc.mode.pending")),
		),
		section(
			"ECC Errors",
			"ecc_errors",
			"ECC",
			section("Volatile", "volatile", "", ecc("volatile")...),
			section("Aggregate", "aggregate", "", ecc("aggregate")...),
		),
		section("Remapped Rows", "remapped_rows", "ROW_REMAPPER",
			line("Correctable Error", "remapped_row_corr", g.value("remapped_rows.correctable")),
			line("Uncorrectable Error", "remapped_row_unc", g.value("remapped_rows.uncorrectable")),
			line("Pending", "remapped_row_pending", g.value("remapped_rows.pending")),
			line("Remapping Failure Occurred", "remapped_row_failure", g.value("remapped_rows.failure"))),
		section(
			"Temperature",
			"temperature",
			"TEMPERATURE",
			line(
				"GPU Current Temp",
				"gpu_temp",
				g.value("temperature.gpu"),
			),
			line("Memory Current Temp", "memory_temp", g.value("temperature.memory")),
		),
		section(
			"GPU Power Readings",
			"gpu_power_readings",
			"POWER",
			line(
				"Average Power Draw",
				"average_power_draw",
				g.value("power.draw.average"),
			),
			line("Instantaneous Power Draw", "instant_power_draw", g.value("power.draw.instant")),
			line(
				"Current Power Limit",
				"current_power_limit",
				g.value("power.limit"),
			),
			line("Requested Power Limit", "requested_power_limit", g.value("power.limit")),
			line("Default Power Limit", "default_power_limit", g.value("power.default_limit")),
			line(
				"Min Power Limit",
				"min_power_limit",
				g.value("power.min_limit"),
			),
			line("Max Power Limit", "max_power_limit", g.value("power.max_limit")),
		),
		section("Clocks", "clocks", "CLOCK", clocks("clocks.current.")...),
		section("Applications Clocks", "applications_clocks", "CLOCK", clocks("clocks.applications.")...),
		section("Max Clocks", "max_clocks", "CLOCK", clocks("clocks.max.")...),
		section("", "", "PIDS", line("Processes", "processes", "None")),
	}
}

// tagOf makes the name of an element of a label in lower case.
var tagOf = strings.NewReplacer(" ", "_", "sec-ded", "secded")

// clockReasons are why the clocks are not higher.
func (g gpu) clockReasons() []entry {
	var of []entry
	for _, x := range [][2]string{
		{"Idle", "gpu_idle"}, {"Applications Clocks Setting", "applications_clocks_setting"},
		{"SW Power Cap", "sw_power_cap"}, {"HW Slowdown", "hw_slowdown"},
		{"HW Thermal Slowdown", "hw_thermal_slowdown"}, {"HW Power Brake Slowdown", "hw_power_brake_slowdown"},
		{"Sync Boost", "sync_boost"}, {"SW Thermal Slowdown", "sw_thermal_slowdown"},
	} {
		of = append(of, line(x[0], "clocks_event_reason_"+x[1], g.value("clocks_event_reasons."+x[1])))
	}
	return of
}

// shown returns the sections that -d names, all where it names none.
func shown(all []entry, display string) []entry {
	var out []entry
	for _, e := range all {
		if display != "" && (e.display == "" || !strings.Contains(","+display+",", ","+e.display+",")) {
			continue
		}
		if e.label == "" { // a section that only -d knows
			out = append(out, e.section...)
			continue
		}
		out = append(out, e)
	}
	return out
}

// displays are the words of -d.
const displays = "MEMORY,UTILIZATION,ECC,TEMPERATURE,POWER,CLOCK,COMPUTE,PIDS,PERFORMANCE,ROW_REMAPPER,PCI"

func (s System) writeLog(w io.Writer, gpus []gpu, display string) {
	b := bufio.NewWriter(w)
	defer b.Flush()
	fmt.Fprintf(
		b,
		"\n==============NVSMI LOG==============\n\n%-42s: %s\n%-42s: %s\n%-42s: %s\n\n%-42s: %d\n",
		"Timestamp",
		s.Now().Format(time.ANSIC),
		"Driver Version",
		driverVersion,
		"CUDA Version",
		cudaVersion,
		"Attached GPUs",
		s.Count,
	)
	for _, g := range gpus {
		fmt.Fprintf(b, "GPU %s\n", g.busID())
		writeEntries(b, shown(g.log(), display), 1)
		fmt.Fprintln(b)
	}
}

func writeEntries(w io.Writer, entries []entry, depth int) {
	indent := strings.Repeat("    ", depth)
	for _, e := range entries {
		if e.section != nil {
			fmt.Fprintf(w, "%s%s\n", indent, e.label)
			writeEntries(w, e.section, depth+1)
			continue
		}
		fmt.Fprintf(w, "%-42s: %s\n", indent+e.label, e.value)
	}
}

func (s System) writeXML(w io.Writer, gpus []gpu, display string) error {
	b := bufio.NewWriter(w)
	defer b.Flush()
	fmt.Fprint(b, "<?xml version=\"1.0\" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM \"nvsmi_device_v12.dtd\">\n")
	e := xml.NewEncoder(b)
	e.Indent("", "\t")
	all := []entry{
		line("", "timestamp", s.Now().Format(time.ANSIC)), line("", "driver_version", driverVersion),
		line("", "cuda_version", cudaVersion), line("", "attached_gpus", fmt.Sprint(s.Count)),
	}
	open := xml.StartElement{Name: xml.Name{Local: "nvidia_smi_log"}}
	if err := e.EncodeToken(open); err != nil {
		return err
	}
	if err := encode(e, all); err != nil {
		return err
	}
	for _, g := range gpus {
		element := xml.StartElement{
			Name: xml.Name{Local: "gpu"},
			Attr: []xml.Attr{{Name: xml.Name{Local: "id"}, Value: g.busID()}},
		}
		if err := e.EncodeToken(element); err != nil {
			return err
		}
		if err := encode(e, shown(g.log(), display)); err != nil {
			return err
		}
		if err := e.EncodeToken(element.End()); err != nil {
			return err
		}
	}
	if err := e.EncodeToken(open.End()); err != nil {
		return err
	}
	if err := e.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(b)
	return err
}

func encode(e *xml.Encoder, entries []entry) error {
	for _, x := range entries {
		element := xml.StartElement{Name: xml.Name{Local: x.tag}}
		if x.section == nil {
			value := x.value
			if x.tag == "processes" {
				value = ""
			}
			if err := e.EncodeElement(value, element); err != nil {
				return err
			}
			continue
		}
		if err := e.EncodeToken(element); err != nil {
			return err
		}
		if err := encode(e, x.section); err != nil {
			return err
		}
		if err := e.EncodeToken(element.End()); err != nil {
			return err
		}
	}
	return nil
}
