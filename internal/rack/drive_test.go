package rack_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/rack"
)

func (r *rig) destroy(serial, replacement, reason string) error {
	return r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := r.DestroyDrive(ctx, tx, r.ms[0].ID, serial, replacement, reason)
		return err
	})
}

// A drive that failed, was destroyed and replaced keeps its machine in quarantine until the
// operator says so. The record of the erasure shows it, and the one in its place is erased, too.
func TestADriveThatWasDestroyedIsRecordedAndNotMissed(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		if err := r.destroy("NVME-1-B", "", "failed"); err == nil {
			r.t.Error("a drive of a machine that is for sale can be declared destroyed")
		}
		d := r.assigned(0)
		r.servers[0].Swap("NVME-1-B", "NEW")
		r.giveBack(d)
		r.run()
		r.expect(0, rack.Quarantined)
		for name, c := range map[string]struct{ serial, by, reason, fault string }{
			"another drive": {"NEW", "", "failed", "serial"}, "no reason": {"NVME-1-B", "NEW", "", "reason"},
			"known": {"NVME-1-B", "NVME-1-A", "failed", "replacement"},
		} {
			if got := faulty(r.t, r.destroy(c.serial, c.by, c.reason)); !slices.Equal(got, []string{c.fault}) {
				r.t.Errorf("%s: %v, want %s", name, got, c.fault)
			}
		}
		if err := r.destroy("NVME-1-B", "NEW", "shredded"); err != nil {
			r.t.Fatal(err)
		}
		if got := faulty(r.t, r.destroy("NVME-1-A", "NVME-1-B", "too")); !slices.Equal(got, []string{"replacement"}) {
			r.t.Errorf("a drive that was destroyed is back: %v", got)
		}
		if m := r.machine(0); len(m.Destroyed) != 1 || !m.Unerased {
			r.t.Errorf("%+v, unerased: %t", m.Destroyed, m.Unerased)
		}
		r.act(r.Release, 0)
		r.run()
		m := r.expect(0, rack.Ready)
		if m.Unerased || len(m.Destroyed) > 0 || len(m.Hardware.Drives) != 2 ||
			m.Hardware.Drives[1] != (rack.Drive{Serial: "NEW", Model: "Emulated NVMe", Bytes: 4e12}) {
			r.t.Errorf("unerased: %t, %+v, %+v", m.Unerased, m.Destroyed, m.Hardware.Drives)
		}
		e, err := r.ErasureOf(r.t.Context(), r.db, d)
		if err != nil || !e.Passed || len(e.Drives) != 3 || e.Drives[0].Serial != "NVME-1-B" ||
			e.Drives[0].Verdict != rack.Destroyed || e.Drives[0].Detail != "shredded" {
			r.t.Errorf("%+v, %v", e, err)
		}
		// After the next tenant it is no longer mentioned.
		d = r.assigned(0)
		r.giveBack(d)
		r.run()
		r.expect(0, rack.Ready)
		if e, err := r.ErasureOf(r.t.Context(), r.db, d); err != nil || len(e.Drives) != 2 {
			r.t.Errorf("%+v, %v", e, err)
		}
	})
}

// Without a replacement the other drives are erased, and less space is for sale only once the
// operator has said how much.
func TestADriveThatWasRemovedIsNotSold(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].Swap("NVME-1-B", "")
		r.giveBack(d)
		r.run()
		r.expect(0, rack.Quarantined)
		if err := r.destroy("NVME-1-B", "", "shredded"); err != nil {
			r.t.Fatal(err)
		}
		if got := faulty(r.t, r.destroy("NVME-1-A", "", "too")); !slices.Equal(got, []string{"replacement"}) {
			r.t.Errorf("the only drive: %v", got)
		}
		r.act(r.Release, 0)
		r.run()
		m := r.expect(0, rack.Quarantined)
		if m.Unerased || !strings.Contains(m.Reason, "have 4000 GB, and 8000 are for sale") {
			r.t.Errorf("unerased: %t, %q", m.Unerased, m.Reason)
		}
		size := int64(4000)
		r.change(rack.MachineFields{StorageGB: &size})
		r.act(r.Release, 0)
		r.run()
		r.expect(0, rack.Ready)
	})
}
