package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/spendlimit"
	"github.com/spf13/pflag"
)

// spending is what an API key may spend, as flags give it.
type spending struct {
	hourly, day, month string
	deployments        int64
	gpuTypes           []string
}

func (s *spending) flags(f *pflag.FlagSet) {
	f.StringVar(&s.hourly, "max-hourly-price", "", "US dollars an hour that one deployment may cost at most")
	f.StringVar(&s.day, "max-spend-per-day", "", "US dollars for hours that begin on one day (UTC); what is begun counts until its planned end, and without one for ever")
	f.StringVar(&s.month, "max-spend-per-month", "", "US dollars for hours that begin in one month (UTC), counted alike")
	f.Int64Var(&s.deployments, "max-deployments", 0, "how many deployments of the key may be there at a time; as many as can be paid without this")
	f.StringArrayVar(&s.gpuTypes, "gpu-type", nil, "a GPU type that it may deploy, such as \"NVIDIA B200\"; can be given several times; all without this")
}

// limits are those of the flags that were given: 0 is a limit, too.
func (s *spending) limits(f *pflag.FlagSet) (spendlimit.SpendingLimits, error) {
	l := spendlimit.SpendingLimits{GPUTypes: s.gpuTypes}
	for _, amount := range []struct {
		flag, text string
		limit      **money.Micros
	}{{"max-hourly-price", s.hourly, &l.MaxHourlyPrice}, {"max-spend-per-day", s.day, &l.MaxSpendPerDay}, {"max-spend-per-month", s.month, &l.MaxSpendPerMonth}} {
		if !f.Changed(amount.flag) {
			continue
		}
		m, err := money.Parse(amount.text)
		if err != nil || m < 0 {
			return l, fmt.Errorf("--%s: an amount in US dollars of at least 0, such as 100 or 49.99", amount.flag)
		}
		*amount.limit = &m
	}
	if f.Changed("max-deployments") {
		l.MaxDeployments = &s.deployments
	}
	return l, nil
}

// apiKey is a key with what it may spend; nil where only the account's money bounds it.
type apiKey struct {
	account.Key
	Spending *spendlimit.SpendingLimits `json:"spendingLimits"`
}

func withSpending(ctx context.Context, r db.Reader, keys []account.Key) ([]apiKey, error) {
	ids := make([]id.ID, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	limits, err := spendlimit.Of(ctx, r, ids)
	out := make([]apiKey, len(keys))
	for i, k := range keys {
		out[i] = apiKey{k, orNone(limits[k.ID])}
	}
	return out, err
}

// orNone is nil for limits that limit nothing.
func orNone(l spendlimit.SpendingLimits) *spendlimit.SpendingLimits {
	if !l.Any() {
		return nil
	}
	return &l
}

// inWords says what a key may spend.
func inWords(l *spendlimit.SpendingLimits) string {
	if l == nil {
		return "everything"
	}
	var words []string
	for _, amount := range []struct {
		limit *money.Micros
		of    string
	}{{l.MaxHourlyPrice, "an hour each"}, {l.MaxSpendPerDay, "a day"}, {l.MaxSpendPerMonth, "a month"}} {
		if amount.limit != nil {
			words = append(words, fmt.Sprintf("%s %s", amount.limit, amount.of))
		}
	}
	if l.MaxDeployments != nil {
		words = append(words, fmt.Sprintf("%d at a time", *l.MaxDeployments))
	}
	return strings.Join(append(words, l.GPUTypes...), ", ")
}
