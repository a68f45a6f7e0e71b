package sim

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// offer returns the offer that order is for, as the provider tells it.
func (b *bed) offer() provider.Offer {
	b.Helper()
	for _, o := range offersOf(b.T, b.p) {
		if o.Key == "off_abc123" {
			return o
		}
	}
	b.Fatal("the offer is not sold")
	return provider.Offer{}
}

// listed returns the references and states that the provider's list tells.
func (b *bed) listed() string {
	b.Helper()
	all, err := b.p.Machines(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var out []string
	for _, m := range all {
		out = append(out, fmt.Sprintf("%s:%s", m.Reference, m.State))
	}
	slices.Sort(out)
	return fmt.Sprint(out)
}

func TestGarbledTexts(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultGarbled})
	m := b.launch("dep_a")
	all, err := b.p.Machines(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	_, err = b.p.Machine(t.Context(), "dep_b")
	said := b.wantKind(err, provider.KindNotFound)
	for _, text := range []string{m.Detail, all[0].Detail, said.Message, said.Cause.Error()} {
		if !strings.Contains(text, "\x00") || utf8.ValidString(text) || len(text) < 5000 {
			t.Errorf("%.40q", text)
		}
	}
	if m.Reference != "dep_a" || m.State != provider.MachineProvisioning {
		t.Errorf("%+v", m)
	}
	b.really(1)
}

func TestNoCapacity(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultNoCapacity, Offer: "off_abc123", Count: 1})
	if o := b.offer(); !o.Available {
		t.Error("the list knows")
	}
	_, err := b.p.Launch(t.Context(), order("dep_a"))
	b.wantKind(err, provider.KindNoCapacity)
	b.really(0)
	b.launch("dep_a")
}

func TestScarcityByScript(t *testing.T) {
	b := newBed(t)
	b.launch("dep_a")
	b.fault(Fault{Kind: FaultScarcity, Offer: "off_abc123", Value: "1m:3,10m:0,1h:90", ForSeconds: 7200})
	full := *b.offer().Stock
	for _, s := range []struct {
		pass time.Duration
		want int
	}{{0, full}, {time.Minute, 2}, {9 * time.Minute, 0}, {50 * time.Minute, 89}, {time.Hour, full}} {
		b.clock.Advance(s.pass)
		if o := b.offer(); *o.Stock != s.want || o.Available != (s.want > 0) {
			t.Errorf("at %s there are %d, want %d", b.clock.Now(), *o.Stock, s.want)
		}
	}
	b.fault(Fault{Kind: FaultScarcity, Value: "2"}) // the latest holds
	b.launch("dep_b")
	_, err := b.p.Launch(t.Context(), order("dep_c"))
	b.wantKind(err, provider.KindNoCapacity)
	b.really(2)
}

func TestPrices(t *testing.T) {
	b := newBed(t)
	base := b.offer().HourlyPrice
	b.fault(Fault{Kind: FaultPrice, Value: "+25%", ForSeconds: 60})
	if p := b.offer().HourlyPrice; p != base.Percent(2_500) {
		t.Errorf("%s of %s", p, base)
	}
	b.fault(Fault{Kind: FaultPrice, Offer: "off_abc123", Value: "40.25", ForSeconds: 30})
	if p := b.offer().HourlyPrice; p != money.Micros(40_250_000) {
		t.Errorf("%s", p)
	}
	b.clock.Advance(30 * time.Second)
	if p := b.offer().HourlyPrice; p != base.Percent(2_500) {
		t.Errorf("%s of %s", p, base)
	}
	b.clock.Advance(30 * time.Second)
	if p := b.offer().HourlyPrice; p != base {
		t.Errorf("%s, want %s", p, base)
	}
}

func TestProvisioningTime(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultProvisioningTime, Seconds: Span{600, 900, 1200}, Seed: 5})
	times := map[time.Duration]bool{}
	for i := range 10 {
		reference := id.ID(fmt.Sprintf("dep_%d", i))
		b.launch(reference)
		r := b.world.machines[key{"voltage-park", reference}].record
		times[r.DueAt.Sub(r.Since)] = true
		b.clock.Advance(600*time.Second - time.Millisecond)
		b.want(reference, provider.MachineProvisioning)
		b.clock.Advance(600*time.Second + time.Millisecond)
		b.want(reference, provider.MachineReady)
	}
	if len(times) < 8 {
		t.Errorf("%v", times)
	}
	if err := b.p.Reinstall(t.Context(), "dep_0", "Ubuntu 22.04"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(599 * time.Second)
	b.want("dep_0", provider.MachineProvisioning)
}

func TestInstallationFailsAtEachStage(t *testing.T) {
	for stage, seen := range map[string]string{
		"allocating": "[provisioning allocating failed]",
		"installing": "[provisioning allocating provisioning installing the operating system failed]",
		"booting": "[provisioning allocating provisioning installing the operating system provisioning booting " +
			"failed]",
	} {
		b := newBed(t)
		b.fault(Fault{Kind: FaultFailProvisioning, Value: stage, Count: 1})
		b.launch("dep_a")
		var states []string
		for range 70 {
			m, err := b.p.Machine(t.Context(), "dep_a")
			if err != nil {
				t.Fatal(err)
			}
			state := string(m.State)
			if m.State != provider.MachineFailed {
				state += " " + m.Detail
			} else if m.Detail != "The installation failed while "+stage+"." || m.Address != "" {
				t.Fatalf("%+v", m)
			}
			if len(states) == 0 || states[len(states)-1] != state {
				states = append(states, state)
			}
			b.clock.Advance(100 * time.Millisecond)
		}
		if fmt.Sprint(states) != seen {
			t.Errorf("%v, want %s", states, seen)
		}
		b.launchReady("dep_b")
		b.reopen()
		b.want("dep_a", provider.MachineFailed)
		if err := b.p.Terminate(t.Context(), "dep_a"); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(terminateAtMost)
		if got := b.listed(); got != "[dep_b:ready]" {
			t.Error(got)
		}
	}
}

func TestFailureIsTrueBeforeAnybodyAsks(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultFailProvisioning})
	b.launch("dep_a")
	b.clock.Advance(installAtMost)
	if all := b.world.Machines(); len(all) != 1 || all[0].State != provider.MachineFailed {
		t.Errorf("%+v", all)
	}
}

// TestMachineWithGPUFault: the fault belongs to the machine that is launched, and stays with it.
func TestMachineWithGPUFault(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultGPU, Value: "ecc", Count: 1})
	b.fault(Fault{Kind: FaultGPU, Count: 1})
	want := map[id.ID]string{"dep_a": "ecc", "dep_b": "compute", "dep_c": ""}
	for _, reference := range []id.ID{"dep_a", "dep_b", "dep_c"} {
		b.launchReady(reference)
	}
	check := func() {
		t.Helper()
		for _, m := range b.world.machines {
			if got := b.world.spec(m, b.world.read(m)).GPUs.Fault; got != want[m.record.Reference] {
				t.Errorf("%s has the fault %q, want %q", m.record.Reference, got, want[m.record.Reference])
			}
		}
	}
	check()
	if err := b.world.ClearFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	check()
}

func TestMachineWithoutSSH(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultNoSSH, Count: 1})
	m := b.launchReady("dep_a")
	other := b.launchReady("dep_b")
	check := func(m provider.Machine, answers bool) {
		t.Helper()
		c, err := net.DialTimeout("tcp", net.JoinHostPort(m.Address, fmt.Sprint(m.SSHPort)), time.Minute)
		if (err == nil) != answers {
			t.Errorf("%s:%d: %v", m.Address, m.SSHPort, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	check(m, false)
	check(other, true)
	if err := b.p.Reboot(t.Context(), "dep_a"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(bootTakes)
	check(b.want("dep_a", provider.MachineReady), false)
	b.reopen()
	check(b.want("dep_a", provider.MachineReady), false)
	if err := b.p.Terminate(t.Context(), "dep_a"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(terminateAtMost)
	if got := b.listed(); got != "[dep_b:ready]" {
		t.Error(got)
	}
}

func TestMachinesAreTakenBackAtOnce(t *testing.T) {
	b := newBed(t)
	for _, reference := range []id.ID{"dep_c", "dep_b", "dep_a"} { // dep_c is the oldest
		b.launchReady(reference)
	}
	b.launch("dep_d") // not ready
	if f := b.fault(Fault{Kind: FaultMachineLost, Count: 2}); f.Injected != 2 {
		t.Errorf("%+v", f)
	}
	lost := 0
	for _, m := range b.world.Machines() {
		if m.State == provider.MachineLost {
			lost++
		}
	}
	if lost != 2 {
		t.Errorf("%+v", b.world.Machines())
	}
	dir := b.world.machines[key{"voltage-park", "dep_c"}].node()
	if _, runs := b.host.running(dir); runs {
		t.Error("a lost machine runs")
	}
	if got := b.listed(); got != "[dep_a:ready dep_b:lost dep_c:lost dep_d:provisioning]" {
		t.Error(got)
	}
	b.reopen()
	b.want("dep_c", provider.MachineLost)
	b.really(4)
}

func TestMachinesAreTakenBackByChance(t *testing.T) {
	run := func() string {
		b := newBed(t)
		for i := range 12 {
			b.launchReady(id.ID(fmt.Sprintf("dep_%c", 'a'+i)))
		}
		if f := b.fault(Fault{Kind: FaultMachineLost, Percent: 30, Seed: 11}); f.Injected != 0 {
			t.Errorf("%+v", f)
		}
		return b.listed() + b.listed()
	}
	first := run()
	if again := run(); again != first {
		t.Errorf("%s, then %s", first, again)
	}
	b := newBed(t)
	b.launchReady("dep_a")
	b.fault(Fault{Kind: FaultMachineLost, Percent: 30, Seed: 11})
	for range 100 {
		if m, err := b.p.Machine(t.Context(), "dep_a"); err != nil {
			t.Fatal(err)
		} else if m.State == provider.MachineLost {
			return
		}
	}
	t.Error("a hundred reads at 30 percent, and the machine is there")
}

func TestEndsAreRefusedForADay(t *testing.T) {
	b := newBed(t)
	b.launchReady("dep_a")
	b.fault(Fault{Kind: FaultRefuseTerminate, ForSeconds: 24 * 3600})
	b.clock.Advance(time.Hour)
	for range 2 {
		if e := b.wantKind(b.p.Terminate(t.Context(), "dep_a"), provider.KindRejected); e.RetryAfter != 23*time.Hour ||
			e.Message == "" {
			t.Errorf("%+v", e)
		}
	}
	if err := b.p.Terminate(t.Context(), "dep_never"); err != nil {
		t.Errorf("what never was: %v", err)
	}
	b.want("dep_a", provider.MachineReady)
	b.clock.Advance(23 * time.Hour)
	if err := b.p.Terminate(t.Context(), "dep_a"); err != nil {
		t.Fatal(err)
	}
	b.fault(Fault{Kind: FaultRefuseTerminate, Seconds: Exactly(90)})
	if err := b.p.Terminate(t.Context(), "dep_a"); err != nil {
		t.Errorf("an end that was accepted is taken back: %v", err)
	}
	b.launch("dep_b")
	if e := b.wantKind(b.p.Terminate(t.Context(), "dep_b"), provider.KindRejected); e.RetryAfter != 90*time.Second {
		t.Errorf("%+v", e)
	}
}

func TestListsTellThePast(t *testing.T) {
	b := newBed(t)
	b.launchReady("dep_old")
	b.launchReady("dep_ended")
	b.launchReady("dep_lost")
	b.clock.Advance(10 * time.Minute)
	b.launch("dep_new")
	b.clock.Advance(installAtMost)
	b.want("dep_new", provider.MachineReady)
	if err := b.p.Terminate(t.Context(), "dep_ended"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(terminateAtMost)
	if got := b.listed(); got != "[dep_lost:ready dep_new:ready dep_old:ready]" {
		t.Fatal(got)
	}
	truth := *b.offer().Stock
	b.fault(Fault{Kind: FaultStaleList, Seconds: Exactly(60)})
	if got := b.listed(); got != "[dep_ended:ready dep_lost:ready dep_old:ready]" {
		t.Error(got)
	}
	if stock := *b.offer().Stock; stock != truth {
		t.Errorf("one has come and one has gone, and of %d there are %d", truth, stock)
	}
	b.really(3)
	b.want("dep_new", provider.MachineReady) // asked for itself, a machine tells the truth
	b.clock.Advance(60*time.Second - terminateAtMost)
	if got := b.listed(); got != "[dep_ended:terminating dep_lost:ready dep_new:ready dep_old:ready]" {
		t.Error(got)
	}
	b.clock.Advance(time.Minute)
	if got := b.listed(); got != "[dep_lost:ready dep_new:ready dep_old:ready]" {
		t.Error(got)
	}
	w := b.world.machines[key{"voltage-park", "dep_lost"}]
	b.fault(Fault{Kind: FaultMachineLost, Count: 3})
	if w.record.Phase != phaseLost {
		t.Fatal(w.record.Phase)
	}
	if got := b.listed(); got != "[dep_lost:ready dep_new:ready dep_old:ready]" {
		t.Error(got)
	}
	b.clock.Advance(time.Minute)
	if got := b.listed(); got != "[dep_lost:lost dep_new:lost dep_old:lost]" {
		t.Error(got)
	}
}

func TestStaleListTellsOfAnInstallation(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultStaleList, Seconds: Exactly(5)})
	b.launch("dep_a")
	if got := b.listed(); got != "[]" {
		t.Error(got)
	}
	b.clock.Advance(installAtMost)
	b.want("dep_a", provider.MachineReady)
	all, err := b.p.Machines(t.Context())
	if err != nil || len(all) != 1 || all[0].State != provider.MachineProvisioning || all[0].Address != "" {
		t.Errorf("%+v, %v", all, err)
	}
	b.clock.Advance(5 * time.Second)
	if got := b.listed(); got != "[dep_a:ready]" {
		t.Error(got)
	}
	if err := b.world.SetFaults(t.Context(), []Fault{{Kind: FaultStaleList, Seconds: Exactly(5)}}); err != nil {
		t.Fatal(err)
	}
	b.launchReady("dep_b")
	if err := b.p.Terminate(t.Context(), "dep_b"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(terminateAtMost)
	if got := b.listed(); got != "[dep_a:ready dep_b:provisioning]" { // which has ended, and was not ready so long ago
		t.Error(got)
	}
	b.really(1)
}

func TestOrphans(t *testing.T) {
	b := newBed(t)
	stock := *b.offer().Stock
	nameless := b.fault(Fault{Kind: FaultOrphan, Provider: "voltage-park", Offer: "off_abc123", Count: 2})
	foreign := b.fault(Fault{Kind: FaultOrphan, Provider: "voltage-park", Value: "dep_foreign"})
	if nameless.Injected != 2 || foreign.Injected != 1 {
		t.Errorf("%+v, %+v", nameless, foreign)
	}
	for range 2 {
		if got := b.listed(); got != "[:ready :ready dep_foreign:ready]" {
			t.Error(got)
		}
		b.really(3)
		b.reopen()
	}
	if now := *b.offer().Stock; now != stock-3 {
		t.Errorf("stock %d became %d", stock, now)
	}
	if _, err := b.p.Machine(t.Context(), "orphan-f1-1"); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("the world's own word for an orphan is told: %v", err)
	}
	if m := b.want("dep_foreign", provider.MachineReady); m.Address == "" {
		t.Errorf("%+v", m)
	}
	again := Fault{Kind: FaultOrphan, Provider: "voltage-park", Value: "dep_foreign"}
	if _, err := b.world.AddFault(t.Context(), again); err == nil ||
		len(b.world.Faults()) != 2 {
		t.Errorf("a reference was given twice: %v", err)
	}
	b.fault(Fault{Kind: FaultMachineLost, Count: 9})
	if got := b.listed(); got != "[:ready :ready dep_foreign:ready]" {
		t.Error(got)
	}
	if err := b.p.Terminate(t.Context(), "dep_foreign"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(terminateAtMost)
	if got := b.listed(); got != "[:ready :ready]" {
		t.Error(got)
	}
	if err := b.world.ClearFaults(t.Context(), nameless.ID, foreign.ID); err != nil {
		t.Fatal(err)
	}
	b.really(0)
	b.reopen()
	b.really(0)
	b.fault(Fault{Kind: FaultOrphan, Value: "dep_foreign"}) // at every provider
	b.really(len(b.world.sources))
}
