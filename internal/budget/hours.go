package budget

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/wallet"
)

// KindEnd is the job that is enqueued for a deployment whose next hour a budget refused.
const KindEnd job.Kind = "budget-end"

// AdmitHours decides which of the hours that begin may be charged: those of deployments that would
// pass a budget of mode terminate may not. It locks the budgets of the accounts until the end of
// the transaction, and is called before the wallets are locked. The function that it returns is
// called after the admitted hours were charged.
func (s *Service) AdmitHours(
	ctx context.Context, tx *db.Tx, charges []wallet.Charge,
) (refused []meter.Refusal, after func(context.Context, *db.Tx) error, err error) {
	rows, err := locked(ctx, tx, accountsOf(charges))
	if err != nil || len(rows) == 0 {
		return nil, nil, err
	}
	limited := map[id.ID]bool{}
	for i := range rows {
		limited[rows[i].Account] = true
	}
	charges = slices.DeleteFunc(slices.Clone(charges), func(c wallet.Charge) bool { return !limited[c.Account] })
	// In the order in which the hours begin, which may be days ago.
	slices.SortStableFunc(charges, func(a, b wallet.Charge) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Subject, b.Subject))
	})
	subjects := make([]id.ID, len(charges))
	for i, c := range charges {
		subjects[i] = c.Subject
	}
	of, err := wallet.Described(ctx, tx, subjects)
	if err != nil {
		return nil, nil, err
	}
	var alerts []event.Event
	var admitted []wallet.Charge
	ended := map[id.ID]bool{}
	for len(charges) > 0 {
		day, _ := Day.interval(charges[0].From)
		n := slices.IndexFunc(charges, func(c wallet.Charge) bool { return c.From.Sub(day) >= 24*time.Hour })
		if n < 0 {
			n = len(charges)
		}
		t, err := read(ctx, tx, rows, day)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range admitted { // they are not charged yet
			t.add(rows, of[c.Subject], c)
		}
		for _, c := range charges[:n] {
			by := t.refuses(rows, of[c.Subject], c)
			switch {
			case ended[c.Subject]:
			case by != nil:
				ended[c.Subject] = true
				refused = append(refused, meter.Refusal{
					Account: c.Account, Subject: c.Subject, Hour: c.Hour, At: c.From, Reason: fmt.Sprintf(
						"Another hour at %s would have passed the budget %s.", c.HourlyPrice, by.Settings),
				})
			default:
				t.add(rows, of[c.Subject], c)
				admitted = append(admitted, c)
			}
		}
		told, err := t.alerts(ctx, tx, rows)
		if err != nil {
			return nil, nil, err
		}
		alerts, charges = append(alerts, told...), charges[n:]
	}
	return refused, func(ctx context.Context, tx *db.Tx) error { return s.follow(ctx, tx, alerts, refused) }, nil
}

// follow tells of the thresholds that were reached, and has the deployments ended whose next hour
// was refused.
func (s *Service) follow(ctx context.Context, tx *db.Tx, alerts []event.Event, refused []meter.Refusal) error {
	if len(alerts) > 0 {
		if err := s.cfg.Events.Append(ctx, tx, alerts...); err != nil {
			return err
		}
	}
	for _, r := range refused {
		if err := s.cfg.Jobs.Enqueue(ctx, tx, r.Account, KindEnd, r.Subject, tx.Now); err != nil {
			return err
		}
	}
	return nil
}

func accountsOf(charges []wallet.Charge) []id.ID {
	all := make([]id.ID, len(charges))
	for i, c := range charges {
		all[i] = c.Account
	}
	slices.Sort(all)
	return slices.Compact(all)
}
