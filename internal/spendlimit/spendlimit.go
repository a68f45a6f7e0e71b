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

// SpendingLimits are what a key may spend. Nil is no limit.
type SpendingLimits struct {
	MaxHourlyPrice   *money.Micros `json:"maxHourlyPrice" nullable:"true" doc:"US dollars an hour that one deployment may cost at most; null for no limit."`
	MaxSpendPerDay   *money.Micros `json:"maxSpendPerDay" nullable:"true" doc:"US dollars for hours that begin on one day (UTC); what is begun counts until its planned end. null for no limit."`
	MaxSpendPerMonth *money.Micros `json:"maxSpendPerMonth" nullable:"true" doc:"US dollars for hours that begin in one month (UTC), counted alike; null for no limit."`
	MaxDeployments   *int64        `json:"maxDeployments" nullable:"true" doc:"How many deployments of the key may be there at a time; null for no limit."`
	GPUTypes         []string      `json:"gpuTypes" doc:"Which GPU types it may deploy; all where the list is empty."`
}

// Bounds of limits.
const (
	// MaxGPUTypes is how many a key may be restricted to.
	MaxGPUTypes = 50
	maxAmount   = 1_000_000_000 * money.USD
)

// Any tells whether anything is limited.
func (l SpendingLimits) Any() bool {
	return l.MaxHourlyPrice != nil || l.MaxSpendPerDay != nil || l.MaxSpendPerMonth != nil || l.MaxDeployments != nil || len(l.GPUTypes) > 0
}

// Check returns what is wrong with the limits, under that field.
func (l SpendingLimits) Check(field string) (faults []apierr.FieldError) {
	for name, amount := range map[string]*money.Micros{"maxHourlyPrice": l.MaxHourlyPrice, "maxSpendPerDay": l.MaxSpendPerDay, "maxSpendPerMonth": l.MaxSpendPerMonth} {
		if amount != nil && (*amount < 0 || *amount > maxAmount) {
			faults = append(faults, apierr.FieldError{Field: field + "." + name, Message: "must be from 0 to 1,000,000,000 US dollars."})
		}
	}
	if l.MaxDeployments != nil && (*l.MaxDeployments < 0 || *l.MaxDeployments > 1_000_000) {
		faults = append(faults, apierr.FieldError{Field: field + ".maxDeployments", Message: "must be from 0 to 1,000,000."})
	}
	if len(l.GPUTypes) > MaxGPUTypes {
		faults = append(faults, apierr.FieldError{Field: field + ".gpuTypes", Message: fmt.Sprintf("names %d types; at most %d are allowed.", len(l.GPUTypes), MaxGPUTypes)})
	}
	for i, t := range l.GPUTypes {
		if strings.TrimSpace(t) != t || t == "" || len(t) > 100 || !apierr.Printable(t) {
			faults = append(faults, apierr.FieldError{Field: fmt.Sprintf("%s.gpuTypes[%d]", field, i), Message: "is no GPU type, such as NVIDIA B200."})
		}
	}
	return faults
}

// Use is something that a key has begun to pay for.
type Use struct {
	Subject     id.ID
	HourlyPrice money.Micros
	From        time.Time
	// Until is the planned end; nil for none.
	Until *time.Time
	// Started tells that From is when the first hour began; before, it may begin at any time from then on.
	Started bool
	// Over tells that Until is when it ended.
	Over bool
}

// cost is what the hours of the use that begin in the interval cost.
func (u Use) cost(from, to time.Time) money.Micros {
	if u.Until != nil && !u.Until.After(u.From) {
		return 0
	}
	end := to
	if u.Until != nil && u.Until.Before(to) {
		end = *u.Until
	}
	if !u.Started { // whenever in an hour it begins, no more of them begin than this
		begin := from
		if u.From.After(from) {
			begin = u.From
		}
		return u.HourlyPrice.Times(max(0, ceil(end.Sub(begin))))
	}
	first := max(0, ceil(from.Sub(u.From)))
	last := ceil(end.Sub(u.From)) // the first hour that does not count any more
	if last <= first {
		return 0
	}
	cost := u.HourlyPrice.Times(last - first)
	if first == 0 && u.Over && u.Until.Sub(u.From) < time.Hour { // the unused part of the first hour came back
		cost = money.ForSeconds(u.HourlyPrice, int64(u.Until.Sub(u.From)/time.Second))
	}
	return cost
}

// ceil is how many hours have begun before the end of d.
func ceil(d time.Duration) int64 {
	n := int64(d / time.Hour)
	if d > 0 && d%time.Hour != 0 {
		n++
	}
	return n
}

// Set gives the key these limits, or, where none is set, takes them away. What it has begun before, while it had none, does not count.
func Set(ctx context.Context, tx *db.Tx, key id.ID, l SpendingLimits) error {
	if !l.Any() {
		return remove(ctx, tx, key)
	}
	return put(ctx, tx, key, l)
}

// Of returns the limits of those keys that have any, by key.
func Of(ctx context.Context, r db.Reader, keys []id.ID) (map[id.ID]SpendingLimits, error) {
	if len(keys) == 0 {
		return map[id.ID]SpendingLimits{}, nil
	}
	return limits(ctx, r, keys)
}

// Begin lets the key begin the uses, or answers KEY_LIMIT_REACHED. kept tells that the key is limited: then what becomes of the uses is to be told.
// gpuTypes are all that may come of them.
func Begin(ctx context.Context, tx *db.Tx, key id.ID, u Use, gpuTypes ...string) (kept bool, err error) {
	l, found, err := lock(ctx, tx, key)
	if err != nil || !found {
		return false, err
	}
	for _, t := range gpuTypes {
		if len(l.GPUTypes) > 0 && !slices.ContainsFunc(l.GPUTypes, func(may string) bool { return strings.EqualFold(may, t) }) {
			return true, reached("gpuTypes", nil, "This API key may deploy %s only, not %s.", strings.Join(l.GPUTypes, ", "), t)
		}
	}
	if err := check(ctx, tx, key, l, u); err != nil {
		return true, err
	}
	return true, insert(ctx, tx, key, u)
}

// Change moves the planned end or the price of a use, by the limited key itself, or, with key "", by somebody who may.
func Change(ctx context.Context, tx *db.Tx, key id.ID, u Use) error {
	if key != "" {
		l, found, err := lock(ctx, tx, key)
		if err != nil {
			return err
		}
		if found {
			if err := check(ctx, tx, key, l, u); err != nil {
				return err
			}
		}
	}
	return update(ctx, tx, u)
}

// Reprice has a use cost that much from now on, by the limited key itself, or, with key "", by somebody who may.
func Reprice(ctx context.Context, tx *db.Tx, key, subject id.ID, price money.Micros) error {
	u, of, found, err := one(ctx, tx, subject)
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

// Foreign refuses a limited key what would have something that it has not begun cost more.
func Foreign(ctx context.Context, tx *db.Tx, key id.ID) error {
	_, found, err := lock(ctx, tx, key)
	if err == nil && found {
		err = reached("", nil, "This API key has limits of its own, and may make only that cost more which it has begun itself.")
	}
	return err
}

// End tells that the use ended then; nil where nothing of it is paid.
func End(ctx context.Context, tx *db.Tx, subject id.ID, at *time.Time) error {
	if at == nil {
		return forget(ctx, tx, subject)
	}
	return end(ctx, tx, subject, *at)
}

// Spent is what of its limits a key has used.
type Spent struct {
	CommittedToday     money.Micros `json:"committedToday" doc:"US dollars for hours that begin today (UTC), also those that are still to come until the planned ends."`
	CommittedThisMonth money.Micros `json:"committedThisMonth" doc:"US dollars for hours that begin in this month (UTC), counted alike."`
	Deployments        int64        `json:"deployments" doc:"How many deployments of the key are there now."`
}

// Used returns what of its limits the key has used by now. What it began while it had none does not count.
func Used(ctx context.Context, r db.Reader, key id.ID, now time.Time) (Spent, error) {
	today, month := starts(now)
	all, err := uses(ctx, r, key, month)
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

// starts are when the day and the month began.
func starts(now time.Time) (today, month time.Time) {
	now = now.UTC()
	return time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC), time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// counts tells whether the use is a deployment that is there.
func (u Use) counts() bool { return !u.Over && u.Subject.Kind() == id.Deployment }

// check tells whether the use fits beside the others of its key.
func check(ctx context.Context, tx *db.Tx, key id.ID, l SpendingLimits, u Use) error {
	if l.MaxHourlyPrice != nil && u.HourlyPrice > *l.MaxHourlyPrice && u.Subject.Kind() == id.Deployment {
		return reached("maxHourlyPrice", map[string]any{"maximum": *l.MaxHourlyPrice, "hourlyPrice": u.HourlyPrice},
			"This API key may deploy for %s an hour at most, and this costs %s.", *l.MaxHourlyPrice, u.HourlyPrice)
	}
	today, month := starts(tx.Now)
	others, err := uses(ctx, tx, key, month)
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(o Use) bool { return o.Subject == u.Subject })
	there := int64(1)
	for _, o := range others {
		if o.counts() {
			there++
		}
	}
	if l.MaxDeployments != nil && there > *l.MaxDeployments && u.Subject.Kind() == id.Deployment {
		return reached("maxDeployments", map[string]any{"maximum": *l.MaxDeployments, "deployments": there - 1},
			"This API key may have %d deployments at a time, and has %d. Terminate one first.", *l.MaxDeployments, there-1)
	}
	// Whatever runs on goes down from day to day after tomorrow, and of two months that follow each other one has 31 days.
	for i := range 2 {
		if err := fits("maxSpendPerDay", "day", l.MaxSpendPerDay, others, u, today.AddDate(0, 0, i), today.AddDate(0, 0, i+1)); err != nil {
			return err
		}
	}
	for i := range 3 {
		if err := fits("maxSpendPerMonth", "month", l.MaxSpendPerMonth, others, u, month.AddDate(0, i, 0), month.AddDate(0, i+1, 0)); err != nil {
			return err
		}
	}
	return nil
}

func fits(limit, what string, most *money.Micros, others []Use, u Use, from, to time.Time) error {
	if most == nil {
		return nil
	}
	wanted, committed := u.cost(from, to), money.Micros(0)
	for _, o := range others {
		committed += o.cost(from, to)
	}
	if wanted == 0 || committed+wanted <= *most {
		return nil
	}
	hint := "Choose something cheaper, or an earlier autoTerminateAt."
	if u.Until == nil {
		hint = "Without an autoTerminateAt it counts until it is ended: give one."
	}
	return reached(limit, map[string]any{"maximum": *most, "committed": committed, "wanted": wanted, "from": from},
		"This API key may spend %s a %s. For the %s from %s, %s is committed and this would take %s more. %s", *most, what, what, from.Format(time.DateOnly), committed, wanted, hint)
}

func reached(limit string, details map[string]any, format string, args ...any) error {
	e := apierr.New(apierr.KeyLimitReached, format, args...)
	if details == nil {
		details = map[string]any{}
	}
	details["limit"], e.Details = limit, details
	return e
}
