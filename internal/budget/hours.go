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
// pass a budget of mode terminate may not. Those of a minimum runtime were admitted with the first,
// so they begin and count. It locks the budgets of the accounts until the end of
// the transaction, and is called before the wallets are locked. The function that it returns is
// called after the admitted hours were charged.
func (s *Service) AdmitHours(
	ctx context.Context, tx *db.Tx, hours []meter.Due,
) (refused []meter.Refusal, after func(context.Context, *db.Tx) error, err error) {
	rows, err := locked(ctx, tx, accountsOf(hours))
	if err != nil || len(rows) == 0 {
		return nil, nil, err
	}
	limited := map[id.ID]bool{}
	for i := range rows {
		limited[rows[i].Account] = true
	}
	hours = slices.DeleteFunc(slices.Clone(hours), func(h meter.Due) bool { return !limited[h.Account] })
	// In the order in which the hours begin, which may be days ago.
	slices.SortStableFunc(hours, func(a, b meter.Due) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Subject, b.Subject))
	})
	subjects := make([]id.ID, len(hours))
	for i, h := range hours {
		subjects[i] = h.Subject
	}
	of, err := wallet.Described(ctx, tx, subjects)
	if err != nil {
		return nil, nil, err
	}
	var alerts []event.Event
	var admitted []meter.Due
	ended := map[id.ID]bool{}
	for len(hours) > 0 {
		day, _ := Day.interval(hours[0].From)
		n := slices.IndexFunc(hours, func(h meter.Due) bool { return h.From.Sub(day) >= 24*time.Hour })
		if n < 0 {
			n = len(hours)
		}
		t, err := read(ctx, tx, rows, day)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range admitted { // they are not charged yet
			t.add(rows, of[c.Subject], c)
		}
		for _, h := range hours[:n] {
			c, by := h.Charge, (*row)(nil)
			if !h.Minimum {
				by = t.refuses(rows, of[c.Subject], c)
			}
			switch {
			case ended[c.Subject]:
			case by != nil:
				ended[c.Subject] = true
				refused = append(refused, meter.Refusal{
					Account: c.Account, Subject: c.Subject, Hour: c.Hour, At: c.From, Reason: fmt.Sprintf(
						"Another hour at %s would have passed the budget %s.", c.HourlyPrice, by.Settings),
				})
			default:
				t.add(rows, of[c.Subject], h)
				admitted = append(admitted, h)
			}
		}
		told, err := t.alerts(ctx, tx, rows)
		if err != nil {
			return nil, nil, err
		}
		alerts, hours = append(alerts, told...), hours[n:]
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

func accountsOf(hours []meter.Due) []id.ID {
	all := make([]id.ID, len(hours))
	for i, h := range hours {
		all[i] = h.Account
	}
	slices.Sort(all)
	return slices.Compact(all)
}
