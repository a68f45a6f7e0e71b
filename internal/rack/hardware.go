package rack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/rackagent"
)

// Hardware is what the last inspection found.
type Hardware struct {
	Manufacturer string            `json:"manufacturer" doc:"Manufacturer, as the BMC states it."`
	Model        string            `json:"model" doc:"Model, as the BMC states it."`
	Serial       string            `json:"serial" doc:"Serial number, as the BMC states it."`
	CPUModel     string            `json:"cpuModel" doc:"Model of the processors."`
	CPUs         int               `json:"cpus" doc:"Number of processor threads."`
	MemoryBytes  int64             `json:"memoryBytes" doc:"Memory in bytes."`
	Drives       []Drive           `json:"drives" doc:"Its drives. All of them are erased after each tenant."`
	GPUs         []GPU             `json:"gpus" doc:"Its GPUs, as they are on the PCI bus."`
	MACs         []string          `json:"macs" doc:"MAC addresses of all network cards that were seen."`
	Firmware     map[string]string `json:"firmware" doc:"Versions of its firmware by name, as the BMC states them. A machine whose firmware differs is quarantined."`
	SecureBoot   string            `json:"secureBoot" doc:"Secure Boot, as the BMC states it: on, off or unknown. A machine where it differs is quarantined."`
	VerifiedBoot bool              `json:"verifiedBoot" doc:"Whether the firmware verified the agent before it started it. A machine where that differs is quarantined."`
	InspectedAt  time.Time         `json:"inspectedAt" doc:"When it was inspected."`
}

// Drive is a drive of a machine.
type Drive struct {
	Serial string `json:"serial" doc:"Serial number."`
	Model  string `json:"model" doc:"Model."`
	Bytes  int64  `json:"bytes" doc:"Size in bytes."`
}

// GPU is a GPU of a machine.
type GPU struct {
	Slot      string `json:"slot" doc:"Address on the PCI bus."`
	VendorID  string `json:"vendorId" doc:"PCI id of the vendor, four hexadecimal digits."`
	DeviceID  string `json:"deviceId" doc:"PCI id of the device, four hexadecimal digits."`
	LinkWidth int    `json:"linkWidth" doc:"Width of its PCI Express link in use; 0 if unknown."`
	MaxWidth  int    `json:"maxWidth" doc:"Width that the GPU itself can use; 0 if unknown."`
}

// maxParts is how many drives, GPUs, cards and firmware versions of a machine are kept.
const maxParts = 256

// makers of GPUs by PCI id. A BMC has a display controller, too, which is not for sale.
var makers = []string{"10de", "1002", "1da3"}

// hardwareOf returns what the BMC and the agent say of a machine.
func hardwareOf(inv bmc.Inventory, found rackagent.Hardware, now time.Time) Hardware {
	out := Hardware{
		Manufacturer: plain(inv.Manufacturer), Model: plain(inv.Model), Serial: plain(inv.Serial),
		CPUModel: plain(found.CPUModel), CPUs: found.CPUs, MemoryBytes: found.MemoryBytes,
		Drives: drivesOf(found), GPUs: []GPU{}, MACs: slices.Clone(inv.MACs), Firmware: map[string]string{},
		SecureBoot: string(inv.SecureBoot), VerifiedBoot: found.SecureBoot, InspectedAt: now,
	}
	for _, g := range found.GPUs[:min(len(found.GPUs), maxParts)] {
		if slices.Contains(makers, strings.ToLower(g.VendorID)) {
			out.GPUs = append(out.GPUs, GPU{
				plain(g.Slot), strings.ToLower(plain(g.VendorID)), strings.ToLower(plain(g.DeviceID)),
				g.LinkWidth, g.MaxWidth,
			})
		}
	}
	for _, n := range found.NICs {
		out.MACs = append(out.MACs, strings.ToLower(plain(n.MAC)))
	}
	slices.Sort(out.MACs)
	out.MACs = slices.Compact(out.MACs)
	out.MACs = out.MACs[:min(len(out.MACs), maxParts)]
	for _, name := range slices.Sorted(maps.Keys(inv.Firmware)) {
		if len(out.Firmware) < maxParts {
			out.Firmware[plain(name)] = plain(inv.Firmware[name])
		}
	}
	return out
}

func drivesOf(found rackagent.Hardware) []Drive {
	out := []Drive{}
	for _, d := range found.Drives[:min(len(found.Drives), maxParts)] {
		out = append(out, Drive{plain(d.Serial), plain(d.Model), d.Bytes})
	}
	return out
}

// plain returns a machine's own text as it may be stored and shown.
func plain(text string) string {
	text = apierr.Visible(text)
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "")
	}
	return strings.TrimSpace(text)
}

// serials returns the serial numbers of the drives.
func (h Hardware) serials() (out []string) {
	for _, d := range h.Drives {
		out = append(out, d.Serial)
	}
	return out
}

// storage returns how many bytes the drives have together.
func (h Hardware) storage() (bytes int64) {
	for _, d := range h.Drives {
		bytes += d.Bytes
	}
	return bytes
}

// another returns why an agent cannot be on the machine that was inspected, or not started as then.
func (h Hardware) another(found *rackagent.Hardware) (problems []string) {
	if found == nil {
		return []string{"the agent did not say what hardware it has when it started"}
	}
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if found.SecureBoot != h.VerifiedBoot {
		add("the agent was verified by the firmware: %t, and %t at the inspection: Secure Boot was changed",
			found.SecureBoot, h.VerifiedBoot)
	}
	now := drivesOf(*found)
	for _, d := range h.Drives {
		i := slices.IndexFunc(now, func(n Drive) bool { return n.Serial == d.Serial })
		if i < 0 {
			add("drive %s is missing", d.Serial)
		} else if now[i].Bytes != d.Bytes && d.Bytes > 0 {
			add("drive %s has %d bytes, and had %d", d.Serial, now[i].Bytes, d.Bytes)
		}
	}
	for _, n := range now {
		if !slices.ContainsFunc(h.Drives, func(d Drive) bool { return d.Serial == n.Serial }) {
			add("drive %s is new", n.Serial)
		}
	}
	return problems
}

// lost returns which parts of a machine are not those of the inspection.
func (h Hardware) lost(found rackagent.Hardware) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	now := hardwareOf(bmc.Inventory{}, found, h.InspectedAt)
	if len(now.GPUs) != len(h.GPUs) {
		add("it has %d GPUs, and had %d when it was inspected", len(now.GPUs), len(h.GPUs))
	} else {
		problems = append(problems, lostGPUs(h.GPUs, now.GPUs)...)
	}
	if now.CPUs != h.CPUs {
		add("it has %d processor threads, and had %d when it was inspected", now.CPUs, h.CPUs)
	}
	// The part that the firmware keeps differs a little from start to start.
	if off := now.MemoryBytes - h.MemoryBytes; max(off, -off) > h.MemoryBytes/50 {
		add("it has %d MB of memory, and had %d when it was inspected", now.MemoryBytes/1e6, h.MemoryBytes/1e6)
	}
	return problems
}

const gib = 1 << 30

// compare returns everything that keeps a machine from being sold, given what its BMC says now.
func (m Machine) compare(inv bmc.Inventory) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	h := m.Hardware
	if h == nil {
		return []string{"it was not inspected"}
	}
	if inv.Serial != h.Serial {
		add("the BMC is that of another server, with the serial number %s instead of %s", inv.Serial, h.Serial)
	}
	if !inv.VirtualCD {
		add("the BMC has no virtual CD")
	}
	for _, mac := range m.MACs {
		if !slices.Contains(h.MACs, mac) {
			add("there is no network card %s", mac)
		}
	}
	if int64(len(h.GPUs)) != m.GPUCount {
		add("it has %d GPUs, and %d are for sale", len(h.GPUs), m.GPUCount)
	}
	problems = append(problems, faultyGPUs(h.GPUs, m.GPUType)...)
	if m.VCPUs > int64(h.CPUs) {
		add("it has %d processor threads, and %d are for sale", h.CPUs, m.VCPUs)
	}
	// The firmware keeps a part of the memory, and a GB may be meant either way.
	if float64(h.MemoryBytes) < 0.9e9*float64(m.MemoryGB) {
		add("it has %d GB of memory, and %d are for sale", h.MemoryBytes/1e9, m.MemoryGB)
	}
	if h.CPUs < 1 || h.MemoryBytes < gib {
		add("the inspection found no processors or no memory")
	}
	if len(h.Drives) == 0 {
		add("it has no drive")
	}
	// Of drives that were destroyed and not replaced, the space is not for sale.
	// Less than one GB is for sale as one.
	if bytes := h.storage(); len(h.Drives) > 0 && float64(max(bytes, 1e9)) < 0.9e9*float64(m.StorageGB) {
		add("its drives have %d GB, and %d are for sale", bytes/1e9, m.StorageGB)
	}
	for i, serial := range h.serials() {
		if serial == "" || slices.Contains(h.serials()[:i], serial) {
			add("drive %d has no serial number of its own, so that it could not be accounted for when it is "+
				"erased", i+1)
		}
	}
	if m.HourlyPrice <= 0 {
		add("it has no price")
	}
	return append(problems, m.firmware(inv)...)
}

// firmware returns which firmware is not as it was when the machine was inspected. Root on bare
// metal can write firmware.
func (m Machine) firmware(inv bmc.Inventory) (problems []string) {
	for _, name := range slices.Sorted(maps.Keys(m.Hardware.Firmware)) {
		before, now := m.Hardware.Firmware[name], plain(inv.Firmware[name])
		if now != "" && now != before {
			problems = append(problems, fmt.Sprintf("the firmware %s was %s and is %s: release the machine if you "+
				"changed it",
				name, before, now))
		}
	}
	return problems
}

// complete fills in what the operator did not say of the hardware.
func (m Machine) complete() Machine {
	fill := func(to *int64, found int64) {
		if *to == 0 {
			*to = found
		}
	}
	fill(&m.VCPUs, int64(m.Hardware.CPUs))
	fill(&m.MemoryGB, m.Hardware.MemoryBytes/1e9)
	fill(&m.StorageGB, max(m.Hardware.storage()/1e9, 1))
	return m
}

// reason returns the problems as one text of limited length.
func reason(problems []string) string {
	text := strings.Join(problems, "; ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason-3], "") + "…"
	}
	return text
}
