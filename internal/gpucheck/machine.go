package gpucheck

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxGPUs is how many GPUs a report has at most.
const maxGPUs = 128

// machine is what the GPU maker's tool reports.
type machine struct {
	amd          bool
	gpus         []GPU
	driver, cuda string
	// pcieSpeed is what the PCIe link of each GPU can carry, in GB/s; 0 if that is not known.
	pcieSpeed []float64
	// worn is whether a repair of memory failed, which is for good.
	worn bool
	// noDriver is whether the kernel has no driver of the GPUs, or one that is being installed, so
	// that nothing that needs it says anything about them.
	noDriver bool
	// checks are those that the maker's tool allows.
	checks []Check
	// unread is why there are no GPUs: the tool is missing (NotChecked), or reports an error
	// (Failed).
	unread        string
	unreadVerdict Verdict
}

var amdType = regexp.MustCompile(`(?i)\b(amd|radeon|instinct|mi[0-9]{2,3}[ax]?)\b`)

// machine reads what the maker's tool reports. A machine may have the tools of both makers.
func (s sections) machine(want Expected) machine {
	amd := amdType.MatchString(want.GPUType)
	if want.GPUType == "" {
		amd = !s.get("smi").good() && (s.get("amdstatic").good() || s.get("rocmsmi").good())
	}
	if amd {
		return s.amd()
	}
	return s.nvidia()
}

// onBus returns how many GPUs of the maker are on the PCI bus, and false if that is not known.
func (s sections) onBus(amd bool) (n int, known bool) {
	bus := s.get("pci")
	if !bus.good() {
		return 0, false
	}
	vendor := "0x10de"
	if amd {
		vendor = "0x1002"
	}
	for line := range strings.Lines(string(bus.text)) {
		w := strings.Fields(line)
		if len(w) != 6 || w[1] != vendor {
			continue
		}
		if amd && strings.HasPrefix(w[3], "0x0300") { // a graphics card, or the console of a processor
			return 0, false
		}
		n++
	}
	return n, true
}

// unloaded reports whether the kernel is known not to have loaded that driver.
func (s sections) unloaded(driver string) bool {
	list := s.get("drivers")
	return list.good() && !slices.Contains(strings.Fields(string(list.text)), driver)
}

// count reports whether all GPUs are there.
func (m machine) count(s sections, want Expected) Check {
	c := Check{CheckGPUCount, Passed, ""}
	bus, known := s.onBus(m.amd)
	n := len(m.gpus)
	switch {
	case n == 0:
		c.Verdict, c.Detail = cmp.Or(m.unreadVerdict, NotChecked), m.unread
		if known && bus == 0 && want.GPUCount > 0 && m.unreadVerdict != Failed {
			c.Verdict, c.Detail = Failed, "The machine has no GPU on its PCI bus."
		}
	case want.GPUCount > 0 && n < want.GPUCount:
		c.Verdict = Failed
		c.Detail = fmt.Sprintf("The machine has %s, but the offer says %d.", plural(n, "working GPU"), want.GPUCount)
	case want.GPUCount > 0 && n > want.GPUCount:
		c.Verdict = Warning
		c.Detail = fmt.Sprintf("The machine has %s, but the offer says %d.", plural(n, "GPU"), want.GPUCount)
	case known && bus > n && want.GPUCount == 0:
		c.Verdict = Failed
		c.Detail = fmt.Sprintf("The PCI bus has %s, but the driver reports %d.", plural(bus, "GPU"), n)
	default:
		c.Detail = fmt.Sprintf("The driver reports %s.", plural(n, "GPU"))
	}
	return c
}

// mayPass reports whether a failure of that check may be of a machine that is still starting, or be
// cured by a restart of the driver. Such a check is worth a second one. What a log or a counter has
// kept stays, and so does what the hardware is.
func (m machine) mayPass(name string, s sections, want Expected) bool {
	switch name {
	case CheckCompute, CheckReset, CheckClocks, CheckNVLink, CheckFabric, CheckInfiniBand:
		return true
	case CheckRowRemap:
		return !m.worn
	case CheckGPUCount:
		bus, known := s.onBus(m.amd)
		return !known || bus > len(m.gpus) && bus >= want.GPUCount
	default:
		return false
	}
}

// memory compares the GPUs' memory with the offer's. Makers count 80 GiB as 80 GB, and the driver
// keeps a part, so only the lower limit means something.
func (m machine) memory(want Expected) Check {
	t := newTally(CheckGPUMemory)
	if want.GPUMemoryGB <= 0 {
		return Check{CheckGPUMemory, NotChecked, "The offer does not say how much memory each GPU has."}
	}
	least := int(int64(want.GPUMemoryGB) * 1_000_000_000 / (1 << 20) * 93 / 100)
	for _, g := range m.gpus {
		switch {
		case g.MemoryMiB == 0:
			t.add(NotChecked, g.Index, "the driver does not report the memory")
		case g.MemoryMiB < least:
			t.add(Failed, g.Index, "%d MiB of memory, but the offer says %d GB", g.MemoryMiB, want.GPUMemoryGB)
		default:
			t.pass()
		}
	}
	return t.check(fmt.Sprintf("Each GPU has at least %d GB of memory.", want.GPUMemoryGB))
}

// model compares the GPUs' model with the offer's.
func (m machine) model(want Expected) Check {
	t := newTally(CheckGPUModel)
	if want.GPUType == "" {
		return Check{CheckGPUModel, NotChecked, "The offer does not say which type of GPU it has."}
	}
	for _, g := range m.gpus {
		switch CompareModels(want.GPUType, g.Model) {
		case Failed:
			t.add(Failed, g.Index, "%s, but the offer says %s", g.Model, clean(want.GPUType))
		case Warning:
			t.add(Warning, g.Index, "%s, a variant of the offer's %s", g.Model, clean(want.GPUType))
		case Passed:
			t.pass()
		default:
			t.add(NotChecked, g.Index, "%s cannot be compared with the offer's %s",
				cmp.Or(g.Model, "an unknown model"), clean(want.GPUType))
		}
	}
	return t.check("Each GPU is of the offer's type, " + clean(want.GPUType) + ".")
}

var (
	modelWords = regexp.MustCompile(`[a-z0-9]+`)
	// notModel are words with digits that are no part of a model's name: memory, sockets, numbers.
	notModel = regexp.MustCompile(`^(\d+x|x\d+|\d+g(i?b)?(x\d+)?|hbm.*|gddr.*|sxm\d*|nvl\d+|vf)$`)
	// pciForms have a socketed variant, for which their name stands.
	pciForms = []string{"a100", "h100", "h200"}
	variants = []string{"ti", "super", "ada", "max", "laptop"}
)

// CompareModels compares the type of an offer with what a driver says. Without a common word that
// has a digit they are different; if only a part is, they are variants.
func CompareModels(offer, driver string) Verdict {
	words := func(text string) (all, numbers []string) {
		text = strings.NewReplacer("_", " ", "-", " ").Replace(strings.ToLower(text))
		for _, w := range modelWords.FindAllString(text, -1) {
			if notModel.MatchString(w) {
				continue
			}
			all = append(all, w)
			if strings.ContainsAny(w, "0123456789") {
				numbers = append(numbers, w)
			}
		}
		return all, numbers
	}
	want, numbers := words(offer)
	have, _ := words(driver)
	if len(numbers) == 0 || len(have) == 0 {
		return NotChecked
	}
	common := 0
	for _, n := range numbers {
		if slices.Contains(have, n) {
			common++
		}
	}
	if common == 0 {
		return Failed
	}
	differ := func(word string) bool { return slices.Contains(want, word) != slices.Contains(have, word) }
	socketed := slices.ContainsFunc(numbers, func(n string) bool { return slices.Contains(pciForms, n) })
	if common < len(numbers) || slices.ContainsFunc(variants, differ) ||
		socketed && (differ("pcie") || differ("nvl")) {
		return Warning
	}
	return Passed
}

// fullMesh are the models whose socketed form is connected to every other GPU of the machine.
var fullMesh = regexp.MustCompile(`(?i)\b([AH][128]00|H20|G?B[23]00)\b`)

// meshed reports whether each GPU is meant to be connected to every other by NVLink.
func meshed(model string) bool {
	return fullMesh.MatchString(model) && !regexp.MustCompile(`(?i)\b(PCIe|NVL)\b`).MatchString(model)
}
