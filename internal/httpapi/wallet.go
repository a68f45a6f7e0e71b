package httpapi

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/focus"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/danielgtaylor/huma/v2"
)

// walletResource is an account's balance, transactions and usage.
type walletResource struct {
	db       *db.DB
	clock    clock.Clock
	ledger   *wallet.Ledger
	credits  *credit.Service
	meter    *meter.Service
	terms    pastdue.Terms
	accounts *account.Service
	settings *settings.Service
}

func (h walletResource) routes(r *rest.Router) {
	const at = Base + "/wallet"
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: at, ID: "getWallet", Tag: tagWallet, Scope: string(account.ReadWallet),
		Summary: "Get the wallet", Description: "Balance, hourly spend and runway.",
	}, h.get)
	rest.CustomList[transactionsQuery, wallet.Transaction](r, rest.Operation{
		Method: http.MethodGet, Path: at + "/transactions", ID: "listTransactions", Tag: tagWallet,
		Scope: string(account.ReadWallet), MayLag: true, CSV: true, Media: []string{"application/jsonl"},
		ExtraTime: exportTime, Summary: "List transactions",
		Description: "Newest first. `amount` is the change of the available balance, `balanceAfter` the balance " +
			"after the transaction. A hold is released before its charge. Charges and refunds have subject, " +
			"interval and hourly price, so that the bill can be recomputed. With `format=jsonl`, returns all " +
			"transactions of the interval, oldest first, with their hashes and the signature that covers them; " +
			"docs/ledger.md describes these lines. Exports of an interval that is over and signed are identical.",
	}, h.transactions)
	h.usageRoute(r, at+"/usage")
}

// walletView is the wallet and what it pays for, all at one instant.
type walletView struct {
	Currency          string              `json:"currency" enum:"USD" doc:"Currency of every amount."`
	Balance           money.Micros        `json:"balance" doc:"available plus held."`
	Held              money.Micros        `json:"held" doc:"On hold for the first hour of deployments that do not run yet."`
	Available         money.Micros        `json:"available" doc:"Available balance; negative if the account owes money."`
	ExpiringCredits   money.Micros        `json:"expiringCredits" doc:"Part of available that is left of credits which expire. It is spent first."`
	NextCreditExpires *time.Time          `json:"nextCreditExpiresAt" doc:"When the first of these credits expires; null if there is none."`
	NegativeSince     *time.Time          `json:"negativeSince" doc:"When available became negative; null while it is not."`
	PastDue           *pastdue.PastDue    `json:"pastDue" doc:"Deadlines while the account is past due; null while it is not."`
	HourlyCost        money.Micros        `json:"hourlyCost" doc:"Hourly spend: the cost per hour of everything that runs now."`
	HoursLeft         *hours              `json:"hoursLeft" doc:"Runway: hours until available is spent at hourlyCost, rounded down to hundredths; null while nothing runs."`
	RunsDryAt         *time.Time          `json:"runsDryAt" doc:"Time of the first charge that available does not cover, if nothing changes; null while nothing runs, and while the account is past due."`
	LowBalance        *pastdue.LowBalance `json:"lowBalance" doc:"Deadlines while the runway is 24 hours or less; null otherwise."`
	Forecast          walletForecast      `json:"forecast" doc:"What the rest of the month will cost, if nothing changes."`
	ActiveDeployments []runningView       `json:"activeDeployments" doc:"Running deployments."`
	Volumes           []volumeOnBill      `json:"volumes" doc:"Existing volumes."`
	MinimumToDeploy   money.Micros        `json:"minimumToDeploy" doc:"Available balance that a deploy requires."`
}

// walletForecast is what is to be charged until the end of the month.
type walletForecast struct {
	Until   time.Time           `json:"until" doc:"End of the present month in UTC."`
	Charges money.Micros        `json:"charges" doc:"US dollars for the hours that begin from now until then: everything that runs now, until its known end."`
	Days    []meter.ForecastDay `json:"days" doc:"charges by the day on which the hours begin, from today on."`
}

type runningView struct {
	ID          id.ID        `json:"id" doc:"Id of the deployment."`
	Name        string       `json:"name" doc:"Name."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars per hour."`
	CostToDate  money.Micros `json:"costToDate" doc:"Charges so far less refunds, in US dollars."`
}

type volumeOnBill struct {
	ID          id.ID        `json:"id" doc:"Id of the volume."`
	Name        string       `json:"name" doc:"Name."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars per hour."`
}

// hours is a duration in hundredths of an hour.
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

// hoursLeft is the runway; nil while nothing is spent.
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
	rest.Paging
	interval
	Type         []wallet.Type `query:"type" doc:"One or more types of transactions."`
	DeploymentID id.ID         `query:"deploymentId" maxLength:"40" doc:"Transactions of this deployment."`
	VolumeID     id.ID         `query:"volumeId" maxLength:"40" doc:"Transactions of this volume."`
	Format       string        `query:"format" enum:"json,csv,jsonl" doc:"csv: all transactions as one table, without pages. jsonl: all transactions of the interval with their proof, without pages and other filters."`
}

// Check finds parameters that contradict each other.
func (q transactionsQuery) Check() []apierr.FieldError {
	invalid := append(q.Paging.Check(), q.interval.Check()...)
	if q.DeploymentID != "" && q.VolumeID != "" {
		invalid = append(
			invalid,
			apierr.FieldError{Field: "query.volumeId", Message: "cannot be combined with deploymentId. Use one."},
		)
	}
	if (q.Format == "csv" || q.Format == "jsonl") && (q.Page > 1 || q.Limit != nil || q.PerPage != nil) {
		invalid = append(
			invalid,
			apierr.FieldError{Field: "query.format", Message: q.Format + " has no pages; omit page and limit."},
		)
	}
	if q.Format == "jsonl" && (len(q.Type) > 0 || q.DeploymentID != "" || q.VolumeID != "") {
		invalid = append(invalid, apierr.FieldError{
			Field:   "query.format",
			Message: "jsonl has every transaction of the interval; omit type, deploymentId and volumeId.",
		})
	}
	return invalid
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

// exportTime is how much longer than other calls an export may take: years of hours may go over a
// slow line.
const exportTime = 5 * time.Minute

func (h walletResource) get(ctx context.Context, c *rest.Call, _ *rest.NoInput) (walletView, error) {
	v := walletView{Currency: "USD", MinimumToDeploy: deployment.MinimumBalance}
	err := h.db.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		w, err := h.ledger.Get(ctx, tx, c.Caller.Account)
		if err != nil {
			return err
		}
		v.Balance, v.Held, v.Available, v.NegativeSince = w.Balance, w.Held, w.Available, w.NegativeSince
		given, err := h.credits.Sum(ctx, tx, c.Caller.Account)
		if err != nil {
			return err
		}
		v.ExpiringCredits, v.NextCreditExpires = given.Remaining, given.NextExpiresAt
		v.PastDue = h.terms.PastDue(w.NegativeSince)
		rates, err := h.meter.Rates(ctx, tx, c.Caller.Account)
		if err != nil {
			return err
		}
		if w.Available >= 0 {
			v.RunsDryAt = meter.RunsDryAt(w.Available, rates)
		}
		now := h.clock.Now().UTC()
		v.Forecast.Until = time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		v.Forecast.Charges = meter.Expected(rates, v.Forecast.Until)
		v.Forecast.Days = meter.ExpectedDaily(rates, now, v.Forecast.Until)
		v.LowBalance = h.terms.LowBalance(v.RunsDryAt, now)
		v.HourlyCost, v.ActiveDeployments, v.Volumes = 0, []runningView{}, []volumeOnBill{} // a view may run twice
		for _, r := range rates {
			v.HourlyCost += r.HourlyPrice
			if r.Subject.Kind() == id.Volume {
				v.Volumes = append(v.Volumes, volumeOnBill{r.Subject, r.Name, r.HourlyPrice})
			} else {
				v.ActiveDeployments = append(v.ActiveDeployments, runningView{r.Subject, r.Name, r.HourlyPrice,
					r.CostToDate})
			}
		}
		return nil
	})
	v.HoursLeft = hoursLeft(v.Available, v.HourlyCost)
	return v, err
}

func (h walletResource) transactions(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *transactionsQuery, invalid []apierr.FieldError,
) (rest.Answer, error) {
	if err := apierr.Invalid(invalid).OrNil(); err != nil {
		return rest.Answer{}, err
	}
	switch f := in.filter(); in.Format {
	case "csv":
		return rest.Answer{}, h.export(ctx, w, c, f)
	case "jsonl":
		return rest.Answer{}, h.exportLines(ctx, w, c, f.From, f.To)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout())
	defer cancel()
	return rest.PageOf(c, in, func(p db.Page) ([]wallet.Transaction, db.Listed, error) {
		return h.ledger.Transactions(ctx, h.db, c.Caller.Account, in.filter(), p)
	})
}

var exportHeader = []string{
	"id", "createdAt", "type", "amount", "balanceAfter", "availableAfter", "description", "deploymentId", "volumeId",
	"from", "to", "hourlyPrice", "provider", "region", "gpuType",
}

// export streams all transactions as CSV. An error after the first line breaks the connection, so
// that half of them are not taken for all.
func (h walletResource) export(ctx context.Context, w http.ResponseWriter, c *rest.Call, f wallet.Filter) error {
	out := csv.NewWriter(w)
	begun := false
	begin := func() error {
		begun = true
		header := w.Header()
		header.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		header.Set("Content-Disposition", `attachment; filename="billet-statement.csv"`)
		w.WriteHeader(http.StatusOK)
		return out.Write(exportHeader)
	}
	err := h.ledger.Export(ctx, h.db, c.Caller.Account, f, func(t wallet.Transaction) error {
		if !begun {
			if err := begin(); err != nil {
				return err
			}
		}
		return out.Write([]string{
			string(t.ID), stamp(&t.CreatedAt), string(t.Type), t.Amount.Decimal(), t.BalanceAfter.Decimal(),
			t.AvailableAfter.Decimal(), focus.Harmless(t.Description), orEmpty(t.DeploymentID), orEmpty(t.VolumeID),
			stamp(t.From),
			stamp(t.To), decimal(t.HourlyPrice), focus.Harmless(orEmpty(t.Provider)), focus.Harmless(orEmpty(t.Region)),
			focus.Harmless(orEmpty(t.GPUType)),
		})
	})
	if err == nil && !begun {
		err = begin()
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil && begun {
		c.Fail(err)
		panic(http.ErrAbortHandler)
	}
	return err
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
