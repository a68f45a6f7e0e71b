package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// faultsFile holds the faults, so that a server that is killed finds them again, counts included.
const faultsFile = "faults.json"

// faultBook is the faults of a world. Its mu may be taken while the world's is held, never the
// other way round.
type faultBook struct {
	mu   sync.Mutex
	path string
	// last is the number in the last fault's ID; none is given twice.
	last int
	list []Fault
}

type faultFile struct {
	Last   int     `json:"last"`
	Faults []Fault `json:"faults"`
}

func openFaultBook(dir string) (*faultBook, error) {
	b := &faultBook{path: filepath.Join(dir, faultsFile)}
	text, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	var f faultFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", b.path, err)
	}
	b.last, b.list = f.Last, f.Faults
	return b, nil
}

// save is called with mu held.
func (b *faultBook) save(synced bool) error {
	return writeRecord(b.path, faultFile{b.last, b.list}, synced)
}

// target is what a fault may be injected into.
type target struct{ provider, operation, offer string }

func (f Fault) aims(at target) bool {
	return (f.Provider == "" || f.Provider == at.provider) && (f.Operation == "" || f.Operation == at.operation) &&
		(f.Offer == "" || f.Offer == at.offer)
}

// faultFor returns the first fault of that kind, the oldest first, that applies. The
// number that is returned with it appears random and follows from the fault's seed and how often it
// was asked.
func (w *World) faultFor(kind FaultKind, at target, now time.Time) (hit Fault, random uint64, applies bool) {
	b := w.faults
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := false
	for i := range b.list {
		f := &b.list[i]
		if f.Kind != kind || !f.aims(at) || f.Over(now) {
			continue
		}
		dice := mix(f.Seed, "applies "+string(kind), at.operation, f.Checked)
		random = mix(f.Seed, "measures "+string(kind), at.operation, f.Checked)
		f.Checked++
		asked = true
		if dice%100 < uint64(f.Percent) {
			f.Injected++
			hit, applies = *f, true
			break
		}
	}
	if asked {
		// Not synced: a killed server loses nothing by that, and a computer without power has other
		// worries.
		if err := b.save(false); err != nil {
			w.log.Error("how often a fault was injected could not be written", "error", err)
		}
	}
	return hit, random, applies
}

// state returns the fault of that kind, one that is a state, that holds for the target at that
// instant: the latest.
func (w *World) state(kind FaultKind, at target, when time.Time) (Fault, bool) {
	b := w.faults
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range slices.Backward(b.list) {
		if f.Kind == kind && f.aims(at) && !when.Before(f.Since) && !f.Over(when) {
			return f, true
		}
	}
	return Fault{}, false
}

// Faults returns the faults in the order in which they were added, those that are over included.
func (w *World) Faults() []Fault {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	return append([]Fault{}, w.faults.list...)
}

// AddFault makes the world misbehave in one more way and returns the fault as it is kept, with its
// ID and defaults. The error, for users, names everything that is wrong with it.
func (w *World) AddFault(ctx context.Context, f Fault) (Fault, error) {
	done, err := w.enter()
	if err != nil {
		return Fault{}, err
	}
	defer done()
	if f, err = w.checked(f); err != nil {
		return Fault{}, err
	}
	return w.addFault(ctx, f)
}

// CheckFault returns everything that is wrong with a fault, for users; nil where AddFault
// would take it.
func (w *World) CheckFault(f Fault) error {
	_, err := w.checked(f)
	return err
}

// SetFaults replaces all faults by these. Where one of them is not a fault that AddFault takes,
// nothing changes; where a orphan's reference turns out to be taken, it stops there.
func (w *World) SetFaults(ctx context.Context, faults []Fault) error {
	done, err := w.enter()
	if err != nil {
		return err
	}
	defer done()
	var wrong []error
	list := make([]Fault, len(faults))
	for i, f := range faults {
		if list[i], err = w.checked(f); err != nil {
			wrong = append(wrong, fmt.Errorf("fault %d: %w", i+1, err))
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	if err := w.clearFaults(ctx, nil); err != nil {
		return err
	}
	for _, f := range list {
		if _, err := w.addFault(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// ClearFaults takes back the faults with those IDs, or, without any, all of them. What they did
// stays done, but orphans go with their fault. An ID that there is not is an error, and then
// nothing changes.
func (w *World) ClearFaults(ctx context.Context, ids ...string) error {
	done, err := w.enter()
	if err != nil {
		return err
	}
	defer done()
	return w.clearFaults(ctx, ids)
}

// enter keeps the world open until done is called.
func (w *World) enter() (done func(), err error) {
	w.calls.RLock()
	if w.closed {
		w.calls.RUnlock()
		return nil, fmt.Errorf("sim: the world is closed: %w", os.ErrClosed)
	}
	return w.calls.RUnlock, nil
}

func (w *World) addFault(ctx context.Context, f Fault) (Fault, error) {
	b, now := w.faults, w.clock.Now()
	b.mu.Lock()
	b.last++
	f.ID, f.Since = "f"+strconv.Itoa(b.last), now
	if f.ForSeconds > 0 {
		f.Until = now.Add(time.Duration(f.ForSeconds) * time.Second)
	}
	b.list = append(b.list, f)
	err := b.save(w.synced)
	if err != nil {
		b.remove(f.ID)
	}
	b.mu.Unlock()
	if err != nil {
		return Fault{}, fmt.Errorf("keep the fault: %w", err)
	}
	switch {
	case f.Kind == FaultOrphan:
		if err := w.makeOrphans(ctx, f); err != nil {
			return Fault{}, errors.Join(err, w.clearFaults(ctx, []string{f.ID}))
		}
		if err := w.spend(f.ID); err != nil {
			return Fault{}, err
		}
	case f.Kind == FaultMachineLost && f.Percent == 100:
		w.settleAll(ctx, f.Provider)
		for _, s := range w.sources {
			w.takeBack(ctx, s.Slug)
		}
	}
	return w.fault(f.ID), nil
}

// spend marks a fault as having been injected as often as it may.
func (w *World) spend(id string) error {
	b := w.faults
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.index(id)
	if i < 0 {
		return nil // cleared meanwhile
	}
	b.list[i].Checked, b.list[i].Injected = b.list[i].Count, b.list[i].Count
	return b.save(w.synced)
}

// fault returns the fault with that ID as it is now.
func (w *World) fault(id string) Fault {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	if i := w.faults.index(id); i >= 0 {
		return w.faults.list[i]
	}
	return Fault{}
}

func (b *faultBook) index(id string) int {
	return slices.IndexFunc(b.list, func(f Fault) bool { return f.ID == id })
}

func (b *faultBook) remove(id string) {
	b.list = slices.DeleteFunc(slices.Clone(b.list), func(f Fault) bool { return f.ID == id })
}

func (w *World) clearFaults(ctx context.Context, ids []string) error {
	b := w.faults
	b.mu.Lock()
	known := make([]string, len(b.list))
	for i, f := range b.list {
		known[i] = f.ID
	}
	b.mu.Unlock()
	if len(ids) == 0 {
		ids = known
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return fmt.Errorf("there is no fault %q; there are: %s", id, orNone(strings.Join(known, ", ")))
		}
	}
	// The orphans first: where that is cut short their fault is still there to be cleared.
	if err := w.layOrphans(ctx, ids); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.list
	for _, id := range ids {
		b.remove(id)
	}
	if err := b.save(w.synced); err != nil {
		b.list = before
		return fmt.Errorf("keep the faults: %w", err)
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// keepFaults adds those faults of the configuration that the folder does not have from an earlier
// time.
func (w *World) keepFaults(ctx context.Context, faults []Fault) error {
	for _, f := range faults {
		f, err := w.checked(f)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(w.Faults(), func(kept Fault) bool { return kept.definition() == f }) {
			if _, err := w.addFault(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}
