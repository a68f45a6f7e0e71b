package sim_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
)

// victimDir names the world's folder to a process that is there to be killed.
const victimDir = "BILLET_SIM_TEST_VICTIM"

// victim opens the world and does what a busy server does, forever. Of each call it prints a line
// before and a line after, so that the test that kills it knows what was answered and what may have
// happened.
func victim(dir string) {
	c := clock.NewFrozen(start)
	w, err := sim.Open(
		context.Background(),
		sim.Config{Dir: dir, Clock: c, Seed: seed, Log: slog.New(slog.DiscardHandler), Listen: sim.ListenBanner},
	)
	if err != nil {
		fmt.Println("fail", err)
		os.Exit(1)
	}
	p := w.Providers()[0]
	volumes := p.(provider.VolumeProvider)
	ids := id.NewMaker(clock.System{}, rand.Reader)
	var printing sync.Mutex
	say := func(words ...any) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Println(words...)
	}
	try := func(name string, reference id.ID, call func() error) {
		say("begin", name, reference)
		if err := call(); err != nil {
			say("fail", name, err)
			os.Exit(1)
		}
		say("done", name, reference)
	}
	for range 3 {
		go func() {
			ctx := context.Background()
			for {
				m, v := ids.New(id.Deployment), ids.New(id.Volume)
				try("launch", m, func() error { _, err := p.Launch(ctx, launch(m)); return err })
				try("create", v, func() error {
					_, err := volumes.CreateVolume(
						ctx,
						provider.VolumeRequest{Reference: v, Name: "v", Region: "dallas-usa-5", SizeGB: 10},
					)
					return err
				})
				c.Advance(2 * time.Second)
				try("attach", v, func() error { return volumes.AttachVolume(ctx, v, m) })
				try("list", m, func() error { _, err := p.Machines(ctx); return err })
				try("detach", v, func() error { return volumes.DetachVolume(ctx, v) })
				try("delete", v, func() error { return volumes.DeleteVolume(ctx, v) })
				try("terminate", m, func() error { return p.Terminate(ctx, m) })
			}
		}()
	}
	select {}
}

func launch(reference id.ID) provider.LaunchRequest {
	return provider.LaunchRequest{
		Reference: reference, Name: "my-training-run", OfferKey: "off_abc123", Region: "dallas-usa-5",
		OperatingSystem: "Ubuntu 22.04", AuthorizedKeys: []string{"ssh-ed25519 AAAA"},
	}
}

func TestAnswersOutliveAKilledServer(t *testing.T) {
	dir := t.TempDir()
	history := map[id.ID]string{} // the last thing said of each machine and volume
	for round := range 8 {
		maps.Copy(history, killed(t, dir, 30+17*round))

		c := clock.NewFrozen(start.Add(time.Hour))
		w := reopen(t, dir, c, sim.ListenBanner)
		p := w.Providers()[0]
		volumes := p.(provider.VolumeProvider)
		machines := map[id.ID]provider.Machine{}
		all, err := p.Machines(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			machines[m.Reference] = m
			if _, asked := history[m.Reference]; !asked {
				t.Errorf("no call asked for %s", m.Reference)
			}
		}
		for reference, last := range history {
			if reference.Kind() == id.Volume {
				checkVolume(t, volumes, reference, last)
				continue
			}
			m, there := machines[reference]
			checkMachine(t, p, m, there, reference, last)
			// The next round begins with an empty world.
			if err := p.Terminate(t.Context(), reference); err != nil {
				t.Fatal(err)
			}
			history[reference] = "done terminate"
		}
		c.Advance(time.Minute)
		if all, err := p.Machines(t.Context()); err != nil || len(all) != 0 {
			t.Fatalf("%v, %v", all, err)
		}
		shut(t, w)
	}
	t.Logf("%d machines and volumes", len(history))
}

// checkVolume compares a volume with the last thing said of it before the kill.
func checkVolume(t *testing.T, volumes provider.VolumeProvider, reference id.ID, last string) {
	t.Helper()
	_, err := volumes.Volume(t.Context(), reference)
	there := err == nil
	switch last {
	case "done create", "begin attach", "done attach", "begin detach", "done detach":
		if !there {
			t.Errorf("volume %s is lost after %q: %v", reference, last, err)
		}
	case "done delete":
		if there {
			t.Errorf("volume %s is back after %q", reference, last)
		}
	}
}

// checkMachine compares a machine with the last thing said of it before the kill, and launches it
// again, which must change nothing.
func checkMachine(
	t *testing.T, p provider.Provider, m provider.Machine, there bool, reference id.ID, last string,
) {
	t.Helper()
	switch last {
	case "done launch", "begin list", "done list":
		if !there || m.State != provider.MachineReady {
			t.Errorf("machine %s after %q: there %t, %s", reference, last, there, m.State)
		}
	case "done terminate":
		if there {
			t.Errorf("machine %s after %q is %s", reference, last, m.State)
		}
	}
	again, err := p.Launch(t.Context(), launch(reference))
	if err != nil {
		t.Fatalf("launch %s again after %q: %v", reference, last, err)
	}
	if there && again.ID != m.ID {
		t.Errorf("machine %s was %s and is %s", reference, m.ID, again.ID)
	}
	if last == "done terminate" && again.State != provider.MachineGone {
		t.Errorf("machine %s had ended and is launched again: %s", reference, again.State)
	}
}

// killed starts a victim, kills it after that many lines, and returns the last that it said of each
// reference.
func killed(t *testing.T, dir string, lines int) map[id.ID]string {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), victimDir+"="+dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	last := map[id.ID]string{}
	s := bufio.NewScanner(out)
	for n := 0; s.Scan(); n++ {
		if n == lines {
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		words := strings.Fields(s.Text())
		if len(words) != 3 || words[0] == "fail" {
			t.Fatalf("the victim said %q", s.Text())
		}
		last[id.ID(words[2])] = words[0] + " " + words[1]
	}
	_ = c.Wait() // its death is no news
	if len(last) == 0 {
		t.Fatal("the victim did nothing")
	}
	return last
}
