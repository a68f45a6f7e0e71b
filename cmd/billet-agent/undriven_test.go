//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Drives that the kernel has no driver for must not be taken for absent.
func TestUndriven(t *testing.T) {
	nfit := append(make([]byte, 40), 0, 0, 8, 0, 0, 0, 0, 0)
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"VMD without a driver": {map[string]string{"bus/pci/devices/0000:64:00.5/class": "0x010400"}, "0000:64:00.5"},
		"a driver": {map[string]string{
			"bus/pci/devices/0000:00:1f.2/class": "0x010601", "bus/pci/devices/0000:00:1f.2/driver/x": "",
		}, ""},
		"no storage":    {map[string]string{"bus/pci/devices/0000:01:00.0/class": "0x030200"}, ""},
		"a virtio disk": {map[string]string{"bus/virtio/devices/virtio1/device": "0x0002"}, "virtio1"},
		"a virtio card": {map[string]string{"bus/virtio/devices/virtio0/device": "0x0001"}, ""},
		"no NVDIMM":     {map[string]string{"firmware/acpi/tables/NFIT": string(nfit)}, ""},
		"an NVDIMM": {map[string]string{
			"firmware/acpi/tables/NFIT": string(append(nfit, 1, 0, 48, 0)),
		}, "persistent memory"},
	} {
		sys := t.TempDir()
		for file, content := range c.files {
			at := filepath.Join(sys, file)
			if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(content+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := strings.Join(undriven(sys), "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
