package quota

import (
	"context"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Most is the largest limit of each kind; that of the hourly spend is in micro-dollars.
const Most = 1_000_000_000_000

// Limits are the most that an account may have at once. A nil one is not set.
type Limits struct {
	Machines    *int64        `json:"machines" doc:"Deployments that have not ended; null if not set."`
	GPUs        *int64        `json:"gpus" doc:"GPUs of these deployments; null if not set."`
	HourlySpend *money.Micros `json:"hourlySpend" doc:"US dollars per hour of deployments and volumes together; null if not set."`
	Volumes     *int64        `json:"volumes" doc:"Volumes that are not deleted; null if not set."`
	VolumeGB    *int64        `json:"volumeGb" doc:"Size of these volumes in decimal GB, together; null if not set."`
}

// Usage is what an account has, or asks for.
type Usage struct {
	Machines    int64        `json:"machines" doc:"Deployments that have not ended."`
	GPUs        int64        `json:"gpus" doc:"GPUs of these deployments."`
	HourlySpend money.Micros `json:"hourlySpend" doc:"US dollars per hour of deployments and volumes together, including those that are starting."`
	Volumes     int64        `json:"volumes" doc:"Volumes that are not deleted."`
	VolumeGB    int64        `json:"volumeGb" doc:"Size of these volumes in decimal GB, together."`
}

// Check returns everything that is wrong with the limits.
func (l Limits) Check() []apierr.FieldError {
	var faults []apierr.FieldError
	for _, one := range l.values() {
		if one.limit != nil && (*one.limit < 0 || *one.limit > Most) {
			faults = append(
				faults,
				apierr.FieldError{Field: one.field, Message: "must be from 0 to " + one.print(Most) + "."},
			)
		}
	}
	return faults
}

// value is one of the limits, with its name in a request and in words.
type value struct {
	field, noun string
	limit       *int64
}

// print writes an amount of the limit's kind.
func (v value) print(n int64) string {
	switch v.field {
	case "hourlySpend":
		return fmt.Sprintf("%s/h", money.Micros(n))
	case "volumeGb":
		return fmt.Sprintf("%d GB", n)
	default:
		return fmt.Sprint(n)
	}
}

func (l Limits) values() []value {
	return []value{
		{"machines", "machines", l.Machines},
		{"gpus", "GPUs", l.GPUs},
		{"hourlySpend", "hourly spend", (*int64)(l.HourlySpend)},
		{"volumes", "volumes", l.Volumes},
		{"volumeGb", "size of all volumes", l.VolumeGB},
	}
}

func (u Usage) values() []int64 {
	return []int64{u.Machines, u.GPUs, int64(u.HourlySpend), u.Volumes, u.VolumeGB}
}

// or returns the limits, with those of the defaults in place of the ones that are not set.
func (l Limits) or(defaults Limits) Limits {
	if l.Machines == nil {
		l.Machines = defaults.Machines
	}
	if l.GPUs == nil {
		l.GPUs = defaults.GPUs
	}
	if l.HourlySpend == nil {
		l.HourlySpend = defaults.HourlySpend
	}
	if l.Volumes == nil {
		l.Volumes = defaults.Volumes
	}
	if l.VolumeGB == nil {
		l.VolumeGB = defaults.VolumeGB
	}
	return l
}

// Admit returns QUOTA_EXCEEDED if what is used and what is wanted are together more than a limit
// allows. It names every such limit. What is not wanted is not compared.
func (l Limits) Admit(used, want Usage) error {
	var over []string
	var first map[string]any
	has, more := used.values(), want.values()
	for i, one := range l.values() {
		if one.limit == nil || more[i] <= 0 || has[i]+more[i] <= *one.limit {
			continue
		}
		over = append(over, fmt.Sprintf("%s: %s of %s in use, %s more requested", one.noun, one.print(has[i]),
			one.print(*one.limit), one.print(more[i])))
		if first == nil {
			first = map[string]any{"quota": one.field, "limit": one.shown(*one.limit), "used": one.shown(has[i]),
				"requested": one.shown(more[i])}
		}
	}
	if over == nil {
		return nil
	}
	return &apierr.Error{
		Code: apierr.QuotaExceeded, Details: first,
		Message: "The request exceeds a quota of the account (" + strings.Join(over, "; ") +
			"). Terminate or delete something, or ask the operator for a higher quota.",
	}
}

// shown is an amount as JSON has it.
func (v value) shown(n int64) any {
	if v.field == "hourlySpend" {
		return money.Micros(n)
	}
	return n
}

// Of returns the limits in force for the account.
func Of(ctx context.Context, r db.Reader, account id.ID) (Limits, error) {
	own, defaults, err := Get(ctx, r, account)
	return own.or(defaults), err
}

// Get returns the account's own limits and the defaults.
func Get(ctx context.Context, r db.Reader, account id.ID) (own, defaults Limits, err error) {
	found, err := read(ctx, r, account)
	for _, q := range found {
		if q.account == installation {
			defaults = q.limits
		} else {
			own = q.limits
		}
	}
	return own, defaults, err
}

// Set replaces the account's own limits. It returns INVALID_REQUEST.
func Set(ctx context.Context, tx *db.Tx, account id.ID, l Limits) error {
	if err := apierr.Invalid(l.Check()).OrNil(); err != nil {
		return err
	}
	return put(ctx, tx, stored{account, l, tx.Now})
}

// SetDefaults replaces the limits of accounts that have no own ones. It returns INVALID_REQUEST.
func SetDefaults(ctx context.Context, tx *db.Tx, l Limits) error {
	return Set(ctx, tx, installation, l)
}

// Defaults returns the limits of accounts that have no own ones.
func Defaults(ctx context.Context, r db.Reader) (Limits, error) {
	_, defaults, err := Get(ctx, r, installation)
	return defaults, err
}
