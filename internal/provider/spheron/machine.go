package spheron

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	loginUser = "ubuntu" // where the cloud states none
	loginPort = 22
	// endAgain is when a machine is ended again whose end the cloud has accepted and not carried
	// out.
	endAgain = 5 * time.Minute
)

// Machine implements provider.Provider.
func (a *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	d, err := a.find(ctx, reference)
	if err != nil {
		return provider.Machine{}, err
	}
	m := a.machine(ctx, reference, d)
	if m.State == provider.MachineGone {
		return provider.Machine{}, upstream.NotFound("machine %s has ended", d.ID)
	}
	return m, nil
}

// Machines implements provider.Provider. It returns those that the cloud counts as active.
func (a *Adapter) Machines(ctx context.Context) ([]provider.Machine, error) {
	all, err := a.active.Recent(ctx, listAge)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Machine, 0, len(all))
	for _, d := range all {
		m := a.machine(ctx, upstream.ParseMark(id.Deployment, d.Name), d)
		if !d.ended() && m.State != provider.MachineGone {
			out = append(out, m)
		}
	}
	return out, nil
}

// machine translates the deployment.
func (a *Adapter) machine(ctx context.Context, reference id.ID, d deployment) provider.Machine {
	t, _ := a.recall(reference)
	if t.id != d.ID { // it is about another machine
		t = trace{}
	}
	m := provider.Machine{
		ID: d.ID, Reference: reference, CreatedAt: d.CreatedAt.Time, HourlyCost: money.Micros(d.HourlyRate),
	}
	m.State, m.Detail = a.state(ctx, d, t)
	a.note(d.ID, func(t *trace) {
		if !d.ended() {
			t.state = m.State
		} else if t.endedAt.IsZero() {
			t.endedAt = a.now()
		}
	})
	switch {
	case d.ended() && t.dismissed:
		m.State = provider.MachineGone
	case !d.ended() && !t.ending.IsZero():
		m.State = provider.MachineTerminating
	}
	if m.State != provider.MachineReady {
		return m
	}
	if net.ParseIP(d.IPAddress) == nil {
		m.State, m.Detail = provider.MachineProvisioning, "waiting for an address"
		return m
	}
	m.Address, m.SSHUser, m.SSHPort = d.IPAddress, cmp.Or(d.User, loginUser), loginPort
	if d.SSHPort > 0 && d.SSHPort < 1<<16 {
		m.SSHPort = int(d.SSHPort)
	}
	return m
}

// state translates the status of a deployment.
func (a *Adapter) state(ctx context.Context, d deployment, t trace) (state provider.MachineState, detail string) {
	switch d.Status {
	case "deploying", "pending", "provisioning":
		return provider.MachineProvisioning, ""
	case statusRunning:
		return provider.MachineReady, ""
	case statusStopped:
		return provider.MachineOff, ""
	case statusFailed:
		if t.state == "" || t.state == provider.MachineProvisioning {
			return provider.MachineFailed, "The provider could not create the machine."
		}
		return provider.MachineLost, "The machine failed at the provider."
	case statusReclaimed:
		return provider.MachineLost, "The provider reclaimed the machine."
	case statusTerminated:
		return provider.MachineGone, ""
	}
	a.warnings.UnknownStatus(ctx, a.account, "deployment", d.Status)
	return cmp.Or(t.state, provider.MachineProvisioning), ""
}

// Terminate implements provider.Provider. A machine that has failed or was reclaimed has ended
// already; from then on it is not found.
func (a *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	return a.locks.Do(ctx, reference, func() error {
		d, err := a.find(ctx, reference)
		if err != nil {
			return upstream.IgnoreNotFound(err)
		}
		if d.ended() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.known[reference] = &trace{id: d.ID, readAt: a.now(), last: d, dismissed: true, endedAt: a.now()}
			return nil
		}
		if t, _ := a.recall(reference); t.id == d.ID && !t.ending.IsZero() && a.now().Sub(t.ending) < endAgain {
			return nil
		}
		err = upstream.IgnoreNotFound(a.client.Do(ctx, upstream.Request{
			Method: http.MethodDelete, Path: "/api/deployments/" + url.PathEscape(d.ID),
		}))
		a.note(d.ID, func(t *trace) {
			if t.last = (deployment{}); err == nil {
				t.ending = a.now()
			}
		})
		a.forget()
		return err
	})
}
