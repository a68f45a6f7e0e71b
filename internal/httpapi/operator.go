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
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/danielgtaylor/huma/v2"
)

// operations is how the cloud runs: providers, jobs and margins, for the operator.
type operations struct {
	db    *db.DB
	clock clock.Clock
	svc   *operator.Service
	meter *meter.Service
}

func (h operations) routes(r *rest.Router) {
	read := func(path, id, summary, description string) rest.Operation {
		return rest.Operation{
			Method: http.MethodGet, Path: OperatorBase + path, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly,
			Scope: string(account.ReadOperator), Summary: summary, Description: description,
		}
	}
	rest.List(
		r,
		read(
			"/jobs",
			"listJobs",
			"List failing jobs",
			"Jobs that failed and are retried with backoff, most failures first.",
		),
		h.jobs,
	)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: OperatorBase + "/jobs/{id}/retry", ID: "retryJob", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator), Summary: "Retry a failing job now",
		Description: "Runs it at once instead of after its backoff, which continues if it fails again.",
	}, h.retry)
	margins := read(
		"/margins",
		"getMargins",
		"Get margins",
		"Revenue and cost of the same time. The last 30 days if from is omitted; 366 days at most. An hour is paid "+
			"when it begins, and earned by the second, as costs are counted. What is not refunded when a deployment "+
			"or volume ends is earned then.",
	)
	margins.MayLag = true
	rest.Read(r, margins, h.margins)
}

type jobsQuery struct {
	rest.Paging
	State   string `query:"state" enum:"failing" doc:"Jobs whose last run failed. This is the only list."`
	Subject id.ID  `query:"subject" maxLength:"100" example:"eml_01" doc:"Only jobs about this: the id of an email, deployment or volume, or provider/<slug>."`
}

type marginsQuery struct {
	interval
	By string `query:"by" enum:"provider,account,gpuType,day" doc:"Grouping of the rows; provider if omitted."`
}

// margins are revenue and cost in an interval.
type margins struct {
	From  time.Time   `json:"from" doc:"Start of the interval."`
	To    time.Time   `json:"to" doc:"End of the interval. Nothing is earned or costs after now."`
	By    string      `json:"by" enum:"provider,account,gpuType,day" doc:"Grouping of the rows."`
	Rows  []marginRow `json:"rows" doc:"Days in chronological order; other rows by descending revenue."`
	Total marginRow   `json:"total" doc:"Sum of all rows; its key is empty."`
}

type marginRow struct {
	Key           string       `json:"key" doc:"Slug of the provider, id of the account, GPU type (volumes for storage) or day in UTC."`
	Revenue       money.Micros `json:"revenue" doc:"Revenue earned in the interval, less refunds, in US dollars: paid hours count by the second, and the rest of the last one when its deployment or volume ends."`
	Cost          money.Micros `json:"cost" doc:"Cost at the providers in the interval, in US dollars: at the price agreed at deploy time, per started second from the first SSH response to the confirmed termination."`
	Margin        money.Micros `json:"margin" doc:"revenue less cost."`
	MarginPercent *percent     `json:"marginPercent" doc:"margin in percent of revenue, rounded to hundredths; null without revenue."`
	Hours         hours        `json:"hours" doc:"Hours billed by providers, rounded down to hundredths."`
}

// percent is a number of hundredths of a percent.
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
	m, err := money.Parse(string(b)) // a hundredth of a percent is 10,000 millionths
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
		// Half-up, away from zero for a loss. Ten thousand times a revenue stays far below the
		// maximum of an int64 up to 900 million dollars. Beyond that, the last digits of the
		// amounts do not matter for a hundredth of a percent.
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

func (h operations) jobs(
	ctx context.Context, _ *rest.Call, in *jobsQuery, p db.Page,
) ([]operator.Job, db.Listed, error) {
	return h.svc.FailingJobs(ctx, h.db, in.Subject, p)
}

type jobPath struct {
	ID id.ID `path:"id" doc:"Id of the job, job_…"`
}

func (h operations) retry(ctx context.Context, tx *db.Tx, _ *rest.Call, in *jobPath) (operator.Job, error) {
	return h.svc.RetryJob(ctx, tx, in.ID)
}

// longestMargins is the longest interval of one request.
const longestMargins = 366 * 24 * time.Hour

func (h operations) margins(ctx context.Context, _ *rest.Call, in *marginsQuery) (margins, error) {
	now := h.clock.Now()
	from, to, err := in.within(now, usageLength)
	if err != nil {
		return margins{}, err
	}
	if to.Sub(from) > longestMargins {
		return margins{}, apierr.Invalid([]apierr.FieldError{{
			Field: "query.from", Message: "is more than 366 days before to; request a shorter interval.",
		}})
	}
	by := wallet.ByProvider
	if in.By != "" {
		by = wallet.GroupBy(in.By)
	}
	out := margins{From: from, To: to, By: string(by), Rows: []marginRow{}}
	sum := meter.Margin{}
	err = h.db.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		rows, err := h.meter.Margins(ctx, tx, from, to, now, by)
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
