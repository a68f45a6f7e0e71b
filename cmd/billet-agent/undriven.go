//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// undriven returns the storage of the machine that this kernel cannot read, and whose drives would
// not be erased: controllers without a driver, and persistent memory. sys is /sys.
func undriven(sys string) []string {
	var found []string
	without := func(bus string, is func(at string) bool) {
		all, _ := filepath.Glob(filepath.Join(sys, "bus", bus, "devices", "*"))
		for _, at := range all {
			if _, err := os.Stat(at + "/driver"); err != nil && is(at) {
				found = append(found, fmt.Sprintf("the storage controller %s (%s %s) has no driver",
					filepath.Base(at), text(at+"/vendor"), text(at+"/device")))
			}
		}
	}
	without("pci", func(at string) bool { return strings.HasPrefix(text(at+"/class"), "0x01") })
	without("virtio", func(at string) bool { // a block device or a SCSI host
		kind := text(at + "/device")
		return kind == "0x0002" || kind == "0x0008"
	})
	table, _ := os.ReadFile(filepath.Join(sys, "firmware/acpi/tables/NFIT"))
	if hasNVDIMM(table) {
		found = append(found, "the machine has persistent memory (NVDIMM), which cannot be erased")
	}
	return found
}

// hasNVDIMM reports whether ACPI's table NFIT lists a memory device: a structure of the type 1,
// after a header of 40 bytes.
func hasNVDIMM(table []byte) bool {
	for at := 40; at+4 <= len(table); {
		length := int(binary.LittleEndian.Uint16(table[at+2:]))
		if binary.LittleEndian.Uint16(table[at:]) == 1 {
			return true
		}
		if length < 4 {
			return true // a table that cannot be read proves nothing
		}
		at += length
	}
	return false
}
