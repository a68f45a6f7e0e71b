package upstream_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const reference = id.ID("dep_01jd")

// fakeCloud is a cloud whose list may be behind.
type fakeCloud struct {
	clock          *clock.Simulated
	listed, there  []upstream.Observed
	listErr        error
	getErr, endErr error
	ended          []string
	lists          int
}

func (y *fakeCloud) fleet() *upstream.Fleet {
	return upstream.NewFleet(upstream.FleetConfig{
		Account: upstream.Account{Slug: "fake", Now: y.clock.Now}, PollEvery: 10 * time.Second, SettleTime: time.Minute,
		List: func(context.Context) ([]upstream.Observed, error) { y.lists++; return y.listed, y.listErr },
		Get: func(_ context.Context, machine string) (upstream.Observed, error) {
			for _, s := range y.there {
				if s.ID == machine {
					return s, nil
				}
			}
			return upstream.Observed{}, y.getErr
		},
		End: func(_ context.Context, machine string) error { y.ended = append(y.ended, machine); return y.endErr },
	})
}

func newFakeCloud() *fakeCloud {
	return &fakeCloud{
		clock:  clock.NewFrozen(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		getErr: &provider.Error{Kind: provider.KindNotFound},
	}
}

func machine(name string, of id.ID, state provider.MachineState) upstream.Observed {
	return upstream.Observed{Machine: provider.Machine{ID: name, Reference: of, State: state, Address: "10.0.0.1"}}
}

func create(name string, err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return name, err }
}

func never(t *testing.T) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		t.Error("create was called a second time")
		return "second", nil
	}
}

func TestFleet_JustCreatedMachineNeedNotBeListed(t *testing.T) {
	y := newFakeCloud()
	f := y.fleet()
	if m, err := f.CreateOnce(t.Context(), reference, create("first", nil)); err != nil || m.ID != "first" ||
		m.State != provider.MachineProvisioning {
		t.Fatalf("%+v, %v", m, err)
	}
	// Neither the list nor a read by id has it yet: that is no answer.
	if _, err := f.Machine(t.Context(), reference); err == nil || provider.KindOf(err) != provider.KindUnavailable {
		t.Error(err)
	}
	if _, err := f.CreateOnce(t.Context(), reference, never(t)); err == nil ||
		provider.KindOf(err) != provider.KindUnavailable {
		t.Error(err)
	}
	y.there = []upstream.Observed{machine("first", "", provider.MachineReady)}
	for range 2 {
		if m, err := f.Machine(t.Context(), reference); err != nil || m.State != provider.MachineReady ||
			m.Reference != reference {
			t.Errorf("%+v, %v", m, err)
		}
		if m, err := f.CreateOnce(t.Context(), reference, never(t)); err != nil || m.ID != "first" {
			t.Errorf("%+v, %v", m, err)
		}
	}
	// WarnOnce it must be listed, only the list counts.
	y.clock.Advance(time.Minute)
	if _, err := f.Machine(t.Context(), reference); err == nil || provider.KindOf(err) != provider.KindNotFound {
		t.Error(err)
	}
}

func TestFleet_TerminateJustCreatedMachine(t *testing.T) {
	y := newFakeCloud()
	f := y.fleet()
	if _, err := f.CreateOnce(t.Context(), reference, create("first", nil)); err != nil {
		t.Fatal(err)
	}
	if err := f.Terminate(t.Context(), reference); err != nil || len(y.ended) != 1 || y.ended[0] != "first" {
		t.Fatalf("%v, ended %v", err, y.ended)
	}
	if _, err := f.Machine(t.Context(), reference); err == nil || provider.KindOf(err) != provider.KindNotFound {
		t.Error(err)
	}
	if err := f.Terminate(t.Context(), reference); err != nil || len(y.ended) != 1 {
		t.Errorf("%v, ended %v", err, y.ended)
	}
}

func TestFleet_CreateWithoutAnID(t *testing.T) {
	y := newFakeCloud()
	f := y.fleet()
	if _, err := f.CreateOnce(t.Context(), reference, create("", nil)); err == nil ||
		provider.KindOf(err) != provider.KindUnavailable {
		t.Error(err)
	}
	if _, err := f.CreateOnce(
		t.Context(), reference, create("", &provider.Error{Kind: provider.KindNoCapacity}),
	); err == nil || provider.KindOf(err) != provider.KindNoCapacity {
		t.Error(err)
	}
	// The first came to something.
	y.listed = []upstream.Observed{machine("found", reference, provider.MachineProvisioning)}
	if m, err := f.CreateOnce(t.Context(), reference, never(t)); err != nil || m.ID != "found" {
		t.Errorf("%+v, %v", m, err)
	}
}

// No earlier list has what another server created, or a create without a response.
func TestFleet_CreateOnceReadsAFreshList(t *testing.T) {
	y := newFakeCloud()
	f := y.fleet()
	if _, err := f.Machine(t.Context(), reference); err == nil || provider.KindOf(err) != provider.KindNotFound {
		t.Fatal(err)
	}
	y.listed = []upstream.Observed{machine("another's", reference, provider.MachineProvisioning)}
	if m, err := f.CreateOnce(t.Context(), reference, never(t)); err != nil || m.ID != "another's" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := f.CreateOnce(t.Context(), "dep_02jd", func(context.Context) (string, error) {
		y.listed = append(y.listed, machine("unanswered", "dep_02jd", provider.MachineProvisioning))
		return "", &provider.Error{Kind: provider.KindUnavailable}
	}); err == nil {
		t.Error("got no error from a create without a response")
	}
	if m, err := f.Machine(t.Context(), "dep_02jd"); err != nil || m.ID != "unanswered" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestFleet_TerminateNeedsAFreshListForNothing(t *testing.T) {
	y := newFakeCloud()
	f := y.fleet()
	if _, err := f.Machine(t.Context(), reference); err == nil || provider.KindOf(err) != provider.KindNotFound {
		t.Fatal(err)
	}
	y.listed = []upstream.Observed{machine("late", reference, provider.MachineProvisioning)}
	if err := f.Terminate(t.Context(), reference); err != nil || len(y.ended) != 1 {
		t.Errorf("%v, ended %v", err, y.ended)
	}
	// What a list has is ended without reading another.
	y.ended, y.lists = nil, 0
	y.clock.Advance(time.Minute)
	if _, err := f.Machine(t.Context(), reference); err != nil {
		t.Fatal(err)
	}
	if err := f.Terminate(t.Context(), reference); err != nil || len(y.ended) != 1 || y.lists != 1 {
		t.Errorf("%v, ended %v after %d lists", err, y.ended, y.lists)
	}
}

func TestFleet_TerminateRefusedWhileEnding(t *testing.T) {
	y := newFakeCloud()
	f := y.fleet()
	y.listed, y.endErr = []upstream.Observed{
		machine("one", reference, provider.MachineReady),
	}, &provider.Error{Kind: provider.KindRejected}
	if err := f.Terminate(t.Context(), reference); err == nil || provider.KindOf(err) != provider.KindRejected {
		t.Errorf("of a machine that is not ending: got %v, want rejected", err)
	}
	if _, err := f.Machine(t.Context(), reference); err != nil {
		t.Fatal(err)
	}
	y.listed = []upstream.Observed{machine("one", reference, provider.MachineTerminating)}
	if err := f.Terminate(t.Context(), reference); err != nil {
		t.Errorf("of an ending machine: got %v, want no error", err)
	}
	y.listed, y.endErr = []upstream.Observed{
		machine("one", reference, provider.MachineReady),
	}, &provider.Error{Kind: provider.KindNotFound}
	if err := f.Terminate(t.Context(), reference); err != nil {
		t.Errorf("of an unknown machine: got %v, want no error", err)
	}
}

func TestFleet_TerminateBeforeTheListShowsIt(t *testing.T) {
	y := newFakeCloud()
	f := y.fleet()
	y.listed = []upstream.Observed{machine("one", reference, provider.MachineReady)}
	for range 3 { // repeated calls send one end
		if err := f.Terminate(t.Context(), reference); err != nil || len(y.ended) != 1 {
			t.Errorf("%v, ended %v", err, y.ended)
		}
		if m, err := f.Machine(t.Context(), reference); err != nil || m.State != provider.MachineTerminating {
			t.Errorf("%+v, %v", m, err)
		}
		y.clock.Advance(time.Second)
	}
	if y.lists != 1 {
		t.Errorf("%d lists", y.lists)
	}
	// A list that was read after the end counts: the cloud has not ended the machine.
	y.clock.Advance(time.Minute)
	if m, err := f.Machine(t.Context(), reference); err != nil || m.State != provider.MachineReady {
		t.Errorf("%+v, %v", m, err)
	}
	if err := f.Terminate(t.Context(), reference); err != nil || len(y.ended) != 2 {
		t.Errorf("%v, ended %v", err, y.ended)
	}
}

func TestFleet_PrefersTheMachineThatIsNotEnding(t *testing.T) {
	y := newFakeCloud()
	f := y.fleet()
	old, living := machine(
		"old", reference, provider.MachineTerminating,
	), machine("living", reference, provider.MachineReady)
	for _, listed := range [][]upstream.Observed{{old, living}, {living, old}} {
		y.listed = listed
		y.clock.Advance(time.Minute)
		if m, err := f.Machine(t.Context(), reference); err != nil || m.ID != "living" {
			t.Errorf("%+v, %v", m, err)
		}
	}
	y.listed = []upstream.Observed{old}
	y.clock.Advance(time.Minute)
	if m, err := f.Machine(t.Context(), reference); err != nil || m.State != provider.MachineTerminating {
		t.Errorf("%+v, %v", m, err)
	}
	y.listed = []upstream.Observed{living, machine("double", reference, provider.MachineOff)}
	y.clock.Advance(time.Minute)
	if _, err := f.Machine(t.Context(), reference); err == nil || provider.KindOf(err) != provider.KindUnavailable {
		t.Error(err)
	}
}

func TestFleet_ListErrorKinds(t *testing.T) {
	for kind, want := range map[provider.Kind]provider.Kind{
		provider.KindNotFound: provider.KindUnavailable, provider.KindRejected: provider.KindUnavailable,
		provider.KindUnsupported: provider.KindUnavailable,
		provider.KindThrottled:   provider.KindThrottled, provider.KindCredentials: provider.KindCredentials,
	} {
		y := newFakeCloud()
		y.listErr = &provider.Error{Kind: kind}
		if _, err := y.fleet().Machine(t.Context(), reference); err == nil || provider.KindOf(err) != want {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestList_ForgetDuringAFetch(t *testing.T) {
	begun, goOn, n := make(chan struct{}), make(chan struct{}), 0
	l := upstream.NewList(time.Now, func(ctx context.Context) ([]int, error) {
		if n++; n == 1 {
			close(begun)
			<-goOn
		}
		return []int{n}, nil
	})
	first := make(chan error)
	go func() {
		all, err := l.Recent(context.Background(), time.Hour)
		if err == nil && all[0] != 1 {
			err = errors.New("not the first")
		}
		first <- err
	}()
	<-begun
	l.Forget() // does not wait
	close(goOn)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if all, err := l.Recent(t.Context(), time.Hour); err != nil || all[0] != 2 {
			t.Errorf("%v, %v", all, err)
		}
	}
}

func TestBareKey(t *testing.T) {
	for line, want := range map[string]string{
		"ssh-ed25519 AAAA someone@example.com": "ssh-ed25519 AAAA", " ssh-rsa  B ": "ssh-rsa B", "": "", "x": "x",
	} {
		if got := upstream.BareKey(line); got != want {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func TestIsPlain(t *testing.T) {
	for text, want := range map[string]bool{
		"Lambda Stack": true, "": false, " a": false, "a\n": false, "a\x00b": false, "\xff": false,
	} {
		if upstream.IsPlain(text) != want {
			t.Errorf("%q", text)
		}
	}
}
