package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

func TestOneProcessHasTheWorldOpen(t *testing.T) {
	b := newBed(t)
	w, err := Open(
		t.Context(),
		Config{Dir: b.dir, Clock: b.clock, Log: slog.New(slog.DiscardHandler), Listen: ListenBanner},
	)
	if err == nil {
		_ = w.Close()
		t.Fatal("opened twice")
	}
}

func TestLaunchThatCannotBeRecordedNeverWas(t *testing.T) {
	b := newBed(t)
	inTheWay := filepath.Join(b.dir, "machines")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := b.p.Launch(t.Context(), order("dep_a"))
	if err == nil || provider.KindOf(err) != provider.KindUnavailable {
		t.Fatalf("%v", err)
	}
	if all := b.world.Machines(); len(all) != 0 {
		t.Fatalf("%+v", all)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	b.launch("dep_a")
}

func TestMachineIsNotToldOfBeforeItsRecordIsWritten(t *testing.T) {
	b := newBed(t)
	first := &basic{world: b.world, source: b.world.sources[0]}
	m, isNew, err := first.register(order("dep_a"))
	if err != nil || !isNew {
		t.Fatal(isNew, err)
	}
	b.clock.Advance(installAtMost)
	if all, err := b.p.Machines(t.Context()); err != nil || len(all) != 0 || len(b.world.Machines()) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	asked := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := b.p.Launch(ctx, order("dep_a"))
		asked <- err
	}()
	cancel()
	if err := <-asked; err == nil || provider.KindOf(err) != provider.KindUnavailable {
		t.Errorf("%v", err)
	}
	if m.record.Phase != phaseInstalling {
		t.Errorf("the machine is %s", m.record.Phase)
	}
	if err := b.world.establish(m); err != nil {
		t.Fatal(err)
	}
	b.want("dep_a", provider.MachineReady)
}

func TestWhatAKilledProcessLeftIsRemoved(t *testing.T) {
	b := newBed(t)
	for _, f := range []string{
		"machines/voltage-park/dep_half/machine.json.next", "volumes/voltage-park/vol_half/files/x",
		"trash/vol_old.1/was/files/x",
	} {
		path := filepath.Join(b.dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.reopen()
	for _, f := range []string{"machines/voltage-park/dep_half", "volumes/voltage-park/vol_half", "trash/vol_old.1"} {
		if _, err := os.Stat(filepath.Join(b.dir, f)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestInspectSeesWhatTheWorldSees(t *testing.T) {
	b := newBed(t)
	b.launch("dep_a")
	b.launch("dep_b")
	b.launch("dep_c")
	b.clock.Advance(installAtMost)
	if _, err := b.p.Machines(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.launch("dep_d")
	if err := errors.Join(b.p.Terminate(t.Context(), "dep_a"), b.p.PowerOff(t.Context(), "dep_b")); err != nil {
		t.Fatal(err)
	}
	seen, err := Inspect(b.dir, b.clock.Now())
	if err != nil || !reflect.DeepEqual(seen, b.world.Machines()) || len(seen) != 4 {
		t.Errorf("%+v, %v; the world: %+v", seen, err, b.world.Machines())
	}
}

func TestLaunchRefusals(t *testing.T) {
	b := newBed(t)
	for name, change := range map[string]func(*provider.LaunchRequest){
		"a path as reference": func(r *provider.LaunchRequest) { r.Reference = "dep_../../x" },
		"another kind of id":  func(r *provider.LaunchRequest) { r.Reference = "vol_a" },
		"no keys":             func(r *provider.LaunchRequest) { r.AuthorizedKeys = nil },
		"no name":             func(r *provider.LaunchRequest) { r.Name = "" },
		"a long name":         func(r *provider.LaunchRequest) { r.Name = strings.Repeat("ä", 65) },
		"another region":      func(r *provider.LaunchRequest) { r.Region = "seattle-usa-1" },
	} {
		r := order("dep_a")
		change(&r)
		_, err := b.p.Launch(t.Context(), r)
		if err == nil || provider.KindOf(err) != provider.KindRejected {
			t.Errorf("%s: %v", name, err)
		}
	}
	basalt := b.world.Providers()[2]
	o := offersOf(t, basalt)[0]
	_, err := basalt.Launch(t.Context(), provider.LaunchRequest{
		Reference: "dep_a", Name: "x", OfferKey: o.Key, Region: o.Region, OperatingSystem: o.OperatingSystems[0],
		AuthorizedKeys: []string{"ssh-ed25519 AAAA"}, CloudInit: "#cloud-config\n",
	})
	if err == nil || provider.KindOf(err) != provider.KindUnsupported {
		t.Errorf("a cloud-config for who takes none: %v", err)
	}
}

func TestMountNames(t *testing.T) {
	b := newBed(t)
	for i, c := range []struct{ name, want string }{
		{"data", "data"}, {"data", "vol_1"}, {"my data/2", "my-data-2"}, {"..", "vol_3"}, {"日本", "vol_4"},
		{".hidden", "hidden"}, {strings.Repeat("a", 64), strings.Repeat("a", 63)},
	} {
		v, err := b.p.CreateVolume(t.Context(), provider.VolumeRequest{
			Reference: id.ID(fmt.Sprintf("vol_%d", i)), Name: c.name, Region: "dallas-usa-5", SizeGB: 10,
		})
		if err != nil || v.MountPath != mountDir+c.want {
			t.Errorf("%q is at %s, want %s (%v)", c.name, v.MountPath, c.want, err)
		}
	}
}

// anyCall are one caller's calls for a machine and a volume. Launches are twice as frequent as
// others, and terminations rare.
func anyCall(t *testing.T, b *bed, r *rand.Rand) []func(m, v id.ID) error {
	ctx, ids := t.Context(), map[id.ID]string{}
	launch := func(m, _ id.ID) error {
		got, err := b.p.Launch(ctx, order(m))
		if old := ids[m]; err == nil && old != "" && old != got.ID {
			t.Errorf("%s was %s and is %s", m, old, got.ID)
		}
		ids[m] = got.ID
		return err
	}
	return []func(m, v id.ID) error{
		launch, launch,
		func(m, _ id.ID) error {
			if r.IntN(10) > 0 {
				return nil
			}
			return b.p.Terminate(ctx, m)
		},
		func(_, _ id.ID) error { _, err := b.p.Machines(ctx); return err },
		func(_, v id.ID) error {
			request := provider.VolumeRequest{Reference: v, Name: "v", Region: "dallas-usa-5", SizeGB: 10}
			_, err := b.p.CreateVolume(ctx, request)
			return err
		},
		func(m, v id.ID) error { return b.p.AttachVolume(ctx, v, m) },
		func(_, v id.ID) error { return b.p.DetachVolume(ctx, v) },
		func(_, v id.ID) error { return b.p.DeleteVolume(ctx, v) },
		func(m, _ id.ID) error { return b.p.PowerOff(ctx, m) },
		func(m, _ id.ID) error { return b.p.PowerOn(ctx, m) },
		func(m, _ id.ID) error { return b.p.Reboot(ctx, m) },
		func(m, _ id.ID) error { return b.p.Reinstall(ctx, m, "Ubuntu 24.04") },
		func(m, _ id.ID) error { _, err := b.p.Machine(ctx, m); return err },
		func(_, _ id.ID) error { b.clock.Advance(time.Second); return nil },
	}
}

// TestManyAtOnce has many callers do everything to few machines, and checks what must hold at the
// end of it.
func TestManyAtOnce(t *testing.T) {
	b := newBed(t)
	const callers, count, references = 8, 150, 5
	var ended sync.WaitGroup
	for caller := range callers {
		ended.Go(func() {
			r := rand.New(rand.NewPCG(uint64(caller), 1))
			calls := anyCall(t, b, r)
			for range count {
				m, v := fmt.Sprintf("dep_%d", r.IntN(references)), fmt.Sprintf("vol_%d", r.IntN(references))
				// A volume in the making is unavailable; nothing else is allowed to go wrong.
				err := calls[r.IntN(len(calls))](id.ID(m), id.ID(v))
				if said, is := errors.AsType[*provider.Error](err); err != nil &&
					(!is || said.Kind == provider.KindUnavailable && said.Message == "") {
					t.Error(err)
				}
			}
		})
	}
	ended.Wait()
	b.clock.Advance(time.Minute)
	settled, err := b.p.Machines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[string]bool{}
	for _, m := range settled {
		if m.State != provider.MachineReady && m.State != provider.MachineOff {
			t.Errorf("%+v", m)
		}
		if addresses[m.Address] {
			t.Errorf("two at %s", m.Address)
		}
		addresses[m.Address] = true
	}
	if o := quickOffer(b); *o.Stock != 64-len(settled) {
		t.Errorf("%d machines leave a stock of %d", len(settled), *o.Stock)
	}
	before := b.world.Machines()
	b.reopen()
	if after := b.world.Machines(); !reflect.DeepEqual(before, after) {
		t.Errorf("%+v, after opening again %+v", before, after)
	}
}
