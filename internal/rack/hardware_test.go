package rack

import (
	"maps"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/bmc"
)

// Each difference between what was entered, what was inspected and what the BMC says now is named.
func TestMachine_Compare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(m *Machine, inv *bmc.Inventory)
		want   string
	}{
		"nothing":        {func(*Machine, *bmc.Inventory) {}, ""},
		"not inspected":  {func(m *Machine, _ *bmc.Inventory) { m.Hardware = nil }, "not inspected"},
		"another server": {func(_ *Machine, inv *bmc.Inventory) { inv.Serial = "S2" }, "another server"},
		"no virtual CD":  {func(_ *Machine, inv *bmc.Inventory) { inv.VirtualCD = false }, "no virtual CD"},
		"another card": {func(m *Machine, _ *bmc.Inventory) {
			m.MACs = []string{"3c:ec:ef:00:00:09"}
		}, "no network card"},
		"a GPU is missing": {func(m *Machine, _ *bmc.Inventory) { m.GPUCount = 2 }, "1 GPUs, and 2 are for sale"},
		"too few threads":  {func(m *Machine, _ *bmc.Inventory) { m.VCPUs = 65 }, "64 processor threads"},
		"memory":           {func(m *Machine, _ *bmc.Inventory) { m.MemoryGB = 2048 }, "of memory, and 2048"},
		"storage": {func(m *Machine, _ *bmc.Inventory) {
			m.StorageGB, m.Hardware.Drives[0].Bytes = 8000, 4e12
		}, "have 4000 GB, and 8000 are for sale"},
		"no drive": {func(m *Machine, _ *bmc.Inventory) { m.Hardware.Drives = nil }, "no drive"},
		"no serial": {func(m *Machine, _ *bmc.Inventory) {
			m.Hardware.Drives = []Drive{{Serial: ""}}
		}, "no serial number of its own"},
		"a serial twice": {func(m *Machine, _ *bmc.Inventory) {
			m.Hardware.Drives = append(m.Hardware.Drives, m.Hardware.Drives[0])
		}, "drive 2 has no serial number of its own"},
		"no price": {func(m *Machine, _ *bmc.Inventory) { m.HourlyPrice = 0 }, "no price"},
		"firmware": {func(_ *Machine, inv *bmc.Inventory) { inv.Firmware["BIOS"] = "1.3" }, "BIOS was 1.2 and is 1.3"},
		// A BMC may not list everything each time.
		"firmware that is not listed": {func(_ *Machine, inv *bmc.Inventory) { delete(inv.Firmware, "BIOS") }, ""},
	} {
		firmware := map[string]string{"BIOS": "1.2", "BMC": "4"}
		inv := bmc.Inventory{Serial: "S1", VirtualCD: true, Firmware: maps.Clone(firmware)}
		m := Machine{
			MACs: []string{"3c:ec:ef:00:00:01"}, GPUCount: 1, VCPUs: 64, MemoryGB: 1024, HourlyPrice: 1,
			Hardware: &Hardware{
				Serial: "S1", CPUs: 64, MemoryBytes: 1024e9, Drives: []Drive{{Serial: "D1"}}, GPUs: []GPU{{Slot: "1"}},
				MACs: []string{"3c:ec:ef:00:00:01"}, Firmware: firmware,
			},
		}
		c.change(&m, &inv)
		got := strings.Join(m.compare(inv), "; ")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
