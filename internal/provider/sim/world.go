package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// Listen is what a machine is made of.
type Listen string

const (
	// ListenSSH makes a machine a real one: processes of their own with an SSH server. The program
	// must call node.Main when its first argument is node.InitArg.
	ListenSSH Listen = ""
	// ListenBanner makes a machine a listener in this process that sends the first line of an SSH
	// server and closes. It is for tests with many machines: nothing outlives the process, and
	// records are not synced to the medium.
	ListenBanner Listen = "banner"
)

// Config is what a World is made of. Dir, Clock and Log are required.
type Config struct {
	// Dir holds the world's state; it is made where it is missing. One process at a time has it
	// open.
	Dir   string
	Clock clock.Clock
	// Seed decides prices, stock and how long things take.
	Seed   uint64
	Log    *slog.Logger
	Listen Listen
	// Unisolated starts real machines also where they cannot be isolated from this computer, and
	// says so in the names of providers and regions. Without it such machines are not started.
	Unisolated bool
	// Faults are added to those that the folder keeps, except what it has already.
	Faults []Fault
	// Real is the time in which slow calls are slow; the computer's own where it is nil.
	Real clock.Clock
}

// World is the state that the simulated providers share. It is safe for concurrent use.
type World struct {
	dir     string
	clock   clock.Clock
	seed    uint64
	log     *slog.Logger
	host    host
	synced  bool
	sources []*source
	lock    *os.File
	real    clock.Clock
	faults  *faultBook

	// ctx ends when the world is closed, and with it what is being started.
	ctx   context.Context
	abort context.CancelFunc
	// calls is held for reading by every call, and for writing by Close.
	calls  sync.RWMutex
	closed bool

	// mu guards the maps, the record in each machine and volume, and used. It is never held over
	// work on a machine.
	mu       sync.Mutex
	machines map[key]*machine
	volumes  map[key]*volume
	used     map[netip.Addr]bool
}

// key names a machine or a volume: two providers may be given the same reference.
type key struct {
	provider  string
	reference id.ID
}

// parallel is how many machines are started or ended at the same time when the world is opened or
// listed.
const parallel = 4

// rememberGone is how long the reference of a machine that has ended is kept from being used again.
const rememberGone = 7 * 24 * time.Hour

// Open opens the world in c.Dir, or makes a new one, and finds its machines again: those that
// should run and do not are started. It fails when another process has the world open.
func Open(ctx context.Context, c Config) (*World, error) {
	if c.Dir == "" || c.Clock == nil || c.Log == nil || (c.Listen != ListenSSH && c.Listen != ListenBanner) {
		return nil, errors.New("sim: Open needs Dir, Clock and Log, and a known Listen")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, err
	}
	sources, err := readCatalog(catalogJSON)
	if err != nil {
		return nil, err
	}
	if c.Unisolated {
		for _, s := range sources {
			s.markUnisolated()
		}
	}
	w := &World{
		dir: dir, clock: c.Clock, seed: c.Seed, log: c.Log, host: nodes{c.Unisolated}, synced: true, sources: sources,
		real: c.Real, machines: map[key]*machine{}, volumes: map[key]*volume{}, used: map[netip.Addr]bool{},
	}
	if w.real == nil {
		w.real = clock.System{}
	}
	if c.Listen == ListenBanner {
		w.host, w.synced = newBanners(), false
	}
	for i, p := range w.Providers() {
		if p == nil {
			return nil, fmt.Errorf("sim: no composition of types has the capabilities of %s", sources[i].Slug)
		}
	}
	if w.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	w.ctx, w.abort = context.WithCancel(context.Background())
	if err := w.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("sim: read %s: %w", dir, err), w.Close())
	}
	w.settleAll(ctx, "")
	if err := errors.Join(w.keepFaults(ctx, c.Faults), ctx.Err()); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// load reads every record, and removes what a killed process did not finish making or deleting.
func (w *World) load() error {
	if err := removeAll(filepath.Join(w.dir, "trash")); err != nil {
		return err
	}
	var err error
	if w.faults, err = openFaultBook(w.dir); err != nil {
		return err
	}
	err = readRecords(w.dir, "machines", machineFile, func(folder string, text []byte) error {
		if text == nil {
			return removeAll(folder)
		}
		m := newMachine(folder)
		if err := json.Unmarshal(text, &m.record); err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		close(m.known)
		w.machines[key{m.record.Provider, m.record.Reference}] = m
		if m.record.Phase != phaseGone {
			for _, a := range m.record.addresses() {
				w.used[a] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return readRecords(w.dir, "volumes", volumeFile, func(folder string, text []byte) error {
		if text == nil {
			return removeAll(folder)
		}
		v := newVolume(folder)
		if err := json.Unmarshal(text, &v.record); err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		close(v.known)
		w.volumes[key{v.record.Provider, v.record.Reference}] = v
		return nil
	})
}

// Close waits for the calls that are under way, aborts what they are starting, and gives the folder
// free. Real machines go on running. A second Close does nothing.
func (w *World) Close() error {
	w.abort()
	w.calls.Lock()
	defer w.calls.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	w.host.close()
	return w.lock.Close()
}

// Providers returns the providers of this world, always in the same order.
func (w *World) Providers() []provider.Provider {
	all := make([]provider.Provider, len(w.sources))
	for i, s := range w.sources {
		all[i] = compose(&basic{world: w, source: s})
	}
	return all
}

// MachineStatus is a machine as the simulated world knows it.
type MachineStatus struct {
	ID        string                `json:"id"`
	Provider  string                `json:"provider"`
	Reference id.ID                 `json:"reference"`
	State     provider.MachineState `json:"state"`
}

// Machines returns every machine of every provider that is not gone, ordered by provider and
// reference. It changes nothing.
func (w *World) Machines() []MachineStatus {
	now := w.clock.Now()
	w.mu.Lock()
	all := []MachineStatus{}
	for _, m := range w.machines {
		if m.isKnown() && m.record.Phase != phaseGone {
			all = append(all, m.record.status(now))
		}
	}
	w.mu.Unlock()
	slices.SortFunc(all, compareStatus)
	return all
}

// Inspect returns what Machines would, from the folder alone: for when the process that has the
// world open cannot be asked. It locks and changes nothing.
func Inspect(dir string, now time.Time) ([]MachineStatus, error) {
	all := []MachineStatus{}
	err := readRecords(dir, "machines", machineFile, func(_ string, text []byte) error {
		var r machineRecord
		if text == nil {
			return nil
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		if r.Phase != phaseGone {
			all = append(all, r.status(now))
		}
		return nil
	})
	slices.SortFunc(all, compareStatus)
	return all, err
}

func compareStatus(a, b MachineStatus) int {
	if c := strings.Compare(a.Provider, b.Provider); c != 0 {
		return c
	}
	return strings.Compare(string(a.Reference), string(b.Reference))
}

// settleAll makes happen whatever is due, for one provider or, with "", for all. A machine that
// another call is working on is left to it.
func (w *World) settleAll(ctx context.Context, slug string) {
	w.mu.Lock()
	var all []*machine
	for k, m := range w.machines {
		if slug == "" || k.provider == slug {
			all = append(all, m)
		}
	}
	w.mu.Unlock()
	queue := make(chan *machine)
	var workers sync.WaitGroup
	for range min(parallel, len(all)) {
		workers.Go(func() {
			for m := range queue {
				if m.work.tryEnter() {
					if !m.refused {
						w.settle(ctx, m)
					}
					m.work.leave()
				}
			}
		})
	}
	for _, m := range all {
		if ctx.Err() != nil {
			break
		}
		queue <- m
	}
	close(queue)
	workers.Wait()
}
