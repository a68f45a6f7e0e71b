package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// fault adds a fault.
func (b *bed) fault(f Fault) Fault {
	b.Helper()
	kept, err := b.world.AddFault(b.Context(), f)
	if err != nil {
		b.Fatal(err)
	}
	return kept
}

// wantKind fails the test unless the error is a provider's, of that kind, and returns it.
func (b *bed) wantKind(err error, kind provider.Kind) *provider.Error {
	b.Helper()
	said, is := errors.AsType[*provider.Error](err)
	if !is || said.Kind != kind {
		b.Fatalf("%v, want %s", err, kind)
	}
	return said
}

// really fails the test unless the world has exactly that many machines.
func (b *bed) really(machines int) {
	b.Helper()
	if all := b.world.Machines(); len(all) != machines {
		b.Fatalf("the world has %+v, want %d", all, machines)
	}
}

// launchReady launches a machine and lets it become ready.
func (b *bed) launchReady(reference id.ID) provider.Machine {
	b.Helper()
	b.launch(reference)
	b.clock.Advance(installAtMost)
	return b.want(reference, provider.MachineReady)
}

// stopwatch is a real time that does not pass: sleepers are noted and go on at once.
type stopwatch struct {
	mu    sync.Mutex
	slept []time.Duration
}

func (*stopwatch) Now() time.Time { return time.Time{} }

func (s *stopwatch) SleepUntil(ctx context.Context, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slept = append(s.slept, t.Sub(time.Time{}))
	return ctx.Err()
}

func TestCallsThatGoWrong(t *testing.T) {
	for kind, c := range map[FaultKind]struct {
		isMade bool
		check  func(b *bed, err error)
	}{
		FaultLostAnswer:  {true, func(b *bed, err error) { b.wantKind(err, provider.KindUnavailable) }},
		FaultUnavailable: {false, func(b *bed, err error) { b.wantKind(err, provider.KindUnavailable) }},
		FaultRateLimited: {false, func(b *bed, err error) {
			if e := b.wantKind(err, provider.KindUnavailable); e.RetryAfter != 30*time.Second {
				b.Errorf("retry after %s", e.RetryAfter)
			}
		}},
		FaultRejected: {false, func(b *bed, err error) { b.wantKind(err, provider.KindRejected) }},
		FaultGarbage: {false, func(b *bed, err error) {
			if _, is := errors.AsType[*provider.Error](err); is ||
				provider.KindOf(err) != provider.KindUnavailable {
				b.Errorf("%v is a provider's error, or of a known outcome", err)
			}
		}},
	} {
		t.Run(string(kind), func(t *testing.T) {
			b := newBed(t)
			b.fault(Fault{Kind: kind, Provider: "voltage-park", Operation: "launch", Count: 2})
			for range 2 {
				m, err := b.p.Launch(t.Context(), order("dep_a"))
				if err == nil || m.ID != "" {
					t.Fatalf("%+v, %v", m, err)
				}
				c.check(b, err)
				if c.isMade {
					b.really(1)
				} else {
					b.really(0)
				}
			}
			b.launch("dep_a") // spent
			b.really(1)
			if f := b.world.Faults()[0]; f.Injected != 2 || !f.Over(b.clock.Now()) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestEveryOperationTakesFaults also shows that Operations names all calls.
func TestEveryOperationTakesFaults(t *testing.T) {
	b := newBed(t)
	b.launchReady("dep_a")
	volume := provider.VolumeRequest{Reference: "vol_a", Name: "v", Region: "dallas-usa-5", SizeGB: 10}
	if _, err := b.p.CreateVolume(t.Context(), volume); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	calls := map[string]func() error{
		"launch":         func() error { _, err := b.p.Launch(ctx, order("dep_b")); return err },
		"machine":        func() error { _, err := b.p.Machine(ctx, "dep_a"); return err },
		"machines":       func() error { _, err := b.p.Machines(ctx); return err },
		"terminate":      func() error { return b.p.Terminate(ctx, "dep_a") },
		"offers":         func() error { _, err := b.p.Offers(ctx); return err },
		"reboot":         func() error { return b.p.Reboot(ctx, "dep_a") },
		"power-on":       func() error { return b.p.PowerOn(ctx, "dep_a") },
		"power-off":      func() error { return b.p.PowerOff(ctx, "dep_a") },
		"reinstall":      func() error { return b.p.Reinstall(ctx, "dep_a", "Ubuntu 22.04") },
		"volumes":        func() error { _, err := b.p.Volumes(ctx); return err },
		"volume-pricing": func() error { _, err := b.p.VolumePricing(ctx); return err },
		"create-volume": func() error {
			_, err := b.p.CreateVolume(
				ctx,
				provider.VolumeRequest{Reference: "vol_b", Name: "v", Region: "dallas-usa-5", SizeGB: 10},
			)
			return err
		},
		"volume":        func() error { _, err := b.p.Volume(ctx, "vol_a"); return err },
		"grow-volume":   func() error { return b.p.GrowVolume(ctx, "vol_a", 20) },
		"delete-volume": func() error { return b.p.DeleteVolume(ctx, "vol_a") },
		"attach-volume": func() error { return b.p.AttachVolume(ctx, "vol_a", "dep_a") },
		"detach-volume": func() error { return b.p.DetachVolume(ctx, "vol_a") },
	}
	if len(calls) != len(Operations()) {
		t.Fatalf("%d calls, %d operations", len(calls), len(Operations()))
	}
	for _, operation := range Operations() {
		for _, kind := range []FaultKind{FaultUnavailable, FaultRejected} {
			f := b.fault(Fault{Kind: kind, Operation: operation})
			if err := calls[operation](); err == nil {
				t.Errorf("%s succeeded under %s", operation, kind)
			}
			if injected := b.world.fault(f.ID).Injected; injected != 1 {
				t.Errorf("%s of %s was injected %d times", kind, operation, injected)
			}
			if err := b.world.ClearFaults(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.want("dep_a", provider.MachineReady)
	b.really(1)
}

func TestFaultSparesOtherProviders(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultUnavailable, Provider: "northgrid"})
	b.fault(Fault{Kind: FaultUnavailable, Operation: "terminate"})
	b.fault(Fault{Kind: FaultNoCapacity, Offer: "vp-h100x8-ib-dal5"})
	b.launch("dep_a")
	if _, err := b.world.Providers()[1].Offers(t.Context()); err == nil {
		t.Error("northgrid answers")
	}
}

func TestWhatWasMadeIsNotRefusedAfterwards(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultLostAnswer, Count: 2})
	_, err := b.p.Launch(t.Context(), order("dep_a"))
	b.wantKind(err, provider.KindUnavailable)
	volume := provider.VolumeRequest{Reference: "vol_a", Name: "v", Region: "dallas-usa-5", SizeGB: 10}
	_, err = b.p.CreateVolume(t.Context(), volume)
	b.wantKind(err, provider.KindUnavailable)
	b.fault(Fault{Kind: FaultRejected})
	b.fault(Fault{Kind: FaultNoCapacity})
	b.fault(Fault{Kind: FaultScarcity, Value: "0"})
	b.launch("dep_a")
	if _, err := b.p.CreateVolume(t.Context(), volume); err != nil {
		t.Error(err)
	}
}

func TestSlowCallsTakeRealTimeWithinBounds(t *testing.T) {
	b, w := newBed(t), &stopwatch{}
	b.world.real = w
	b.fault(Fault{Kind: FaultSlow, Operation: "offers", Seconds: Span{2, 4, 9}, Seed: 3})
	for range 50 {
		offersOf(t, b.p)
	}
	if len(w.slept) != 50 || slices.Min(w.slept) < 2*time.Second || slices.Max(w.slept) > 9*time.Second ||
		slices.Min(w.slept) == slices.Max(w.slept) {
		t.Errorf("%v", w.slept)
	}
}

func TestSlowCallEndsWithItsCallerAndTheWorld(t *testing.T) {
	b := newBed(t)
	b.world.real = clock.NewFrozen(time.Time{}) // a sleeper never wakes
	b.fault(Fault{Kind: FaultSlow})
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan error, 2)
	go func() { _, err := b.p.Launch(ctx, order("dep_a")); answers <- err }()
	cancel()
	b.wantKind(<-answers, provider.KindUnavailable)
	go func() { _, err := b.p.Launch(t.Context(), order("dep_a")); answers <- err }()
	if err := b.world.Close(); err != nil {
		t.Fatal(err)
	}
	b.wantKind(<-answers, provider.KindUnavailable)
	b.really(0)
}

func TestChanceIsTheSeedsAndOutlivesTheServer(t *testing.T) {
	run := func(seed uint64, reopenAfter int) (hits string) {
		b := newBed(t)
		b.fault(Fault{Kind: FaultUnavailable, Operation: "offers", Percent: 40, Seed: seed})
		for i := range 60 {
			if i == reopenAfter {
				b.reopen()
			}
			if _, err := b.p.Offers(t.Context()); err != nil {
				hits += "x"
			} else {
				hits += "."
			}
		}
		return hits
	}
	first := run(1, -1)
	if again := run(1, -1); again != first {
		t.Errorf("\n%s, then\n%s", first, again)
	}
	if again := run(1, 23); again != first {
		t.Errorf("\n%s, with a restart\n%s", first, again)
	}
	if other := run(2, -1); other == first {
		t.Errorf("two seeds, one sequence: %s", other)
	}
	if n := strings.Count(first, "x"); n < 12 || n > 36 {
		t.Errorf("%d of 60 at 40 percent", n)
	}
}

func TestSpans(t *testing.T) {
	s := Span{30, 240, 1500}
	var all []time.Duration
	for i := range 10_001 {
		all = append(all, s.pick(mix(1, "", "", int64(i))))
	}
	slices.Sort(all)
	if all[0] < 30*time.Second || all[len(all)-1] > 1500*time.Second || all[len(all)-1] < 1400*time.Second {
		t.Errorf("%s to %s", all[0], all[len(all)-1])
	}
	if m := all[5000]; m < 230*time.Second || m > 250*time.Second {
		t.Errorf("median %s", m)
	}
	if m := all[9000]; m > 950*time.Second { // a long one is rare
		t.Errorf("nine of ten take up to %s", m)
	}
	for _, text := range []string{"5", "1-5", "30-240-1500", "0.5-2.5"} {
		if s, err := ParseSpan(text); err != nil || s.String() != text {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "0", "-5", "1-2-3-4", "x", "NaN", "Inf", "1e99"} {
		if s, err := ParseSpan(text); err == nil {
			t.Errorf("%s is %v", text, s)
		}
	}
}

func TestWrongFaultsAreRefusedInWords(t *testing.T) {
	b := newBed(t)
	for want, f := range map[string]Fault{
		"lost-answer, unavailable":   {Kind: "explode"},
		"voltage-park, northgrid":    {Kind: FaultSlow, Provider: "no-such"},
		"launch, machine":            {Kind: FaultSlow, Operation: "sing"},
		"machines and offers":        {Kind: FaultStaleList, Operation: "launch"},
		"no offer with the key":      {Kind: FaultPrice, Offer: "nothing", Value: "+1%"},
		"takes no percent":           {Kind: FaultScarcity, Percent: 5, Value: "1"},
		"takes no operation":         {Kind: FaultNoSSH, Operation: "launch"},
		"percent is 1 to 100":        {Kind: FaultSlow, Percent: 101},
		"not negative":               {Kind: FaultSlow, Count: -1},
		"0 to 120":                   {Kind: FaultSlow, Seconds: Exactly(121)},
		"in order":                   {Kind: FaultStaleList, Seconds: Span{3, 2, 1}},
		"is no stock":                {Kind: FaultScarcity, Value: "10m:1,5m:2"},
		`"" is no stock`:             {Kind: FaultScarcity},
		"is no price":                {Kind: FaultPrice, Value: "-100%"},
		`"0" is no price`:            {Kind: FaultPrice, Value: "0"},
		"provisioning-time needs":    {Kind: FaultProvisioningTime},
		"allocating, installing and": {Kind: FaultFailProvisioning, Value: "dreaming"},
		"there is no GPU fault":      {Kind: FaultGPU, Value: "warp"},
		"a orphan's reference":       {Kind: FaultOrphan, Value: "../up"},
	} {
		if _, err := b.world.AddFault(t.Context(), f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", f, err, want)
		}
		if err := b.world.SetFaults(t.Context(), []Fault{{Kind: FaultSlow}, f}); err == nil {
			t.Errorf("%+v was set", f)
		}
	}
	if all := b.world.Faults(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	for _, k := range FaultKinds() {
		if k.Effect == "" || !strings.HasPrefix(k.Example, string(k.Kind)) {
			t.Errorf("%+v", k)
		}
	}
}

func TestWorld_Reopen_KeepsFaults(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultLostAnswer, Count: 2})
	b.fault(Fault{Kind: FaultPrice, Value: "+10%", ForSeconds: 60})
	if _, err := b.p.Offers(t.Context()); err == nil {
		t.Fatal("the answer was not lost")
	}
	before := b.world.Faults()
	b.reopen()
	after := b.world.Faults()
	if !slices.EqualFunc(before, after, func(a, b Fault) bool {
		return a.definition() == b.definition() && a.ID == b.ID && a.Since.Equal(b.Since) && a.Until.Equal(b.Until) &&
			a.Checked == b.Checked &&
			a.Injected == b.Injected
	}) || after[0].Injected != 1 || after[1].Until.IsZero() {
		t.Fatalf("%+v, then %+v", before, after)
	}
}

func TestWorld_ClearFaults(t *testing.T) {
	b := newBed(t)
	b.fault(Fault{Kind: FaultLostAnswer, Count: 2})
	b.fault(Fault{Kind: FaultPrice, Value: "+10%", ForSeconds: 60})
	if err := b.world.ClearFaults(t.Context(), "f1", "f9"); err == nil || len(b.world.Faults()) != 2 {
		t.Errorf("%v", err)
	}
	if err := b.world.ClearFaults(t.Context(), "f1"); err != nil || len(b.world.Faults()) != 1 {
		t.Errorf("%v", err)
	}
	two := []Fault{{Kind: FaultSlow}, {Kind: FaultGarbage, Operation: "offers"}}
	if err := b.world.SetFaults(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if all := b.world.Faults(); len(all) != 2 || all[0].ID != "f3" || all[1].ID != "f4" {
		t.Errorf("%+v", all)
	}
	if err := b.world.ClearFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	if all := b.world.Faults(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	if f := b.fault(Fault{Kind: FaultSlow}); f.ID != "f5" {
		t.Errorf("%s was given twice", f.ID)
	}
	if err := b.world.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.world.AddFault(t.Context(), Fault{Kind: FaultSlow}); err == nil {
		t.Error("a fault was added to a closed world")
	}
}

func TestConfiguredFaultsAreAddedOnce(t *testing.T) {
	c := Config{
		Dir: t.TempDir(), Clock: clock.NewFrozen(time.Unix(1_900_000_000, 0)), Log: slog.New(slog.DiscardHandler),
		Listen: ListenBanner,
		Faults: []Fault{{Kind: FaultUnavailable, Count: 1}},
	}
	for round := range 3 {
		w, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Providers()[0].Offers(t.Context())
		if (err != nil) != (round == 0) || len(w.Faults()) != 1 {
			t.Errorf("round %d: %v, %+v", round, err, w.Faults())
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c.Faults = []Fault{{Kind: "explode"}}
	if w, err := Open(t.Context(), c); err == nil {
		_ = w.Close()
		t.Error("opened with a fault that there is not")
	}
}

func TestFaultsUnderLoad(t *testing.T) {
	b := newBed(t)
	var busy sync.WaitGroup
	for i := range 8 {
		busy.Go(func() {
			for j := range 20 {
				reference := id.ID(fmt.Sprintf("dep_%d%c", i, 'a'+j))
				_, _ = b.p.Launch(t.Context(), order(reference))
				_, _ = b.p.Machines(t.Context())
				_, _ = b.p.Offers(t.Context())
				_ = b.p.Terminate(t.Context(), reference)
				b.clock.Advance(time.Second)
			}
		})
	}
	kinds := []Fault{
		{
			Kind:    FaultLostAnswer,
			Percent: 30,
		}, {Kind: FaultMachineLost, Percent: 30}, {Kind: FaultStaleList, Percent: 50}, {Kind: FaultOrphan},
		{
			Kind:    FaultFailProvisioning,
			Percent: 30,
		}, {Kind: FaultRefuseTerminate, Percent: 30}, {Kind: FaultScarcity, Value: "5"},
		{Kind: FaultNoSSH, Percent: 20},
	}
	for range 5 {
		for _, f := range kinds {
			b.fault(f)
		}
		if err := b.world.ClearFaults(t.Context()); err != nil {
			t.Error(err)
		}
	}
	busy.Wait()
	for _, m := range b.world.Machines() {
		if m.Reference == "" {
			t.Errorf("a orphan is left: %+v", m)
		}
	}
	if seen, err := Inspect(b.dir, b.clock.Now()); err != nil || !slices.Equal(seen, b.world.Machines()) {
		t.Errorf("the folder has %+v, the world %+v, %v", seen, b.world.Machines(), err)
	}
}
