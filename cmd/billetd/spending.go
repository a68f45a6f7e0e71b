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

// spending has the flags for the spending limits of an API key.
type spending struct {
	hourly, day, month string
	deployments        int64
	gpuTypes           []string
}

func (s *spending) flags(f *pflag.FlagSet) {
	f.StringVar(&s.hourly, "max-hourly-price", "", "maximum price of one deployment per hour, in `USD`")
	f.StringVar(
		&s.day,
		"max-spend-per-day",
		"",
		"spending limit per UTC day, in `USD`. A running deployment counts until its auto-terminate\n"+
			"time, or indefinitely without one",
	)
	f.StringVar(
		&s.month,
		"max-spend-per-month",
		"",
		"spending limit per UTC month, in `USD`, counted like the daily limit",
	)
	f.Int64Var(&s.deployments, "max-deployments", 0, "maximum `number` of concurrent deployments; default: unlimited")
	f.StringArrayVar(
		&s.gpuTypes,
		"gpu-type",
		nil,
		"GPU `type` that the key may deploy, such as \"NVIDIA B200\"; repeatable; default: all",
	)
}

// limits returns the limits of the flags that were set. Zero is a limit.
func (s *spending) limits(f *pflag.FlagSet) (spendlimit.SpendingLimits, error) {
	l := spendlimit.SpendingLimits{GPUTypes: s.gpuTypes}
	for _, amount := range []struct {
		flag, text string
		limit      **money.Micros
	}{
		{"max-hourly-price", s.hourly, &l.MaxHourlyPrice},
		{"max-spend-per-day", s.day, &l.MaxSpendPerDay},
		{"max-spend-per-month", s.month, &l.MaxSpendPerMonth},
	} {
		if !f.Changed(amount.flag) {
			continue
		}
		m, err := money.Parse(amount.text)
		if err != nil || m < 0 {
			return l, fmt.Errorf("--%s must be an amount in US dollars of at least 0, such as 100 or 49.99",
				amount.flag)
		}
		*amount.limit = &m
	}
	if f.Changed("max-deployments") {
		l.MaxDeployments = &s.deployments
	}
	return l, nil
}

// apiKey is a key with its spending limits, nil if it has none.
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

// orNone returns nil for limits that limit nothing.
func orNone(l spendlimit.SpendingLimits) *spendlimit.SpendingLimits {
	if !l.Any() {
		return nil
	}
	return &l
}

// describeLimits describes the spending limits of a key.
func describeLimits(l *spendlimit.SpendingLimits) string {
	if l == nil {
		return "none"
	}
	var words []string
	for _, amount := range []struct {
		limit *money.Micros
		unit  string
	}{{l.MaxHourlyPrice, "hr"}, {l.MaxSpendPerDay, "day"}, {l.MaxSpendPerMonth, "month"}} {
		if amount.limit != nil {
			words = append(words, fmt.Sprintf("%s/%s", amount.limit, amount.unit))
		}
	}
	if l.MaxDeployments != nil {
		words = append(words, fmt.Sprintf("%d concurrent", *l.MaxDeployments))
	}
	return strings.Join(append(words, l.GPUTypes...), ", ")
}
