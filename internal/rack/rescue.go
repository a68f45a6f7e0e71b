package rack

import (
	"context"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rackagent"
)

// ErrRescueBusy means that an operating system is being installed on the machine.
var ErrRescueBusy = errors.New("rack: an operating system is being installed on the machine")

// Rescue starts the machine of a deployment from the agent's image, which serves a shell to the
// keys of its launch and leaves the drives as they are. It returns ErrNone, ErrNoPower for a
// machine without a BMC, ErrNotInstalled, or ErrRescueBusy while a system is being installed.
func (s *Service) Rescue(ctx context.Context, deployment id.ID) error {
	err := s.onTenant(ctx, deployment, func(_ context.Context, _ *db.Tx, m *Machine) error {
		switch {
		case m.OverSSH():
			return ErrNoPower
		case m.tenancy == Refused:
			return ErrNotInstalled
		case m.tenancy == Rescuing:
			return nil
		case m.tenancy != Running && m.tenancy != SwitchedOff:
			return ErrRescueBusy
		}
		m.tenancy, m.wanted, m.wantedAt, m.Detail = Rescuing, WantNothing, nil, ""
		return nil
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackRescueAfterCommit)
	}
	return err
}

// EndRescue restarts the machine of a deployment from its drive, if it is in rescue. Errors are
// those of Want.
func (s *Service) EndRescue(ctx context.Context, deployment id.ID) error {
	err := s.onTenant(ctx, deployment, func(ctx context.Context, tx *db.Tx, m *Machine) error {
		if m.tenancy != Rescuing {
			return nil
		}
		if err := endJob(ctx, tx, m.ID); err != nil {
			return err
		}
		m.disk(&tx.Now)
		return nil
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackEndRescueAfterCommit)
	}
	return err
}

// leaveRescue ends a rescue whose agent has ended, or never served.
func (s *Service) leaveRescue(ctx context.Context, tx *db.Tx, m Machine, text string) error {
	m.disk(nil)
	return s.left(ctx, tx, m, text)
}

// expire ends a rescue that has run as long as it may. The agent learns that by its next report.
// Its tenant may have left it without a word: what runs may be what is installed.
func (s *Service) expire(ctx context.Context, tx *db.Tx, m Machine, text string) error {
	m.disk(&tx.Now)
	m.wanted = wantDiskGently
	return s.left(ctx, tx, m, text)
}

func (s *Service) left(ctx context.Context, tx *db.Tx, m Machine, text string) error {
	m.Detail = text
	if err := s.keep(ctx, tx, m); err != nil {
		return err
	}
	return s.enqueue(ctx, tx, m.ID)
}

// disk has a machine in rescue start from its drive, soon after an instant at which its agent was
// told; nil if there is none to wait for.
func (m *Machine) disk(told *time.Time) {
	m.tenancy, m.wanted, m.wantedAt, m.Detail = Running, wantDisk, nil, ""
	if told != nil {
		at := told.Add(leaveTime)
		m.wantedAt = &at
	}
}

// insteadOfDisk has a machine that leaves a rescue do what its deployment wants now. The agent has
// as long as before.
func (m *Machine) insteadOfDisk(w Wish, now time.Time) {
	switch starts := w != WantOff; {
	case starts == m.wanted.starts():
		return
	case starts:
		m.wanted = wantDiskGently // the operating system may have been asked
	default:
		m.wanted = wantRescueOff
	}
	if m.wantedAt == nil || m.wantedAt.Before(now) {
		m.wantedAt = &now
	}
}

// startDisk restarts a machine without the agent's image. It is switched off in between, because an
// agent that is told nothing would go on.
func startDisk(ctx context.Context, b *bmc.BMC) error {
	if err := b.SetPower(ctx, bmc.PowerOff); err != nil {
		return err
	}
	// The image cannot be read any more, so a BMC that refuses to eject it keeps nothing off.
	if err := b.EjectCD(ctx); err != nil && bmc.KindOf(err) == bmc.KindUnreachable {
		return err
	}
	return b.SetPower(ctx, bmc.PowerOn)
}

// shellOf returns how the tenant logs in to the rescue system. A deployment that was not given a
// host key has a new one there.
func shellOf(l Launch) (*rackagent.Shell, error) {
	key := l.HostKey
	if key.Private == "" {
		var err error
		if key, err = provider.NewHostKey(); err != nil {
			return nil, err
		}
	}
	return &rackagent.Shell{AuthorizedKeys: l.AuthorizedKeys, HostKey: key.Private}, nil
}
