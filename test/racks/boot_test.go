package racks_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/rackagent"
)

// TestTenantsDataIsGone deploys a tenant's system by the agent's ISO image, uses it, erases the
// machine, and looks for what the tenant wrote on the raw drives.
func TestTenantsDataIsGone(t *testing.T) {
	need(t)
	dir := t.TempDir()
	iso := agentImage(t, "cloud-amd64")
	tenant := tenantImage(t)
	m := newMachine(t, dir)
	file, err := os.ReadFile(tenant)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file)
	server := newServer(t, file)
	key, hostKey := newKey(t), newKey(t)

	job := rackagent.Job{
		ID: "job_deploy", Kind: rackagent.Deploy, Drives: []string{nvmeSerial, diskSerial},
		Image: &rackagent.Image{
			URL: server.url("10.0.2.2") + "/image", SHA256: hex.EncodeToString(sum[:]), Format: rackagent.Raw,
			Bytes: int64(len(file)), Drive: nvmeSerial,
		},
		Config: &rackagent.Config{
			MetaData:      "instance-id: job_deploy\nlocal-hostname: tenant-one\n",
			UserData:      userData(key, hostKey),
			NetworkConfig: networkConfig,
		},
	}
	last := server.boot(t, m, iso, job)
	if last.Phase != rackagent.Done {
		t.Fatalf("the deployment failed: %+v", last.Error)
	}
	checkHardware(t, m, *last.Hardware)

	marks := useTenantsSystem(t, m, key, hostKey)
	if found := m.find(t, marks); !slices.Equal(found, marks) {
		t.Fatalf("of the tenant's marks %q the drives have %q only: this test would prove nothing", marks, found)
	}

	last = server.boot(t, m, iso, eraseJob)
	checkErasure(t, last)
	if found := m.find(t, append(marks, "-----BEGIN OPENSSH PRIVATE KEY-----", "tenant-one")); len(found) > 0 {
		t.Errorf("the erased drives still have %q", found)
	}
}

// metal selects a test that takes longer, and downloads 70 MB once.
var metal = flag.Bool("metal", false, "start the agent's image for servers as well, on a server's devices")

// TestServersAreErased starts the image that operators use, on a machine with a server's network
// card, a SATA disk, the CD on USB, and Secure Boot.
func TestServersAreErased(t *testing.T) {
	if !*metal {
		t.Skip("only with -metal")
	}
	need(t)
	m := newMachine(t, t.TempDir())
	m.metal = true
	last := newServer(t, nil).boot(t, m, agentImage(t, "amd64"), eraseJob)
	checkErasure(t, last)
	checkHardware(t, m, *last.Hardware)
}

var eraseJob = rackagent.Job{ID: "job_erase", Kind: rackagent.Erase, Drives: []string{nvmeSerial, diskSerial}}

func checkErasure(t *testing.T, last rackagent.Report) {
	t.Helper()
	if last.Phase != rackagent.Done || last.Erasure == nil || !last.Erasure.Complete() {
		t.Fatalf("the erasure failed: %+v %+v", last.Error, last.Erasure)
	}
	for _, d := range last.Erasure.Drives {
		t.Logf("drive %s: %s, %d marks, %s", d.Serial, d.Method, d.Marks, d.EndedAt.Sub(d.StartedAt))
		want := rackagent.NVMeFormat
		if d.Serial == diskSerial {
			want = rackagent.Overwrite
		}
		if d.Method != want || d.Marks < 2 || d.MarksGone != d.Marks {
			t.Errorf("not as expected: %+v", d)
		}
	}
}

func checkHardware(t *testing.T, m *machine, h rackagent.Hardware) {
	t.Helper()
	drives := map[string]int64{}
	for _, d := range h.Drives {
		drives[d.Serial] = d.Bytes
	}
	if len(drives) != 2 || drives[nvmeSerial] != nvmeSize+secondSize || drives[diskSerial] != diskSize {
		t.Errorf("drives: %+v", h.Drives)
	}
	if len(h.NICs) != 1 || h.NICs[0].MAC != mac || !h.NICs[0].Link {
		t.Errorf("network interfaces: %+v", h.NICs)
	}
	if h.SecureBoot != m.metal {
		t.Errorf("started by Secure Boot: %v", h.SecureBoot)
	}
	if h.Vendor != "QEMU" || h.Serial != machineSerial || h.CPUs != 1 || h.MemoryBytes < 500<<20 {
		t.Errorf("machine: %+v", h)
	}
}

// useTenantsSystem starts the machine from its drive, signs in with the tenant's key at the host
// key that was deployed, and writes marks on all drives.
func useTenantsSystem(t *testing.T, m *machine, key, hostKey ed25519.PrivateKey) (marks []string) {
	t.Helper()
	m.powerOn(t)
	defer func() { noError(t, m.bmc.SetPower(t.Context(), bmc.PowerOff)) }()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewPublicKey(hostKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	c := m.dial(t, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(host),
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, // dropbear stops if it is asked for another
	})
	defer c.Close()
	if name := strings.TrimSpace(command(t, c, "cat /proc/sys/kernel/hostname", "")); name != "tenant-one" {
		t.Errorf("the host's name is %q", name)
	}
	if strings.Contains(command(t, c, "cat /proc/cmdline", ""), "billet.token") {
		t.Error("the tenant's system has the agent's token")
	}
	for i, at := range []struct {
		device string
		block  int
	}{
		{"/dev/nvme0n1", 20000}, {"/dev/nvme0n1", nvmeSize/4096 - 2048}, {"/dev/nvme0n2", 0}, {"/dev/nvme0n2", 4095},
		{"/dev/vda", 1234},
	} {
		mark := fmt.Sprintf("tenant-mark-%d-%s", i, randomHex(t))
		block := strings.Repeat(mark+"\n", 4096/(len(mark)+1)+1)[:4096]
		command(t, c, fmt.Sprintf("[ -b %[1]s ] && dd of=%[1]s bs=4096 seek=%[2]d conv=notrunc && sync",
			at.device, at.block), block)
		marks = append(marks, mark)
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

const networkConfig = `version: 2
ethernets:
  eth0:
    match: {macaddress: "` + mac + `"}
    addresses: [10.0.2.15/24]
    gateway4: 10.0.2.2
`

func userData(key, hostKey ed25519.PrivateKey) string {
	public, _ := ssh.NewPublicKey(key.Public())
	block, _ := ssh.MarshalPrivateKey(hostKey, "")
	private := strings.ReplaceAll(strings.TrimSpace(string(pem.EncodeToMemory(block))), "\n", "\n    ")
	return "#cloud-config\nssh_authorized_keys:\n  - " + string(ssh.MarshalAuthorizedKey(public)) +
		"ssh_keys:\n  ed25519_private: |\n    " + private + "\n"
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
		"qemu-system-x86_64", "xorriso", "mformat", "mcopy", "cpio", "busybox", "dpkg-deb", "apt-get",
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
	case os.Getenv("BILLET_TEST_REQUIRE_QEMU") != "":
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
func (m *machine) dial(t *testing.T, config *ssh.ClientConfig) *ssh.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	address := fmt.Sprintf("127.0.0.1:%d", m.sshPort)
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
