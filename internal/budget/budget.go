package budget

import (
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// Bounds of budgets.
const (
	// MaxPerAccount is the most budgets of an account.
	MaxPerAccount = 50
	// MaxThresholds is the most thresholds of a budget.
	MaxThresholds = 10
	maxAmount     = 1_000_000_000 * money.USD
)

// Period is the time that an amount is for.
type Period string

// The periods. Days and months are those of UTC.
const (
	Day   Period = "day"
	Month Period = "month"
	Total Period = "total"
)

// Enum lists every period.
func (Period) Enum() []Period { return []Period{Day, Month, Total} }

// Mode is what happens when a budget would be passed.
type Mode string

// The modes.
const (
	Alert     Mode = "alert"
	Block     Mode = "block"
	Terminate Mode = "terminate"
)

// Enum lists every mode.
func (Mode) Enum() []Mode { return []Mode{Alert, Block, Terminate} }

// BudgetScope is what counts toward a budget: everything of the account, or what has one of these.
// At most one is set.
type BudgetScope struct {
	Project  *string `json:"project,omitempty" minLength:"1" maxLength:"64" doc:"Deployments and volumes of this project."`
	Tag      *string `json:"tag,omitempty" minLength:"1" maxLength:"64" doc:"Deployments with this tag."`
	APIKeyID *id.ID  `json:"apiKeyId,omitempty" minLength:"1" maxLength:"40" doc:"Deployments and volumes that this API key created."`
}

// has reports whether something that is described like this counts.
func (s BudgetScope) has(d wallet.Subject) bool {
	switch {
	case s.Project != nil:
		return d.Project == *s.Project
	case s.Tag != nil:
		return slices.Contains(d.Tags, *s.Tag)
	case s.APIKeyID != nil:
		return d.CreatedBy.Type == creator.APIKey && d.CreatedBy.ID == *s.APIKeyID
	}
	return true
}

func (s BudgetScope) check() (errs []apierr.FieldError) {
	given := 0
	if s.Project != nil {
		given++
		errs = append(errs, apierr.CheckName("scope.project", *s.Project)...)
	}
	if s.Tag != nil {
		given++
		errs = append(errs, apierr.CheckName("scope.tag", *s.Tag)...)
	}
	if s.APIKeyID != nil {
		given++
		if !s.APIKeyID.Valid(id.APIKey) {
			errs = append(errs, apierr.FieldError{
				Field: "scope.apiKeyId", Message: "must be the id of an API key, which begins with key_.",
			})
		}
	}
	if given > 1 {
		errs = append(errs, apierr.FieldError{
			Field: "scope", Message: "must have at most one of project, tag and apiKeyId.",
		})
	}
	return errs
}

// Settings are what a user decides about a budget.
type Settings struct {
	Name       string       `json:"name" doc:"Name of the budget."`
	Scope      BudgetScope  `json:"scope" doc:"What counts: an empty object for everything of the account, or one of project, tag and apiKeyId."`
	Period     Period       `json:"period" doc:"day or month (UTC), or total for all that was ever charged."`
	Amount     money.Micros `json:"amount" doc:"US dollars for each period."`
	Thresholds []int        `json:"thresholds" doc:"Percentages of the amount. Each is reported when it is reached, once per period."`
	Mode       Mode         `json:"mode" doc:"alert only reports; block also refuses new deployments and volumes that would exceed the amount; terminate also ends deployments before an hour that would exceed it begins."`
}

// DefaultThresholds are those of a budget that names none.
var DefaultThresholds = []int{50, 80, 100}

func (s Settings) check() error {
	errs := apierr.CheckName("name", s.Name)
	errs = append(errs, s.Scope.check()...)
	add := func(field, format string, args ...any) {
		errs = append(errs, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if !slices.Contains(Period("").Enum(), s.Period) {
		add("period", "must be day, month or total.")
	}
	if !slices.Contains(Mode("").Enum(), s.Mode) {
		add("mode", "must be alert, block or terminate.")
	}
	if s.Amount <= 0 || s.Amount > maxAmount {
		add("amount", "must be more than 0 and at most 1,000,000,000 US dollars.")
	}
	if len(s.Thresholds) > MaxThresholds {
		add("thresholds", "must be at most %d percentages, not %d.", MaxThresholds, len(s.Thresholds))
	}
	for i, t := range s.Thresholds {
		switch {
		case t < 1 || t > 100:
			add(fmt.Sprintf("thresholds[%d]", i), "must be from 1 to 100 percent.")
		case slices.Contains(s.Thresholds[:i], t):
			add(fmt.Sprintf("thresholds[%d]", i), "repeats %d. Name it once.", t)
		}
	}
	return apierr.Invalid(errs).OrNil()
}

// Budget is a budget with what counts toward it now.
type Budget struct {
	ID      id.ID `json:"id" doc:"Id of the budget, bud_…"`
	Account id.ID `json:"-"`
	Settings
	Spent     money.Micros    `json:"spent" doc:"US dollars charged for hours that began in the current period, less refunds."`
	Committed money.Micros    `json:"committed" doc:"Minimum in US dollars that deployments and volumes that have not ended will still be charged: first hours on hold, and the hours of minimum runtimes."`
	ResetsAt  *time.Time      `json:"resetsAt" doc:"When the current period ends; null for total."`
	CreatedBy creator.Creator `json:"createdBy" doc:"Who created the budget."`
	CreatedAt time.Time       `json:"createdAt" doc:"When the budget was created."`
}

// interval returns when the period that t is in begins and ends. A total has no end.
func (p Period) interval(t time.Time) (from time.Time, to *time.Time) {
	y, m, d := t.UTC().Date()
	switch p {
	case Day:
		from = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		return from, new(from.AddDate(0, 0, 1))
	case Month:
		from = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
		return from, new(from.AddDate(0, 1, 0))
	}
	return time.Unix(0, 0).UTC(), nil
}

// words are the period as part of a sentence.
func (p Period) words() string {
	switch p {
	case Day:
		return " a day"
	case Month:
		return " a month"
	}
	return " in total"
}

// String names the budget and its amount.
func (s Settings) String() string {
	return fmt.Sprintf("%s of %s%s", s.Name, s.Amount, s.Period.words())
}

// reached returns the highest threshold that the amount reaches; 0 for none.
func (s Settings) reached(used money.Micros) int {
	highest := 0
	for _, t := range s.Thresholds {
		// An amount is at most a billion dollars, so a hundred times it fits.
		if used.Times(100) >= s.Amount.Times(int64(t)) {
			highest = max(highest, t)
		}
	}
	return highest
}
