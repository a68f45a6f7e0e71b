package racks_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// The firmware has Microsoft's keys and Secure Boot enabled, as servers are delivered.
	firmware  = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	variables = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"

	mac           = "52:54:00:aa:00:01"
	machineSerial = "MACHINE-1"
	nvmeSerial    = "NVME-1"
	diskSerial    = "DISK-1"
	nvmeSize      = 512 << 20 // first namespace
	secondSize    = 16 << 20  // second namespace
	diskSize      = 32 << 20

	// bootLimit is for a machine that is busy with other tests.
	bootLimit = 4 * time.Minute
)

// machine is a computer in QEMU, switched off.
type machine struct {
	dir     string
	drives  []string
	sshPort int
	boots   int
	exited  chan struct{}
	metal   bool // with the network card, disk and CD of servers instead of those of virtual machines
}

func newMachine(t *testing.T, dir string) *machine {
	t.Helper()
	m := &machine{dir: dir}
	for name, size := range map[string]int64{"nvme1": nvmeSize, "nvme2": secondSize, "disk": diskSize} {
		file := filepath.Join(dir, name)
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		f.Close()
		m.drives = append(m.drives, file)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.sshPort = l.Addr().(*net.TCPAddr).Port
	l.Close()
	return m
}

// start switches the machine on, from a CD if one is given. It runs until it restarts or switches
// itself off, or until stop is called.
func (m *machine) start(t *testing.T, cd string) (stop func()) {
	t.Helper()
	m.boots++
	// The firmware starts as if it were new: it would prefer the drive that it has started before.
	b, err := os.ReadFile(variables)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "variables"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"-machine", "q35,smm=on", "-accel", "tcg", "-global", "driver=cfi.pflash01,property=secure,value=on",
		"-m", "768", "-smp", "1", "-display", "none", "-no-reboot",
		"-nodefaults", "-vga", "none", "-monitor", "none", "-serial", "file:" + m.consoleFile(),
		"-smbios", "type=1,manufacturer=QEMU,serial=" + machineSerial,
		"-drive", "if=pflash,format=raw,readonly=on,file=" + firmware,
		"-drive", "if=pflash,format=raw,file=" + filepath.Join(m.dir, "variables"),
		"-device", "nvme,id=nvme,serial=" + nvmeSerial,
		"-drive", "if=none,id=nvme1,format=raw,discard=unmap,file=" + filepath.Join(m.dir, "nvme1"),
		"-device", "nvme-ns,bus=nvme,nsid=1,drive=nvme1,bootindex=2",
		"-drive", "if=none,id=nvme2,format=raw,discard=unmap,file=" + filepath.Join(m.dir, "nvme2"),
		"-device", "nvme-ns,bus=nvme,nsid=2,drive=nvme2",
		"-drive", "if=none,id=disk,format=raw,file=" + filepath.Join(m.dir, "disk"),
		"-netdev", fmt.Sprintf("user,id=net,hostfwd=tcp:127.0.0.1:%d-:22", m.sshPort),
	}
	disk, nic, cdDrive := "virtio-blk-pci", "virtio-net-pci", "ide-cd"
	if m.metal {
		disk, nic, cdDrive = "ide-hd", "e1000e", "usb-storage"
		args = append(args, "-device", "qemu-xhci")
	}
	args = append(args, "-device", disk+",drive=disk,serial="+diskSerial, "-device",
		nic+",netdev=net,romfile=,mac="+mac)
	if cd != "" {
		args = append(args, "-drive", "if=none,id=cd,media=cdrom,readonly=on,format=raw,file="+cd,
			"-device", cdDrive+",drive=cd,bootindex=1")
	}
	c := exec.Command("qemu-system-x86_64", args...)
	var output strings.Builder
	c.Stdout, c.Stderr = &output, &output
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	m.exited = exited
	go func() {
		_ = c.Wait()
		close(exited)
	}()
	stop = func() {
		_ = c.Process.Kill()
		<-exited
		if output.Len() > 0 {
			t.Log("QEMU: " + output.String())
		}
	}
	t.Cleanup(stop)
	return stop
}

func (m *machine) consoleFile() string {
	return filepath.Join(m.dir, fmt.Sprintf("console%d", m.boots))
}

// console returns what the machine wrote to its serial port since it was switched on.
func (m *machine) console() string {
	b, _ := os.ReadFile(m.consoleFile())
	return string(b)
}
