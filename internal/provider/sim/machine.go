package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim/node"
)

// phase is how far a machine is, as its record says.
type phase string

const (
	phaseInstalling  phase = "installing"  // until DueAt; then it is wiped and started
	phaseBooting     phase = "booting"     // until DueAt; then it is started with its files
	phaseOn          phase = "on"          // it runs, and is started again where it does not
	phaseOff         phase = "off"         // stopped, files kept
	phaseTerminating phase = "terminating" // stopped; at DueAt it is deleted
	phaseFailed      phase = "failed"      // it was never ready and does not start
	phaseLost        phase = "lost"        // it was ready once and does not start any more
	phaseGone        phase = "gone"        // deleted; only the reference is remembered
)

// How long things take, in simulated time. What has two values lies between them, depending on the
// reference.
const (
	installAtLeast, installAtMost     = 3 * time.Second, 6 * time.Second
	terminateAtLeast, terminateAtMost = 1 * time.Second, 2 * time.Second
	bootTakes                         = 2 * time.Second
)

// startTries is how often a machine that does not start is tried before it is given up.
const startTries = 3

// machineRecord is what is kept of a machine on the file system.
type machineRecord struct {
	ID              string
	Provider        string
	Reference       id.ID
	Name            string
	OfferKey        string
	Region          string
	OperatingSystem string
	AuthorizedKeys  []string
	CloudInit       string

	Phase phase
	// Detail is shown while the machine is not ready.
	Detail string
	// Since and DueAt bound a phase that ends on its own.
	Since, DueAt time.Time
	// WasReady tells that the machine has been ready since it was launched.
	WasReady bool

	// FailsAt, where it is not zero, is when the installation fails, and FailsWhile at what stage.
	FailsAt    time.Time `json:",omitzero"`
	FailsWhile string    `json:",omitempty"`
	// NoSSH tells that the machine runs no processes, so that its SSH never answers.
	NoSSH bool `json:",omitempty"`
	// GPUFault is what is wrong with a GPU of the machine, one of node.GPUFaults.
	GPUFault string `json:",omitempty"`
	// OrphanOf is the fault that made the machine, an orphan.
	OrphanOf string `json:",omitempty"`
	// ReadyAt is when the machine was first ready, EndAskedAt when it was asked to end, and Was
	// what it was until then.
	ReadyAt    time.Time `json:",omitzero"`
	EndAskedAt time.Time `json:",omitzero"`
	Was        phase     `json:",omitempty"`

	// Address is what the machine is to listen on; Endpoint is where it does.
	Address  netip.Addr
	Endpoint netip.AddrPort
	HostKeys []string
	// HostKey is the only one in a record that was written before machines had several.
	HostKey string `json:",omitempty"`
	// Others are the servers of a cluster beside the first.
	Others    []server `json:",omitempty"`
	CreatedAt time.Time
}

// machine is a machine in memory. Changing its record or its processes requires holding the gate;
// reading or setting the record also requires the world's mu.
type machine struct {
	folder string
	work   gate
	// known is closed once the record is on the file system; until then no caller is told of the
	// machine. refused is set before that, where it could not be written and the machine never was.
	known   chan struct{}
	refused bool

	record machineRecord
	// down tells that the machine should run and could not be started.
	down bool

	// Behind the gate alone:
	quiet bool // the processes are known to have ended
	tries int  // how often in a row it could not be started
}

func newMachine(folder string) *machine {
	return &machine{folder: folder, work: newGate(), known: make(chan struct{})}
}

// isKnown reports whether the machine's record is on the file system. The caller holds mu, under
// which a machine that was refused is taken away.
func (m *machine) isKnown() bool {
	select {
	case <-m.known:
		return true
	default:
		return false
	}
}

// node returns the folder of the machine's own files.
func (m *machine) node() string { return filepath.Join(m.folder, "node") }

// machineID returns the provider's own name for the machine of a reference.
func machineID(slug string, reference id.ID) string {
	sum := sha256.Sum256([]byte(slug + "/" + string(reference)))
	return slug[:2] + "-" + hex.EncodeToString(sum[:6])
}

// between returns a duration that depends on the machine, within the bounds.
func (w *World) between(purpose string, k key, least, most time.Duration) time.Duration {
	return least + time.Duration(mix(w.seed, purpose, k.provider+"/"+string(k.reference), 0)%uint64(most-least+1))
}

func (r machineRecord) status(now time.Time) MachineStatus {
	return MachineStatus{ID: r.ID, Provider: r.Provider, Reference: r.shown(), State: r.view(now, false).State}
}

// view returns the machine as its provider tells it.
func (r machineRecord) view(now time.Time, down bool) provider.Machine {
	m := provider.Machine{ID: r.ID, Reference: r.shown(), CreatedAt: r.CreatedAt, Detail: r.Detail}
	switch r.Phase {
	case phaseInstalling:
		m.State, m.Detail = provider.MachineProvisioning, r.stage(now)
		if r.fails(now) {
			m.State, m.Detail = provider.MachineFailed, r.failure()
		}
	case phaseBooting:
		m.State = provider.MachineProvisioning
	case phaseOn:
		if down {
			m.State, m.Detail = provider.MachineProvisioning, "starting again"
			break
		}
		m.State = provider.MachineReady
	case phaseOff:
		m.State = provider.MachineOff
	case phaseTerminating:
		m.State = provider.MachineTerminating
	case phaseFailed:
		m.State = provider.MachineFailed
	case phaseLost:
		m.State = provider.MachineLost
	case phaseGone:
		m.State = provider.MachineGone
	}
	if r.Endpoint.IsValid() && r.Phase != phaseGone {
		m.Address, m.SSHPort, m.SSHUser = r.Endpoint.Addr().String(), int(r.Endpoint.Port()), node.User
		if m.SSHHostKeys = r.HostKeys; m.SSHHostKeys == nil && r.HostKey != "" {
			m.SSHHostKeys = []string{r.HostKey}
		}
		m.Nodes = r.shownNodes(m)
	}
	return m
}

// stage says what an installation is at: a fifth of the time goes to issue the hardware, a quarter
// to the first boot.
func (r machineRecord) stage(now time.Time) string {
	done, all := now.Sub(r.Since), r.DueAt.Sub(r.Since)
	switch {
	case done < all/5:
		return "allocating"
	case done < all*3/4:
		return "installing the operating system"
	default:
		return "booting"
	}
}

// fails reports whether the installation has failed by then.
func (r machineRecord) fails(now time.Time) bool {
	return !r.FailsAt.IsZero() && !now.Before(r.FailsAt)
}

func (r machineRecord) failure() string { return "The installation failed while " + r.FailsWhile + "." }

// find returns the machine of a reference that is known and not gone, or nil.
func (w *World) find(ctx context.Context, k key) (*machine, error) {
	w.mu.Lock()
	m := w.machines[k]
	w.mu.Unlock()
	if m == nil || isNameless(k.reference) {
		return nil, nil
	}
	select {
	case <-m.known:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.refused || w.read(m).Phase == phaseGone {
		return nil, nil
	}
	return m, nil
}

func (w *World) read(m *machine) machineRecord {
	w.mu.Lock()
	defer w.mu.Unlock()
	return m.record
}

func (w *World) observe(m *machine) provider.Machine {
	now := w.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	return m.record.view(now, m.down)
}

// save writes the machine's record and then makes it true. The caller has passed the machine's
// gate.
func (w *World) save(m *machine, r machineRecord) error {
	if err := writeRecord(filepath.Join(m.folder, machineFile), r, w.synced); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range m.record.addresses() {
		delete(w.used, a)
	}
	if r.Phase != phaseGone {
		for _, a := range r.addresses() {
			w.used[a] = true
		}
	}
	m.record, m.down = r, false
	return nil
}

// settle makes happen what is due for a machine. Every step may be repeated, so one that fails or
// is cut short is taken again by the next call. The caller has passed the machine's gate.
func (w *World) settle(ctx context.Context, m *machine) {
	r, now := w.read(m), w.clock.Now()
	due := !now.Before(r.DueAt)
	err := func() error {
		switch r.Phase {
		case phaseInstalling:
			if err := w.silence(ctx, m); err != nil {
				return err
			}
			if r.fails(now) {
				r.Phase, r.Detail = phaseFailed, r.failure()
				return w.save(m, r)
			}
			if !due {
				return nil
			}
			if err := w.each(ctx, m, w.host.wipe); err != nil {
				return err
			}
			return w.start(ctx, m, r)
		case phaseBooting:
			if err := w.silence(ctx, m); err != nil || !due {
				return err
			}
			return w.start(ctx, m, r)
		case phaseOn:
			if r.NoSSH {
				return w.silence(ctx, m)
			}
			if w.runs(m) {
				return nil
			}
			return w.start(ctx, m, r)
		case phaseTerminating:
			if err := w.silence(ctx, m); err != nil || !due {
				return err
			}
			return w.bury(ctx, m, r)
		case phaseGone:
			return w.forget(m, r, now)
		default:
			return w.silence(ctx, m)
		}
	}()
	if err != nil && ctx.Err() == nil {
		w.log.Error("a simulated machine is not as it should be; the next call tries again",
			"provider", r.Provider, "reference", r.Reference, "phase", r.Phase, "error", err)
	}
}

// silence ends the machine's processes, once: what this process stopped or never started need not
// be asked again.
func (w *World) silence(ctx context.Context, m *machine) error {
	if m.quiet {
		return nil
	}
	if err := w.each(ctx, m, w.host.stop); err != nil {
		return err
	}
	m.quiet = true
	return nil
}

// start starts the machine's processes and makes it on. After startTries failures in a row it is
// given up.
func (w *World) start(ctx context.Context, m *machine, r machineRecord) error {
	if r.NoSSH {
		return w.save(m, r.deafen().started(deaf(r.Address), nil, w.clock.Now()))
	}
	m.quiet = false
	w.mu.Lock()
	m.down = true // until the record says otherwise
	w.mu.Unlock()
	r, endpoint, err := w.startAll(ctx, m, r)
	if err == nil {
		m.tries = 0
		return w.save(m, r.started(endpoint.Address, endpoint.HostKeys, w.clock.Now()))
	}
	if ctx.Err() != nil {
		return err
	}
	if m.tries++; m.tries < startTries {
		return err
	}
	r.Phase, r.Detail, r.Endpoint = phaseFailed, "the machine does not start", netip.AddrPort{}
	if r.WasReady {
		r.Phase = phaseLost
	}
	return errors.Join(err, w.save(m, r))
}

// started returns the record of a machine that has just become ready.
func (r machineRecord) started(at netip.AddrPort, hostKeys []string, now time.Time) machineRecord {
	if !r.WasReady {
		r.WasReady, r.ReadyAt = true, now
	}
	r.Phase, r.Detail, r.Since, r.DueAt = phaseOn, "", time.Time{}, time.Time{}
	r.Endpoint, r.HostKeys, r.HostKey = at, hostKeys, ""
	return r
}

func (w *World) spec(m *machine, r machineRecord) node.Spec {
	spec := node.Spec{
		Dir: m.node(), Hostname: r.Name, Address: r.Address, AuthorizedKeys: r.AuthorizedKeys,
		OS: r.OperatingSystem, CloudInit: r.CloudInit, Volumes: map[string]string{},
	}
	for _, s := range w.sources {
		if s.Slug != r.Provider {
			continue
		}
		if o := s.offer(r.OfferKey); o != nil { // nil: a newer catalog sells it no more
			spec.GPUs = node.GPUs{
				Model:    o.GPUType,
				Count:    o.GPUCount / o.nodes(),
				MemoryMB: int64(o.GPUMemoryGB) * 1024,
				Fault:    r.GPUFault,
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, v := range w.volumes {
		if k.provider == r.Provider && v.record.AttachedTo == r.Reference {
			spec.Volumes[v.record.MountName] = v.files()
		}
	}
	return spec
}

// reserve takes a free address for the machine; the caller holds mu. Where that turns out to be
// in use outside this world, reserving again gives another, and the first stays marked as used:
// it is.
func (w *World) reserve(k key) (netip.Addr, error) {
	a, free := pickAddress(w.dir+"/"+k.provider+"/"+string(k.reference), w.used)
	if !free {
		return a, errors.New("every address has a machine")
	}
	w.used[a] = true
	return a, nil
}

// bury deletes the machine's files and keeps its reference, and what a list that is stale may still
// tell.
func (w *World) bury(ctx context.Context, m *machine, r machineRecord) error {
	if err := w.each(ctx, m, w.host.remove); err != nil {
		return err
	}
	return w.save(m, machineRecord{
		ID: r.ID, Provider: r.Provider, Reference: r.Reference, Phase: phaseGone,
		CreatedAt: r.CreatedAt, Since: w.clock.Now(),
		OfferKey: r.OfferKey, Was: r.Was, ReadyAt: r.ReadyAt, EndAskedAt: r.EndAskedAt, Endpoint: r.Endpoint,
		HostKeys: r.HostKeys, HostKey: r.HostKey, Others: r.Others, OrphanOf: r.OrphanOf,
	})
}

// forget removes the last trace of a machine that has been gone for long.
func (w *World) forget(m *machine, r machineRecord, now time.Time) error {
	if now.Sub(r.Since) < rememberGone {
		return nil
	}
	if err := os.RemoveAll(m.folder); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.machines, key{r.Provider, r.Reference})
	return nil
}
