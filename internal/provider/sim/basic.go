package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim/node"
)

// maxName is the longest name of a machine or volume, in characters.
const maxName = 64

// basic is what every simulated provider can do; capability.go adds the rest.
type basic struct {
	world  *World
	source *source
}

// call runs one call to a provider. All go through here, so that a fault can be put before the
// effect (slowness, an upstream that is down) or after it (an answer that is lost) without the
// effect knowing.
func call[T any](
	ctx context.Context,
	b *basic,
	operation string,
	effect func(ctx context.Context) (T, error),
) (T, error) {
	var none T
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return none, err
	}
	if err := ctx.Err(); err != nil {
		return none, b.unanswered(operation, err)
	}
	w := b.world
	w.calls.RLock()
	defer w.calls.RUnlock()
	if w.closed {
		return none, b.unanswered(operation, os.ErrClosed)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	if err := b.injectBefore(ctx, operation); err != nil {
		return none, err
	}
	answer, err := effect(ctx)
	if err := b.answerLost(operation); err != nil {
		return none, err
	}
	if b.garbles(operation) {
		garble(&answer)
		err = garbleError(err)
	}
	if err == nil {
		return answer, nil
	}
	if _, is := errors.AsType[*provider.Error](err); is {
		return none, err
	}
	return none, b.unanswered(operation, err)
}

// do is call for what answers nothing but success.
func do(ctx context.Context, b *basic, operation string, effect func(ctx context.Context) error) error {
	_, err := call(ctx, b, operation, func(ctx context.Context) (struct{}, error) { return struct{}{}, effect(ctx) })
	return err
}

func (b *basic) unanswered(operation string, err error) error {
	return &provider.Error{
		Kind:  provider.KindUnavailable,
		Cause: fmt.Errorf("%s: %s: %w", b.source.Slug, operation, err),
	}
}

func refuse(kind provider.Kind, format string, args ...any) error {
	return &provider.Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

func noMachine(reference id.ID) error {
	return refuse(provider.KindNotFound, "There is no machine %s.", reference)
}

func (b *basic) key(reference id.ID) key { return key{b.source.Slug, reference} }

// Info returns what does not change while the server runs.
func (b *basic) Info() provider.Info { return b.source.info() }

// Offers returns every offer at its price and stock of this hour.
func (b *basic) Offers(ctx context.Context) ([]provider.Offer, error) {
	return call(ctx, b, "offers", func(context.Context) ([]provider.Offer, error) {
		s, w := b.source, b.world
		now := w.clock.Now()
		age := b.listAge("offers", now)
		then := now.Add(-age)
		w.mu.Lock()
		taken := map[string]int{}
		for k, m := range w.machines {
			if k.provider != s.Slug {
				continue
			}
			if r, there := m.record.asOf(now, age); there && r.takesStock(then) {
				taken[r.OfferKey]++
			}
		}
		w.mu.Unlock()
		offers := make([]provider.Offer, len(s.Offers))
		for i, o := range s.Offers {
			stock := b.stock(o, taken[o.Key], then)
			offers[i] = provider.Offer{
				Key: o.Key, Region: o.Region, GPUType: o.GPUType, GPUCount: o.GPUCount, GPUMemoryGB: o.GPUMemoryGB,
				VCPUs: o.VCPUs, MemoryGB: o.MemoryGB, StorageGB: o.StorageGB, Interconnect: o.Interconnect,
				InstanceType: o.InstanceType, OperatingSystems: slices.Clone(o.OperatingSystems),
				HourlyPrice: w.price(
					s.Slug,
					o,
					then,
				), Available: stock > 0, Stock: &stock, Capabilities: s.Capabilities,
			}
			if s.HidesStock {
				offers[i].Stock = nil
			}
		}
		return offers, nil
	})
}

func (b *basic) stock(o *offer, taken int, now time.Time) int {
	if all, scarce := b.world.scarce(b.source.Slug, o, now); scarce {
		return max(0, all-taken)
	}
	return max(0, o.Stock-elsewhere(b.world.seed, b.source.Slug, o, now)-taken)
}

// takesStock reports whether the machine keeps another from being launched. One whose end is due
// does not, even before anything has asked about it.
func (r machineRecord) takesStock(now time.Time) bool {
	return r.Phase != phaseGone && (r.Phase != phaseTerminating || now.Before(r.DueAt))
}

// Launch registers a machine and returns. What is due happens on the next call about it.
func (b *basic) Launch(ctx context.Context, request provider.LaunchRequest) (provider.Machine, error) {
	return call(ctx, b, "launch", func(ctx context.Context) (provider.Machine, error) {
		w := b.world
		for {
			m, isNew, err := b.register(request)
			if err != nil {
				return provider.Machine{}, err
			}
			if isNew {
				if err := w.establish(m); err != nil {
					return provider.Machine{}, err
				}
				return w.observe(m), nil
			}
			select {
			case <-m.known:
			case <-ctx.Done():
				return provider.Machine{}, ctx.Err()
			}
			if !m.refused {
				return w.observe(m), nil
			}
			// Another launch of the same reference could not write its record, and left no trace:
			// ours is the first now.
		}
	})
}

// register finds the machine of the reference, or takes stock and an address for a new one, which
// no caller is told of yet.
func (b *basic) register(request provider.LaunchRequest) (m *machine, isNew bool, err error) {
	w, k, now := b.world, b.key(request.Reference), b.world.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := w.machines[k]; m != nil && !(request.IgnoreEnded && m.record.Phase == phaseGone) {
		return m, false, nil // whatever else the request says: its first answer may have been lost
	}
	o, err := b.check(request)
	if err != nil {
		return nil, false, err
	}
	if err := b.refusesLaunch(o, now); err != nil {
		return nil, false, err
	}
	taken := 0
	for other, m := range w.machines {
		if other.provider == k.provider && m.record.OfferKey == o.Key && m.record.takesStock(now) {
			taken++
		}
	}
	if b.stock(o, taken, now) == 0 {
		return nil, false, refuse(provider.KindNoCapacity, "The offer is sold out.")
	}
	address, err := w.reserve(k)
	if err != nil {
		return nil, false, err
	}
	others, err := w.reserveOthers(k, o)
	if err != nil {
		return nil, false, err
	}
	m = newMachine(filepath.Join(w.dir, "machines", k.provider, string(k.reference)))
	m.record = machineRecord{
		ID: machineID(k.provider, k.reference), Provider: k.provider, Reference: k.reference, Name: request.Name,
		OfferKey: o.Key, Region: o.Region, OperatingSystem: request.OperatingSystem,
		AuthorizedKeys: slices.Clone(request.AuthorizedKeys), CloudInit: request.CloudInit,
		Phase: phaseInstalling, Since: now, DueAt: now.Add(w.installTakes(k, o.Key, "launch", now)),
		Address: address, Others: others, CreatedAt: now,
	}
	w.doom(&m.record, now)
	m.quiet = true
	m.work <- struct{}{} // establish leaves: until the record is written, no other call may write it
	w.machines[k] = m
	return m, true, nil
}

// establish writes the record of a machine that was just registered, or takes the machine back.
func (w *World) establish(m *machine) error {
	defer m.work.leave()
	defer close(m.known)
	err := os.MkdirAll(m.folder, 0o700)
	if err == nil {
		err = writeRecord(filepath.Join(m.folder, machineFile), m.record, w.synced)
	}
	if err == nil {
		return nil
	}
	m.refused = true
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.machines, key{m.record.Provider, m.record.Reference})
	for _, a := range m.record.addresses() {
		delete(w.used, a)
	}
	// A record that was written but could not be synced would reappear as a machine when the world
	// is next opened.
	return errors.Join(err, os.RemoveAll(m.folder))
}

// check returns the offer that the request is for, or why there will be no machine.
func (b *basic) check(request provider.LaunchRequest) (*offer, error) {
	o := b.source.offer(request.OfferKey)
	switch {
	case !request.Reference.Valid(id.Deployment):
		return nil, refuse(provider.KindRejected, "The reference is not the id of a deployment.")
	case o == nil:
		return nil, refuse(provider.KindNotFound, "There is no offer %q.", request.OfferKey)
	case request.Region != o.Region:
		return nil, refuse(provider.KindRejected, "The offer is in region %s, not in %q.", o.Region, request.Region)
	case request.Image != nil && !b.source.Capabilities.CustomImages:
		return nil, refuse(provider.KindUnsupported, "This provider does not take images.")
	case request.Image == nil && !slices.Contains(o.OperatingSystems, request.OperatingSystem):
		return nil, refuse(provider.KindRejected, "The offer has no operating system %q.", request.OperatingSystem)
	case len(request.AuthorizedKeys) == 0:
		return nil, refuse(provider.KindRejected, "An SSH key is required: without one, no login is possible.")
	case request.Name == "" || utf8.RuneCountInString(request.Name) > maxName:
		return nil, refuse(provider.KindRejected, "The name must have 1 to %d characters.", maxName)
	case request.CloudInit != "" && !b.source.Capabilities.CloudInit:
		return nil, refuse(provider.KindUnsupported, "This provider does not take a cloud-config.")
	}
	if request.CloudInit != "" {
		if wrong := b.CheckCloudInit(request.CloudInit); len(wrong) > 0 {
			return nil, refuse(provider.KindRejected, "The cloud-config cannot be used: %s", wrong[0])
		}
	}
	return o, nil
}

// CheckCloudInit answers as provider.CloudInitChecker's.
func (b *basic) CheckCloudInit(text string) []string {
	return cloudinit.Sentences(node.CheckCloudInit(text))
}

// Machine returns the machine, after having made happen what was due.
func (b *basic) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	return call(ctx, b, "machine", func(ctx context.Context) (provider.Machine, error) {
		w := b.world
		m, err := w.find(ctx, b.key(reference))
		if err != nil {
			return provider.Machine{}, err
		}
		if m == nil {
			return provider.Machine{}, noMachine(reference)
		}
		// Where another call is at work on it, its record tells how far that is.
		if m.work.tryEnter() {
			w.settle(ctx, m)
			w.mayBeLost(ctx, m)
			m.work.leave()
		}
		answer := w.observe(m)
		if answer.State == provider.MachineGone {
			return provider.Machine{}, noMachine(reference)
		}
		return answer, ctx.Err()
	})
}

// Machines returns every machine that is not gone, after having made happen what was due.
func (b *basic) Machines(ctx context.Context) ([]provider.Machine, error) {
	return call(ctx, b, "machines", func(ctx context.Context) ([]provider.Machine, error) {
		w := b.world
		w.settleAll(ctx, b.source.Slug)
		w.takeBack(ctx, b.source.Slug)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		now := w.clock.Now()
		age := b.listAge("machines", now)
		all := []provider.Machine{}
		w.mu.Lock()
		defer w.mu.Unlock()
		for k, m := range w.machines {
			if k.provider != b.source.Slug || !m.isKnown() {
				continue
			}
			if r, there := m.record.asOf(now, age); there {
				all = append(all, r.view(now.Add(-age), m.down))
			}
		}
		slices.SortFunc(all, func(a, b provider.Machine) int { return a.CreatedAt.Compare(b.CreatedAt) })
		return all, nil
	})
}

// Terminate marks the machine as ending and pulls its plug. Its files are deleted a little later.
func (b *basic) Terminate(ctx context.Context, reference id.ID) error {
	return do(ctx, b, "terminate", func(ctx context.Context) error {
		err := b.alone(ctx, reference, func(m *machine) error {
			w, r := b.world, b.world.read(m)
			if r.Phase != phaseTerminating {
				now := w.clock.Now()
				if err := b.refusesEnd(r, now); err != nil {
					return err
				}
				r.Was, r.EndAskedAt = r.Phase, now
				r.Phase, r.Detail, r.Since = phaseTerminating, "", now
				r.DueAt = now.Add(w.between("terminate", b.key(reference), terminateAtLeast, terminateAtMost))
				if err := w.save(m, r); err != nil {
					return err
				}
			}
			w.settle(ctx, m)
			return nil
		})
		return exceptNotFound(err)
	})
}

// exceptNotFound makes a success of what there is no more, or never was.
func exceptNotFound(err error) error {
	if err != nil && provider.KindOf(err) == provider.KindNotFound {
		return nil
	}
	return err
}

// alone runs f behind the gate of the machine of the reference.
func (b *basic) alone(ctx context.Context, reference id.ID, f func(m *machine) error) error {
	m, err := b.world.find(ctx, b.key(reference))
	if err != nil {
		return err
	}
	if m == nil {
		return noMachine(reference)
	}
	if err := m.work.enter(ctx); err != nil {
		return err
	}
	defer m.work.leave()
	if b.world.read(m).Phase == phaseGone {
		return noMachine(reference)
	}
	return f(m)
}

// with runs f alone on the machine of the reference, after what was due before it and before what
// follows from it. Only f's error counts: what it recorded is tried again by the next call.
func (b *basic) with(ctx context.Context, reference id.ID, f func(m *machine, r machineRecord) error) error {
	w := b.world
	return b.alone(ctx, reference, func(m *machine) error {
		w.settle(ctx, m)
		r := w.read(m)
		if r.Phase == phaseGone {
			return noMachine(reference)
		}
		if err := f(m, r); err != nil {
			return err
		}
		w.settle(ctx, m)
		return nil
	})
}
