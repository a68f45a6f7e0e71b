package httpapi

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/danielgtaylor/huma/v2"
)

// walletView is the wallet and what runs on it, all of one instant.
type walletView struct {
	Currency      string       `json:"currency" enum:"USD" doc:"Of every amount."`
	Balance       money.Micros `json:"balance" doc:"available plus held."`
	Held          money.Micros `json:"held" doc:"Set aside for the first hour of what does not run yet."`
	Available     money.Micros `json:"available" doc:"What can be spent; below zero it is a debt."`
	NegativeSince *time.Time   `json:"negativeSince" doc:"Since when available is below zero."`
	// PastDue is nil where available is not below zero.
	PastDue *pastdue.PastDue `json:"pastDue" doc:"What happens when while available is below zero; null while it is not."`
	// HourlyCost is what everything that runs costs together.
	HourlyCost        money.Micros   `json:"hourlyCost" doc:"What everything that runs now costs in an hour."`
	HoursLeft         *hours         `json:"hoursLeft" doc:"How many hours available lasts at hourlyCost, rounded down to hundredths; null while nothing runs."`
	ActiveDeployments []runningView  `json:"activeDeployments" doc:"Deployments that run now."`
	Volumes           []volumeOnBill `json:"volumes" doc:"Volumes that exist now."`
	MinimumToDeploy   money.Micros   `json:"minimumToDeploy" doc:"What must be available to deploy."`
}

type runningView struct {
	ID          id.ID        `json:"id" doc:"Id of the deployment."`
	Name        string       `json:"name" doc:"What it is called."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars an hour."`
	CostToDate  money.Micros `json:"costToDate" doc:"US dollars charged so far, less refunds."`
}

type volumeOnBill struct {
	ID          id.ID        `json:"id" doc:"Id of the volume."`
	Name        string       `json:"name" doc:"What it is called."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars an hour."`
}

// hours is a length in hundredths of an hour.
type hours int64

// MarshalJSON writes hours with at most two decimals.
func (h hours) MarshalJSON() ([]byte, error) {
	s := strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%02d", h/100, h%100), "0"), ".")
	return []byte(s), nil
}

// Schema is a number or null.
func (hours) Schema(huma.Registry) *huma.Schema {
	zero := 0.0
	return &huma.Schema{Type: huma.TypeNumber, Minimum: &zero, Nullable: true}
}

// hoursLeft is how long available lasts, in hundredths; nil where nothing is spent.
func hoursLeft(available, hourly money.Micros) *hours {
	if hourly <= 0 {
		return nil
	}
	h := hours(0)
	if available > 0 {
		// In two steps: a hundred times a large balance might not fit.
		h = hours(available/hourly)*100 + hours(available%hourly*100/hourly)
	}
	return &h
}

type transactionsQuery struct {
	page
	interval
	Type         []wallet.Type `query:"type" enum:"top_up,credit,hold,release,charge,refund,adjustment" doc:"One or more kinds of lines."`
	DeploymentID id.ID         `query:"deploymentId" maxLength:"40" doc:"Only lines of this deployment."`
	VolumeID     id.ID         `query:"volumeId" maxLength:"40" doc:"Only lines of this volume."`
	Format       string        `query:"format" enum:"json,csv" doc:"csv: the whole statement as a table, without pages."`
}

func (q transactionsQuery) check() []apierr.FieldError {
	faults := append(q.page.check(), q.interval.check()...)
	if q.DeploymentID != "" && q.VolumeID != "" {
		faults = append(faults, apierr.FieldError{Field: "query.volumeId", Message: "contradicts deploymentId; give one of them."})
	}
	if q.Format == "csv" && (q.Page > 1 || q.Limit != nil || q.PerPage != nil) {
		faults = append(faults, apierr.FieldError{Field: "query.format", Message: "csv has no pages; leave page and limit out."})
	}
	return faults
}

func (q transactionsQuery) filter() wallet.Filter {
	f := wallet.Filter{Types: q.Type, Subject: q.DeploymentID}
	if q.VolumeID != "" {
		f.Subject = q.VolumeID
	}
	if q.From != nil {
		f.From = q.From.UTC()
	}
	if q.To != nil {
		f.To = q.To.UTC()
	}
	return f
}

type usageQuery struct {
	interval
	GroupBy string `query:"groupBy" enum:"day,deployment,gpuType,provider" doc:"day if left out."`
}

// exportTime is how much longer than other calls the CSV statement may take: years of hours go over a slow line.
const exportTime = 5 * time.Minute

const usageLength = 30 * 24 * time.Hour

func (s *server) addWallet() {
	at := Base + "/wallet"
	read(s, spec{
		method: http.MethodGet, path: at, id: "getWallet", tag: tagWallet, scope: account.ReadWallet, summary: "Balance, and what runs now",
	}, func(ctx context.Context, c *call, _ *none) (walletView, error) {
		v := walletView{Currency: "USD", MinimumToDeploy: deployment.MinimumBalance, ActiveDeployments: []runningView{}, Volumes: []volumeOnBill{}}
		err := s.c.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
			w, err := s.c.Wallet.Get(ctx, tx, c.account)
			if err != nil {
				return err
			}
			v.Balance, v.Held, v.Available, v.NegativeSince = w.Balance, w.Held, w.Available, w.NegativeSince
			v.PastDue = s.c.PastDueTerms.PastDue(w.NegativeSince)
			runs, err := s.c.Meter.Rates(ctx, tx, c.account)
			if err != nil {
				return err
			}
			v.HourlyCost, v.ActiveDeployments, v.Volumes = 0, []runningView{}, []volumeOnBill{} // a view may run twice
			for _, r := range runs {
				v.HourlyCost += r.HourlyPrice
				if r.Subject.Kind() == id.Volume {
					v.Volumes = append(v.Volumes, volumeOnBill{r.Subject, r.Name, r.HourlyPrice})
				} else {
					v.ActiveDeployments = append(v.ActiveDeployments, runningView{r.Subject, r.Name, r.HourlyPrice, r.CostToDate})
				}
			}
			return nil
		})
		v.HoursLeft = hoursLeft(v.Available, v.HourlyCost)
		return v, err
	})

	s.add(spec{
		method: http.MethodGet, path: at + "/transactions", id: "listTransactions", tag: tagWallet, scope: account.ReadWallet, csv: true, long: exportTime,
		summary: "The statement", text: "Newest first. `amount` is the change of the available money, `balanceAfter` the balance after the line; a hold is set aside, and given back before its charge. " +
			"Charges and refunds name subject, interval and hourly price, so that the bill can be recomputed.",
	}, reflect.TypeFor[transactionsQuery](), reflect.TypeFor[wallet.Transaction](), true, s.transactions)

	read(s, spec{
		method: http.MethodGet, path: at + "/usage", id: "getUsage", tag: tagWallet, scope: account.ReadWallet, summary: "Cost by day, deployment, GPU type or provider",
		text: "Of the hours that began in the interval, less what was refunded of them. The last 30 days if from is left out.",
	}, func(ctx context.Context, c *call, in *usageQuery) (wallet.Usage, error) {
		from, to, err := in.within(s.c.Clock.Now(), usageLength)
		if err != nil {
			return wallet.Usage{}, err
		}
		by := wallet.ByDay
		if in.GroupBy != "" {
			by = wallet.GroupBy(in.GroupBy)
		}
		return s.c.Wallet.Usage(ctx, s.c.DB, c.account, from, to, by)
	})
}

func (s *server) transactions(ctx context.Context, w http.ResponseWriter, c *call) (answer, error) {
	in := new(transactionsQuery)
	d, err := c.route.in.decode(w, c.request, in)
	if err == nil {
		err = apierr.Invalid(d.faults).OrNil()
	}
	if err != nil {
		return answer{}, err
	}
	if in.Format == "csv" {
		return answer{}, s.statement(ctx, w, c, in.filter())
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return listed(c, in, func(p db.Page) ([]wallet.Transaction, db.Listed, error) {
		return s.c.Wallet.Transactions(ctx, s.c.DB, c.account, in.filter(), p)
	})
}

var statementHead = []string{
	"id", "createdAt", "type", "amount", "balanceAfter", "availableAfter", "description", "deploymentId", "volumeId",
	"from", "to", "hourlyPrice", "provider", "region", "gpuType",
}

// statement streams the statement as CSV. An error after the first line breaks the connection, so that nobody takes half a statement for a whole one.
func (s *server) statement(ctx context.Context, w http.ResponseWriter, c *call, f wallet.Filter) error {
	out := csv.NewWriter(w)
	begin := func() error {
		h := w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		h.Set("Content-Disposition", `attachment; filename="billet-statement.csv"`)
		w.WriteHeader(http.StatusOK)
		return out.Write(statementHead)
	}
	begun := false
	err := s.c.Wallet.Export(ctx, s.c.DB, c.account, f, func(t wallet.Transaction) error {
		if !begun {
			begun = true
			if err := begin(); err != nil {
				return err
			}
		}
		return out.Write([]string{
			string(t.ID), stamp(&t.CreatedAt), string(t.Type), t.Amount.Decimal(), t.BalanceAfter.Decimal(), t.AvailableAfter.Decimal(), harmless(t.Description),
			orEmpty(t.DeploymentID), orEmpty(t.VolumeID), stamp(t.From), stamp(t.To), decimal(t.HourlyPrice), orEmpty(t.Provider), orEmpty(t.Region), orEmpty(t.GPUType),
		})
	})
	if err == nil && !begun {
		err = begin()
		begun = true
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil && begun {
		c.fail(err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// harmless keeps spreadsheets from taking a text for a formula.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func decimal(m *money.Micros) string {
	if m == nil {
		return ""
	}
	return m.Decimal()
}

func orEmpty[T ~string](s *T) string {
	if s == nil {
		return ""
	}
	return string(*s)
}
