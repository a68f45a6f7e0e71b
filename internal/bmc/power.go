package bmc

import (
	"context"
	"slices"
)

// PowerState is whether the server is on.
type PowerState string

// The power states.
const (
	On      PowerState = "on"
	Off     PowerState = "off"
	Unknown PowerState = "unknown" // for example while it changes
)

// PowerAction is a change of the power.
type PowerAction string

// The power actions.
const (
	PowerOn  PowerAction = "on"
	PowerOff PowerAction = "off" // at once
	// GracefulOff asks the operating system, which may ignore it.
	GracefulOff PowerAction = "graceful_off"
	// ColdStart switches on a server that is off. It fails where the server is not off, as that one
	// has started without the boot override.
	ColdStart PowerAction = "cold_start"
	// Reset restarts a server at once, and switches on one that is off.
	Reset PowerAction = "reset"
)

// resetTypes are Redfish's names, the best first.
var resetTypes = map[PowerAction][]string{
	PowerOn:     {"On", "ForceOn"},
	PowerOff:    {"ForceOff"},
	ColdStart:   {"On", "ForceOn"},
	GracefulOff: {"GracefulShutdown"},
	Reset:       {"ForceRestart", "PowerCycle"},
}

func (s system) power() PowerState {
	switch s.PowerState {
	case "On":
		return On
	case "Off":
		return Off
	}
	return Unknown
}

// leadsTo returns the state after a change.
func (do PowerAction) leadsTo() PowerState {
	if do == PowerOff || do == GracefulOff {
		return Off
	}
	return On
}

// mayHaveHappened reports whether a change that the BMC refuses is no failure where the server is
// in the state that it leads to.
func (do PowerAction) mayHaveHappened() bool { return do != Reset && do != ColdStart }

// Power reads whether the server is on.
func (b *BMC) Power(ctx context.Context) (PowerState, error) {
	s, err := b.read(ctx)
	return s.power(), err
}

// SetPower changes the power, and waits until the BMC shows it; for GracefulOff it does not wait.
// Nothing is requested where the server is in that state already.
func (b *BMC) SetPower(ctx context.Context, do PowerAction) error {
	if len(resetTypes[do]) == 0 {
		return failure(KindUnsupported, "there is no change of the power %q", do)
	}
	s, err := b.read(ctx)
	if err != nil {
		return err
	}
	want := do.leadsTo()
	if do == ColdStart && s.power() != Off {
		return failure(KindRejected, "the server was switched off and is on again: something else switches it on")
	}
	if do == Reset && s.power() == Off {
		do = PowerOn // many BMCs refuse to reset a server that is off
	}
	if s.power() == want && do != Reset {
		return nil
	}
	name, err := s.resetType(do)
	if err != nil {
		return err
	}
	if err := b.post(ctx, s.Actions.Reset.Target, map[string]string{"ResetType": name}); err != nil {
		if !answered(err) || !do.mayHaveHappened() {
			return err
		}
		// It may have changed in between, and then the refusal is no failure.
		if now, again := b.Power(ctx); again != nil || now != want {
			return err
		}
		return nil
	}
	if do == GracefulOff {
		return nil
	}
	seen, err := b.poll(ctx, b.address.Wait, func() (bool, error) {
		now, err := b.Power(ctx)
		return now == want, err
	})
	if err == nil && !seen {
		err = failure(KindRejected, "the BMC accepted %s, and the server is not %s after %s",
			name, want, b.address.Wait)
	}
	return err
}

func (s system) resetType(do PowerAction) (string, error) {
	names := resetTypes[do]
	if s.Actions.Reset.Target == "" {
		return "", failure(KindUnsupported, "the BMC cannot change the power")
	}
	if len(s.Actions.Reset.Types) == 0 {
		return names[0], nil
	}
	for _, n := range names {
		if slices.Contains(s.Actions.Reset.Types, n) {
			return n, nil
		}
	}
	return "", failure(KindUnsupported, "the BMC has no reset of the type %s", names[0])
}
