package rack

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/job"
)

// rotateFor is how long a BMC may not answer while its password is replaced, until the machine is
// sold without that. Both passwords are kept, and whichever is valid is used.
const rotateFor = time.Hour

// rotates reports whether the password of the machine's BMC is to be replaced: a tenant has had
// the machine since it was last dealt with.
func (m Machine) rotates() bool {
	return m.RotatePassword && !m.OverSSH() && m.lastDeployment != "" && m.passwordFor != m.lastDeployment
}

// open connects to the machine's BMC. Where it is not known which of two passwords is valid, the
// one that works is kept.
func (s *Service) open(ctx context.Context, m Machine) (*bmc.BMC, error) {
	password, other, err := s.passwords(m)
	if err != nil {
		return nil, err
	}
	if err := job.Holds(ctx); err != nil {
		return nil, err
	}
	b, err := s.cfg.Open(ctx, bmc.Address{
		URL: m.BMCURL, User: m.BMCUser, Password: password, Other: other, CertificateSHA256: m.BMCCertificate,
	})
	refused := err != nil && bmc.KindOf(err) == bmc.KindUnauthorized
	if err != nil && (!refused || m.RefusedAt != nil) {
		return nil, err
	}
	promote := err == nil && b.Other()
	if err == nil && !promote && m.RefusedAt == nil {
		return b, nil
	}
	kept := s.access(ctx, m, func(tx *db.Tx, now *Machine) {
		switch {
		case refused && now.RefusedAt == nil:
			now.RefusedAt = &tx.Now
		case !refused:
			now.RefusedAt = nil
		}
		if promote {
			now.sealed, now.sealedNext, now.PasswordChangedAt = now.sealedNext, "", &tx.Now
		}
	})
	if err == nil && kept != nil {
		b.Close()
	}
	if err == nil {
		err = kept
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// passwords returns the password of a machine's BMC, and one that may be valid instead, or "".
func (s *Service) passwords(m Machine) (password, other string, err error) {
	text, err := s.cfg.Secrets.Open(purpose(m.ID), m.sealed)
	if err == nil && m.sealedNext != "" {
		var next []byte
		next, err = s.cfg.Secrets.Open(purpose(m.ID), m.sealedNext)
		other = string(next)
	}
	if err != nil {
		return "", "", fmt.Errorf("the password of the BMC of %s cannot be decrypted; set it again: %w", m.Name, err)
	}
	return string(text), other, nil
}

// access changes how Billet signs in at a BMC, unless that was changed since the machine was read.
// Its state does not matter.
func (s *Service) access(ctx context.Context, was Machine, f func(tx *db.Tx, now *Machine)) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, found, err := find(ctx, tx, was.ID)
		if err != nil {
			return err
		}
		if !found || m.BMCURL != was.BMCURL || m.BMCUser != was.BMCUser || m.sealed != was.sealed ||
			m.sealedNext != was.sealedNext {
			return errMoved
		}
		f(tx, &m)
		return putAccess(ctx, tx, m)
	})
}

// rotate replaces the password at the BMC after a tenant: root on the server may have read it, or
// be able to. The new one is stored before the BMC gets it. A BMC that cannot do that is noted, and
// the machine is sold nevertheless.
func (s *Service) rotate(ctx context.Context, was Machine) error {
	b, err := s.open(ctx, was)
	if err != nil {
		return err
	}
	defer b.Close()
	if b.Other() {
		return nil // it was replaced, and that is known now: the next step begins with it
	}
	_, next, err := s.passwords(was)
	if err != nil {
		return err
	}
	// One that was to be set is set again, whatever the BMC made of it. One that it did not take
	// after a former tenant is not.
	if next == "" || was.PasswordProblem != "" {
		if next, err = b.NewPassword(ctx); err != nil {
			return s.unrotated(ctx, was, err)
		}
		sealed := s.cfg.Secrets.Seal(purpose(was.ID), []byte(next))
		if err := s.access(ctx, was, func(_ *db.Tx, now *Machine) {
			now.sealedNext, now.PasswordProblem = sealed, ""
		}); err != nil {
			return err
		}
		was.sealedNext = sealed
	}
	crashpoint.Reach(crashpoint.RackRotateBeforeCall)
	if err := b.SetPassword(ctx, next); err != nil {
		return s.unrotated(ctx, was, err)
	}
	crashpoint.Reach(crashpoint.RackRotateBeforeCommit)
	err = s.access(ctx, was, func(tx *db.Tx, now *Machine) {
		now.sealed, now.sealedNext, now.PasswordChangedAt = now.sealedNext, "", &tx.Now
		now.PasswordProblem, now.passwordFor = "", now.lastDeployment
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackRotateAfterCommit)
	}
	return err
}

// unrotated notes that a BMC cannot replace the password. The one that was to be set stays known:
// the BMC may be mistaken about what it did.
func (s *Service) unrotated(ctx context.Context, was Machine, err error) error {
	switch bmc.KindOf(err) {
	case bmc.KindUnauthorized:
		return err
	case bmc.KindUnreachable:
		if s.cfg.Clock.Now().Sub(was.StateAt) < rotateFor {
			return err
		}
	}
	return s.access(ctx, was, func(_ *db.Tx, now *Machine) {
		now.PasswordProblem, now.passwordFor = problemOf(err), now.lastDeployment
	})
}
