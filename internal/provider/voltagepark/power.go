package voltagepark

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// PowerOn switches a machine on.
func (a *Adapter) PowerOn(ctx context.Context, reference id.ID) error {
	return a.power(ctx, reference, true)
}

// PowerOff switches a machine off. It keeps its GPUs and its price.
func (a *Adapter) PowerOff(ctx context.Context, reference id.ID) error {
	return a.power(ctx, reference, false)
}

// fresh takes the reference's turn and finds its machine as it is now.
func (a *Adapter) fresh(ctx context.Context, reference id.ID) (m machine, done func(), err error) {
	if done, err = a.turns.Take(ctx, reference); err != nil {
		return machine{}, nil, err
	}
	all, err := a.machines.Fresh(ctx)
	if err == nil {
		m, err = a.one(ctx, all, reference)
	}
	if err != nil {
		done()
	}
	return m, done, err
}

// power has the machine switched. The cloud refuses what is so already, with a word that nobody has written down, so we look, before and after; and since
// a machine takes its time, what was asked for a moment ago counts for more than what is seen.
func (a *Adapter) power(ctx context.Context, reference id.ID, on bool) error {
	m, done, err := a.fresh(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	a.mu.Lock()
	before, asked := a.wishes[m.id]
	a.mu.Unlock()
	now := a.account.Now()
	if asked = asked && now.Sub(before.at) < believed; asked && before.on == on || !asked && switched(m, on) {
		return nil
	}
	status := map[bool]string{true: "started", false: "stopped"}[on]
	err = a.change(ctx, http.MethodPut, m.path()+"/power-status", map[string]string{"status": status})
	a.machines.Forget(ctx)
	if is(err, provider.KindRejected) {
		all, failed := a.machines.Fresh(ctx)
		if failed != nil {
			return failed
		}
		if m, failed := a.one(ctx, all, reference); failed != nil || !switched(m, on) {
			return err
		}
		err = nil
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.wishes[m.id] = wish{on, now}
	a.mu.Unlock()
	return nil
}

// switched tells whether the machine is seen to be so. One that is still being prepared is on.
func switched(m machine, on bool) bool {
	if on {
		return m.state == provider.MachineReady || m.state == provider.MachineProvisioning
	}
	return m.state == provider.MachineOff
}

// Reboot reboots every node of a rental.
func (a *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	m, done, err := a.fresh(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	switch {
	case m.vm:
		return &provider.Error{Kind: provider.KindUnsupported, Message: "VMs of this provider cannot be rebooted; switch it off and on again, or reboot from inside."}
	case len(m.nodes) == 0:
		return refuse("The machine has no address yet; try again when it runs.")
	}
	return a.change(ctx, http.MethodPost, m.path()+"/reboot", map[string][]string{"public_ips": m.addresses()})
}
