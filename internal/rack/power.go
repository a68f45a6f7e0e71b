package rack

import (
	"context"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
)

// cut switches off the machine of a deployment that has ended. The deployment has it until that is
// certain, however long the BMC does not answer.
func (s *Service) cut(ctx context.Context, was Machine) error {
	b, err := s.open(ctx, was)
	if err != nil {
		return err
	}
	defer b.Close()
	crashpoint.Reach(crashpoint.RackCutBeforeCall)
	if err := b.SetPower(ctx, bmc.PowerOff); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.RackCutBeforeCommit)
	err = s.change(ctx, was, func(_ context.Context, _ *db.Tx, m *Machine) error {
		m.leave()
		m.Detail = ""
		return nil
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackCutAfterCommit)
	}
	return err
}

// off leaves a machine that is not sold and may have a tenant's data switched off, without a CD. It
// is repeated until that is certain.
func (s *Service) off(ctx context.Context, was Machine) error {
	b, err := s.open(ctx, was)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.SetPower(ctx, bmc.PowerOff); err != nil {
		return err
	}
	// The image is not served any more, and a BMC without a virtual CD has none inserted.
	if err := b.EjectCD(ctx); err != nil && bmc.KindOf(err) != bmc.KindUnsupported {
		return err
	}
	return s.change(ctx, was, func(_ context.Context, tx *db.Tx, m *Machine) error {
		m.watchedAt, m.Detail = &tx.Now, ""
		return nil
	})
}

// power does what the deployment wants. An operating system is asked to switch itself off first,
// and the agent of a rescue has until then to unmount what its tenant has mounted.
func (s *Service) power(ctx context.Context, was Machine) (again time.Time, err error) {
	if was.wanted.leaves() && was.wantedAt != nil && s.cfg.Clock.Now().Before(*was.wantedAt) {
		return *was.wantedAt, nil
	}
	b, err := s.open(ctx, was)
	if err != nil {
		return again, err
	}
	defer b.Close()
	crashpoint.Reach(crashpoint.RackPowerBeforeCall)
	reached := Running
	switch was.wanted {
	case WantReboot:
		err = b.SetPower(ctx, bmc.Reset)
	case wantDisk:
		err = startDisk(ctx, b)
	case WantOn:
		// An image may be left of a reinstallation that was given up. It cannot be read any more,
		// so a BMC that refuses to eject it does not keep the server off.
		if err = b.EjectCD(ctx); err == nil || bmc.KindOf(err) != bmc.KindUnreachable {
			err = b.SetPower(ctx, bmc.PowerOn)
		}
	default:
		var off bool
		if off, err = s.switchOff(ctx, b, was); err == nil && !off {
			again = s.cfg.Clock.Now().Add(graceEvery)
			if next, asks := asked[was.wanted]; asks {
				return again, s.wanting(ctx, was, next)
			}
			return again, nil
		}
		if !was.wanted.starts() {
			reached = SwitchedOff
		} else if err == nil {
			err = startDisk(ctx, b)
		}
	}
	if err != nil {
		return again, err
	}
	crashpoint.Reach(crashpoint.RackPowerBeforeCommit)
	err = s.change(ctx, was, func(_ context.Context, tx *db.Tx, m *Machine) error {
		if m.wanted != was.wanted {
			return errMoved // the deployment wants something else since
		}
		m.tenancy, m.wanted, m.wantedAt, m.watchedAt, m.Detail = reached, WantNothing, nil, &tx.Now, ""
		return nil
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackPowerAfterCommit)
	}
	return again, err
}

// wanting replaces a wish that is still the same.
func (s *Service) wanting(ctx context.Context, was Machine, w Wish) error {
	return s.change(ctx, was, func(_ context.Context, _ *db.Tx, m *Machine) error {
		if m.wanted != was.wanted {
			return errMoved
		}
		m.wanted = w
		return nil
	})
}

// switchOff reports whether the machine is off. It asks the operating system once, and switches the
// machine off if that has not helped in time.
func (s *Service) switchOff(ctx context.Context, b *bmc.BMC, m Machine) (off bool, err error) {
	now, err := b.Power(ctx)
	if err != nil || now == bmc.Off {
		return now == bmc.Off, err
	}
	if _, asks := asked[m.wanted]; asks {
		if err := b.SetPower(ctx, bmc.GracefulOff); err == nil || bmc.KindOf(err) == bmc.KindUnreachable {
			return false, err
		}
	} else if m.wantedAt != nil && s.cfg.Clock.Now().Before(m.wantedAt.Add(graceTime)) {
		return false, nil
	}
	return true, b.SetPower(ctx, bmc.PowerOff)
}

// watch reads the power of a machine that a deployment has. A BMC that does not answer says nothing
// of it.
func (s *Service) watch(ctx context.Context, was Machine) error {
	seen, detail := was.tenancy, ""
	b, err := s.open(ctx, was)
	if err == nil {
		defer b.Close()
		var now bmc.PowerState
		if now, err = b.Power(ctx); now == bmc.On {
			seen = Running
		} else if now == bmc.Off {
			seen = SwitchedOff
		}
	}
	switch e, is := errors.AsType[*bmc.Error](err); {
	case is:
		seen, detail = was.tenancy, "The BMC does not answer, which does not affect the tenant: "+plain(e.Message)
	case err != nil:
		return err
	}
	return s.change(ctx, was, func(_ context.Context, tx *db.Tx, m *Machine) error {
		if m.wanted != was.wanted {
			return errMoved
		}
		m.tenancy, m.watchedAt, m.Detail = seen, &tx.Now, detail
		return nil
	})
}
