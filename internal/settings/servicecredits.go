package settings

import (
	"fmt"
	"slices"

	"github.com/billetcloud/billet/internal/money"
)

// ServiceCreditMode is what is done about a machine that did not work.
type ServiceCreditMode string

// The modes.
const (
	ServiceCreditsOff       ServiceCreditMode = "off"
	ServiceCreditsReview    ServiceCreditMode = "review"
	ServiceCreditsAutomatic ServiceCreditMode = "automatic"
)

// Enum lists every mode.
func (ServiceCreditMode) Enum() []ServiceCreditMode {
	return []ServiceCreditMode{ServiceCreditsOff, ServiceCreditsReview, ServiceCreditsAutomatic}
}

// ServiceCredits is what accounts get for machines that did not work.
type ServiceCredits struct {
	Mode           ServiceCreditMode `json:"mode" doc:"off: measured downtime leads to no service credit. review: an operator approves each. automatic: those of up to automaticBelow are credited at once."`
	FactorPercent  int64             `json:"factorPercent" doc:"Part of the price of the lost time that is credited, in percent. An hour is never credited with more than it cost."`
	MinimumMinutes int64             `json:"minimumMinutes" doc:"Measured downtime that is shorter is not credited."`
	AutomaticBelow money.Micros      `json:"automaticBelow" doc:"Largest service credit in US dollars that the mode automatic gives without a review."`
}

// ServiceCreditsChange changes ServiceCredits.
type ServiceCreditsChange struct {
	Mode           *ServiceCreditMode `json:"mode,omitempty" doc:"What measured downtime leads to."`
	FactorPercent  *int64             `json:"factorPercent,omitempty" minimum:"1" maximum:"1000" doc:"Part of the price of the lost time that is credited, in percent."`
	MinimumMinutes *int64             `json:"minimumMinutes,omitempty" minimum:"0" maximum:"1440" doc:"Measured downtime that is shorter is not credited."`
	AutomaticBelow *money.Micros      `json:"automaticBelow,omitempty" doc:"Largest service credit in US dollars that the mode automatic gives without a review, at most 10000."`
}

// Bounds and defaults of service credits.
const (
	maxFactorPercent  = 1000
	maxMinimumMinutes = 24 * 60
	maxAutomaticBelow = 10_000 * money.USD
)

// complete sets what holds while nothing was ever set.
func (c *ServiceCredits) complete() {
	if c.Mode == "" {
		*c = ServiceCredits{
			Mode: ServiceCreditsReview, FactorPercent: 100, MinimumMinutes: 10, AutomaticBelow: 50 * money.USD,
		}
	}
}

func (c *ServiceCredits) change(by ServiceCreditsChange) {
	set(&c.Mode, by.Mode)
	set(&c.FactorPercent, by.FactorPercent)
	set(&c.MinimumMinutes, by.MinimumMinutes)
	set(&c.AutomaticBelow, by.AutomaticBelow)
}

func (c ServiceCredits) check(f *faults) {
	if !slices.Contains(c.Mode.Enum(), c.Mode) {
		f.add("serviceCredits.mode", "must be off, review or automatic.")
	}
	if c.FactorPercent < 1 || c.FactorPercent > maxFactorPercent {
		f.add("serviceCredits.factorPercent", fmt.Sprintf("must be from 1 to %d.", maxFactorPercent))
	}
	if c.MinimumMinutes < 0 || c.MinimumMinutes > maxMinimumMinutes {
		f.add("serviceCredits.minimumMinutes", fmt.Sprintf("must be from 0 to %d.", maxMinimumMinutes))
	}
	if c.AutomaticBelow < 0 || c.AutomaticBelow > maxAutomaticBelow {
		f.add("serviceCredits.automaticBelow", fmt.Sprintf("must be from 0 to %s.", maxAutomaticBelow))
	}
}
