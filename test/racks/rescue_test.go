package racks_test

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/client"
)

// openSSH is OpenSSH's client with the tenant's key and the host keys that the API states.
type openSSH struct {
	t   *testing.T
	m   *machine
	dir string
	to  string
}

func newOpenSSH(t *testing.T, m *machine, d *client.Deployment, key ed25519.PrivateKey) *openSSH {
	t.Helper()
	dir := t.TempDir()
	block, err := ssh.MarshalPrivateKey(key, "")
	noError(t, err)
	noError(t, os.WriteFile(filepath.Join(dir, "key"), pem.EncodeToMemory(block), 0o600))
	known := strings.Join(d.SSHHostKeys, "\n") + "\n"
	noError(t, os.WriteFile(filepath.Join(dir, "known_hosts"), []byte(known), 0o600))
	return &openSSH{t, m, dir, *d.SSHUser + "@" + *d.IPAddress}
}

// command is one of OpenSSH's programs with its options, and then the arguments.
func (c *openSSH) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	options := []string{
		"-F", "/dev/null", "-i", filepath.Join(c.dir, "key"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + filepath.Join(c.dir, "known_hosts"),
		"-o", "ConnectTimeout=20",
	}
	cmd := exec.CommandContext(ctx, program, append(options, args...)...)
	cmd.Dir = c.dir
	return cmd
}

// run runs lines on the machine, with an input.
func (c *openSSH) run(lines, input string) string {
	c.t.Helper()
	cmd := c.command(c.t.Context(), "ssh", c.to, lines)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s\n%s", lines, err, out, c.m.console())
	}
	return string(out)
}

// await waits until a line succeeds on the machine, which restarts meanwhile.
func (c *openSSH) await(line string) {
	c.t.Helper()
	limit, cancel := context.WithTimeout(c.t.Context(), bootLimit)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		out, err := c.command(limit, "ssh", c.to, line).CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit.Done():
			c.t.Fatalf("%s: %v\n%s\n%s", line, err, out, c.m.console())
		}
	}
}

// rescue has the tenant repair a file system in the rescue system, with OpenSSH's programs, and go
// back to what is installed. The drives are not changed by that.
func (o *operator) rescue(tenant *client.Client, d *client.Deployment, key ed25519.PrivateKey, marks []string) {
	o.t.Helper()
	_, err := tenant.Deployments.Rescue(o.t.Context(), d.ID)
	noError(o.t, err)
	d, err = tenant.Deployments.WaitForAction(o.t.Context(), d.ID)
	noError(o.t, err)
	if !d.Rescue || d.Status != client.DeploymentRunning || !d.Capabilities.Rescue {
		o.t.Errorf("in rescue: %t, %s, %+v", d.Rescue, d.Status, d.Capabilities)
	}
	c := newOpenSSH(o.t, o.machine, d, key)
	mark := c.repair(marks)
	o.passed("the tenant changed a file system in the rescue system")

	// What is still mounted then is written, and unmounted.
	_, err = tenant.Deployments.EndRescue(o.t.Context(), d.ID)
	noError(o.t, err)
	d, err = tenant.Deployments.WaitForAction(o.t.Context(), d.ID)
	noError(o.t, err)
	if d.Rescue || d.Status != client.DeploymentRunning {
		o.t.Errorf("after the rescue: %t, %s", d.Rescue, d.Status)
	}
	c.checkRepaired(mark)
	o.passed("the tenant's system runs again")
}

// repair changes a file system in the rescue system with OpenSSH's programs, and leaves it mounted.
func (c *openSSH) repair(marks []string) (mark string) {
	c.t.Helper()
	c.await(`case "$(cat /proc/cmdline)" in *billet.token*) ;; *) exit 1 ;; esac`)
	if found := c.m.find(c.t, marks); len(found) != len(marks) {
		c.t.Errorf("in the rescue system, the drives have only %q of the tenant's marks", found)
	}
	c.run(`for f in xfs btrfs raid1 dm_mod; do modprobe $f || exit; done
		for f in ext4 xfs btrfs; do grep -w $f /proc/filesystems || exit; done
		e2fsck -V && id -un && uname -a`, "")
	terminal := c.command(c.t.Context(), "ssh", "-tt", c.to)
	terminal.Stdin = strings.NewReader("tty; exit\n")
	if out, err := terminal.CombinedOutput(); err != nil || !strings.Contains(string(out), "/dev/pts/") {
		c.t.Errorf("a shell on a terminal: %v\n%s", err, out)
	}
	mark = "rescued-" + randomHex(c.t)
	c.run("mount /dev/nvme0n1p1 /mnt && test -s /mnt/initrd && cat >/mnt/repaired", mark)
	noError(c.t, os.WriteFile(filepath.Join(c.dir, "sent"), []byte(mark), 0o600))
	batch := c.command(c.t.Context(), "sftp", "-b", "-", c.to)
	batch.Stdin = strings.NewReader("put sent /mnt/sent\nget /mnt/repaired got\n")
	if out, err := batch.CombinedOutput(); err != nil {
		c.t.Fatalf("sftp: %v\n%s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(c.dir, "got")); err != nil || string(got) != mark {
		c.t.Errorf("sftp brought %q, %v", got, err)
	}
	return mark
}

// checkRepaired checks that the tenant's system runs, and reads what was written in the rescue
// system.
func (c *openSSH) checkRepaired(mark string) {
	c.t.Helper()
	c.await(`case "$(cat /proc/cmdline)" in *billet.token*) exit 1 ;; esac`)
	read := c.run("mkdir /esp && mount -t vfat -o ro /dev/nvme0n1p1 /esp && cat /esp/repaired /esp/sent", "")
	if read != mark+mark {
		c.t.Errorf("the files that were written in the rescue system have %q", read)
	}
}
