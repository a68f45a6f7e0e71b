//go:build linux

package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/billetcloud/billet/internal/rackagent"
)

// text reads a file of /sys or /proc. A missing file is an empty text: machines differ.
func text(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(strings.ToValidUTF8(strings.TrimRight(string(b), "\x00\n "), ""))
}

func number(path string) int {
	n, _ := strconv.Atoi(text(path))
	return n
}

// inspect returns the hardware without the drives.
func inspect() rackagent.Hardware {
	const dmi = "/sys/class/dmi/id/"
	h := rackagent.Hardware{
		Vendor: text(dmi + "sys_vendor"), Product: text(dmi + "product_name"), Serial: text(dmi + "product_serial"),
		Firmware: text(dmi + "bios_version"), NICs: nics(), GPUs: gpus(), SecureBoot: secureBoot(),
	}
	h.CPUModel, h.CPUs = cpus()
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		h.MemoryBytes = int64(info.Totalram) * int64(info.Unit)
	}
	return h
}

func cpus() (model string, n int) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), ":")
		switch strings.TrimSpace(name) {
		case "processor":
			n++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	return model, n
}

// nics returns the network interfaces that belong to a device.
func nics() []rackagent.NIC {
	found := []rackagent.NIC{}
	all, _ := filepath.Glob("/sys/class/net/*")
	for _, at := range all {
		if _, err := os.Stat(at + "/device"); err != nil {
			continue
		}
		found = append(found, rackagent.NIC{
			Name: filepath.Base(at), MAC: text(at + "/address"), Link: text(at+"/carrier") == "1",
			Megabits: max(0, number(at+"/speed")),
		})
	}
	return found
}

// gpus returns display controllers and processing accelerators, without the graphics of a BMC.
func gpus() []rackagent.GPU {
	const aspeed, matrox = "1a03", "102b"
	found := []rackagent.GPU{}
	all, _ := filepath.Glob("/sys/bus/pci/devices/*")
	for _, at := range all {
		class, vendor := text(at+"/class"), strings.TrimPrefix(text(at+"/vendor"), "0x")
		if !strings.HasPrefix(class, "0x03") && !strings.HasPrefix(class, "0x12") || vendor == aspeed ||
			vendor == matrox {
			continue
		}
		found = append(found, rackagent.GPU{
			Slot: filepath.Base(at), VendorID: vendor, DeviceID: strings.TrimPrefix(text(at+"/device"), "0x"),
			LinkWidth: number(at + "/current_link_width"), MaxWidth: number(at + "/max_link_width"),
		})
	}
	return found
}

// secureBoot reads what the kernel was told by the firmware: the field secure_boot of Linux's boot
// parameters, in which 3 means enabled.
func secureBoot() bool {
	b, err := os.ReadFile("/sys/kernel/boot_params/data")
	return err == nil && len(b) > 0x1ec && b[0x1ec] == 3
}
