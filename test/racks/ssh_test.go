package racks_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/test/servertest"
)

// overSSH selects a machine whose BMC is not used. It starts nine times.
var overSSH = flag.Bool("ssh", false, "rent out a machine that the agent is started on by SSH and kexec")

// TestAServerThatOnlyAnswersSSH rents out a machine without a BMC: the agent is started by kexec in
// place of the operator's system, of the idle one, and of the tenant's. Then nothing that the
// operator or the tenant wrote is on the raw drives.
func TestAServerThatOnlyAnswersSSH(t *testing.T) {
	if !*overSSH {
		t.Skip("only with -ssh")
	}
	need(t)
	if os.Getenv(inside) == "" {
		runInside(t, agentImage(t, "cloud-amd64"), tenantImage(t))
		return
	}
	o := newOperator(t, false)
	own := o.setUpOverSSH()
	tenant, d, key := o.deploy()
	limit, cancel := context.WithTimeout(t.Context(), 2*bootLimit)
	defer cancel()
	d, err := tenant.Deployments.WaitForRunning(limit, d.ID, nil)
	noError(t, err)
	o.passed("the tenant's system runs")
	marks := useTenantsSystem(t, o.machine, d, key)
	o.server.Run("deployments", "terminate", d.ID, "--reason", "the test goes on")
	o.checkReturned(tenant, d)
	if found := o.machine.find(t, append(marks, own, hostname)); len(found) > 0 {
		t.Errorf("the erased drives still have %q", found)
	}
	if strings.Contains(o.machine.consoles(), "billet.token") {
		t.Error("a console has the agent's token")
	}
}

// setUpOverSSH does everything until the machine is ready. It returns a text of the system that was
// there before.
func (o *operator) setUpOverSSH() (mark string) {
	o.t.Helper()
	blocks := readBlocks(o.t)
	serve, _ := strings.CutPrefix(strings.TrimSpace(blocks[1]), "billetd serve ")
	args := strings.Fields(o.replace(serve, "agent.iso", os.Getenv(isoVariable)))
	o.server = servertest.StartIn(o.t, filepath.Join(o.dir, "data"), args...)
	bin := filepath.Join(o.dir, "bin")
	noError(o.t, os.Mkdir(bin, 0o700))
	noError(o.t, os.Symlink(servertest.Binary(o.t), filepath.Join(bin, "billetd")))
	o.shell(o.setImage(blocks[4]))

	host, err := provider.NewHostKey()
	noError(o.t, err)
	noError(o.t, os.WriteFile(filepath.Join(o.dir, "servers.yaml"), fmt.Appendf(nil, `machines:
  - name: gpu-01
    sshAddress: %s
    sshHostKey: %s
    idleImage: Ubuntu 24.04
    macs: [%q]
    address: %s/24
    gateway: 192.0.2.1
    region: oslo-1
    hourlyPrice: 12.50
    gpuType: NVIDIA H100
    gpuCount: %d
    gpuMemoryGb: 80
`, machineAddress, host.Public, mac, machineAddress, gpus), 0o600))
	o.shell("billetd machines import servers.yaml")
	var all []struct{ SSHPublicKey string }
	noError(o.t, json.Unmarshal([]byte(o.server.Run("machines", "list", "-o", "json")), &all))
	mark = "own-mark-" + randomHex(o.t)
	o.installOwn(host, all[0].SSHPublicKey, mark)

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // as its power button is
		defer close(ended)
		for ctx.Err() == nil {
			reason, err := o.machine.runOnce(ctx, "")
			if ctx.Err() == nil && (err != nil || reason != "guest-reset") {
				fmt.Fprintln(os.Stderr, "QEMU:", reason, err)
				return
			}
		}
	}()
	o.t.Cleanup(func() {
		cancel()
		<-ended
	})
	o.shell(blocks[5])
	o.awaitState("ready")
	o.checkHardware()
	return mark
}

// installOwn installs the operator's own system: that of tenants, on the first drive, whose NoCloud
// file system is the second.
func (o *operator) installOwn(host provider.HostKey, key, mark string) {
	o.t.Helper()
	image, err := os.Open(os.Getenv(tenantVariable))
	noError(o.t, err)
	defer image.Close()
	drive, err := os.OpenFile(filepath.Join(o.machine.dir, "nvme1"), os.O_WRONLY, 0)
	noError(o.t, err)
	_, err = io.Copy(drive, image)
	noError(o.t, err)
	noError(o.t, drive.Close())
	disk := filepath.Join(o.machine.dir, "disk")
	run := func(name string, args ...string) {
		o.t.Helper()
		c := exec.Command(name, args...)
		c.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1")
		if out, err := c.CombinedOutput(); err != nil {
			o.t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run("mformat", "-i", disk, "-v", "CIDATA", "-T", fmt.Sprint(diskSize/512), "-h", "64", "-s", "32", "::")
	for name, text := range map[string]string{
		"meta-data": fmt.Sprintf(`{"local-hostname":"own","public-keys":[%q]}`, key),
		"user-data": "#cloud-config\n# " + mark + "\n" + host.Private,
		"network-config": fmt.Sprintf(`{"ethernets":{"billet0":{"addresses":["%s/24"],`+
			`"routes":[{"to":"0.0.0.0/0","via":"192.0.2.1"}]}}}`, machineAddress),
	} {
		file := filepath.Join(o.dir, name)
		noError(o.t, os.WriteFile(file, []byte(text), 0o600))
		run("mcopy", "-i", disk, file, "::/"+name)
	}
	if found := o.machine.find(o.t, []string{mark}); len(found) != 1 {
		o.t.Fatal("the drives do not have the operator's mark: this test would prove nothing")
	}
}
