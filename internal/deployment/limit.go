package deployment

import (
	"fmt"
	"math"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
)

// MaxSpendLimit is the largest maxSpend.
const MaxSpendLimit = 1_000_000_000 * money.USD

// autoEnd is when, and why, a deployment auto-terminates.
type autoEnd struct {
	at     time.Time
	cause  Cause
	reason string // "" where the cause says it all
}

// autoEnd returns the first of the instants at which the deployment auto-terminates: at
// autoTerminateAt, after maxRuntimeMinutes, and when an hour would begin that passes maxSpend. None
// is before the end of the minimum runtime. It returns false if nothing is planned, or if that
// depends on when the first hour begins.
func (r *row) autoEnd() (first autoEnd, planned bool) {
	add := func(e autoEnd) {
		if least := r.terminableAt(); e.at.Before(least) {
			e.at = least
		}
		if !planned || e.at.Before(first.at) {
			first, planned = e, true
		}
	}
	if r.autoTerminateAt != nil {
		add(autoEnd{*r.autoTerminateAt, CauseScheduled, ""})
	}
	if r.startedAt == nil {
		return first, planned
	}
	if r.maxRuntime != nil {
		add(autoEnd{
			r.startedAt.Add(time.Duration(*r.maxRuntime) * time.Minute), CauseMaxRuntime,
			fmt.Sprintf("The maximum runtime of %d minutes was reached.", *r.maxRuntime),
		})
	}
	if hours, limited := r.payableHours(); limited {
		add(autoEnd{
			r.startedAt.Add(time.Duration(hours) * meter.Hour), CauseMaxSpend,
			fmt.Sprintf("Another hour at %s would have passed the maximum spend of %s.", r.hourlyPrice, *r.maxSpend),
		})
	}
	return first, planned
}

// endsAt is the instant of autoEnd; nil if there is none.
func (r *row) endsAt() *time.Time {
	if end, planned := r.autoEnd(); planned {
		return &end.at
	}
	return nil
}

// longestHours is more hours than any deployment has: a century.
const longestHours = 876_000

// payableHours returns how many hours maxSpend pays for. It returns false if it does not limit
// them.
func (r *row) payableHours() (int64, bool) {
	if r.maxSpend == nil || r.hourlyPrice <= 0 || *r.maxSpend/r.hourlyPrice > longestHours {
		return 0, false
	}
	return int64(*r.maxSpend / r.hourlyPrice), true
}

// mostHours returns how many hours at the price the limits allow, whenever the first begins; nil if
// they limit nothing. A cheaper candidate may run for more hours than the most expensive one, but
// never costs more than that number of hours at the highest price.
func (r *row) mostHours(price money.Micros) *int64 {
	most, limited := int64(math.MaxInt64), false
	if r.maxRuntime != nil {
		most, limited = (*r.maxRuntime+59)/60, true
	}
	if r.maxSpend != nil && price > 0 {
		hours := int64(*r.maxSpend / price)
		if len(r.plans) > 0 && *r.maxSpend%price != 0 {
			hours++
		}
		most, limited = min(most, hours), true
	}
	if !limited {
		return nil
	}
	return &most
}

// least is the smallest value that each limit may have.
type least struct {
	spend   money.Micros
	minutes int64
}

// add raises the values to what an offer needs: its minimum runtime, and the hours that begin in
// it. The first hour is charged in full when it begins.
func (l *least) add(price money.Micros, minimum time.Duration) {
	l.spend = max(l.spend, price.Times(hoursIn(minimum)))
	l.minutes = max(l.minutes, int64((minimum+time.Minute-1)/time.Minute))
}

// hoursIn returns how many hours begin in a minimum runtime.
func hoursIn(minimum time.Duration) int64 { return max(1, int64((minimum+meter.Hour-1)/meter.Hour)) }

// leastOf returns the values for a request. The minimum runtime of the specification holds even
// where no offer of the request exists, so that the answer names every problem.
func leastOf(offers []acceptedOffer) least {
	l := least{minutes: int64(catalog.MinimumRuntime / time.Minute)}
	for _, o := range offers {
		l.add(o.price, time.Duration(o.offer.MinimumRuntimeMinutes)*time.Minute)
	}
	return l
}

// checkLimits checks limits of a deployment that has not started.
func checkLimits(f *fieldErrors, spend *money.Micros, minutes *int64, l least) {
	if checkMaxSpend(f, spend) && *spend < l.spend {
		f.add("maxSpend", "must be at least %s: that much is charged when the minimum runtime has passed.", l.spend)
	}
	if checkMaxRuntime(f, minutes) && *minutes < l.minutes {
		f.add("maxRuntimeMinutes", "must be at least %d, the minimum runtime.", l.minutes)
	}
}

// checkMaxSpend reports whether there is a limit within the bounds of every deployment.
func checkMaxSpend(f *fieldErrors, spend *money.Micros) bool {
	if spend == nil {
		return false
	}
	if *spend <= 0 || *spend > MaxSpendLimit {
		f.add("maxSpend", "must be more than 0 and at most 1,000,000,000 US dollars.")
		return false
	}
	return true
}

// checkMaxRuntime reports whether there is a limit within the bounds of every deployment.
func checkMaxRuntime(f *fieldErrors, minutes *int64) bool {
	const most = int64(MaxAhead / time.Minute)
	if minutes == nil {
		return false
	}
	if *minutes <= 0 || *minutes > most {
		f.add("maxRuntimeMinutes", "must be from 1 to %d, which is five years.", most)
		return false
	}
	return true
}

// setLimits takes over the limits that the request changes. A limit that the deployment has passed
// already is refused: to end it now, it is terminated.
func (r *row) setLimits(f *fieldErrors, u UpdateRequest, now time.Time) {
	var l least
	l.add(r.hourlyPrice, r.minimumRuntime)
	for _, p := range r.plans {
		l.add(p.HourlyPrice, time.Duration(p.MinimumMinutes)*time.Minute)
	}
	switch {
	case r.ended(): // the caller refuses the change
	case r.startedAt == nil:
		checkLimits(f, u.MaxSpend, u.MaxRuntimeMinutes, l)
	default:
		r.checkNewLimits(f, u, l, now)
	}
	if u.MaxSpend != nil || u.ClearMaxSpend {
		r.maxSpend = u.MaxSpend
	}
	if u.MaxRuntimeMinutes != nil || u.ClearMaxRuntime {
		r.maxRuntime = u.MaxRuntimeMinutes
	}
}

// checkNewLimits checks limits of a deployment that has run for a while.
func (r *row) checkNewLimits(f *fieldErrors, u UpdateRequest, l least, now time.Time) {
	ran := max(0, now.Sub(*r.startedAt))
	charged := r.hourlyPrice.Times(int64(ran/meter.Hour) + 1) // an hour that begins now may be charged already
	if checkMaxSpend(f, u.MaxSpend) && *u.MaxSpend < max(l.spend, charged) {
		f.add("maxSpend", "must be at least %s, which is charged by the end of the current hour and the minimum "+
			"runtime. To end the deployment sooner, terminate it.", max(l.spend, charged))
	}
	passed := int64((ran + time.Minute - 1) / time.Minute)
	if checkMaxRuntime(f, u.MaxRuntimeMinutes) && *u.MaxRuntimeMinutes < max(l.minutes, passed) {
		f.add("maxRuntimeMinutes", "must be at least %d: the minimum runtime and the time that the deployment has "+
			"run. To end it now, terminate it.", max(l.minutes, passed))
	}
}
