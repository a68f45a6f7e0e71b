package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/spf13/cobra"
)

func priceRules() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "price-rule",
		Short: "Manage price rules",
		Long: `Manage the prices that tenants pay. The first rule that matches an offer and an account
sets the price and replaces all markups. Without a matching rule, the markups apply.

  billetd price-rule add --gpu-type "NVIDIA B200" --percent 12.5 --round-up-to 0.01
  billetd price-rule add --provider basalt --hidden
  billetd price-rule list

The price is the provider's, plus the percentage, plus the fixed amount for each GPU, at least the
floor for each GPU, rounded up. Volumes have no price rules. ` + applies,
	}
	cmd.AddCommand(priceRuleAdd(), priceRuleList(), priceRuleChange(), priceRuleRemove())
	return cmd
}

// ruleFlags are the flags of a price rule.
type ruleFlags struct {
	provider, gpuType, region, account string
	percent, fixed, floor, roundUpTo   string
	hidden                             bool
	position                           int64
	given                              func(flag string) bool
}

func (f *ruleFlags) flags(cmd *cobra.Command) {
	s := cmd.Flags()
	s.StringVar(&f.provider, "provider", "", "`slug` of the provider that it applies to; default: all")
	s.StringVar(&f.gpuType, "gpu-type", "", "GPU `type` that it applies to, such as \"NVIDIA B200\"; default: all")
	s.StringVar(&f.region, "region", "", "`slug` of the region that it applies to; default: all")
	s.StringVar(&f.account, "account", "", "`ID` of the account that it applies to; default: all")
	s.StringVar(&f.percent, "percent", "0", "`percent` added to the provider's price, from -100 to 1000")
	s.StringVar(&f.fixed, "fixed-per-gpu", "0", "US `dollars` an hour added for each GPU")
	s.StringVar(&f.floor, "floor-per-gpu", "0", "lowest price of each GPU in US `dollars` an hour")
	s.StringVar(&f.roundUpTo, "round-up-to", "0", "round prices up to a multiple of these US `dollars`")
	s.BoolVar(&f.hidden, "hidden", false, "hide the offers: they are neither listed nor deployable")
	s.Int64Var(&f.position, "position", 0, "`place` in the list, from 1; the first rule that matches decides")
	f.given = s.Changed
}

// change sets the given fields of a rule.
func (f *ruleFlags) change(r *pricerule.Rule) error {
	var errs []error
	for _, text := range []struct {
		flag, from string
		to         *string
	}{
		{"provider", f.provider, &r.Provider}, {"gpu-type", f.gpuType, &r.GPUType}, {"region", f.region, &r.Region},
		{"account", f.account, (*string)(&r.Account)},
	} {
		if f.given(text.flag) {
			*text.to = text.from
		}
	}
	for _, amount := range []struct {
		flag, from string
		to         *money.Micros
	}{
		{"fixed-per-gpu", f.fixed, &r.FixedPerGPU}, {"floor-per-gpu", f.floor, &r.FloorPerGPU},
		{"round-up-to", f.roundUpTo, &r.RoundUpTo},
	} {
		if !f.given(amount.flag) {
			continue
		}
		m, err := money.Parse(amount.from)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", amount.flag, err))
		}
		*amount.to = m
	}
	if f.given("percent") {
		p, err := money.Parse(f.percent) // a hundredth of a percent is 10,000 millionths
		if err != nil || p%10_000 != 0 {
			errs = append(errs, errors.New("--percent: must be a number with at most two decimals"))
		}
		r.Percent = int64(p / 10_000)
	}
	if f.given("hidden") {
		r.Hidden = f.hidden
	}
	if f.given("position") {
		if f.position < 1 {
			errs = append(errs, errors.New("--position: must be at least 1"))
		}
		r.Position = f.position
	}
	return errors.Join(errs...)
}

func priceRuleAdd() *cobra.Command {
	f := &ruleFlags{}
	return operatorCommand("add", "Create a price rule", f.flags,
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			var r pricerule.Rule
			if err := f.change(&r); err != nil {
				return err
			}
			r, err := o.AddPriceRule(cmd.Context(), r)
			if err != nil {
				return err
			}
			return printPriceRules(cmd, out, shownRule(r), []pricerule.Rule{r})
		})
}

func priceRuleList() *cobra.Command {
	return operatorCommand("list", "List price rules in their order", func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			all, err := o.PriceRules.List(cmd.Context(), o.DB)
			if err != nil {
				return err
			}
			shown := make([]priceRuleView, len(all))
			for i, r := range all {
				shown[i] = shownRule(r)
			}
			return printPriceRules(cmd, out, shown, all)
		})
}

func priceRuleChange() *cobra.Command {
	f := &ruleFlags{}
	return operatorCommandOn("change RULE", "Change the given fields of a price rule, or move it", f.flags,
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			r, err := o.ChangePriceRule(cmd.Context(), id.ID(on), f.change)
			if err != nil {
				return err
			}
			return printPriceRules(cmd, out, shownRule(r), []pricerule.Rule{r})
		})
}

func priceRuleRemove() *cobra.Command {
	return operatorCommandOn("remove RULE", "Delete a price rule", func(*cobra.Command) {},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			r, err := o.RemovePriceRule(cmd.Context(), id.ID(on))
			if err != nil {
				return err
			}
			return printPriceRules(cmd, out, shownRule(r), []pricerule.Rule{r})
		})
}

// priceRuleView is a price rule as JSON, with the names of the API.
type priceRuleView struct {
	ID          id.ID        `json:"id"`
	Position    int64        `json:"position"`
	Provider    *string      `json:"provider"`
	GPUType     *string      `json:"gpuType"`
	Region      *string      `json:"region"`
	AccountID   *string      `json:"accountId"`
	Percent     money.Micros `json:"percent"`
	FixedPerGPU money.Micros `json:"fixedPerGpu"`
	FloorPerGPU money.Micros `json:"floorPerGpu"`
	RoundUpTo   money.Micros `json:"roundUpTo"`
	Hidden      bool         `json:"hidden"`
}

func shownRule(r pricerule.Rule) priceRuleView {
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return priceRuleView{
		ID: r.ID, Position: r.Position, Provider: text(r.Provider), GPUType: text(r.GPUType), Region: text(r.Region),
		AccountID: text(string(r.Account)), Percent: money.Micros(r.Percent) * 10_000, FixedPerGPU: r.FixedPerGPU,
		FloorPerGPU: r.FloorPerGPU, RoundUpTo: r.RoundUpTo, Hidden: r.Hidden,
	}
}

func printPriceRules(cmd *cobra.Command, out *output, as any, all []pricerule.Rule) error {
	var rows [][]any
	for _, r := range all {
		var parts []string
		for _, part := range []string{r.GPUType, r.Provider, r.Region, string(r.Account)} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		if len(parts) == 0 {
			parts = []string{"all offers"}
		}
		percent := (money.Micros(r.Percent) * 10_000).Decimal() + "%"
		prices := []any{percent, r.FixedPerGPU, r.FloorPerGPU, r.RoundUpTo}
		if r.Hidden {
			prices = []any{"hidden", "-", "-", "-"}
		}
		rows = append(rows, append([]any{r.Position, r.ID, strings.Join(parts, ", ")}, prices...))
	}
	return out.print(cmd.OutOrStdout(), as,
		[]any{"POSITION", "ID", "FOR", "PERCENT", "FIXED/GPU", "FLOOR/GPU", "ROUND UP TO"}, rows)
}
