package httpapi

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/focus"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/wallet"
)

// usageFormat is a form of the usage.
type usageFormat string

// The forms.
const (
	usageJSON      usageFormat = "json"
	usageCSV       usageFormat = "csv"
	usageFOCUS     usageFormat = "focus"
	usageFOCUSJSON usageFormat = "focus-jsonl"
)

// Enum lists every form.
func (usageFormat) Enum() []usageFormat {
	return []usageFormat{usageJSON, usageCSV, usageFOCUS, usageFOCUSJSON}
}

type usageQuery struct {
	interval
	GroupBy wallet.GroupBy `query:"groupBy" doc:"day if omitted."`
	Format  usageFormat    `query:"format" doc:"csv: the groups as a table. focus: each hour as CSV in the format of FOCUS, the FinOps Open Cost and Usage Specification. focus-jsonl: the same as JSON lines. json if omitted."`
	Version focus.Version  `query:"version" doc:"Version of FOCUS; 1.2 if omitted."`
}

// Check finds parameters that contradict each other.
func (q usageQuery) Check() []apierr.FieldError {
	invalid := q.interval.Check()
	switch q.Format {
	case usageFOCUS, usageFOCUSJSON:
		if q.GroupBy != "" {
			invalid = append(invalid, apierr.FieldError{
				Field: "query.groupBy", Message: "does not apply to the formats focus and focus-jsonl. Omit it.",
			})
		}
	default:
		if q.Version != "" {
			invalid = append(invalid, apierr.FieldError{
				Field: "query.version", Message: "applies to the formats focus and focus-jsonl only. Omit it.",
			})
		}
	}
	return invalid
}

func (h walletResource) usageRoute(r *rest.Router, path string) {
	rest.CustomRead[usageQuery, wallet.Usage](r, rest.Operation{
		Method: http.MethodGet, Path: path, ID: "getUsage", Tag: tagWallet, Scope: string(account.ReadWallet),
		CSV: true, Media: []string{"application/jsonl"}, ExtraTime: exportTime, Summary: "Get usage",
		Description: "Cost by day, deployment, GPU type, provider, tag, project, member or API key: charges for " +
			"hours that began in the interval, less their refunds. The last 30 days if from is omitted.\n\n" +
			"The formats `focus` and `focus-jsonl` are exports for cost tools. They have a row for each hour, by the " +
			"start of its charge period. An hour that crosses the end of a month is two rows. A refund that was made " +
			"after the month of its hour is a row of class Correction. Repeat an export of the present month: later " +
			"refunds change its rows.",
	}, h.usage)
}

const usageLength = 30 * 24 * time.Hour

func (h walletResource) usage(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *usageQuery, invalid []apierr.FieldError,
) (rest.Answer, error) {
	if err := apierr.Invalid(invalid).OrNil(); err != nil {
		return rest.Answer{}, err
	}
	from, to, err := in.within(h.clock.Now(), usageLength)
	if err != nil {
		return rest.Answer{}, err
	}
	if in.Format == usageFOCUS || in.Format == usageFOCUSJSON {
		return rest.Answer{}, h.exportFOCUS(ctx, w, c, in, from, to)
	}
	by := in.GroupBy
	if by == "" {
		by = wallet.ByDay
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout())
	defer cancel()
	usage, err := h.ledger.Usage(ctx, h.db, c.Caller.Account, from, to, by)
	if err != nil {
		return rest.Answer{}, err
	}
	if in.Format != usageCSV {
		return c.Data(usage), nil
	}
	beginFile(w, "text/csv; charset=utf-8; header=present", "billet-usage.csv")
	records := [][]string{{string(by), "name", "cost"}}
	for _, g := range usage.Groups {
		records = append(records, []string{focus.Harmless(g.Key), focus.Harmless(orEmpty(g.Name)), g.Cost.Decimal()})
	}
	_ = csv.NewWriter(w).WriteAll(records) // a client that has gone gets no answer
	return rest.Answer{}, nil
}

// beginFile starts a response that browsers save as a file.
func beginFile(w http.ResponseWriter, contentType, name string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.WriteHeader(http.StatusOK)
}

// exportFOCUS streams the rows of the interval, and then the corrections. An error after the first
// row breaks the connection, so that half of them are not taken for all.
func (h walletResource) exportFOCUS(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *usageQuery, from, to time.Time,
) error {
	of, err := h.accounts.Get(ctx, h.db, c.Caller.Account)
	if err != nil {
		return err
	}
	now, err := h.settings.Current(ctx)
	if err != nil {
		return err
	}
	e := focus.Export{
		Account: of.ID, AccountName: of.Name, Seller: now.Installation.Name, From: from, To: to,
	}
	var out *focus.Writer
	// The file begins with the first rows: an error before them is an answer.
	write := func(rows []focus.Row) (err error) {
		if out == nil {
			if out, err = beginFOCUS(w, in, from, to); err != nil {
				return err
			}
		}
		return out.Write(rows)
	}
	err = h.ledger.Hours(ctx, h.db, of.ID, e.HoursFrom(), to,
		func(hours []wallet.Hour, subjects map[id.ID]wallet.Subject) error {
			return write(e.Rows(hours, subjects))
		})
	if err == nil {
		err = h.ledger.RefundedHours(ctx, h.db, of.ID, from, to,
			func(hours []wallet.Hour, subjects map[id.ID]wallet.Subject) error {
				return write(e.Corrections(hours, subjects))
			})
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil && out != nil {
		c.Fail(err)
		panic(http.ErrAbortHandler)
	}
	return err
}

func beginFOCUS(w http.ResponseWriter, in *usageQuery, from, to time.Time) (*focus.Writer, error) {
	version := in.Version
	if version == "" {
		version = focus.V12
	}
	name := fmt.Sprintf("billet-focus-%s-%s", from.Format(time.DateOnly), to.Format(time.DateOnly))
	if in.Format == usageFOCUSJSON {
		beginFile(w, "application/jsonl; charset=utf-8", name+".jsonl")
		return focus.NewJSONLines(w, version), nil
	}
	beginFile(w, "text/csv; charset=utf-8; header=present", name+".csv")
	return focus.NewCSV(w, version)
}
