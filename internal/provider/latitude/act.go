package latitude

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	powerOn  = "power_on"
	powerOff = "power_off"
	reboot   = "reboot"
	// wishLimit is how long a power action may take to show.
	wishLimit = time.Minute
)

type action struct {
	Action string `json:"action"`
}

// PowerOn switches the machine on.
func (l *Adapter) PowerOn(ctx context.Context, reference id.ID) error {
	return l.power(ctx, reference, powerOn, provider.MachineReady)
}

// PowerOff switches the machine off; it is billed on.
func (l *Adapter) PowerOff(ctx context.Context, reference id.ID) error {
	return l.power(ctx, reference, powerOff, provider.MachineOff)
}

// Reboot reboots the machine.
func (l *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return l.power(ctx, reference, reboot, "")
}

func (l *Adapter) power(ctx context.Context, reference id.ID, what string, want provider.MachineState) error {
	done, err := l.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	m, err := l.acting(ctx, reference)
	if err != nil {
		return err
	}
	wish := ""
	if t := l.remembered(reference); l.account.Now().Sub(t.wished) < wishLimit {
		wish = t.wish
	}
	// What is wished already needs no second request; what is so, but is about to change, does.
	if want != "" && (wish == what || wish == "" && m.State == want) {
		return nil
	}
	err = l.send(ctx, http.MethodPost, "/servers/"+url.PathEscape(m.ID)+"/actions", "actions", action{what}, nil)
	l.servers.Forget(context.WithoutCancel(ctx))
	if err != nil {
		if provider.KindOf(err) == provider.KindRejected && want != "" {
			if now, again := l.acting(ctx, reference); again == nil && now.State == want { // it came about meanwhile
				return nil
			}
		}
		return err
	}
	if want != "" {
		l.recall(reference, func(t *trace) { t.wish, t.wished = what, l.account.Now() })
	}
	return nil
}

// acting returns the machine that something is to be done with.
func (l *Adapter) acting(ctx context.Context, reference id.ID) (provider.Machine, error) {
	s, err := l.one(ctx, reference, 0)
	if err != nil {
		return provider.Machine{}, err
	}
	m, err := l.machine(ctx, s)
	if err == nil && m.State == provider.MachineTerminating {
		err = rejected("This machine is being terminated.")
	}
	return m, err
}

// reinstall is what a server is installed anew with.
type reinstall struct {
	OperatingSystem string   `json:"operating_system"`
	Hostname        string   `json:"hostname"`
	SSHKeys         []string `json:"ssh_keys"`
	UserData        string   `json:"user_data,omitempty"`
}

// Reinstall wipes the machine and installs the operating system, with the keys and the cloud-config of its launch.
func (l *Adapter) Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error {
	done, err := l.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	s, err := l.one(ctx, reference, 0)
	if err != nil {
		return err
	}
	if !l.remembered(reference).ended.IsZero() {
		return rejected("This machine is being terminated.")
	}
	with := reinstall{Hostname: upstream.Mark(reference)}
	if with.OperatingSystem, err = l.system(ctx, s.Plan.Slug, operatingSystem); err != nil {
		return err
	}
	record, err := l.recorded(ctx, reference)
	if err != nil {
		return err
	}
	if with.SSHKeys, err = l.keysNamed(ctx, record.keys); err != nil {
		return err
	}
	if record.cloudInit {
		with.UserData = record.id
	}
	err = l.send(ctx, http.MethodPost, "/servers/"+url.PathEscape(s.ID)+"/reinstall", "reinstalls", with, nil)
	l.servers.Forget(context.WithoutCancel(ctx))
	if err == nil {
		l.recall(reference, func(t *trace) {
			if t.id != s.ID {
				*t = trace{id: s.ID, record: t.record}
			}
			t.wiped, t.moved = l.account.Now(), false
		})
	}
	return err
}
