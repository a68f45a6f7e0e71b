package spendlimit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// SpendingLimits limit what a key may spend. Nil is no limit.
type SpendingLimits struct {
	MaxHourlyPrice   *money.Micros `json:"maxHourlyPrice" nullable:"true" doc:"Maximum price of one deployment in US dollars an hour; null for no limit."`
	MaxSpendPerDay   *money.Micros `json:"maxSpendPerDay" nullable:"true" doc:"Daily limit in US dollars for hours that begin on one day (UTC). A deployment counts until its auto-terminate time. null for no limit."`
	MaxSpendPerMonth *money.Micros `json:"maxSpendPerMonth" nullable:"true" doc:"Monthly limit in US dollars for hours that begin in one month (UTC), counted like the daily limit; null for no limit."`
	MaxDeployments   *int64        `json:"maxDeployments" nullable:"true" doc:"Maximum number of concurrent deployments of the key; null for no limit."`
	GPUTypes         []string      `json:"gpuTypes" doc:"GPU types that the key may deploy; empty for all."`
}

// Bounds of limits.
const (
	// MaxGPUTypes is the largest number of GPU types in a limit.
	MaxGPUTypes = 50
	maxAmount   = 1_000_000_000 * money.USD
)

// Any reports whether anything is limited.
func (l SpendingLimits) Any() bool {
	return l.MaxHourlyPrice != nil || l.MaxSpendPerDay != nil || l.MaxSpendPerMonth != nil || l.MaxDeployments != nil ||
		len(l.GPUTypes) > 0
}

// Check returns an error for each invalid limit. field is the name of the limits in the request.
func (l SpendingLimits) Check(field string) (errs []apierr.FieldError) {
	invalid := func(name, format string, args ...any) {
		errs = append(errs, apierr.FieldError{Field: field + "." + name, Message: fmt.Sprintf(format, args...)})
	}
	for name, amount := range map[string]*money.Micros{
		"maxHourlyPrice": l.MaxHourlyPrice, "maxSpendPerDay": l.MaxSpendPerDay, "maxSpendPerMonth": l.MaxSpendPerMonth,
	} {
		if amount != nil && (*amount < 0 || *amount > maxAmount) {
			invalid(name, "must be from 0 to 1,000,000,000 US dollars.")
		}
	}
	if l.MaxDeployments != nil && (*l.MaxDeployments < 0 || *l.MaxDeployments > 1_000_000) {
		invalid("maxDeployments", "must be from 0 to 1,000,000.")
	}
	if len(l.GPUTypes) > MaxGPUTypes {
		invalid("gpuTypes", "has %d GPU types; at most %d are allowed.", len(l.GPUTypes), MaxGPUTypes)
	}
	for i, t := range l.GPUTypes {
		if strings.TrimSpace(t) != t || t == "" || len(t) > 100 || !apierr.Printable(t) {
			invalid(fmt.Sprintf("gpuTypes[%d]", i), "must be a GPU type, such as NVIDIA B200.")
		}
	}
	return errs
}

// Use is something that a key has started to pay for.
type Use struct {
	Subject     id.ID
	HourlyPrice money.Micros
	From        time.Time
	// Until is the auto-terminate time; nil for none.
	Until *time.Time
	// Started is true if From is when the first hour began. Before, it may begin at any time from
	// then on.
	Started bool
	// Over is true if the use ended at Until.
	Over bool
	// MostHours is how many hours begin at most, whenever the first does; nil if nothing limits
	// them.
	MostHours *int64
}

// cost returns the cost of the use's hours that begin in the interval.
func (u Use) cost(from, to time.Time) money.Micros {
	if u.Until != nil && !u.Until.After(u.From) {
		return 0
	}
	end := to
	if u.Until != nil && u.Until.Before(to) {
		end = *u.Until
	}
	if !u.Started { // whenever the first hour begins, no more hours than this can begin
		begin := from
		if u.From.After(from) {
			begin = u.From
		}
		hours := max(0, ceil(end.Sub(begin)))
		if u.MostHours != nil {
			hours = min(hours, *u.MostHours)
		}
		return u.HourlyPrice.Times(hours)
	}
	first := max(0, ceil(from.Sub(u.From)))
	last := ceil(end.Sub(u.From)) // the first hour that no longer counts
	if last <= first {
		return 0
	}
	cost := u.HourlyPrice.Times(last - first)
	if first == 0 && u.Over && u.Until.Sub(u.From) < time.Hour { // the unused part of the first hour was refunded
		cost = money.ForSeconds(u.HourlyPrice, int64(u.Until.Sub(u.From)/time.Second))
	}
	return cost
}

// ceil returns how many hours begin before the end of d.
func ceil(d time.Duration) int64 {
	n := int64(d / time.Hour)
	if d%time.Hour > 0 {
		n++
	}
	return n
}

// Set sets the key's limits, or removes them if there are none. What the key started before,
// without limits, does not count.
func Set(ctx context.Context, tx *db.Tx, key id.ID, l SpendingLimits) error {
	if !l.Any() {
		return deleteLimits(ctx, tx, key)
	}
	return putLimits(ctx, tx, key, l)
}

// Of returns the limits of those keys that have any, by key.
func Of(ctx context.Context, r db.Reader, keys []id.ID) (map[id.ID]SpendingLimits, error) {
	if len(keys) == 0 {
		return map[id.ID]SpendingLimits{}, nil
	}
	return selectLimits(ctx, r, keys)
}

// Begin records a use of the key, or returns KEY_LIMIT_REACHED. limited reports whether the key has
// limits: if so, the caller must report the further changes of the use. gpuTypes are all that the
// use may deploy.
func Begin(ctx context.Context, tx *db.Tx, key id.ID, u Use, gpuTypes ...string) (limited bool, err error) {
	l, found, err := lockLimits(ctx, tx, key)
	if err != nil || !found {
		return false, err
	}
	for _, t := range gpuTypes {
		equal := func(allowed string) bool { return strings.EqualFold(allowed, t) }
		if len(l.GPUTypes) > 0 && !slices.ContainsFunc(l.GPUTypes, equal) {
			return true, reached("gpuTypes", nil, "This API key may only deploy %s, not %s.",
				strings.Join(l.GPUTypes, ", "), t)
		}
	}
	if err := check(ctx, tx, key, l, u); err != nil {
		return true, err
	}
	return true, insertUse(ctx, tx, key, u)
}

// Change changes the auto-terminate time or the price of a use. key is the limited key that asks
// for it, or "" for a change that is not subject to limits.
func Change(ctx context.Context, tx *db.Tx, key id.ID, u Use) error {
	if key != "" {
		l, found, err := lockLimits(ctx, tx, key)
		if err != nil {
			return err
		}
		if found {
			if err := check(ctx, tx, key, l, u); err != nil {
				return err
			}
		}
	}
	return updateUse(ctx, tx, u)
}

// Reprice changes the price of a use from now on. key is as for Change.
func Reprice(ctx context.Context, tx *db.Tx, key, subject id.ID, price money.Micros) error {
	u, of, found, err := findUse(ctx, tx, subject)
	if err != nil || !found {
		if err == nil && key != "" {
			err = Foreign(ctx, tx, key)
		}
		return err
	}
	if key != "" && key != of {
		return Foreign(ctx, tx, key)
	}
	u.HourlyPrice = price
	return Change(ctx, tx, key, u)
}

// Foreign returns an error if the key has limits: such a key must not raise the cost of what it has
// not started.
func Foreign(ctx context.Context, tx *db.Tx, key id.ID) error {
	_, found, err := lockLimits(ctx, tx, key)
	if err == nil && found {
		err = reached("", nil,
			"This API key has spending limits, so it can only raise the cost of what it has started itself.")
	}
	return err
}

// End ends the use at an instant; nil if nothing of it is paid.
func End(ctx context.Context, tx *db.Tx, subject id.ID, at *time.Time) error {
	if at == nil {
		return deleteUse(ctx, tx, subject)
	}
	return endUse(ctx, tx, subject, *at)
}

// Spent is how much of its limits a key has used.
type Spent struct {
	CommittedToday     money.Micros `json:"committedToday" doc:"US dollars for hours that begin today (UTC), including those still to come until the auto-terminate times."`
	CommittedThisMonth money.Micros `json:"committedThisMonth" doc:"US dollars for hours that begin in this month (UTC), counted like committedToday."`
	Deployments        int64        `json:"deployments" doc:"Number of current deployments of the key."`
}

// Used returns how much of its limits the key has used by now. What it started without limits does
// not count.
func Used(ctx context.Context, r db.Reader, key id.ID, now time.Time) (Spent, error) {
	today, month := starts(now)
	all, err := selectUses(ctx, r, key, month)
	var s Spent
	for _, u := range all {
		s.CommittedToday += u.cost(today, today.AddDate(0, 0, 1))
		s.CommittedThisMonth += u.cost(month, month.AddDate(0, 1, 0))
		if u.counts() {
			s.Deployments++
		}
	}
	return s, err
}

// starts returns when the day and the month began.
func starts(now time.Time) (today, month time.Time) {
	now = now.UTC()
	month = time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	return month.AddDate(0, 0, now.Day()-1), month
}

// counts reports whether the use is a current deployment.
func (u Use) counts() bool { return !u.Over && u.Subject.Kind() == id.Deployment }

// check returns an error if the use, with the other uses of its key, exceeds a limit.
func check(ctx context.Context, tx *db.Tx, key id.ID, l SpendingLimits, u Use) error {
	if l.MaxHourlyPrice != nil && u.HourlyPrice > *l.MaxHourlyPrice && u.Subject.Kind() == id.Deployment {
		return reached("maxHourlyPrice", map[string]any{"maximum": *l.MaxHourlyPrice, "hourlyPrice": u.HourlyPrice},
			"This API key may deploy for at most %s an hour, but this costs %s.", *l.MaxHourlyPrice, u.HourlyPrice)
	}
	today, month := starts(tx.Now)
	others, err := selectUses(ctx, tx, key, month)
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(o Use) bool { return o.Subject == u.Subject })
	count := int64(1)
	for _, o := range others {
		if o.counts() {
			count++
		}
	}
	if l.MaxDeployments != nil && count > *l.MaxDeployments && u.Subject.Kind() == id.Deployment {
		return reached("maxDeployments", map[string]any{"maximum": *l.MaxDeployments, "deployments": count - 1},
			"This API key may have %d deployments at a time, and has %d. Terminate one first.", *l.MaxDeployments,
			count-1)
	}
	// The commitments of what runs now only fall from day to day after tomorrow, and of two
	// consecutive months one has 31 days.
	for i := range 2 {
		p := period{"maxSpendPerDay", "day", today.AddDate(0, 0, i), today.AddDate(0, 0, i+1)}
		if err := p.check(l.MaxSpendPerDay, others, u); err != nil {
			return err
		}
	}
	for i := range 3 {
		p := period{"maxSpendPerMonth", "month", month.AddDate(0, i, 0), month.AddDate(0, i+1, 0)}
		if err := p.check(l.MaxSpendPerMonth, others, u); err != nil {
			return err
		}
	}
	return nil
}

// period is a day or a month.
type period struct {
	limit, unit string
	from, to    time.Time
}

// check returns an error if the use, with the others, exceeds the maximum of the period.
func (p period) check(maximum *money.Micros, others []Use, u Use) error {
	if maximum == nil {
		return nil
	}
	wanted, committed := u.cost(p.from, p.to), money.Micros(0)
	for _, o := range others {
		committed += o.cost(p.from, p.to)
	}
	if wanted == 0 || committed+wanted <= *maximum {
		return nil
	}
	hint := "Choose something cheaper, or an earlier autoTerminateAt."
	if u.Until == nil && u.MostHours == nil {
		hint = "Without autoTerminateAt, maxRuntimeMinutes or maxSpend a deployment counts until it ends: set one."
	}
	details := map[string]any{"maximum": *maximum, "committed": committed, "wanted": wanted, "from": p.from}
	return reached(p.limit, details,
		"This API key may spend %s a %s. For the %s from %s, %s is committed, and this would add %s. %s",
		*maximum, p.unit, p.unit, p.from.Format(time.DateOnly), committed, wanted, hint)
}

func reached(limit string, details map[string]any, format string, args ...any) error {
	e := apierr.New(apierr.KeyLimitReached, format, args...)
	if details == nil {
		details = map[string]any{}
	}
	details["limit"], e.Details = limit, details
	return e
}
