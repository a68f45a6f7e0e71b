package main

import (
	"fmt"

	"github.com/billetcloud/billet/internal/allowance"
	"github.com/billetcloud/billet/internal/money"
	"github.com/spf13/cobra"
)

// spending are the flags for what a key may spend.
type spending struct {
	price, day, month string
	deployments       int64
	types             []string
}

func (s *spending) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.price, "max-hourly-price", "", "US dollars an hour that one deployment may cost at most")
	f.StringVar(&s.day, "max-spend-per-day", "", "US dollars for hours that begin on one day (UTC)")
	f.StringVar(&s.month, "max-spend-per-month", "", "US dollars for hours that begin in one month (UTC)")
	f.Int64Var(&s.deployments, "max-deployments", 0, "how many deployments of the key may be there at a time")
	f.StringSliceVar(&s.types, "gpu-types", nil, "which GPU types it may deploy, comma-separated; all without this")
}

// limits are those of the flags that were given.
func (s *spending) limits(cmd *cobra.Command) (allowance.SpendingLimits, error) {
	l := allowance.SpendingLimits{GPUTypes: s.types}
	for _, amount := range []struct {
		flag, text string
		limit      **money.Micros
	}{{"max-hourly-price", s.price, &l.MaxHourlyPrice}, {"max-spend-per-day", s.day, &l.MaxSpendPerDay}, {"max-spend-per-month", s.month, &l.MaxSpendPerMonth}} {
		if !cmd.Flags().Changed(amount.flag) {
			continue
		}
		m, err := money.Parse(amount.text)
		if err != nil {
			return l, fmt.Errorf("--%s: %q is no amount in US dollars, such as 100 or 23.92", amount.flag, amount.text)
		}
		*amount.limit = &m
	}
	if cmd.Flags().Changed("max-deployments") {
		l.MaxDeployments = &s.deployments
	}
	return l, nil
}
