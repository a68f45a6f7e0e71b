package racks_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/client"
)

// TestTenantsDataIsGone does what docs/racks.md tells an operator to type, on a machine that starts
// the agent's ISO image. A tenant rents it and uses it, and the operator ends that. Then nothing
// that the tenant wrote is on the raw drives, and the machine is ready again. With -metal, the
// tenant reinstalls it meanwhile and uses it again.
func TestTenantsDataIsGone(t *testing.T) {
	need(t)
	if os.Getenv(inside) == "" {
		runInside(t, agentImage(t, "cloud-amd64"), tenantImage(t))
		return
	}
	o := newOperator(t, false)
	o.setUp()
	tenant, d, key := o.deploy()
	limit, cancel := context.WithTimeout(t.Context(), 2*bootLimit)
	defer cancel()
	d, err := tenant.Deployments.WaitForRunning(limit, d.ID, nil)
	noError(t, err)
	o.passed("the tenant's system runs")
	marks := useTenantsSystem(t, o.machine, d, key)
	o.passed("the tenant wrote to the drives")
	o.rescue(tenant, d, key, marks)

	if *metal {
		marks = append(marks, o.reinstallAndUse(tenant, d, key, marks)...)
	}

	// The tenant may end it after the minimum runtime only, which this test does not wait for.
	o.server.Run("deployments", "terminate", d.ID, "--reason", "the test goes on")
	o.checkReturned(tenant, d)
	if found := o.machine.find(t, append(marks, "-----BEGIN OPENSSH PRIVATE KEY-----", hostname)); len(found) > 0 {
		t.Errorf("the erased drives still have %q", found)
	}
}

// metal selects what takes longer, and downloads 70 MB once.
var metal = flag.Bool("metal", false,
	"start the agent's image for servers as well, on a server's devices; and reinstall the tenant's system")

// TestServersAreErased starts the image that operators use, on a machine with a server's network
// card, a SATA disk, the CD on USB, and Secure Boot. The deployment ends while it is installed: the
// tenant's system has no drivers for these.
func TestServersAreErased(t *testing.T) {
	if !*metal {
		t.Skip("only with -metal")
	}
	need(t)
	if os.Getenv(inside) == "" {
		iso := agentImage(t, "amd64")
		agentImage(t, "cloud-amd64") // has what the tenant's system is built from
		runInside(t, iso, tenantImage(t))
		return
	}
	o := newOperator(t, true)
	o.setUp()
	tenant, d, _ := o.deploy()
	o.server.Run("deployments", "terminate", d.ID, "--reason", "the test goes on")
	o.checkReturned(tenant, d)
}

// reinstallAndUse has the tenant reinstall the machine, which erases it and keeps the host key, and
// use it again. It returns the new marks.
func (o *operator) reinstallAndUse(
	tenant *client.Client, d *client.Deployment, key ed25519.PrivateKey, marks []string,
) []string {
	o.t.Helper()
	reinstalled := o.reinstall(tenant, d.ID)
	o.passed("the system is reinstalled")
	if found := o.machine.find(o.t, marks); len(found) > 0 {
		o.t.Errorf("the drives were erased for the reinstallation, and still have %q", found)
	}
	if !slices.Equal(reinstalled.SSHHostKeys, d.SSHHostKeys) {
		o.t.Errorf("the API states the host keys %q after the reinstallation, and stated %q before",
			reinstalled.SSHHostKeys, d.SSHHostKeys)
	}
	more := useTenantsSystem(o.t, o.machine, reinstalled, key)
	o.passed("the tenant wrote to the drives again")
	return more
}

// useTenantsSystem signs in as the API says, with the tenant's key and the host key that the API
// states, and writes marks on all drives, where they are read from outside.
func useTenantsSystem(
	t *testing.T, m *machine, d *client.Deployment, key ed25519.PrivateKey,
) (marks []string) {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	noError(t, err)
	if len(d.SSHHostKeys) != 1 {
		t.Fatalf("the API states the host keys %q", d.SSHHostKeys)
	}
	_, hosts, host, _, _, err := ssh.ParseKnownHosts([]byte(d.SSHHostKeys[0]))
	noError(t, err)
	if !slices.Equal(hosts, []string{*d.IPAddress}) {
		t.Errorf("the host key is that of %q", hosts)
	}
	c := m.dial(t, net.JoinHostPort(*d.IPAddress, strconv.Itoa(*d.SSHPort)), &ssh.ClientConfig{
		User: *d.SSHUser, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(host),
		HostKeyAlgorithms: []string{host.Type()}, // dropbear stops if it is asked for another
	})
	defer c.Close()
	if name := strings.TrimSpace(command(t, c, "cat /proc/sys/kernel/hostname", "")); name != hostname {
		t.Errorf("the host's name is %q", name)
	}
	if strings.Contains(command(t, c, "cat /proc/cmdline", ""), "billet.token") {
		t.Error("the tenant's system has the agent's token")
	}
	for i, at := range []struct {
		device string
		block  int
	}{
		{"/dev/nvme0n1", 8000}, {"/dev/nvme0n1", nvmeSize/4096 - 2048}, {"/dev/nvme0n2", 0},
		{"/dev/nvme0n2", secondSize/4096 - 1},
		{"/dev/vda", 1234},
	} {
		mark := fmt.Sprintf("tenant-mark-%d-%s", i, randomHex(t))
		block := strings.Repeat(mark+"\n", 4096/(len(mark)+1)+1)[:4096]
		command(t, c, fmt.Sprintf("[ -b %[1]s ] && dd of=%[1]s bs=4096 seek=%[2]d conv=notrunc && sync",
			at.device, at.block), block)
		marks = append(marks, mark)
	}
	if found := m.find(t, marks); !slices.Equal(found, marks) {
		t.Fatalf("of the tenant's marks %q the drives have %q only: this test would prove nothing", marks, found)
	}
	return marks
}

func command(t *testing.T, c *ssh.Client, line, input string) string {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Stdin = strings.NewReader(input)
	out, err := s.CombinedOutput(line)
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func randomHex(t *testing.T) string {
	t.Helper()
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

// need skips the test where its tools are missing. `make test` demands them where apt can install
// them.
func need(t *testing.T) {
	t.Helper()
	var missing []string
	for _, tool := range []string{
		"qemu-system-x86_64", "qemu-img", "xorriso", "mformat", "mcopy", "cpio", "busybox", "dpkg-deb", "apt-get",
		"openssl", "ssh", "sftp",
		"/usr/sbin/dropbear", "/usr/lib/dropbear/dropbearconvert", "/usr/sbin/depmod", "/usr/sbin/sfdisk", firmware,
	} {
		if strings.HasPrefix(tool, "/") {
			if _, err := os.Stat(tool); err != nil {
				missing = append(missing, tool)
			}
		} else if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	switch {
	case len(missing) == 0:
	case os.Getenv(require) != "":
		t.Fatalf("missing: %s; scripts/need.sh installs them", strings.Join(missing, ", "))
	default:
		t.Skipf("NOT TESTED: no machine was started, because these are missing: %s", strings.Join(missing, ", "))
	}
}

// cacheDir has what images consist of, between runs.
func cacheDir(t *testing.T) string {
	t.Helper()
	if cache := os.Getenv("BILLET_AGENT_CACHE"); cache != "" {
		return cache
	}
	home, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(home, "billet-agent")
}

// agentImage builds the agent's image with the kernel of a flavor.
func agentImage(t *testing.T, flavor string) string {
	t.Helper()
	iso := filepath.Join(t.TempDir(), "agent.iso")
	build(t, cacheDir(t), "../../scripts/agent-iso.sh", iso, flavor)
	return iso
}

// tenantImage builds the tenant's image, after the agent's, with the same kernel.
func tenantImage(t *testing.T) string {
	t.Helper()
	cache := cacheDir(t)
	kept, _ := filepath.Glob(filepath.Join(cache, "cloud-amd64-*", "vmlinuz"))
	if len(kept) == 0 {
		t.Fatal("scripts/agent-iso.sh keeps nothing in " + cache)
	}
	newest, parts := "", sha256.New()
	for _, file := range kept {
		if newest == "" || modified(t, file).After(modified(t, newest)) {
			newest = file
		}
	}
	for _, file := range []string{"tenant/build.sh", "tenant/init"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts.Write(b)
	}
	tenant := filepath.Join(filepath.Dir(newest), fmt.Sprintf("tenant-%x", parts.Sum(nil)[:8]))
	if _, err := os.Stat(tenant); err != nil {
		build(t, cache, "tenant/build.sh", filepath.Dir(newest), tenant+".new")
		if err := os.Rename(tenant+".new", tenant); err != nil {
			t.Fatal(err)
		}
	}
	return tenant
}

func modified(t *testing.T, file string) time.Time {
	t.Helper()
	i, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return i.ModTime()
}

func build(t *testing.T, cache, script string, args ...string) {
	t.Helper()
	start := time.Now()
	c := exec.Command(script, args...)
	c.Env = append(os.Environ(), "BILLET_AGENT_CACHE="+cache, "GOFLAGS=")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	t.Logf("%s took %s", filepath.Base(script), time.Since(start).Round(time.Second/10))
}

// dial waits for the machine's SSH server.
func (m *machine) dial(t *testing.T, address string, config *ssh.ClientConfig) *ssh.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			c, channels, requests, err := ssh.NewClientConn(conn, address, config)
			if err == nil {
				_ = conn.SetDeadline(time.Time{})
				return ssh.NewClient(c, channels, requests)
			}
			conn.Close()
			text := err.Error()
			if strings.Contains(text, "host key mismatch") || strings.Contains(text, "unable to authenticate") {
				t.Fatalf("%v\n%s", err, m.console())
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the tenant's system does not serve SSH\n%s", m.console())
		case <-time.After(200 * time.Millisecond): // another process starts: nothing tells when
		}
	}
}

// find returns those of the texts that are anywhere on the drives, in the order of the texts.
func (m *machine) find(t *testing.T, texts []string) []string {
	t.Helper()
	found, longest := make([]bool, len(texts)), 0
	for _, text := range texts {
		longest = max(longest, len(text))
	}
	for _, file := range m.drives {
		f, err := os.Open(file)
		noError(t, err)
		defer f.Close()
		b := make([]byte, 8<<20)
		for kept := 0; ; {
			n, err := f.Read(b[kept:])
			if err == io.EOF {
				break
			}
			noError(t, err)
			part := b[:kept+n]
			for i, text := range texts {
				found[i] = found[i] || bytes.Contains(part, []byte(text))
			}
			kept = copy(b, part[len(part)-min(longest, len(part)):])
		}
	}
	var all []string
	for i, text := range texts {
		if found[i] {
			all = append(all, text)
		}
	}
	return all
}
