package racks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/bmc/bmctest"
)

const (
	firmware  = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	variables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	// With Microsoft's keys and Secure Boot, as servers are delivered. It starts more slowly.
	secureFirmware  = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	secureVariables = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"

	mac           = "52:54:00:aa:00:01"
	machineSerial = "MACHINE-1"
	nvmeSerial    = "NVME-1"
	diskSerial    = "DISK-1"
	nvmeSize      = 128 << 20 // first namespace
	secondSize    = 16 << 20  // second namespace
	diskSize      = 32 << 20

	// bootLimit is for a machine that is busy with other tests.
	bootLimit = 4 * time.Minute
)

// machine is a computer in QEMU behind an emulated BMC, switched off.
type machine struct {
	dir     string
	drives  []string
	sshPort int
	bmc     *bmc.BMC
	boots   atomic.Int32
	started chan start
	// metal has the firmware, network card, disk and CD of servers instead of those of virtual
	// machines.
	metal bool
}

// start is what came of switching a machine on.
type start struct {
	exited chan struct{} // closed when it has restarted or switched itself off
	err    error
}

func newMachine(t *testing.T, dir string) *machine {
	t.Helper()
	m := &machine{dir: dir, started: make(chan start, 1)}
	_, address := bmctest.Start(t, bmctest.Config{Serial: machineSerial, MACs: []string{mac}, OnBoot: m.run})
	var err error
	m.bmc, err = bmc.Open(t.Context(), address)
	noError(t, err)
	t.Cleanup(m.bmc.Close)
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

// powerOn has the BMC switch the machine on, and waits until it runs.
func (m *machine) powerOn(t *testing.T) (exited chan struct{}) {
	t.Helper()
	noError(t, m.bmc.SetPower(t.Context(), bmc.PowerOn))
	s := <-m.started
	noError(t, s.err)
	return s.exited
}

// run is called by the BMC when the power is switched on. The machine runs until it restarts or
// switches itself off, or the BMC ends it.
func (m *machine) run(ctx context.Context, cdURL string) {
	c, err := m.command(ctx, cdURL)
	var output strings.Builder
	if err == nil {
		c.Stdout, c.Stderr = &output, &output
		err = c.Start()
	}
	if err != nil {
		m.started <- start{err: err}
		return
	}
	exited := make(chan struct{})
	m.started <- start{exited: exited}
	_ = c.Wait()
	if output.Len() > 0 {
		fmt.Fprintln(os.Stderr, "QEMU:", output.String())
	}
	close(exited)
}

// command is QEMU with a copy of the CD, as a BMC reads it.
func (m *machine) command(ctx context.Context, cdURL string) (*exec.Cmd, error) {
	m.boots.Add(1)
	// The firmware starts as if it were new: it would prefer the drive that it has started before.
	code, vars := firmware, variables
	if m.metal {
		code, vars = secureFirmware, secureVariables
	}
	b, err := os.ReadFile(vars)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(m.dir, "variables"), b, 0o600); err != nil {
		return nil, err
	}
	cd := ""
	if cdURL != "" {
		cd = filepath.Join(m.dir, "job.iso")
		if err := download(ctx, cdURL, cd); err != nil {
			return nil, err
		}
	}
	args := []string{
		"-machine", "q35", "-accel", "tcg", "-m", "768", "-smp", "1", "-display", "none", "-no-reboot",
		"-nodefaults", "-vga", "none", "-monitor", "none", "-serial", "file:" + m.consoleFile(),
		"-smbios", "type=1,manufacturer=QEMU,serial=" + machineSerial,
		"-drive", "if=pflash,format=raw,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,file=" + filepath.Join(m.dir, "variables"),
		"-device", "nvme,id=nvme,serial=" + nvmeSerial,
		"-drive", "if=none,id=nvme1,format=raw,discard=unmap,file=" + filepath.Join(m.dir, "nvme1"),
		"-device", "nvme-ns,bus=nvme,nsid=1,drive=nvme1,bootindex=2",
		"-drive", "if=none,id=nvme2,format=raw,discard=unmap,file=" + filepath.Join(m.dir, "nvme2"),
		"-device", "nvme-ns,bus=nvme,nsid=2,drive=nvme2",
		"-drive", "if=none,id=disk,format=raw,file=" + filepath.Join(m.dir, "disk"),
		"-netdev", fmt.Sprintf("user,id=net,hostfwd=tcp:127.0.0.1:%d-:22", m.sshPort),
	}
	disk, nic := "virtio-blk-pci", "virtio-net-pci"
	if m.metal {
		disk, nic = "ide-hd", "e1000e"
		// as Secure Boot requires
		args = append(args, "-machine", "smm=on",
			"-global", "driver=cfi.pflash01,property=secure,value=on")
	}
	if !m.metal {
		args = append(args, "-machine", "sata=off") // the kernel has no driver for it
	}
	args = append(args, "-device", "qemu-xhci", "-device", disk+",drive=disk,serial="+diskSerial, "-device",
		nic+",netdev=net,romfile=,mac="+mac)
	if cd != "" {
		args = append(args, "-drive", "if=none,id=cd,media=cdrom,readonly=on,format=raw,file="+cd,
			"-device", "usb-storage,drive=cd,bootindex=1")
	}
	c := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c, nil
}

func download(ctx context.Context, url, file string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, answer.Body)
	return errors.Join(err, f.Close())
}

func (m *machine) consoleFile() string {
	return filepath.Join(m.dir, fmt.Sprintf("console%d", m.boots.Load()))
}

// console returns what the machine wrote to its serial port since it was switched on.
func (m *machine) console() string {
	b, _ := os.ReadFile(m.consoleFile())
	return string(b)
}
