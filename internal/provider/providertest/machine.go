package providertest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

func testLaunchBecomesReady(s *suite) {
	r := s.request(s.offer())
	m := s.launch(r)
	if m.State != provider.MachineProvisioning && m.State != provider.MachineReady {
		s.Errorf("got the state %s after Launch, want provisioning or ready", m.State)
	}
	ready := s.ready(r.Reference)
	if ready.ID != m.ID {
		s.Errorf("machine %s became %s", m.ID, ready.ID)
	}
	if ready.CreatedAt.IsZero() {
		s.Error("no time of creation")
	}
	s.oneMachine(r.Reference, m.ID)
}

func testLaunchAgain(s *suite) {
	r := s.request(s.offer())
	first := s.launch(r)
	if again := s.launch(r); again.ID != first.ID {
		s.Errorf("the same reference gave %s, then %s", first.ID, again.ID)
	}
	ready := s.ready(r.Reference)
	again := s.launch(r)
	if again.ID != first.ID || again.Address != ready.Address {
		s.Errorf("launched again when ready: %+v, want %+v", again, ready)
	}
	// The tenant's name does not identify a machine.
	r.Name = "another name"
	if again := s.launch(r); again.ID != first.ID {
		s.Errorf("the same reference with another name gave %s, then %s", first.ID, again.ID)
	}
	s.oneMachine(r.Reference, first.ID)
}

func testLaunchInParallel(s *suite) {
	const callers = 8
	r := s.request(s.offer())
	results := make([]string, callers)
	var started, ended sync.WaitGroup
	started.Add(1)
	for i := range callers {
		ended.Go(func() {
			started.Wait()
			// An adapter may serve one call and ask the others to retry.
			for range 60 {
				m, err := s.Provider.Launch(s.Context(), r)
				if err == nil {
					results[i] = m.ID
					return
				}
				results[i] = err.Error()
				if provider.KindOf(err) != provider.KindUnavailable {
					return
				}
			}
		})
	}
	started.Done()
	ended.Wait()
	for _, result := range results {
		if result != results[0] {
			s.Fatalf("one reference, launched in parallel, gave %q", results)
		}
	}
	s.oneMachine(r.Reference, results[0])
}

// testLaunchLostResponse cancels calls before, during and right after the effect, and then retries
// as a restarted server does.
func testLaunchLostResponse(s *suite) {
	o := s.offer()
	for _, c := range []struct {
		name string
		call func(r provider.LaunchRequest)
	}{
		{"after", func(r provider.LaunchRequest) {
			ctx, cancel := context.WithCancel(s.Context())
			_, _ = s.Provider.Launch(ctx, r)
			cancel()
		}},
		{"during", func(r provider.LaunchRequest) {
			ctx, cancel := context.WithCancel(s.Context())
			go cancel()
			_, _ = s.Provider.Launch(ctx, r)
		}},
		{"before", func(r provider.LaunchRequest) {
			ctx, cancel := context.WithCancel(s.Context())
			cancel()
			_, _ = s.Provider.Launch(ctx, r)
		}},
	} {
		s.Logf("the call is canceled %s the effect", c.name)
		r := s.request(o)
		c.call(r)
		s.settle()
		m := s.launch(r)
		if found := s.machine(r.Reference); found.ID != m.ID {
			s.Errorf("launched %s, found %s", m.ID, found.ID)
		}
		s.oneMachine(r.Reference, m.ID)
		s.must("Terminate", s.end(s.Context(), r.Reference))
		s.untilGone(s.Context(), r.Reference)
	}
}

func testLaunchRefused(s *suite) {
	o := s.offer()
	for name, change := range map[string]func(*provider.LaunchRequest){
		"an unknown offer":            func(r *provider.LaunchRequest) { r.OfferKey = "no-such-offer" },
		"an unknown region":           func(r *provider.LaunchRequest) { r.Region = "no-such-region" },
		"an unknown operating system": func(r *provider.LaunchRequest) { r.OperatingSystem = "No Such System 1.0" },
	} {
		r := s.request(o)
		change(&r)
		_, err := s.Provider.Launch(s.Context(), r)
		s.wantKind("Launch with "+name, err, provider.KindNotFound, provider.KindRejected)
		if all := s.listed(s.Context(), r.Reference); len(all) != 0 {
			s.Errorf("Launch with %s was refused and created %+v", name, all)
		}
	}
}

func testUnknownReferences(s *suite) {
	unknown := s.ids.New(id.Deployment)
	_, err := s.Provider.Machine(s.Context(), unknown)
	s.wantKind("Machine", err, provider.KindNotFound)
	s.must("Terminate of an unknown machine", s.Provider.Terminate(s.Context(), unknown))
	if p, ok := s.Provider.(provider.Rebooter); ok {
		s.wantKind("Reboot", p.Reboot(s.Context(), unknown), provider.KindNotFound)
	}
	if p, ok := s.Provider.(provider.Powerer); ok {
		s.wantKind("PowerOn", p.PowerOn(s.Context(), unknown), provider.KindNotFound)
		s.wantKind("PowerOff", p.PowerOff(s.Context(), unknown), provider.KindNotFound)
	}
	if p, ok := s.Provider.(provider.Rescuer); ok {
		s.wantKind("Rescue", p.Rescue(s.Context(), unknown), provider.KindNotFound)
		s.wantKind("EndRescue", p.EndRescue(s.Context(), unknown), provider.KindNotFound)
	}
	if p, ok := s.Provider.(provider.Reinstaller); ok {
		s.wantKind(
			"Reinstall", p.Reinstall(s.Context(), unknown, s.offer().OperatingSystems[0]), provider.KindNotFound,
			provider.KindRejected,
		)
	}
	if p, ok := s.Provider.(provider.VolumeProvider); ok {
		volume := s.ids.New(id.Volume)
		_, err := p.Volume(s.Context(), volume)
		s.wantKind("Volume", err, provider.KindNotFound)
		s.must("DeleteVolume of an unknown volume", p.DeleteVolume(s.Context(), volume))
		s.wantKind("GrowVolume", p.GrowVolume(s.Context(), volume, 1000), provider.KindNotFound)
		s.wantKind("AttachVolume", p.AttachVolume(s.Context(), volume, unknown), provider.KindNotFound)
		if err := p.DetachVolume(s.Context(), volume); err != nil {
			s.wantKind("DetachVolume", err, provider.KindNotFound)
		}
	}
}

func testTerminate(s *suite) {
	r := s.request(s.offer())
	s.launch(r)
	m := s.ready(r.Reference)
	s.must("Terminate", s.end(s.Context(), r.Reference))
	s.must("Terminate again at once", s.Provider.Terminate(s.Context(), r.Reference))
	if now, err := s.Provider.Machine(s.Context(), r.Reference); err == nil {
		if now.State != provider.MachineTerminating && now.State != provider.MachineGone {
			s.Errorf("got the state %s after Terminate, want terminating or gone", now.State)
		}
	} else {
		s.wantKind("Machine after Terminate", err, provider.KindNotFound)
	}
	s.untilGone(s.Context(), r.Reference)
	s.must("Terminate of a machine that is gone", s.Provider.Terminate(s.Context(), r.Reference))
	s.closed(m.Address, m.SSHPort)
}

func testTerminateBeforeReady(s *suite) {
	r := s.request(s.offer())
	s.launch(r)
	s.must("Terminate", s.end(s.Context(), r.Reference))
	s.untilGone(s.Context(), r.Reference)
	// It must not appear when its installation would have ended.
	s.Advance(time.Minute)
	if all := s.listed(s.Context(), r.Reference); len(all) != 0 {
		s.Errorf("the machine is listed again: %+v", all)
	}
}

func testTwoMachines(s *suite) {
	o := s.offer()
	a, b := s.request(o), s.request(o)
	first, second := s.launch(a), s.launch(b)
	if first.ID == second.ID {
		s.Fatalf("two references gave one machine, %s", first.ID)
	}
	s.oneMachine(a.Reference, first.ID)
	s.oneMachine(b.Reference, second.ID)
	x, y := s.ready(a.Reference), s.ready(b.Reference)
	if x.Address == y.Address && x.SSHPort == y.SSHPort {
		s.Errorf("two machines at %s:%d", x.Address, x.SSHPort)
	}
	s.must("Terminate", s.end(s.Context(), a.Reference))
	s.untilGone(s.Context(), a.Reference)
	s.oneMachine(b.Reference, second.ID)
	s.ready(b.Reference)
}

func testRestart(s *suite) {
	if s.Reopen == nil {
		s.Skip("the harness cannot reopen the provider")
	}
	o := s.offer()
	a, b := s.request(o), s.request(o)
	first := s.launch(a)
	before := s.ready(a.Reference)
	second := s.launch(b) // still being prepared
	s.Provider = s.Reopen()
	s.oneMachine(a.Reference, first.ID)
	s.oneMachine(b.Reference, second.ID)
	after := s.ready(a.Reference)
	if after.Address != before.Address || after.SSHPort != before.SSHPort ||
		!slices.Equal(after.SSHHostKeys, before.SSHHostKeys) {
		s.Errorf("got %+v after the restart, want %+v", after, before)
	}
	s.ready(b.Reference)
	if again := s.launch(b); again.ID != second.ID {
		s.Errorf("launched again after the restart: %s, before it %s", again.ID, second.ID)
	}
}

func testReboot(s *suite) {
	p, ok := s.Provider.(provider.Rebooter)
	if !ok {
		s.Skip("the provider has no Reboot")
	}
	o := s.offer()
	r := s.request(o)
	if !o.Capabilities.Reboot {
		s.launch(r)
		s.wantKind("Reboot without the capability", p.Reboot(s.Context(), r.Reference), provider.KindUnsupported)
		return
	}
	s.launch(r)
	m := s.ready(r.Reference)
	s.write(m, "/root/kept", "before the reboot")
	s.must("Reboot", p.Reboot(s.Context(), r.Reference))
	again := s.ready(r.Reference)
	if again.ID != m.ID {
		s.Errorf("machine %s became %s", m.ID, again.ID)
	}
	s.wantFile(again, "/root/kept", "before the reboot")
}

func testPower(s *suite) {
	p, ok := s.Provider.(provider.Powerer)
	if !ok {
		s.Skip("the provider has no PowerOn and PowerOff")
	}
	o := s.offer()
	if !o.Capabilities.Power {
		s.Skip("the offer has no PowerOn and PowerOff")
	}
	r := s.request(o)
	s.launch(r)
	m := s.ready(r.Reference)
	s.must("PowerOn of a machine that is on", p.PowerOn(s.Context(), r.Reference))
	m = s.ready(m.Reference)
	s.write(m, "/root/kept", "before power off")
	s.must("PowerOff", p.PowerOff(s.Context(), r.Reference))
	s.must("PowerOff again at once", p.PowerOff(s.Context(), r.Reference))
	s.reach(r.Reference, provider.MachineOff)
	s.must("PowerOff of a machine that is off", p.PowerOff(s.Context(), r.Reference))
	s.closed(m.Address, m.SSHPort)
	s.Advance(time.Minute)
	s.reach(r.Reference, provider.MachineOff)
	s.oneMachine(r.Reference, m.ID)
	s.must("PowerOn", p.PowerOn(s.Context(), r.Reference))
	s.must("PowerOn again at once", p.PowerOn(s.Context(), r.Reference))
	on := s.ready(r.Reference)
	s.wantFile(on, "/root/kept", "before power off")
	s.must("PowerOff before Terminate", p.PowerOff(s.Context(), r.Reference))
	s.must("Terminate of a machine that is off", s.end(s.Context(), r.Reference))
	s.untilGone(s.Context(), r.Reference)
}

func testRescue(s *suite) {
	p, ok := s.Provider.(provider.Rescuer)
	if !ok {
		s.Skip("the provider has no Rescue")
	}
	o := s.offer()
	if !o.Capabilities.Rescue {
		s.Skip("the offer has no Rescue")
	}
	r := s.request(o)
	s.launch(r)
	m := s.ready(r.Reference)
	s.write(m, "/root/kept", "before the rescue")
	s.must("EndRescue of a machine that is not in rescue", p.EndRescue(s.Context(), r.Reference))
	s.must("Rescue", p.Rescue(s.Context(), r.Reference))
	s.must("Rescue again at once", p.Rescue(s.Context(), r.Reference))
	if m := s.reach(r.Reference, provider.MachineReady); !m.Rescue {
		s.Errorf("the machine is not in rescue: %+v", m)
	}
	s.Advance(time.Minute)
	s.must("EndRescue", p.EndRescue(s.Context(), r.Reference))
	s.must("EndRescue again at once", p.EndRescue(s.Context(), r.Reference))
	s.Advance(time.Minute)
	again := s.ready(r.Reference)
	if again.ID != m.ID || again.Rescue {
		s.Errorf("machine %s became %+v", m.ID, again)
	}
	s.wantFile(again, "/root/kept", "before the rescue")
	s.must("Rescue before Terminate", p.Rescue(s.Context(), r.Reference))
	s.must("Terminate of a machine in rescue", s.end(s.Context(), r.Reference))
	s.untilGone(s.Context(), r.Reference)
}

func testReinstall(s *suite) {
	p, ok := s.Provider.(provider.Reinstaller)
	if !ok {
		s.Skip("the provider has no Reinstall")
	}
	o := s.offer()
	if !o.Capabilities.Reinstall {
		s.Skip("the offer has no Reinstall")
	}
	r := s.request(o)
	s.launch(r)
	m := s.ready(r.Reference)
	s.write(m, "/root/lost", "before the wipe")
	s.wantKind(
		"Reinstall of an unknown system", p.Reinstall(s.Context(), r.Reference, "No Such System 1.0"),
		provider.KindRejected, provider.KindNotFound,
	)
	s.ready(r.Reference)
	s.must("Reinstall", p.Reinstall(s.Context(), r.Reference, o.OperatingSystems[len(o.OperatingSystems)-1]))
	again := s.ready(r.Reference)
	if again.ID != m.ID {
		s.Errorf("machine %s became %s", m.ID, again.ID)
	}
	if s.ReadFile != nil {
		if text, err := s.ReadFile(again, "/root/lost"); err == nil {
			s.Errorf("a file survived the wipe: %q", text)
		}
		s.write(again, "/root/new", "the key is still authorized") // with the keys of the launch
	}
}

// testCustomImages installs images that are not among the offer's operating systems.
func testCustomImages(s *suite) {
	p, ok := s.Provider.(provider.ImageReinstaller)
	if !ok {
		s.Skip("the provider has no ReinstallImage")
	}
	o := s.offer()
	if !o.Capabilities.CustomImages {
		s.Skip("the offer has no CustomImages")
	}
	image := provider.Image{
		ID: "img_own", Name: "My own image", URL: "https://images.example.com/own.qcow2",
		SHA256: strings.Repeat("cd", 32), Format: provider.ImageQCOW2, Bytes: 1 << 30,
	}
	s.wantKind(
		"ReinstallImage of an unknown machine", p.ReinstallImage(s.Context(), "dep_none", image), provider.KindNotFound,
	)
	r := s.request(o)
	r.OperatingSystem, r.Image = image.Name, &image
	s.launch(r)
	m := s.ready(r.Reference)
	other := image
	other.ID, other.Name = "img_other", "Another image"
	s.must("ReinstallImage", p.ReinstallImage(s.Context(), r.Reference, other))
	if again := s.ready(r.Reference); again.ID != m.ID {
		s.Errorf("machine %s became %s", m.ID, again.ID)
	}
	s.must("Reinstall of an operating system", p.Reinstall(s.Context(), r.Reference, o.OperatingSystems[0]))
	s.ready(r.Reference)
}

// write writes a file into the machine, where the harness can.
func (s *suite) write(m provider.Machine, path, text string) {
	s.Helper()
	if s.WriteFile != nil {
		s.must("write "+path, s.WriteFile(m, path, text))
	}
}

// wantFile checks a file in the machine, where the harness can.
func (s *suite) wantFile(m provider.Machine, path, want string) {
	s.Helper()
	if s.ReadFile == nil {
		return
	}
	if text, err := s.ReadFile(m, path); err != nil || text != want {
		s.Errorf("%s holds %q (%v), want %q", path, text, err, want)
	}
}
