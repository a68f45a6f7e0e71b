package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/danielgtaylor/huma/v2"
)

type accountPath struct {
	ID id.ID `path:"id" doc:"Id of the account, acc_…"`
}

type createAccount struct {
	Body struct {
		Name   string        `json:"name" minLength:"1" maxLength:"64" example:"Vision lab"`
		Credit *money.Micros `json:"credit,omitempty" doc:"US dollars to start with; none if left out."`
	}
}

type creditAccount struct {
	accountPath
	Body struct {
		Amount    money.Micros `json:"amount" doc:"US dollars that go in; below zero they are taken out."`
		Note      string       `json:"note,omitempty" maxLength:"200" example:"Wire transfer of 3 May" doc:"What the statement says."`
		Reference string       `json:"reference,omitempty" maxLength:"100" example:"wire-2028-0503-17" doc:"Your name for this credit: the same one works only once, among all accounts."`
	}
}

type setMarkup struct {
	accountPath
	Body struct {
		Percent setOrNull[percent] `json:"percent" minimum:"0" maximum:"1000" doc:"What the account pays above the providers' own prices, with at most two decimals; null for what others pay."`
	}
}

// operatorAccount is an account as the operator sees it.
type operatorAccount struct {
	operator.Account
	MarkupPercent *percent `json:"markupPercent" doc:"What it pays above the providers' own prices, where it has a markup of its own; null where it pays what others do."`
}

func accountOf(a operator.Account) operatorAccount { return operatorAccount{a, (*percent)(a.Markup)} }

// credited is an account after a credit, and whether there was one.
type credited struct {
	operator.Account
	MarkupPercent *percent `json:"markupPercent" doc:"What it pays above the providers' own prices, where it has a markup of its own; null where it pays what others do."`
	Made          bool     `json:"made" doc:"false where the reference had been used before, and nothing was changed."`
}

// source is a provider as its operator sees it.
type source struct {
	Slug                string         `json:"slug" doc:"What filters and deploys call it."`
	Name                string         `json:"name" doc:"What people call it."`
	Status              catalog.Status `json:"status" doc:"Whether it answers: up, degraded (its answers are old) or down."`
	LastSyncAt          *time.Time     `json:"lastSyncAt" doc:"When it last told its offers; null for never."`
	LastError           *string        `json:"lastError" doc:"Why it last did not; null while it does."`
	ConsecutiveFailures int64          `json:"consecutiveFailures" doc:"How often in a row it did not."`
	Stale               bool           `json:"stale" doc:"Whether its offers may not be true any more."`
	Offers              int            `json:"offers" doc:"How many it has."`
	Available           int            `json:"available" doc:"How many of them can be had now."`
	Machines            int64          `json:"machines" doc:"Machines of ours that it has made and whose end it has not confirmed."`
	Deployments         int64          `json:"deployments" doc:"Deployments of ours that have not ended."`
	MarkupPercent       percent        `json:"markupPercent" doc:"What tenants pay above its price."`
}

type jobsQuery struct {
	page
	State string `query:"state" enum:"failing" doc:"Only those that failed when they last ran, which is the only list there is."`
}

type marginsQuery struct {
	interval
	By string `query:"by" enum:"provider,account,gpuType,day" doc:"What the rows are; provider if left out."`
}

// margins are what was earned in an interval, and what it cost.
type margins struct {
	From  time.Time   `json:"from" doc:"Hours that began at this instant or later, and costs from it on."`
	To    time.Time   `json:"to" doc:"Hours that began before this instant, and costs up to it."`
	By    string      `json:"by" enum:"provider,account,gpuType,day" doc:"What the rows are."`
	Rows  []marginRow `json:"rows" doc:"Days in their order; others with the largest revenue first."`
	Total marginRow   `json:"total" doc:"All rows together; its key is empty."`
}

type marginRow struct {
	Key           string       `json:"key" doc:"Slug of the provider, id of the account, GPU type (volumes for storage) or day in UTC."`
	Revenue       money.Micros `json:"revenue" doc:"US dollars charged for hours that began in the interval, less their refunds."`
	Cost          money.Micros `json:"cost" doc:"US dollars that providers ask for the interval, at the price agreed at deploy time, by the started second from the first SSH answer to the confirmed end."`
	Margin        money.Micros `json:"margin" doc:"revenue less cost."`
	MarginPercent *percent     `json:"marginPercent" doc:"margin in per cent of revenue, rounded to hundredths; null without revenue."`
	Hours         hours        `json:"hours" doc:"Hours that providers are paid for, rounded down to hundredths."`
}

// percent is a number of hundredths of a per cent.
type percent int64

// MarshalJSON writes it with at most two decimals.
func (p percent) MarshalJSON() ([]byte, error) {
	sign, n := "", p
	if p < 0 {
		sign, n = "-", -p
	}
	return []byte(sign + strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%02d", n/100, n%100), "0"), ".")), nil
}

// UnmarshalJSON takes a number with at most two decimals.
func (p *percent) UnmarshalJSON(b []byte) error {
	m, err := money.Parse(string(b)) // a decimal like any other: a hundredth of a per cent is 10,000 millionths
	if err != nil || m%10_000 != 0 {
		return errors.New("must be a number with at most two decimals")
	}
	*p = percent(m / 10_000)
	return nil
}

// Schema is a number or null.
func (percent) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Nullable: true}
}

func rowOf(m meter.Margin) marginRow {
	r := marginRow{Key: m.Key, Revenue: m.Revenue, Cost: m.Cost, Margin: m.Margin(), Hours: hours(m.Seconds / 36)}
	if m.Revenue > 0 {
		// Half-up, away from zero where it is a loss. Ten thousand times a revenue stays far from the end of an int64 up to 900 million dollars;
		// beyond, the last digits of the amounts say nothing about a hundredth of a per cent.
		margin, revenue := int64(r.Margin), int64(m.Revenue)
		for margin > 1<<48 || margin < -(1<<48) {
			margin, revenue = margin/2, revenue/2
		}
		half := revenue / 2
		if margin < 0 {
			half = -half
		}
		p := percent((margin*10_000 + half) / max(revenue, 1))
		r.MarginPercent = &p
	}
	return r
}

// longestMargins is the longest interval of one question.
const longestMargins = 366 * 24 * time.Hour

func (s *server) addOperator() {
	accounts := OperatorBase + "/accounts"
	list(s, spec{
		method: http.MethodGet, path: accounts, id: "listAccounts", tag: tagOperator, door: doorOperator, scope: account.ReadOperator,
		summary: "All accounts, with their money and what runs", text: "Newest first.",
	}, func(ctx context.Context, _ *call, _ *page, p db.Page) ([]operatorAccount, db.Listed, error) {
		var found []operator.Account
		var total db.Listed
		err := s.c.DB.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			found, total, err = s.c.Operator.Accounts(ctx, tx, p)
			return err
		})
		all := make([]operatorAccount, len(found))
		for i, a := range found {
			all[i] = accountOf(a)
		}
		return all, total, err
	})

	write(s, spec{
		method: http.MethodPost, path: accounts, id: "createAccount", tag: tagOperator, door: doorOperator, scope: account.WriteOperator, status: http.StatusCreated,
		summary: "Make an account with a wallet",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *createAccount) (operatorAccount, error) {
		credit := money.Micros(0)
		if in.Body.Credit != nil {
			credit = *in.Body.Credit
		}
		a, err := s.c.Operator.CreateAccount(ctx, tx, in.Body.Name, credit)
		c.created(a.ID)
		c.note.account = a.ID
		return accountOf(a), err
	})

	read(s, spec{
		method: http.MethodGet, path: accounts + "/{id}", id: "getAccount", tag: tagOperator, door: doorOperator, scope: account.ReadOperator, summary: "Get an account",
	}, func(ctx context.Context, _ *call, in *accountPath) (operatorAccount, error) {
		var a operator.Account
		err := s.c.DB.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			a, err = s.c.Operator.Account(ctx, tx, in.ID)
			return err
		})
		return accountOf(a), err
	})

	write(s, spec{
		method: http.MethodPost, path: accounts + "/{id}/credit", id: "creditAccount", tag: tagOperator, door: doorOperator, scope: account.WriteOperator,
		summary: "Put money into a wallet, or take some out", errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *creditAccount) (credited, error) {
		a, made, err := s.c.Operator.Credit(ctx, tx, in.ID, in.Body.Amount, in.Body.Note, in.Body.Reference)
		c.note.account, c.note.nothing = in.ID, !made
		return credited{a, (*percent)(a.Markup), made}, err
	})

	write(s, spec{
		method: http.MethodPut, path: accounts + "/{id}/markup", id: "setMarkup", tag: tagOperator, door: doorOperator, scope: account.WriteOperator,
		summary: "Give an account a markup of its own",
		text:    "It replaces every provider's for that account, in what it sees and in what it pays from then on, within a few seconds; what runs keeps its price. Price history stays that of the usual prices.",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *setMarkup) (operatorAccount, error) {
		a, err := s.c.Operator.SetMarkup(ctx, tx, in.ID, (*int64)(in.Body.Percent.Value))
		c.note.account = in.ID
		return accountOf(a), err
	})

	list(s, spec{
		method: http.MethodGet, path: OperatorBase + "/providers", id: "listSources", tag: tagOperator, door: doorOperator, scope: account.ReadOperator,
		summary: "How the providers answer, and what is there", text: "In the order of the configuration.",
	}, s.sources)

	list(s, spec{
		method: http.MethodGet, path: OperatorBase + "/jobs", id: "listJobs", tag: tagOperator, door: doorOperator, scope: account.ReadOperator,
		summary: "Work that fails and is tried again", text: "Most failures first.",
	}, func(ctx context.Context, _ *call, _ *jobsQuery, p db.Page) ([]operator.Job, db.Listed, error) {
		return s.c.Operator.FailingJobs(ctx, s.c.DB, p)
	})

	read(s, spec{
		method: http.MethodGet, path: OperatorBase + "/margins", id: "getMargins", tag: tagOperator, door: doorOperator, scope: account.ReadOperator,
		summary: "What was earned, and what it cost", text: "The last 30 days if from is left out; 366 days at most. An hour's revenue counts when it begins, with whatever is refunded of it later; costs count by the second.",
	}, s.margins)
}

func (s *server) sources(ctx context.Context, _ *call, _ *page, p db.Page) ([]source, db.Listed, error) {
	facets := map[string]catalog.ProviderFacet{}
	for _, f := range s.c.Catalog.Default().Providers() {
		facets[f.Slug] = f
	}
	present, err := s.c.Deployments.ResourceCounts(ctx, s.c.DB)
	if err != nil {
		return nil, db.Listed{}, err
	}
	var all []source
	for _, h := range s.c.Catalog.Health() {
		f, n := facets[h.Provider], present[h.Provider]
		one := source{
			Slug: h.Provider, Name: f.Name, Status: h.Status, LastSyncAt: h.LastSuccessAt, ConsecutiveFailures: h.Failures, Stale: h.Status != catalog.StatusUp,
			Offers: f.Offers, Available: f.AvailableOffers, Machines: n.Machines, Deployments: n.Deployments, MarkupPercent: percent(s.c.Catalog.Markup(h.Provider)),
		}
		if h.Failures > 0 {
			one.LastError = &h.LastError
		}
		all = append(all, one)
	}
	return part(all, func(o source) string { return o.Slug }, p)
}

func (s *server) margins(ctx context.Context, _ *call, in *marginsQuery) (margins, error) {
	now := s.c.Clock.Now()
	from, to, err := in.within(now, usageLength)
	if err != nil {
		return margins{}, err
	}
	if to.Sub(from) > longestMargins {
		return margins{}, apierr.Invalid([]apierr.FieldError{{Field: "query.from", Message: "lies more than 366 days before to; ask for less at once."}})
	}
	by := wallet.ByProvider
	if in.By != "" {
		by = wallet.GroupBy(in.By)
	}
	out := margins{From: from, To: to, By: string(by), Rows: []marginRow{}}
	sum := meter.Margin{}
	err = s.c.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		rows, err := s.c.Meter.Margins(ctx, tx, from, to, now, by)
		sum, out.Rows = meter.Margin{}, []marginRow{} // a view may run twice
		for _, m := range rows {
			sum.Revenue, sum.Cost, sum.Seconds = sum.Revenue+m.Revenue, sum.Cost+m.Cost, sum.Seconds+m.Seconds
			if by == wallet.ByGPUType && m.Key == "" {
				m.Key = "volumes"
			}
			out.Rows = append(out.Rows, rowOf(m))
		}
		return err
	})
	out.Total = rowOf(sum)
	return out, err
}
