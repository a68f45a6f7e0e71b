package meter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// Rule decides what is refunded of the current hour when a subject stops.
type Rule int

// The rules.
const (
	// FirstHour refunds the unused seconds if the stop is inside hour 0.
	FirstHour Rule = iota + 1
	// CurrentHour refunds the unused seconds of the current hour.
	CurrentHour
	// NoRefund refunds nothing.
	NoRefund
)

// unused returns how many seconds of the n-th hour, which ends at or after at, are refunded when
// the meter stops at at.
func (r *reading) unused(n int64, at time.Time, rule Rule) int64 {
	switch {
	case !r.begin(n).Before(at): // booked although it begins after the stop
		return money.HourSeconds
	case rule == NoRefund, rule == FirstHour && n > 0:
		return 0
	default:
		return int64(r.begin(n+1).Sub(at) / time.Second)
	}
}

// Stop ends a meter at an instant that has passed, truncated to the second, and returns what was
// refunded. A subject that is not metered, or has stopped before, is left unchanged.
func (m *Service) Stop(
	ctx context.Context, tx *db.Tx, subject id.ID, at time.Time, rule Rule,
) (refunded money.Micros, err error) {
	at = at.UTC().Truncate(time.Second)
	r, found, err := lock(ctx, tx, subject)
	if err != nil || !found || r.stoppedAt != nil {
		return 0, err
	}
	if err := m.bookUpTo(ctx, tx, &r, r.begunBefore(at)); err != nil {
		return 0, err
	}
	paid, err := m.cfg.Wallet.Paid(ctx, tx, subject, r.firstRefundable(at))
	if err != nil {
		return 0, err
	}
	for _, p := range paid {
		f := r.refund(p, at, rule)
		made, err := m.cfg.Wallet.Refund(ctx, tx, f)
		if err != nil {
			return 0, err
		}
		if !made {
			continue
		}
		refunded += f.Amount
		asCharge := wallet.Charge{
			Account: f.Account, Subject: subject, Hour: f.Hour, Amount: f.Amount, HourlyPrice: f.HourlyPrice,
			From: f.From, To: f.To, Description: f.Description,
		}
		unused := map[string]any{"unusedSeconds": int64(f.To.Sub(f.From) / time.Second)}
		e := billingEvent("refunded", asCharge, unused)
		if err := m.cfg.Events.Append(ctx, tx, e); err != nil {
			return 0, err
		}
	}
	if err := m.cfg.Wallet.Ends(ctx, tx, subject, r.firstRefundable(at), at); err != nil {
		return 0, err
	}
	if err := m.cfg.Wallet.Bind(ctx, tx, r.account, subject, 0); err != nil {
		return 0, err
	}
	return refunded, stop(ctx, tx, subject, at, refunded)
}

// firstRefundable returns the first hour of which something may be refunded at a stop at at.
func (r *reading) firstRefundable(at time.Time) int64 { return max(0, r.begunBefore(at)-1) }

// refund returns the refund of a paid hour, which may be zero.
func (r *reading) refund(p wallet.Paid, at time.Time, rule Rule) wallet.Refund {
	seconds := r.unused(p.Hour, at, rule)
	end := r.begin(p.Hour + 1)
	return wallet.Refund{
		Account: r.account, Subject: r.subject, Hour: p.Hour, Amount: money.ForSeconds(p.HourlyPrice, seconds),
		HourlyPrice: p.HourlyPrice, From: end.Add(-time.Duration(seconds) * time.Second), To: end, Labels: r.labels,
		Description: fmt.Sprintf("%s: %s unused %s of hour %d at %s/hr, rounded half-up",
			r.labels.Name, grouped(seconds), plural(seconds, "second"), p.Hour+1, p.HourlyPrice),
	}
}

// notAfterRefusal returns t, or when the hour that was refused would begin if that is earlier, in
// whole seconds.
func (r *reading) notAfterRefusal(t time.Time) time.Time {
	if r.refusedAt != nil && r.refusedAt.Before(t) {
		t = *r.refusedAt
	}
	return t.UTC().Truncate(time.Second)
}

// PreviewAll returns what Stop would refund of each subject at its instant.
func (m *Service) PreviewAll(
	ctx context.Context, r db.Reader, at map[id.ID]time.Time, rule Rule,
) (map[id.ID]money.Micros, error) {
	now, err := getAll(ctx, r, slices.Sorted(maps.Keys(at)))
	if err != nil {
		return nil, err
	}
	from := map[id.ID]int64{}
	for _, x := range now {
		from[x.subject] = x.firstRefundable(x.notAfterRefusal(at[x.subject]))
	}
	paid, err := m.cfg.Wallet.PaidAll(ctx, r, from)
	if err != nil {
		return nil, err
	}
	out := map[id.ID]money.Micros{}
	for _, x := range now {
		out[x.subject] = x.preview(paid[x.subject], x.notAfterRefusal(at[x.subject]), rule)
	}
	return out, nil
}

// Preview is what a Stop would do.
type Preview struct {
	// Refund is what it would refund, Cost what the subject would have cost in all.
	Refund, Cost money.Micros
}

// Previews returns what Stop at each of the instants would do. Of a subject that is not metered, or
// has stopped, nothing would change.
func (m *Service) Previews(
	ctx context.Context, r db.Reader, subject id.ID, at []time.Time, rule Rule,
) ([]Preview, error) {
	out := make([]Preview, len(at))
	now, found, err := get(ctx, r, subject)
	if err != nil || !found {
		return out, err
	}
	for i, t := range at {
		if out[i].Cost = now.cost; now.stoppedAt != nil {
			continue
		}
		t = now.notAfterRefusal(t)
		paid, err := m.cfg.Wallet.Paid(ctx, r, subject, now.firstRefundable(t))
		if err != nil {
			return nil, err
		}
		out[i].Refund = now.preview(paid, t, rule)
		unbooked := max(0, now.begunBefore(t)-now.hours)
		out[i].Cost += now.hourlyPrice.Times(unbooked) - out[i].Refund
	}
	return out, nil
}

// preview returns what a stop would refund of the paid hours.
func (r *reading) preview(paid []wallet.Paid, at time.Time, rule Rule) (sum money.Micros) {
	// A stop would first book the current hour.
	if n := r.begunBefore(at); n > 0 && (len(paid) == 0 || paid[len(paid)-1].Hour < n-1) {
		paid = append(paid, wallet.Paid{Hour: n - 1, Amount: r.hourlyPrice, HourlyPrice: r.hourlyPrice})
	}
	for _, p := range paid {
		sum += r.refund(p, at, rule).Amount
	}
	return sum
}

// grouped returns a count with commas between thousands: "1,234".
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int64, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
