package meter

import (
	"cmp"
	"context"
	"slices"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/wallet"
)

// batch is how many hours one transaction books: enough that commits are cheap, and few enough that
// others wait only briefly for the database.
const batch = 500

// Sweep is the handler of KindSweep. It charges every hour that has begun, and runs again when the
// next hour begins. It catches up with a meter that is hours behind, hour by hour. It may run
// several times at once and be interrupted at any point.
func (m *Service) Sweep(ctx context.Context, _ id.ID) (job.Outcome, error) {
	for {
		booked := 0
		err := m.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			due, err := raiseDue(ctx, tx, batch)
			if err != nil {
				return err
			}
			booked = len(due)
			if booked == 0 {
				return nil
			}
			slices.SortFunc(due, func(a, b reading) int { // RETURNING has no order, but a statement has
				return cmp.Or(a.begin(a.hours).Compare(b.begin(b.hours)), cmp.Compare(a.subject, b.subject))
			})
			err = m.chargeAdmitted(ctx, tx, due)
			crashpoint.Reach(crashpoint.ChargeBeforeCommit)
			tx.AfterCommit(func() { crashpoint.Reach(crashpoint.ChargeAfterCommit) })
			return err
		})
		if err != nil {
			return job.Outcome{}, err
		}
		if booked == 0 {
			break
		}
	}
	next, found, err := nextDue(ctx, m.cfg.DB)
	if err != nil || !found {
		return job.Done(), err
	}
	return job.At(next), nil
}

// chargeAdmitted charges the hours that were just booked. Those that are refused are not booked any
// more, and their meters wait for the stop.
func (m *Service) chargeAdmitted(ctx context.Context, tx *db.Tx, due []reading) error {
	charges, hours := make([]wallet.Charge, len(due)), make([]Due, len(due))
	for i, r := range due {
		hours[i] = r.due(r.hours - 1)
		charges[i] = hours[i].Charge
	}
	refused, after, err := m.admit(ctx, tx, hours)
	if err != nil {
		return err
	}
	bySubject := map[id.ID]Refusal{}
	for _, f := range refused {
		bySubject[f.Subject] = f
	}
	for _, r := range due {
		f, is := bySubject[r.subject]
		if !is {
			continue
		}
		r.refusedAt, r.refusedFor = &f.At, f.Reason
		if err := unraise(ctx, tx, r); err != nil {
			return err
		}
	}
	if len(refused) > 0 {
		charges = slices.DeleteFunc(charges, func(c wallet.Charge) bool {
			_, is := bySubject[c.Subject]
			return is
		})
	}
	if err := m.charge(ctx, tx, charges); err != nil || after == nil {
		return err
	}
	return after(ctx, tx)
}
