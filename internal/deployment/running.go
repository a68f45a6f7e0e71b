package deployment

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/provider"
)

// relearnLimit is how long after a reinstallation a new host key is expected.
const relearnLimit = 2 * time.Hour

// perform asks the provider for the pending action and clears it. A crash between the two asks
// twice: a second reboot is the lesser evil.
func (s *Service) perform(ctx context.Context, p provider.Provider, r *row) error {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	// Checked after the limit began, so that a process that stalls in between asks nothing late.
	if err := job.Holds(ctx); err != nil {
		return err
	}
	ask, ended := provider.Begin(ask, p, provider.CallAction)
	err := requestAction(ask, p, r)
	ended(err)
	event, data := "action_done", map[string]any{"action": r.action}
	if err != nil {
		if !provider.Decided(err) {
			return err
		}
		event, data["reason"] = "action_failed", reasonOf(err, "The provider refused.")
	}
	reinstalled := err == nil && r.action == ActionReinstall
	done := *r
	done.action, done.actionArgument, done.actionImage = "", "", nil
	if err == nil {
		done.offRequested, done.rescue = r.action == ActionPowerOff, r.action == ActionRescue
	}
	if reinstalled {
		done.operatingSystem, done.image = r.actionArgument, r.actionImage
		done.forgetHostKeys(s.cfg.Clock.Now())
	}
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := guarded(clearAction(ctx, tx, &done, r.action)); err != nil {
			return err
		}
		if reinstalled {
			if _, err := setMachine(ctx, tx, &done); err != nil {
				return err
			}
			if err := setMachineFacts(ctx, tx, &done); err != nil {
				return err
			}
		}
		return s.appendEvent(ctx, tx, &done, event, data)
	})
	if err == nil {
		*r = done
	}
	return err
}

// requestAction asks the provider for the pending action.
func requestAction(ctx context.Context, p provider.Provider, r *row) error {
	switch r.action {
	case ActionReboot:
		if q, can := p.(provider.Rebooter); can {
			return q.Reboot(ctx, r.id)
		}
	case ActionPowerOn:
		if q, can := p.(provider.Powerer); can {
			return q.PowerOn(ctx, r.id)
		}
	case ActionPowerOff:
		if q, can := p.(provider.Powerer); can {
			return q.PowerOff(ctx, r.id)
		}
	case ActionRescue:
		if q, can := p.(provider.Rescuer); can {
			return q.Rescue(ctx, r.id)
		}
	case ActionEndRescue:
		if q, can := p.(provider.Rescuer); can {
			return q.EndRescue(ctx, r.id)
		}
	case ActionReinstall:
		if r.actionImage != nil {
			return reinstallImage(ctx, p, r)
		}
		if q, can := p.(provider.Reinstaller); can {
			return q.Reinstall(ctx, r.id, r.actionArgument)
		}
	}
	return nil
}

// reinstallImage asks for the tenant's own image. The provider's adapter may be another one than
// when it was offered.
func reinstallImage(ctx context.Context, p provider.Provider, r *row) error {
	q, can := p.(provider.ImageReinstaller)
	if !can {
		return &provider.Error{Kind: provider.KindUnsupported, Message: "Images of your own are no longer supported."}
	}
	return q.ReinstallImage(ctx, r.id, *r.actionImage)
}

// recordPower records that the machine was switched off or on.
func (s *Service) recordPower(ctx context.Context, r *row, cause Cause, m provider.Machine) error {
	return s.change(ctx, r, cause, "", func(ctx context.Context, tx *db.Tx, r *row) error {
		if cause == CauseSwitchedOff {
			return nil
		}
		r.offRequested = false
		r.setMachine(m)
		return setMachineFacts(ctx, tx, r)
	})
}

// updateMachine records what the provider states of the machine now, tells the tenant if it has
// another address, and has it counted at its present cost.
func (s *Service) updateMachine(ctx context.Context, r *row, m provider.Machine) error {
	fresh := *r
	fresh.setMachine(m)
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := writeMachine(ctx, tx, &fresh); err != nil {
			return err
		}
		if fresh.machineCost != r.machineCost {
			if err := s.cfg.Meter.CostChanges(ctx, tx, r.id, fresh.machineCost); err != nil {
				return err
			}
		}
		if r.rescue && !fresh.rescue {
			if err := s.appendEvent(ctx, tx, &fresh, "rescue_ended", map[string]any{}); err != nil {
				return err
			}
		}
		if fresh.sameEndpoints(r) {
			return nil // nothing more that a tenant sees
		}
		return s.addressChanged(ctx, tx, &fresh)
	})
}

// afterUpdate is the outcome of updateMachine.
func (s *Service) afterUpdate(r *row) job.Outcome {
	if r.hostKeyBy != nil {
		return s.now()
	}
	return outcome(r.idle())
}

// learnHostKeys records the host keys that a reinstalled machine shows.
func (s *Service) learnHostKeys(ctx context.Context, r *row, m provider.Machine, keys []string) error {
	fresh := *r
	fresh.setMachine(m)
	fresh.setHostKeys(keys)
	fresh.hostKeyBy = nil
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := writeMachine(ctx, tx, &fresh); err != nil {
			return err
		}
		return s.addressChanged(ctx, tx, &fresh)
	})
}

// reportRefusal tells the tenant once that a reinstallation failed because of the image, after it
// had begun: there are no host keys to learn.
func (s *Service) reportRefusal(ctx context.Context, r *row, reason string) error {
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, found, err := findAny(ctx, tx, r.id)
		if err != nil {
			return err
		}
		if !found || fresh.status != r.status || fresh.action != "" || !sameTime(fresh.hostKeyBy, r.hostKeyBy) {
			return errConflict
		}
		fresh.hostKeyBy = nil
		if err := writeMachine(ctx, tx, &fresh); err != nil {
			return err
		}
		return s.appendEvent(ctx, tx, &fresh, "action_failed", map[string]any{
			"action": ActionReinstall, "reason": reason,
		})
	})
	if err == nil {
		r.hostKeyBy = nil
	}
	return err
}

func (s *Service) addressChanged(ctx context.Context, tx *db.Tx, r *row) error {
	return s.appendEvent(ctx, tx, r, "address_changed", map[string]any{"ipAddress": r.address, "sshPort": r.sshPort})
}

// writeMachine writes everything that is known of the machine.
func writeMachine(ctx context.Context, tx *db.Tx, r *row) error {
	if err := guarded(setMachine(ctx, tx, r)); err != nil {
		return err
	}
	return setMachineFacts(ctx, tx, r)
}

// interrupt ends a deployment whose machine the provider took back. The unused part of the hour is
// refunded, whichever hour it is. unknown means that the provider does not even know the machine,
// which becomes an issue for the operator.
func (s *Service) interrupt(ctx context.Context, r *row, reason string, unknown bool) error {
	return s.interruptAt(ctx, r, nil, reason, unknown)
}

// interruptAt is interrupt with the instant until which the tenant pays; nil for now.
func (s *Service) interruptAt(ctx context.Context, r *row, until *time.Time, reason string, unknown bool) error {
	return s.change(ctx, r, CauseLost, reason, func(ctx context.Context, tx *db.Tx, r *row) error {
		last := tx.Now
		if until != nil {
			last = *until
		}
		end, err := s.endBefore(ctx, tx, r, autoEnd{last, CauseLost, reason})
		if err != nil {
			return err
		}
		at := end.at
		r.billedUntil = &at
		if _, err := s.cfg.Meter.Stop(ctx, tx, r.id, at, meter.CurrentHour); err != nil {
			return err
		}
		if until == nil { // else it is no fault of the provider
			if err := s.recordLoss(ctx, tx, r, at); err != nil {
				return err
			}
		}
		if unknown {
			if err := s.cfg.Issues.Raise(ctx, tx, r.provider, issue.Lost(r.id, r.machineID)); err != nil {
				return err
			}
		}
		return s.cfg.Volumes.DetachAll(ctx, tx, r.id)
	})
}
