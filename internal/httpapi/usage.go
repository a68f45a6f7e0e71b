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
	TagKey  string         `query:"tagKey" maxLength:"100" doc:"With groupBy=tag: groups are the tags that begin with this key and : or =, such as team:search for team. Costs without such a tag are the group with the empty key. A deployment with several counts for the first by the alphabet."`
	Daily   bool           `query:"daily" doc:"Also divide each group by day, for an interval of at most 93 days. Not with groupBy=day or deployment, and with groupBy=tag only with tagKey."`
	Format  usageFormat    `query:"format" doc:"csv: the groups as a table, with a row for each day with daily=true. focus: each hour as CSV in the format of FOCUS, the FinOps Open Cost and Usage Specification. focus-jsonl: the same as JSON lines. json if omitted."`
	Version focus.Version  `query:"version" doc:"Version of FOCUS; 1.2 if omitted."`
}

// dailyLength is the longest interval of usage by day and another group.
const dailyLength = 93 * 24 * time.Hour

// Check finds parameters that contradict each other.
func (q usageQuery) Check() []apierr.FieldError {
	invalid := q.interval.Check()
	add := func(field, message string) {
		invalid = append(invalid, apierr.FieldError{Field: "query." + field, Message: message})
	}
	focus := q.Format == usageFOCUS || q.Format == usageFOCUSJSON
	if focus && q.GroupBy != "" {
		add("groupBy", "does not apply to the formats focus and focus-jsonl. Omit it.")
	}
	if !focus && q.Version != "" {
		add("version", "applies to the formats focus and focus-jsonl only. Omit it.")
	}
	if q.TagKey != "" && q.GroupBy != wallet.ByTag {
		add("tagKey", "applies to groupBy=tag only. Omit it.")
	}
	switch {
	case !q.Daily:
	case focus:
		add("daily", "does not apply to the formats focus and focus-jsonl. Omit it.")
	case q.GroupBy == "" || q.GroupBy == wallet.ByDay || q.GroupBy == wallet.ByDeployment:
		add("daily", "does not apply to groupBy=day and groupBy=deployment. Choose another group.")
	case q.GroupBy == wallet.ByTag && q.TagKey == "":
		add("daily", "needs tagKey with groupBy=tag, because a deployment with several tags counts for each. "+
			"Set tagKey.")
	}
	return invalid
}

func (h walletResource) usageRoute(r *rest.Router, path string) {
	rest.CustomRead[usageQuery, wallet.Usage](r, rest.Operation{
		Method: http.MethodGet, Path: path, ID: "getUsage", Tag: tagWallet, Scope: string(account.ReadWallet),
		MayLag: true, CSV: true, Media: []string{"application/jsonl"}, ExtraTime: exportTime, Summary: "Get usage",
		Description: "Cost by day, deployment, GPU type, provider, tag, project, member or API key: charges for " +
			"hours that began in the interval, less their refunds. The default is the last 30 days. An hour and " +
			"its refund count toward the day on which the hour began.\n\nThe formats `focus` and `focus-jsonl` " +
			"are exports for cost tools. They have a row for each hour whose charge period starts in the " +
			"interval. An hour that crosses the end of a month has two rows. A refund made after the month of " +
			"its hour is a row of class Correction in the month of the refund. Repeat exports of the current " +
			"month, because later refunds change its rows.",
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
	if in.Daily && to.Sub(from) > dailyLength {
		return rest.Answer{}, apierr.Invalid([]apierr.FieldError{{
			Field:   "query.daily",
			Message: "is for an interval of at most 93 days. Choose a later from or an earlier to.",
		}})
	}
	by := in.GroupBy
	if by == "" {
		by = wallet.ByDay
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout())
	defer cancel()
	usage, err := h.ledger.Usage(ctx, h.db, c.Caller.Account, wallet.UsageQuery{
		From: from, To: to, By: by, TagKey: in.TagKey, Daily: in.Daily,
	})
	if err != nil {
		return rest.Answer{}, err
	}
	if in.Format != usageCSV {
		return c.Data(usage), nil
	}
	beginFile(w, "text/csv; charset=utf-8; header=present", "billet-usage.csv")
	_ = csv.NewWriter(w).WriteAll(usageRecords(usage, in.Daily)) // a client that has gone gets no answer
	return rest.Answer{}, nil
}

// usageRecords returns usage as a table, by day too if it is daily.
func usageRecords(u wallet.Usage, daily bool) [][]string {
	records := [][]string{{string(u.GroupBy), "name", "cost"}}
	if !daily {
		for _, g := range u.Groups {
			name := focus.Harmless(orEmpty(g.Name))
			records = append(records, []string{focus.Harmless(g.Key), name, g.Cost.Decimal()})
		}
		return records
	}
	records[0] = append([]string{"day"}, records[0]...)
	names := make(map[string]string, len(u.Groups))
	for _, g := range u.Groups {
		names[g.Key] = focus.Harmless(orEmpty(g.Name))
	}
	for _, d := range u.Days {
		records = append(records, []string{d.Day, focus.Harmless(d.Key), names[d.Key], d.Cost.Decimal()})
	}
	return records
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
