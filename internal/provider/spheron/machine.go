package spheron

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	loginUser = "ubuntu" // where the cloud names none
	loginPort = 22
	// endAgain is when a machine that the cloud has promised to end, and has not, is ended again.
	endAgain = 5 * time.Minute
)

// Machine returns the machine with that reference, from the list that all share.
func (a *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	d, err := a.find(ctx, reference)
	if err != nil {
		return provider.Machine{}, err
	}
	m := a.machine(ctx, reference, d)
	if m.State == provider.MachineGone {
		return provider.Machine{}, &provider.Error{Kind: provider.KindNotFound}
	}
	return m, nil
}

// Machines returns every machine that the cloud counts as active.
func (a *Adapter) Machines(ctx context.Context) ([]provider.Machine, error) {
	all, err := a.active.Recent(ctx, listAge)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Machine, 0, len(all))
	for _, d := range all {
		if m := a.machine(ctx, upstream.Marked(d.Name, id.Deployment), d); !d.ended() && m.State != provider.MachineGone {
			out = append(out, m)
		}
	}
	return out, nil
}

// machine is the deployment in our words.
func (a *Adapter) machine(ctx context.Context, reference id.ID, d deployment) provider.Machine {
	s, _ := a.recall(reference)
	if s.id != d.ID { // what is remembered is another's
		s = sight{}
	}
	m := provider.Machine{ID: d.ID, Reference: reference, CreatedAt: d.CreatedAt.Time, HourlyCost: money.Micros(d.HourlyRate)}
	switch {
	case slices.Contains(starting, d.Status):
		m.State = provider.MachineProvisioning
	case d.Status == statusRunning:
		m.State = provider.MachineReady
	case d.Status == statusStopped:
		m.State = provider.MachineOff
	case d.Status == statusFailed && (s.state == "" || s.state == provider.MachineProvisioning):
		m.State, m.Detail = provider.MachineFailed, "The provider could not make the machine."
	case d.Status == statusFailed:
		m.State, m.Detail = provider.MachineLost, "The machine has failed at the provider."
	case d.Status == statusReclaimed:
		m.State, m.Detail = provider.MachineLost, "The machine was reclaimed by the provider."
	case d.Status == statusTerminated:
		m.State = provider.MachineGone
	default:
		a.once(ctx, "the cloud has a word for a machine's state that is not known; the machine keeps the state that it had", "status", d.Status)
		m.State = cmp.Or(s.state, provider.MachineProvisioning)
	}
	a.note(d.ID, func(s *sight) {
		if !d.ended() {
			s.state = m.State
		} else if s.endedAt.IsZero() {
			s.endedAt = a.now()
		}
	})
	switch {
	case d.ended() && s.settled:
		m.State = provider.MachineGone
	case !d.ended() && !s.ending.IsZero():
		m.State = provider.MachineTerminating
	}
	if m.State == provider.MachineReady {
		if net.ParseIP(d.IPAddress) == nil {
			m.State, m.Detail = provider.MachineProvisioning, "waiting for its address"
			return m
		}
		m.Address, m.SSHUser, m.SSHPort = d.IPAddress, cmp.Or(d.User, loginUser), loginPort
		if d.SSHPort > 0 && d.SSHPort < 1<<16 {
			m.SSHPort = int(d.SSHPort)
		}
	}
	return m
}

// Terminate ends the machine. One that has failed or was reclaimed is over already; from then on it is not found.
func (a *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	done, err := a.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	d, err := a.find(ctx, reference)
	switch {
	case err != nil && provider.KindOf(err) == provider.KindNotFound:
		return nil
	case err != nil:
		return err
	case d.ended():
		a.mu.Lock()
		a.known[reference] = &sight{id: d.ID, asked: a.now(), answer: d, settled: true, endedAt: a.now()}
		a.mu.Unlock()
		return nil
	}
	if s, _ := a.recall(reference); s.id == d.ID && !s.ending.IsZero() && a.now().Sub(s.ending) < endAgain {
		return nil
	}
	err = a.client.Do(ctx, upstream.Request{Method: http.MethodDelete, Path: "/api/deployments/" + url.PathEscape(d.ID)})
	if err != nil && provider.KindOf(err) == provider.KindNotFound { // it is over, or was never there
		err = nil
	}
	a.note(d.ID, func(s *sight) {
		if s.answer = (deployment{}); err == nil {
			s.ending = a.now()
		}
	})
	a.forget(ctx)
	return err
}
