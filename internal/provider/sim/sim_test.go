package sim_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/provider/sim/node"
	"golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == node.InitArg {
		node.Main()
	}
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
	}
	os.Exit(m.Run())
}

// start is where frozen clocks stand.
var start = time.Date(2028, 2, 29, 23, 58, 30, 123456000, time.UTC)

// seed is one under which every provider has something to sell at start.
const seed = 7

var slugs = []string{"voltage-park", "northgrid", "basalt", "meridian-metal", "quarrylight"}

// reopen opens the world in the folder.
func reopen(t *testing.T, dir string, c clock.Clock, listen sim.Listen) *sim.World {
	t.Helper()
	w, err := sim.Open(
		t.Context(),
		sim.Config{Dir: dir, Clock: c, Seed: seed, Log: slog.New(slog.DiscardHandler), Listen: listen},
	)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func shut(t *testing.T, w *sim.World) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func pick(t *testing.T, w *sim.World, slug string) provider.Provider {
	t.Helper()
	for _, p := range w.Providers() {
		if p.Info().Slug == slug {
			return p
		}
	}
	t.Fatalf("no provider %s", slug)
	return nil
}

// harness returns that of one provider in a world of its own.
func harness(t *testing.T, slug string, listen sim.Listen) providertest.Harness {
	dir, c := t.TempDir(), clock.NewFrozen(start)
	w := reopen(t, dir, c, listen)
	t.Cleanup(func() {
		if left := w.Machines(); len(left) != 0 {
			t.Errorf("left in the world: %+v", left)
		}
		shut(t, w)
	})
	return providertest.Harness{
		Provider: pick(t, w, slug),
		Advance:  c.Advance,
		Reopen: func() provider.Provider {
			shut(t, w)
			w = reopen(t, dir, c, listen)
			return pick(t, w, slug)
		},
	}
}

func TestEveryProviderConforms(t *testing.T) {
	for _, slug := range slugs {
		t.Run(slug, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Harness { return harness(t, slug, sim.ListenBanner) })
		})
	}
}

func TestConformsWithRealMachines(t *testing.T) {
	if isolated, reason := node.Isolation(t.Context(), t.TempDir()); !isolated {
		t.Skipf("no real machines here: %v", reason)
	}
	signer, line := providertest.NewKey(t)
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		h := harness(t, "voltage-park", sim.ListenSSH)
		h.AuthorizedKey = line
		h.WriteFile = func(m provider.Machine, path, text string) error {
			_, err := run(m, signer, "cat > "+path, text)
			return err
		}
		h.ReadFile = func(m provider.Machine, path string) (string, error) { return run(m, signer, "cat "+path, "") }
		return h
	})
}

// TestRealMachineOutlivesTheWorldAndTheHost closes the world and opens it again: first with the
// machine's process as it was, then without it, as after a restart of the computer.
func TestRealMachineOutlivesTheWorldAndTheHost(t *testing.T) {
	if isolated, reason := node.Isolation(t.Context(), t.TempDir()); !isolated {
		t.Skipf("no real machines here: %v", reason)
	}
	dir, c := t.TempDir(), clock.NewFrozen(start)
	w := reopen(t, dir, c, sim.ListenSSH)
	signer, line := providertest.NewKey(t)
	request := launch("dep_kept")
	request.AuthorizedKeys = []string{line}
	if _, err := w.Providers()[0].Launch(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	c.Advance(10 * time.Second)
	ready := func() provider.Machine {
		t.Helper()
		m, err := w.Providers()[0].Machine(t.Context(), "dep_kept")
		if err != nil || m.State != provider.MachineReady {
			t.Fatalf("%+v, %v", m, err)
		}
		return m
	}
	before := ready()
	if _, err := run(before, signer, "cat > /root/kept", "still here"); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "machines", "voltage-park", "dep_kept", "node")
	first, _ := node.Running(folder)
	t.Cleanup(func() {
		if err := node.Remove(context.Background(), folder); err != nil { // where the test failed before its end
			t.Error(err)
		}
	})

	shut(t, w)
	if text, err := run(before, signer, "cat /root/kept", ""); err != nil || text != "still here" {
		t.Errorf("while no process has the world open: %q, %v", text, err)
	}
	w = reopen(t, dir, c, sim.ListenSSH)
	if again, runs := node.Running(folder); !runs || again.PID != first.PID {
		t.Errorf("process %d became %d", first.PID, again.PID)
	}

	shut(t, w)
	if err := node.Stop(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	w = reopen(t, dir, c, sim.ListenSSH)
	after := ready()
	if text, err := run(after, signer, "cat /root/kept", ""); err != nil || text != "still here" ||
		after.Address != before.Address {
		t.Errorf("after a restart of the host, at %s: %q, %v", after.Address, text, err)
	}

	if err := w.Providers()[0].Terminate(t.Context(), "dep_kept"); err != nil {
		t.Fatal(err)
	}
	c.Advance(10 * time.Second)
	if _, err := w.Providers()[0].Machines(t.Context()); err != nil || len(w.Machines()) != 0 {
		t.Errorf("left: %+v, %v", w.Machines(), err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the machine's files are left: %v", err)
	}
	shut(t, w)
}

// run runs a command in the machine, whose host key must be the one that the provider told.
func run(m provider.Machine, signer ssh.Signer, command, stdin string) (string, error) {
	if len(m.SSHHostKeys) != 3 {
		return "", fmt.Errorf("host keys %q", m.SSHHostKeys)
	}
	host, _, _, _, err := ssh.ParseAuthorizedKey([]byte(m.SSHHostKeys[0]))
	if err != nil {
		return "", err
	}
	client, err := ssh.Dial("tcp", net.JoinHostPort(m.Address, fmt.Sprint(m.SSHPort)), &ssh.ClientConfig{
		User: m.SSHUser, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(host),
		HostKeyAlgorithms: []string{host.Type()}, Timeout: time.Minute,
	})
	if err != nil {
		return "", err
	}
	session, err := client.NewSession()
	if err != nil {
		return "", errors.Join(err, client.Close())
	}
	session.Stdin = strings.NewReader(stdin)
	out, err := session.Output(command)
	return string(out), errors.Join(err, client.Close())
}
