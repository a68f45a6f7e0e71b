package sim

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

func TestInstallationTellsItsStages(t *testing.T) {
	b := newBed(t)
	b.launch("dep_a")
	var stages []string
	for range 70 {
		m, err := b.p.Machine(t.Context(), "dep_a")
		if err != nil {
			t.Fatal(err)
		}
		stage := string(m.State) + " " + m.Detail
		if len(stages) == 0 || stages[len(stages)-1] != stage {
			stages = append(stages, stage)
		}
		b.clock.Advance(100 * time.Millisecond)
	}
	want := []string{
		"provisioning allocating",
		"provisioning installing the operating system",
		"provisioning booting",
		"ready ",
	}
	if fmt.Sprint(stages) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", stages, want)
	}
}

func TestInstallationTakesThreeToSixSeconds(t *testing.T) {
	b := newBed(t)
	for i := range 40 {
		reference := id.ID(fmt.Sprintf("dep_%d", i))
		b.launch(reference)
		b.clock.Advance(installAtLeast - time.Millisecond)
		b.want(reference, provider.MachineProvisioning)
		b.clock.Advance(installAtMost - installAtLeast + time.Millisecond)
		b.want(reference, provider.MachineReady)
	}
}

func TestMachineThatNeverStartsFails(t *testing.T) {
	b := newBed(t)
	b.host.broken.Store(true)
	b.launch("dep_a")
	b.clock.Advance(installAtMost)
	for range startTries - 1 {
		b.want("dep_a", provider.MachineProvisioning)
	}
	if m := b.want("dep_a", provider.MachineFailed); m.Detail == "" || m.Address != "" {
		t.Errorf("%+v", m)
	}
	b.host.broken.Store(false)
	b.reopen()
	b.want("dep_a", provider.MachineFailed)
	if err := b.p.Terminate(t.Context(), "dep_a"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(terminateAtMost)
	if _, err := b.p.Machine(t.Context(), "dep_a"); err == nil || provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("%v", err)
	}
}

func TestMachineWhoseProcessDiedIsStartedAgainOrLost(t *testing.T) {
	b := newBed(t)
	b.launch("dep_a")
	b.clock.Advance(installAtMost)
	before := b.want("dep_a", provider.MachineReady)
	dir := b.world.machines[key{"voltage-park", "dep_a"}].node()
	die := func() {
		if err := b.host.stop(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	die()
	if after := b.want("dep_a", provider.MachineReady); after.Address != before.Address {
		t.Errorf("%s became %s", before.Address, after.Address)
	}
	b.host.broken.Store(true)
	die()
	for range startTries - 1 {
		b.want("dep_a", provider.MachineProvisioning)
	}
	b.want("dep_a", provider.MachineLost)
	b.host.broken.Store(false)
	b.want("dep_a", provider.MachineLost)
}

func TestSlowStartDelaysNoOtherMachine(t *testing.T) {
	b := newBed(t)
	b.launch("dep_slow")
	starting, goOn := make(chan struct{}), make(chan struct{})
	b.host.slow = func(_ context.Context, dir string) {
		if strings.Contains(dir, "dep_slow") {
			close(starting)
			<-goOn
		}
	}
	b.clock.Advance(installAtMost)
	var asked sync.WaitGroup
	asked.Go(func() {
		if m, err := b.p.Machine(t.Context(), "dep_slow"); err != nil || m.State != provider.MachineReady {
			t.Errorf("%+v, %v", m, err)
		}
	})
	<-starting
	b.want("dep_slow", provider.MachineProvisioning)
	if again := b.launch("dep_slow"); again.State != provider.MachineProvisioning {
		t.Errorf("%+v", again)
	}
	b.launch("dep_fast")
	b.clock.Advance(installAtMost)
	b.want("dep_fast", provider.MachineReady)
	if all, err := b.p.Machines(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	// Who must wait for it, waits no longer than it wants to.
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error, 1)
	go func() { cancelled <- b.p.PowerOff(ctx, "dep_slow") }()
	cancel()
	if err := <-cancelled; err == nil || provider.KindOf(err) != provider.KindUnavailable {
		t.Errorf("%v", err)
	}
	close(goOn)
	asked.Wait()
}

func TestCloseAbortsAStart(t *testing.T) {
	b := newBed(t)
	b.launch("dep_a")
	b.clock.Advance(installAtMost)
	starting := make(chan struct{})
	b.host.slow = func(ctx context.Context, _ string) {
		close(starting)
		<-ctx.Done()
	}
	answered := make(chan error, 1)
	go func() {
		_, err := b.p.Machine(context.Background(), "dep_a")
		answered <- err
	}()
	<-starting
	b.reopen()
	if err := <-answered; err == nil || provider.KindOf(err) != provider.KindUnavailable {
		t.Errorf("%v", err)
	}
	b.want("dep_a", provider.MachineReady)
}

func TestReferenceIsRememberedForAWeek(t *testing.T) {
	b := newBed(t)
	first := b.launch("dep_a")
	if err := b.p.Terminate(t.Context(), "dep_a"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(terminateAtMost)
	if all, err := b.p.Machines(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("%+v, %v", all, err)
	}
	for range 2 {
		if again := b.launch("dep_a"); again.State != provider.MachineGone || again.ID != first.ID {
			t.Errorf("%+v", again)
		}
		b.reopen()
	}
	b.clock.Advance(rememberGone)
	b.reopen()
	if left, err := filepath.Glob(filepath.Join(b.dir, "machines", "*", "*")); err != nil || len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

func TestStockRunsOutAndReturns(t *testing.T) {
	b := newBed(t)
	const stock = 64
	for i := range stock {
		b.launch(id.ID(fmt.Sprintf("dep_%d", i)))
	}
	refused := func() {
		t.Helper()
		_, err := b.p.Launch(t.Context(), order("dep_more"))
		if err == nil || provider.KindOf(err) != provider.KindNoCapacity {
			t.Fatalf("%v", err)
		}
		if o := quickOffer(b); o.Available || *o.Stock != 0 {
			t.Fatalf("%+v", o)
		}
	}
	refused()
	b.launch("dep_0") // a repeated launch needs no stock
	if err := b.p.Terminate(t.Context(), "dep_0"); err != nil {
		t.Fatal(err)
	}
	refused()
	b.clock.Advance(terminateAtMost)
	if o := quickOffer(b); !o.Available || *o.Stock != 1 {
		t.Fatalf("%+v", o)
	}
	b.launch("dep_more")
	b.reopen()
	_, err := b.p.Launch(t.Context(), order("dep_late"))
	if err == nil || provider.KindOf(err) != provider.KindNoCapacity {
		t.Fatalf("after a restart: %v", err)
	}
}

func quickOffer(b *bed) provider.Offer {
	for _, o := range offersOf(b.T, b.p) {
		if o.Key == "off_abc123" {
			return o
		}
	}
	b.Fatal("no off_abc123")
	return provider.Offer{}
}

func TestMachineGoesOnToAnotherAddress(t *testing.T) {
	b := newBed(t)
	b.launch("dep_a")
	m := b.world.machines[key{"voltage-park", "dep_a"}]
	l, err := net.Listen("tcp", netip.AddrPortFrom(m.record.Address, bannerPort).String())
	if err != nil {
		t.Skipf("this computer has no address %s: %v", m.record.Address, err)
	}
	defer func() { _ = l.Close() }()
	b.clock.Advance(installAtMost)
	ready := b.want("dep_a", provider.MachineReady)
	if ready.Address == l.Addr().(*net.TCPAddr).IP.String() || !strings.HasPrefix(ready.Address, "127.77.") {
		t.Errorf("at %s", ready.Address)
	}
	b.reopen()
	if after := b.want("dep_a", provider.MachineReady); after.Address != ready.Address {
		t.Errorf("at %s, then at %s", ready.Address, after.Address)
	}
}

func TestAddressesAreUsedOnce(t *testing.T) {
	used := map[netip.Addr]bool{}
	for range 300 {
		a, free := pickAddress("the same name", used)
		if !free || used[a] || !netip.MustParsePrefix("127.77.0.0/16").Contains(a) ||
			a.As4()[3] == 255 && a.As4()[2] == 255 {
			t.Fatalf("%s, %t", a, free)
		}
		used[a] = true
	}
	for i := range addresses {
		n := uint32(firstAddress + i)
		used[netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})] = true
	}
	if a, free := pickAddress("late", used); free {
		t.Errorf("%s was taken", a)
	}
}
