package racks_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc/bmctest"
)

const (
	firmware  = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	variables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	// With Microsoft's keys and Secure Boot, as servers are delivered. It starts more slowly.
	secureFirmware  = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	secureVariables = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"

	// The addresses of docs/racks.md.
	billetdAddress = "10.0.0.2"
	bmcAddress     = "10.0.0.17"
	machineAddress = "192.0.2.11"
	mac            = "3c:ec:ef:00:00:01"
	machineSerial  = "MACHINE-1"
	nvmeSerial     = "NVME-1"
	diskSerial     = "DISK-1"
	// The agent chooses the smallest that holds the image's file, which is the first namespace.
	nvmeSize   = 40 << 20 // first namespace
	secondSize = 8 << 20  // second namespace
	diskSize   = 48 << 20
	gpus       = 8

	// bootLimit ends a test that hangs. It is far more than a start takes on a computer that is
	// busy with other tests.
	bootLimit = 12 * time.Minute
)

// machine is a computer in QEMU behind an emulated BMC, switched off.
type machine struct {
	dir    string
	drives []string
	bmc    *bmctest.BMC
	boots  atomic.Int32
	// runs is held by the QEMU that runs: the next one starts when it has ended.
	runs sync.Mutex
	// metal has the firmware, network card, disk and CD of servers instead of those of virtual
	// machines.
	metal bool
}

func newMachine(t *testing.T, metal bool) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir(), metal: metal}
	for name, size := range map[string]int64{"nvme1": nvmeSize, "nvme2": secondSize, "disk": diskSize} {
		file := filepath.Join(m.dir, name)
		f, err := os.Create(file)
		noError(t, err)
		noError(t, f.Truncate(size))
		f.Close()
		m.drives = append(m.drives, file)
	}
	m.bmc = bmctest.New(bmctest.Config{
		User: "billet", Password: "change-me", Serial: machineSerial, MACs: []string{mac}, GPUs: gpus, OnBoot: m.run,
	})
	l, err := net.Listen("tcp", bmcAddress+":443")
	noError(t, err)
	server := httptest.NewUnstartedServer(m.bmc)
	server.Listener.Close()
	server.Listener = l
	server.StartTLS()
	t.Cleanup(func() {
		server.Close()
		m.bmc.Close()
	})
	return m
}

// run is called by the BMC when the power is switched on or the machine restarts. It runs until the
// machine's own software restarts it or switches it off, or the BMC ends it.
func (m *machine) run(ctx context.Context, cdURL string) {
	end, err := m.runOnce(ctx, cdURL)
	switch {
	case ctx.Err() != nil: // the BMC ended it
	case err != nil:
		fmt.Fprintln(os.Stderr, "QEMU:", err)
	case end == "guest-reset":
		m.bmc.Restart(ctx)
	default:
		m.bmc.PowerOff(ctx)
	}
}

// runOnce runs QEMU, and returns the reason for its end.
func (m *machine) runOnce(ctx context.Context, cdURL string) (reason string, err error) {
	m.runs.Lock()
	defer m.runs.Unlock()
	c, err := m.command(ctx, cdURL)
	if err != nil {
		return "", err
	}
	var output strings.Builder
	c.Stdout, c.Stderr = &output, &output
	qmp, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err == nil {
		_, _ = io.WriteString(qmp, `{"execute": "qmp_capabilities"}`+"\n") // events follow
		err = c.Wait()
	}
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, output.String())
	}
	event := regexp.MustCompile(`"event": "SHUTDOWN", "data": {.*"reason": "([a-z-]+)"`)
	found := event.FindStringSubmatch(output.String())
	if found == nil {
		return "", fmt.Errorf("it ended without a reason: %s", output.String())
	}
	return found[1], nil
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
		"-machine", "q35", "-accel", "tcg", "-m", "1280", "-smp", "1", "-display", "none", "-no-reboot",
		"-nodefaults", "-vga", "none", "-qmp", "stdio", "-serial", "file:" + m.consoleFile(),
		"-smbios", "type=1,manufacturer=QEMU,serial=" + machineSerial,
		"-drive", "if=pflash,format=raw,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,file=" + filepath.Join(m.dir, "variables"),
		"-device", "nvme,id=nvme,serial=" + nvmeSerial,
		"-drive", "if=none,id=nvme1,format=raw,discard=unmap,file=" + filepath.Join(m.dir, "nvme1"),
		"-device", "nvme-ns,bus=nvme,nsid=1,drive=nvme1,bootindex=2",
		"-drive", "if=none,id=nvme2,format=raw,discard=unmap,file=" + filepath.Join(m.dir, "nvme2"),
		"-device", "nvme-ns,bus=nvme,nsid=2,drive=nvme2",
		"-drive", "if=none,id=disk,format=raw,file=" + filepath.Join(m.dir, "disk"),
		"-netdev", "user,id=net,net=192.0.2.0/24,host=192.0.2.1,dns=192.0.2.53," +
			"hostfwd=tcp:" + machineAddress + ":22-" + machineAddress + ":22",
	}
	for range gpus { // of AMD, although docs/racks.md has others
		args = append(args, "-device", "ati-vga,romfile=")
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
	// A BMC does not check the certificate of the agent's image: it is reached by the address.
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer c.CloseIdleConnections()
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
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

// consoles returns what the machine wrote to its serial port at each start.
func (m *machine) consoles() string {
	var b strings.Builder
	for i := int32(1); i <= m.boots.Load(); i++ {
		text, _ := os.ReadFile(filepath.Join(m.dir, fmt.Sprintf("console%d", i)))
		fmt.Fprintf(&b, "== %d\n%s\n", i, text)
	}
	return b.String()
}
