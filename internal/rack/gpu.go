package rack

import (
	"fmt"

	"github.com/billetcloud/billet/internal/gpucheck"
)

// gpuModel is what is known of a GPU by its PCI id.
type gpuModel struct {
	name string
	// socketed is whether it is on a board of its own, and not in a slot that may be narrow.
	socketed bool
}

// gpuModels are those that servers have, by the PCI ids of vendor and device. A GPU that is not
// listed is compared with the others of its machine only.
var gpuModels = map[string]gpuModel{
	"10de:15f8": {"NVIDIA P100 PCIe", false}, "10de:15f9": {"NVIDIA P100", true}, "10de:1b38": {"NVIDIA P40", false},
	"10de:1db1": {"NVIDIA V100", true}, "10de:1db4": {"NVIDIA V100 PCIe", false}, "10de:1db5": {"NVIDIA V100", true},
	"10de:1db6": {"NVIDIA V100 PCIe", false}, "10de:1eb8": {"NVIDIA T4", false}, "10de:20b0": {"NVIDIA A100", true},
	"10de:20b1": {"NVIDIA A100 PCIe", false}, "10de:20b2": {"NVIDIA A100", true},
	"10de:20b5": {"NVIDIA A100 PCIe", false}, "10de:20b7": {"NVIDIA A30", false},
	"10de:20f1": {"NVIDIA A100 PCIe", false}, "10de:20f3": {"NVIDIA A800", true},
	"10de:20f5": {"NVIDIA A800 PCIe", false}, "10de:2204": {"NVIDIA RTX 3090", false},
	"10de:2230": {"NVIDIA RTX A6000", false}, "10de:2235": {"NVIDIA A40", false}, "10de:2236": {"NVIDIA A10", false},
	"10de:2237": {"NVIDIA A10G", false}, "10de:2322": {"NVIDIA H800 PCIe", false}, "10de:2324": {"NVIDIA H800", true},
	"10de:2330": {"NVIDIA H100", true}, "10de:2331": {"NVIDIA H100 PCIe", false}, "10de:2335": {"NVIDIA H200", true},
	"10de:2684": {"NVIDIA RTX 4090", false}, "10de:26b1": {"NVIDIA RTX 6000 Ada", false},
	"10de:26b5": {"NVIDIA L40", false}, "10de:26b9": {"NVIDIA L40S", false}, "10de:27b8": {"NVIDIA L4", false},
	"10de:2901": {"NVIDIA B200", true}, "1002:738c": {"AMD Instinct MI100", false},
	"1002:740f": {"AMD Instinct MI210", false}, "1002:74a1": {"AMD Instinct MI300X", true},
}

func (g GPU) id() string { return g.VendorID + ":" + g.DeviceID }

// faultyGPUs returns what is wrong with GPUs that are for sale as that type, as far as the PCI bus
// tells without a driver. The speed of a link is not judged: GPUs lower it while they are idle.
func faultyGPUs(gpus []GPU, gpuType string) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	widest := 0
	for _, g := range gpus {
		widest = max(widest, g.LinkWidth)
	}
	for i, g := range gpus {
		model := gpuModels[g.id()]
		if i > 0 && g.id() != gpus[0].id() {
			add("GPU %s has the PCI id %s, and others have %s", g.Slot, g.id(), gpus[0].id())
		}
		if model.name != "" && gpuType != "" && gpucheck.CompareModels(gpuType, model.name) == gpucheck.Failed {
			add("GPU %s is an %s by its PCI id %s, and %s is for sale", g.Slot, model.name, g.id(), gpuType)
		}
		if g.LinkWidth > 0 && g.LinkWidth < g.MaxWidth && (model.socketed || g.LinkWidth < widest) {
			add("GPU %s uses %d of its %d PCIe lanes", g.Slot, g.LinkWidth, g.MaxWidth)
		}
	}
	return problems
}

// lostGPUs returns which GPUs are no longer as they were inspected.
func lostGPUs(before, now []GPU) (problems []string) {
	slots := map[string]GPU{}
	for _, g := range now {
		slots[g.Slot] = g
	}
	for _, g := range before {
		switch is, found := slots[g.Slot]; {
		case !found:
			problems = append(problems, fmt.Sprintf("GPU %s is missing", g.Slot))
		case is.id() != g.id():
			problems = append(problems, fmt.Sprintf("GPU %s has the PCI id %s, and had %s", g.Slot, is.id(), g.id()))
		case is.LinkWidth > 0 && is.LinkWidth < g.LinkWidth:
			problems = append(problems,
				fmt.Sprintf("GPU %s uses %d PCIe lanes, and used %d", g.Slot, is.LinkWidth, g.LinkWidth))
		}
	}
	return problems
}
