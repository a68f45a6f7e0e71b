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
	// actionLimit is how long a power action may take to show.
	actionLimit = time.Minute
)

type action struct {
	Action string `json:"action"`
}

// PowerOn implements provider.Powerer.
func (l *Adapter) PowerOn(ctx context.Context, reference id.ID) error {
	return l.power(ctx, reference, powerOn, provider.MachineReady)
}

// PowerOff implements provider.Powerer. The machine is still billed.
func (l *Adapter) PowerOff(ctx context.Context, reference id.ID) error {
	return l.power(ctx, reference, powerOff, provider.MachineOff)
}

// Reboot implements provider.Rebooter.
func (l *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return l.power(ctx, reference, reboot, "")
}

func (l *Adapter) power(ctx context.Context, reference id.ID, what string, want provider.MachineState) error {
	return l.locks.Do(ctx, reference, func() error {
		m, err := l.freshMachine(ctx, reference)
		if err != nil {
			return err
		}
		requested := ""
		if t := l.memory.Get(reference); l.account.Now().Sub(t.requestedAt) < actionLimit {
			requested = t.action
		}
		// What is requested already needs no second request. A state that is about to change does.
		if want != "" && (requested == what || requested == "" && m.State == want) {
			return nil
		}
		path := "/servers/" + url.PathEscape(m.ID) + "/actions"
		err = l.send(ctx, http.MethodPost, path, "actions", action{what}, nil)
		l.servers.Forget()
		if want == "" {
			return err
		}
		if provider.IsKind(err, provider.KindRejected) { // perhaps because it is so meanwhile
			if now, again := l.freshMachine(ctx, reference); again == nil && now.State == want {
				return nil
			}
		}
		if err == nil {
			l.memory.Update(reference, func(t *trace) { t.action, t.requestedAt = what, l.account.Now() })
		}
		return err
	})
}

// freshMachine returns the machine as it is now. It fails where the machine is being terminated.
func (l *Adapter) freshMachine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	s, err := l.one(ctx, reference, 0)
	if err != nil {
		return provider.Machine{}, err
	}
	m, err := l.machine(ctx, s)
	if err == nil && m.State == provider.MachineTerminating {
		err = errTerminating
	}
	return m, err
}

var errTerminating = upstream.Rejected("This machine is being terminated.")

// reinstall is the request to reinstall a server.
type reinstall struct {
	OperatingSystem string   `json:"operating_system"`
	Hostname        string   `json:"hostname"`
	SSHKeys         []string `json:"ssh_keys"`
	UserData        string   `json:"user_data,omitempty"`
}

// Reinstall implements provider.Reinstaller. It uses the keys and the cloud-config of the launch.
func (l *Adapter) Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error {
	return l.locks.Do(ctx, reference, func() error {
		s, err := l.one(ctx, reference, 0)
		if err != nil {
			return err
		}
		if !l.memory.Get(reference).ended.IsZero() {
			return errTerminating
		}
		body := reinstall{Hostname: upstream.Mark(reference)}
		if body.OperatingSystem, err = l.system(ctx, s.Plan.Slug, operatingSystem); err != nil {
			return err
		}
		record, err := l.readRecord(ctx, reference)
		if err != nil {
			return err
		}
		if body.SSHKeys, err = l.keysNamed(ctx, record.keys); err != nil {
			return err
		}
		if record.cloudInit {
			body.UserData = record.id
		}
		err = l.send(ctx, http.MethodPost, "/servers/"+url.PathEscape(s.ID)+"/reinstall", "reinstalls", body, nil)
		l.servers.Forget()
		if err == nil {
			l.memory.Update(reference, func(t *trace) {
				*t = t.of(s.ID)
				t.wiped, t.moved = l.account.Now(), false
			})
		}
		return err
	})
}
