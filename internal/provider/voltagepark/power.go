package voltagepark

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// PowerOn implements provider.Powerer.
func (a *Adapter) PowerOn(ctx context.Context, reference id.ID) error {
	return a.setPower(ctx, reference, true)
}

// PowerOff implements provider.Powerer. The machine keeps its GPUs and its price.
func (a *Adapter) PowerOff(ctx context.Context, reference id.ID) error {
	return a.setPower(ctx, reference, false)
}

// setPower switches a machine on or off. The cloud refuses what is so already, in undocumented
// words, so the state is read before and after. A machine takes a while to switch, so what was
// requested recently counts for more than what the list shows.
func (a *Adapter) setPower(ctx context.Context, reference id.ID, on bool) error {
	return a.locks.Do(ctx, reference, func() error {
		m, err := a.find(ctx, reference, 0)
		if err != nil {
			return err
		}
		a.mu.Lock()
		before, requested := a.power[m.id]
		a.mu.Unlock()
		now := a.account.Now()
		requested = requested && now.Sub(before.at) < believed
		if requested && before.on == on || !requested && isPower(m, on) {
			return nil
		}
		status := map[bool]string{true: "started", false: "stopped"}[on]
		err = a.change(ctx, http.MethodPut, m.path()+"/power-status", map[string]string{"status": status})
		a.machines.Forget()
		if provider.IsKind(err, provider.KindRejected) {
			m, again := a.find(ctx, reference, 0)
			if again == nil && isPower(m, on) {
				err = nil
			} else if again != nil && !provider.Decided(again) {
				err = again
			}
		}
		if err != nil {
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.power[m.id] = powerRequest{on, now}
		return nil
	})
}

// isPower reports whether the machine is seen to be on or off. One that is being prepared is on.
func isPower(m machine, on bool) bool {
	if on {
		return m.state == provider.MachineReady || m.state == provider.MachineProvisioning
	}
	return m.state == provider.MachineOff
}

// Reboot implements provider.Rebooter. It reboots every node of a rental.
func (a *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return a.locks.Do(ctx, reference, func() error {
		m, err := a.find(ctx, reference, 0)
		switch {
		case err != nil:
			return err
		case m.vm:
			return &provider.Error{
				Kind:    provider.KindUnsupported,
				Message: "This provider cannot reboot VMs. Switch the VM off and on again, or reboot it from inside.",
			}
		case len(m.nodes) == 0:
			return upstream.Rejected("The machine has no address yet. Try again when it runs.")
		}
		body := map[string][]string{"public_ips": m.addresses()}
		return a.change(ctx, http.MethodPost, m.path()+"/reboot", body)
	})
}
