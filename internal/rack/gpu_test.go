package rack

import (
	"fmt"
	"strings"
	"testing"
)

// gpus are GPUs of that PCI id, with those widths in use of 16.
func gpus(id string, widths ...int) (out []GPU) {
	vendor, device, _ := strings.Cut(id, ":")
	for i, w := range widths {
		out = append(out, GPU{fmt.Sprintf("0000:%02x:00.0", 16+i), vendor, device, w, 16})
	}
	return out
}

// What the PCI bus says of GPUs that are for sale.
func TestFaultyGPUs(t *testing.T) {
	t.Parallel()
	const h100, pcie, t4, unknown = "10de:2330", "10de:2331", "10de:1eb8", "10de:ffff"
	for name, c := range map[string]struct {
		gpus    []GPU
		gpuType string
		want    string // problems, joined
	}{
		"none":           {nil, "NVIDIA H100", ""},
		"good":           {gpus(h100, 16, 16), "NVIDIA H100", ""},
		"good, SXM":      {gpus(h100, 16), "H100 SXM5 80GB", ""},
		"no type":        {gpus(h100, 16), "", ""},
		"unknown device": {gpus(unknown, 16, 16), "NVIDIA H100", ""},
		"a variant":      {gpus(pcie, 16), "NVIDIA H100", ""},
		"another model": {gpus("10de:20b2", 16), "NVIDIA H100",
			"GPU 0000:10:00.0 is an NVIDIA A100 by its PCI id 10de:20b2, and NVIDIA H100 is for sale"},
		"another maker": {gpus("1002:74a1", 16), "NVIDIA H100",
			"GPU 0000:10:00.0 is an AMD Instinct MI300X by its PCI id 1002:74a1, and NVIDIA H100 is for sale"},
		"mixed": {append(gpus(unknown, 16), GPU{"0000:20:00.0", "10de", "fffe", 16, 16}), "NVIDIA H100",
			"GPU 0000:20:00.0 has the PCI id 10de:fffe, and others have 10de:ffff"},
		"a narrow link": {gpus(unknown, 16, 8), "NVIDIA H100", "GPU 0000:11:00.0 uses 8 of its 16 PCIe lanes"},
		"a narrow link on a board": {gpus(h100, 8), "NVIDIA H100",
			"GPU 0000:10:00.0 uses 8 of its 16 PCIe lanes"},
		"narrow slots":   {gpus(t4, 8, 8), "NVIDIA T4", ""},
		"unknown widths": {gpus(h100, 0, 0), "NVIDIA H100", ""},
	} {
		if got := strings.Join(faultyGPUs(c.gpus, c.gpuType), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// What a tenant's time left of the GPUs.
func TestLostGPUs(t *testing.T) {
	t.Parallel()
	before := gpus("10de:2330", 16, 16)
	moved := gpus("10de:2330", 16, 16)
	moved[1].Slot = "0000:99:00.0"
	for name, c := range map[string]struct {
		now  []GPU
		want string
	}{
		"nothing": {gpus("10de:2330", 16, 16), ""},
		"exchanged": {append(gpus("10de:20b2", 16), before[1]),
			"GPU 0000:10:00.0 has the PCI id 10de:20b2, and had 10de:2330"},
		"narrower": {gpus("10de:2330", 16, 4), "GPU 0000:11:00.0 uses 4 PCIe lanes, and used 16"},
		"unknown":  {gpus("10de:2330", 16, 0), ""},
		"moved":    {moved, "GPU 0000:11:00.0 is missing"},
	} {
		if got := strings.Join(lostGPUs(before, c.now), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Each name in the table is one that offers have, and names only itself.
func TestGPUModelsAreDistinct(t *testing.T) {
	t.Parallel()
	for id, m := range gpuModels {
		if got := faultyGPUs(gpus(id, 16), m.name); len(got) > 0 {
			t.Errorf("%s: %v", id, got)
		}
		if got := faultyGPUs(gpus(id, 16), "NVIDIA GB9999"); len(got) != 1 {
			t.Errorf("%s as another: %v", id, got)
		}
	}
}
