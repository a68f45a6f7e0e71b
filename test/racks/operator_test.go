package racks_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/test/servertest"
)

// hostname is the deployment's name, which the machine gets as its own.
const hostname = "tenant-one"

// operator types what docs/racks.md says.
type operator struct {
	t       *testing.T
	dir     string
	machine *machine
	server  *servertest.Server
	started time.Time
}

func newOperator(t *testing.T, metal bool) *operator {
	t.Helper()
	o := &operator{t: t, dir: t.TempDir(), machine: newMachine(t, metal), started: time.Now()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s\nthe machine's consoles:\n%s", o.log(), o.machine.consoles())
		}
	})
	return o
}

func (o *operator) log() string {
	if o.server == nil {
		return ""
	}
	return o.server.Log()
}

// passed logs how long it took from the start of the machine's first use to the end of a phase.
func (o *operator) passed(phase string) {
	o.t.Helper()
	o.t.Logf("%s after %s", phase, time.Since(o.started).Round(time.Second/10))
}

// setUp does everything until the machine is ready.
func (o *operator) setUp() {
	o.t.Helper()
	blocks := readBlocks(o.t)
	if len(blocks) != 6 {
		o.t.Fatalf("docs/racks.md has %d blocks to type: %q", len(blocks), blocks)
	}
	bin := filepath.Join(o.dir, "bin")
	noError(o.t, os.Mkdir(bin, 0o700))
	noError(o.t, os.Symlink(servertest.Binary(o.t), filepath.Join(bin, "billetd")))

	fingerprint := o.shell(blocks[0])
	_, fingerprint, _ = strings.Cut(strings.TrimSpace(fingerprint), "=")

	serve, is := strings.CutPrefix(strings.TrimSpace(blocks[1]), "billetd serve ")
	if !is {
		o.t.Fatalf("not how the server is started: %s", blocks[1])
	}
	args := strings.Fields(o.replace(serve, "agent.iso", os.Getenv(isoVariable)))
	o.server = servertest.StartIn(o.t, filepath.Join(o.dir, "data"), args...)
	o.passed("billetd answers")

	text := o.replace(blocks[2], "3f:…", fingerprint)
	noError(o.t, os.WriteFile(filepath.Join(o.dir, "servers.yaml"), []byte(text), 0o600))
	o.shell(blocks[3])
	o.shell(o.setImage(blocks[4]))
	o.shell(blocks[5])
	o.awaitState("ready")
	o.checkHardware()
}

// setImage returns the command that enters the image, with that of the tenant's system, which it
// serves.
func (o *operator) setImage(command string) string {
	o.t.Helper()
	file := filepath.Join(o.dir, "noble.img")
	if out, err := exec.Command("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", os.Getenv(tenantVariable),
		file).CombinedOutput(); err != nil {
		o.t.Fatalf("qemu-img: %v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	noError(o.t, err)
	sum := sha256.Sum256(b)
	l, err := net.Listen("tcp", billetdAddress+":80")
	noError(o.t, err)
	images := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.FileServer(http.Dir(o.dir))}
	go func() { _ = images.Serve(l) }()
	o.t.Cleanup(func() { images.Close() })
	command = o.replace(command, "https://images.example.com/", "http://"+billetdAddress+"/")
	command = o.replace(command, "--sha256 …", "--sha256 "+hex.EncodeToString(sum[:]))
	return o.replace(command, "--bytes 618925568", fmt.Sprintf("--bytes %d", len(b)))
}

func (o *operator) replace(text, old, with string) string {
	o.t.Helper()
	if strings.Count(text, old) != 1 {
		o.t.Fatalf("docs/racks.md has %q %d times in:\n%s", old, strings.Count(text, old), text)
	}
	return strings.Replace(text, old, with, 1)
}

// shell types lines into a shell, in the directory with the server's data.
func (o *operator) shell(lines string) string {
	o.t.Helper()
	c := exec.CommandContext(o.t.Context(), "bash", "-euo", "pipefail", "-c", lines)
	c.Dir = o.dir
	c.Env = append(os.Environ(), "PATH="+filepath.Join(o.dir, "bin")+":"+os.Getenv("PATH"))
	out, err := c.CombinedOutput()
	if err != nil {
		o.t.Fatalf("%s\n%v\n%s", lines, err, out)
	}
	return string(out)
}

// readBlocks returns the blocks of code of the chapter of docs/racks.md that says what to type.
func readBlocks(t *testing.T) (blocks []string) {
	t.Helper()
	b, err := os.ReadFile("../../docs/racks.md")
	noError(t, err)
	_, text, _ := strings.Cut(string(b), "\n## Four servers on a Saturday\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for i, part := range strings.Split(text, "   ```") {
		if i%2 == 1 {
			_, part, _ = strings.Cut(part, "\n") // the language
			blocks = append(blocks, strings.ReplaceAll("\n"+part, "\n   ", "\n"))
		}
	}
	return blocks
}

// listed is what `billetd machines list` shows of the machine.
type listed struct {
	ID, State, Reason, Detail string
	Hardware                  struct {
		Serial string
		CPUs   int
		GPUs   []any
		MACs   []string
		Drives []struct {
			Serial string
			Bytes  int64
		}
	}
}

func (o *operator) listed() listed {
	o.t.Helper()
	var all []listed
	noError(o.t, json.Unmarshal([]byte(o.server.Run("machines", "list", "-o", "json")), &all))
	if len(all) != 1 {
		o.t.Fatalf("%d machines", len(all))
	}
	return all[0]
}

// awaitState waits until the machine has the state, and logs what it does until then. Each step may
// take as long as a start.
func (o *operator) awaitState(state string) {
	o.t.Helper()
	limit := time.After(bootLimit)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for last := ""; ; {
		m := o.listed()
		if now := strings.TrimSpace(m.State + " " + m.Detail); now != last {
			o.passed(now)
			last, limit = now, time.After(bootLimit)
		}
		switch m.State {
		case state:
			return
		case "quarantined":
			o.t.Fatalf("the machine is quarantined: %s", m.Reason)
		}
		select {
		case <-tick.C:
		case <-limit:
			o.t.Fatalf("the machine is not %s, but %s", state, last)
		}
	}
}

func (o *operator) checkHardware() {
	o.t.Helper()
	h := o.listed().Hardware
	drives := map[string]int64{}
	for _, d := range h.Drives {
		drives[d.Serial] = d.Bytes
	}
	if len(drives) != 2 || drives[nvmeSerial] != nvmeSize+secondSize || drives[diskSerial] != diskSize ||
		h.Serial != machineSerial || h.CPUs != 1 || len(h.GPUs) != gpus || len(h.MACs) != 1 || h.MACs[0] != mac {
		o.t.Errorf("hardware: %+v", h)
	}
}

// deploy has a new tenant rent the machine.
func (o *operator) deploy() (*client.Client, *client.Deployment, ed25519.PrivateKey) {
	o.t.Helper()
	account, apiKey := o.server.Key("1000")
	if *overSSH {
		o.server.Run("account", "trust", account)
	}
	c, err := client.New(client.Config{APIKey: apiKey, BaseURL: o.server.URL})
	noError(o.t, err)
	key := newKey(o.t)
	public, err := ssh.NewPublicKey(key.Public())
	noError(o.t, err)
	offer := o.awaitOffer(c)
	d, err := c.Deployments.Create(o.t.Context(), client.CreateDeployment{
		OfferID: offer.ID, OperatingSystem: "Ubuntu 24.04", Name: hostname,
		SSHPublicKey: string(ssh.MarshalAuthorizedKey(public)),
	})
	noError(o.t, err)
	return c, d, key
}

// reinstall has the tenant reinstall the machine, and returns the deployment once the API states
// host keys again: it does not while the system is installed.
func (o *operator) reinstall(c *client.Client, id string) *client.Deployment {
	o.t.Helper()
	_, err := c.Deployments.Reinstall(o.t.Context(), id, client.ReinstallDeployment{EraseLocalDisks: true})
	noError(o.t, err)
	limit, cancel := context.WithTimeout(o.t.Context(), 2*bootLimit)
	defer cancel()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		d, err := c.Deployments.WaitForAction(limit, id)
		noError(o.t, err)
		if len(d.SSHHostKeys) > 0 {
			return d
		}
		select {
		case <-tick.C:
		case <-limit.Done():
			o.t.Fatal("the API states no host keys of the reinstalled machine")
		}
	}
}

// awaitOffer waits until the machine is for sale. It reads as often as an API key may.
func (o *operator) awaitOffer(c *client.Client) client.Offer {
	o.t.Helper()
	limit := time.After(bootLimit)
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		list, err := c.Offers.List(o.t.Context(), client.OfferQuery{Provider: "racks"})
		noError(o.t, err)
		if len(list.Items) > 0 && list.Items[0].Available {
			o.passed("it is for sale")
			return list.Items[0]
		}
		select {
		case <-tick.C:
		case <-limit:
			o.t.Fatal("the machine is not for sale")
		}
	}
}

// checkReturned waits until the deployment has ended and the machine is ready again, and checks the
// record that the tenant reads.
func (o *operator) checkReturned(c *client.Client, d *client.Deployment) {
	o.t.Helper()
	limit, cancel := context.WithTimeout(o.t.Context(), bootLimit)
	defer cancel()
	_, err := c.Deployments.Wait(limit, d.ID, client.DeploymentTerminated, nil)
	noError(o.t, err)
	o.passed("the deployment has ended")
	o.awaitState("ready")
	e, err := c.Deployments.Erasure(o.t.Context(), d.ID)
	noError(o.t, err)
	if !e.Passed || e.DeploymentID != d.ID || len(e.Drives) != 2 {
		o.t.Errorf("the record of the erasure: %+v", e)
	}
	methods := map[string]string{}
	for _, d := range e.Drives {
		methods[d.Serial] = d.Method
		if d.Marks < 2 || d.MarksGone != d.Marks || d.Verdict != "erased" {
			o.t.Errorf("not as expected: %+v", d)
		}
	}
	if methods[nvmeSerial] != "nvme_format" || methods[diskSerial] != "overwrite" {
		o.t.Errorf("the drives were erased by %v", methods)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
