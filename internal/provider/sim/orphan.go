package sim

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/id"
)

// deafPort is the port of a machine whose SSH never answers. Nothing listens there: it is below
// those that a program may be given by chance, and was a service's of the seventies.
const deafPort = 1

// namelessPrefix begins what a machine without a reference is kept under. No deployment's id begins
// so.
const namelessPrefix = "orphan-"

// deaf returns where the SSH of a machine would be that never answers.
func deaf(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, deafPort) }

// makeOrphans makes the machines of an orphan fault. They have no processes and no owner
// business.
func (w *World) makeOrphans(ctx context.Context, f Fault) error {
	for _, s := range w.sources {
		if f.Provider != "" && f.Provider != s.Slug {
			continue
		}
		o := s.Offers[0]
		if f.Offer != "" {
			if o = s.offer(f.Offer); o == nil {
				continue // another provider's
			}
		}
		for n := range f.Count {
			if err := ctx.Err(); err != nil {
				return err
			}
			k := key{s.Slug, id.ID(fmt.Sprintf("%s%s-%d", namelessPrefix, f.ID, n+1))}
			if f.Value != "" {
				k.reference = id.ID(f.Value)
			}
			m, err := w.registerOrphan(k, o, f.ID)
			if err != nil {
				return err
			}
			if err := w.establish(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// registerOrphan registers an orphan, which no caller is told of yet.
func (w *World) registerOrphan(k key, o *offer, fault string) (*machine, error) {
	now := w.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.machines[k] != nil {
		return nil, fmt.Errorf("%s has, or had this week, a machine with the reference %s", k.provider, k.reference)
	}
	address, err := w.reserve(k)
	if err != nil {
		return nil, err
	}
	m := newMachine(filepath.Join(w.dir, "machines", k.provider, string(k.reference)))
	m.record = machineRecord{
		ID: machineID(k.provider, k.reference), Provider: k.provider, Reference: k.reference, Name: "orphan",
		OfferKey: o.Key, Region: o.Region, OperatingSystem: o.OperatingSystems[0],
		Phase: phaseOn, WasReady: true, ReadyAt: now, NoSSH: true, OrphanOf: fault, Address: address,
		Endpoint: deaf(address), CreatedAt: now,
	}
	m.quiet = true
	m.work <- struct{}{} // establish leaves
	w.machines[k] = m
	return m, nil
}

// shown returns the reference that the provider tells: a orphan may have none.
func (r machineRecord) shown() id.ID {
	if isNameless(r.Reference) {
		return ""
	}
	return r.Reference
}

// isNameless reports whether the reference is only the world's own word for a machine that has none
// upstream.
func isNameless(reference id.ID) bool { return strings.HasPrefix(string(reference), namelessPrefix) }

// layOrphans ends the orphans of those faults, without a trace.
func (w *World) layOrphans(ctx context.Context, faults []string) error {
	w.mu.Lock()
	var orphans []*machine
	for _, m := range w.machines {
		if m.isKnown() && slices.Contains(faults, m.record.OrphanOf) {
			orphans = append(orphans, m)
		}
	}
	w.mu.Unlock()
	for _, m := range orphans {
		if err := w.layOrphan(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) layOrphan(ctx context.Context, m *machine) error {
	if err := m.work.enter(ctx); err != nil {
		return err
	}
	defer m.work.leave()
	r := w.read(m)
	if r.Phase != phaseGone {
		if err := w.bury(ctx, m, r); err != nil {
			return err
		}
	}
	return w.forget(m, w.read(m), w.clock.Now().Add(rememberGone))
}
