package rack

import (
	"context"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Destroyed is the verdict of a drive that the operator has destroyed.
const Destroyed = "destroyed"

// DestroyedDrive is a drive that the operator has destroyed, so that it cannot be erased.
type DestroyedDrive struct {
	Drive
	Reason string    `json:"reason" doc:"The operator's reason. The next erasure's record has it, which the tenant can read."`
	At     time.Time `json:"at" doc:"When the operator said so."`
}

// DestroyDrive says that a drive was destroyed, and perhaps replaced by another one: the next
// erasure does not need the first, and erases the second. It returns NOT_FOUND, INVALID_REQUEST, or
// CONFLICT unless the machine is quarantined or retired with what may be a tenant's data.
func (s *Service) DestroyDrive(
	ctx context.Context, tx *db.Tx, of id.ID, serial, replacement, reason string,
) (Machine, error) {
	m, err := s.Get(ctx, tx, of)
	if err != nil {
		return Machine{}, err
	}
	if err := checkReason(reason); err != nil {
		return Machine{}, err
	}
	if m.DeploymentID != nil || m.State != Quarantined && m.State != Retired || !m.tenantsData() || m.Hardware == nil {
		return Machine{}, apierr.New(apierr.Conflict, "A drive can be declared destroyed only while its machine is "+
			"quarantined or retired, and may have a tenant's data. Of any other machine, the drives are read again "+
			"when it is inspected.")
	}
	if err := apierr.Invalid(m.checkDestroyed(serial, replacement, reason)).OrNil(); err != nil {
		return Machine{}, err
	}
	m = m.withDestroyed(serial, replacement, reason, tx.Now)
	return m, s.keep(ctx, tx, m)
}

// checkDestroyed returns what is wrong with a drive that is to be declared destroyed.
func (m Machine) checkDestroyed(serial, replacement, reason string) []apierr.FieldError {
	var f faults
	known := m.Hardware.serials()
	if serial == "" || !slices.Contains(known, serial) {
		f.add("serial", "is not the serial number of one of the machine's drives.")
	}
	if reason == "" {
		f.add("reason", "is missing: the record of the erasure has it.")
	}
	gone := func(d DestroyedDrive) bool { return d.Serial == replacement }
	switch {
	case replacement == "" && len(known) == 1:
		f.add("replacement", "is missing: it is the machine's only drive. Or remove the machine with drivesDestroyed.")
	case replacement == "":
	case replacement != plain(replacement):
		f.add("replacement", "must be a serial number as the failed erasure shows it.")
	case slices.Contains(known, replacement) || slices.ContainsFunc(m.Destroyed, gone):
		f.add("replacement", "is the serial number of a drive that the machine has, or had.")
	}
	return f
}

// withDestroyed returns the machine without a drive, and perhaps with another one, whose size is
// not known yet.
func (m Machine) withDestroyed(serial, replacement, reason string, at time.Time) Machine {
	h := *m.Hardware
	h.Drives = slices.Clone(h.Drives)
	i := slices.IndexFunc(h.Drives, func(d Drive) bool { return d.Serial == serial })
	m.Destroyed = append(slices.Clone(m.Destroyed), DestroyedDrive{h.Drives[i], reason, at})
	h.Drives = slices.Delete(h.Drives, i, i+1)
	if replacement != "" {
		h.Drives = append(h.Drives, Drive{Serial: replacement})
	}
	m.Hardware = &h
	return m
}

// withSizes returns the hardware with what an agent says of drives of unknown size.
func (h Hardware) withSizes(found []Drive) *Hardware {
	h.Drives = slices.Clone(h.Drives)
	for i, d := range h.Drives {
		if at := slices.IndexFunc(found, func(n Drive) bool { return n.Serial == d.Serial }); at >= 0 && d.Bytes == 0 {
			h.Drives[i] = found[at]
		}
	}
	return &h
}

// record returns the record of a drive that was destroyed.
func (d DestroyedDrive) record() ErasedDrive {
	return ErasedDrive{
		Serial: d.Serial, Model: d.Model, Bytes: d.Bytes, StartedAt: d.At, EndedAt: d.At, Verdict: Destroyed,
		Detail: d.Reason,
	}
}
