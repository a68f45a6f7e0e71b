package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/rest"
)

// exchangeRates are what documents convert their tax with.
type exchangeRates struct {
	db  *db.DB
	svc *invoice.Service
}

func (h exchangeRates) routes(r *rest.Router) {
	const all, one = OperatorBase + "/exchange-rates", OperatorBase + "/exchange-rates/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listExchangeRates", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "List exchange rates",
		Description: "By currency, those of the latest days first.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "addExchangeRates", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Add exchange rates",
		Description: "A rate of the same currency and day is replaced. A document with a tax uses the latest rate " +
			"that is at most 7 days older than the last day of its month. Issued documents do not change.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.add)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all + "/import", ID: "importExchangeRates", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator), Summary: "Import exchange rates",
		Description: "Reads a CSV table as central banks publish it: a column `Date`, and one for each currency. " +
			"Without `base` and `direction` it is one of the European Central Bank, with US dollars for one euro. " +
			"Rates of the same currency and day are replaced.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.importTable)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "deleteExchangeRate", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Delete an exchange rate",
		Description: "Issued documents keep the rate that they state.", Errors: []apierr.Code{apierr.NotFound},
	}, h.remove)
}

type exchangeRatePath struct {
	ID id.ID `path:"id" doc:"Id of the rate: its currency and day, such as xr_eur20261127."`
}

// newExchangeRate is a rate in a request.
type newExchangeRate struct {
	Currency string          `json:"currency" minLength:"3" maxLength:"3" example:"EUR" doc:"Currency, as a code of ISO 4217."`
	From     string          `json:"from" minLength:"10" maxLength:"10" example:"2026-11-27" doc:"Day from which the rate holds."`
	Rate     invoice.Decimal `json:"rate" minLength:"1" maxLength:"25" example:"0.9123" doc:"Exact amount in the currency that is worth dollars."`
	Dollars  invoice.Decimal `json:"dollars,omitempty" maxLength:"25" example:"1" doc:"Exact amount in US dollars that rate is the value of; 1 if omitted. For 1 euro at 1.0961 US dollars, rate is 1 and dollars 1.0961."`
	Source   string          `json:"source" minLength:"1" maxLength:"64" example:"ECB" doc:"Who published the rate, as documents state it."`
}

type addExchangeRates struct {
	Body struct {
		Rates []newExchangeRate `json:"rates" minItems:"1" maxItems:"1000" doc:"Rates by currency and day."`
	}
}

// addedExchangeRates are the rates of a request as they are stored.
type addedExchangeRates struct {
	Rates []invoice.ExchangeRate `json:"rates" doc:"Rates that were added."`
}

type importExchangeRates struct {
	Body struct {
		CSV       string            `json:"csv" minLength:"1" maxLength:"1000000" format:"multiline" example:"Date,USD,PLN\n2026-11-27,1.0961,4.3012" doc:"Table with a header line: Date, then codes of currencies. Days are such as 2026-11-27 or 27 November 2026. A day with N/A or nothing is left out."`
		Source    string            `json:"source" minLength:"1" maxLength:"64" example:"ECB" doc:"Who published the rates, as documents state it."`
		Currency  string            `json:"currency,omitempty" maxLength:"3" example:"PLN" doc:"Currency whose rates are imported; the seller's tax currency if omitted."`
		Base      string            `json:"base,omitempty" maxLength:"3" example:"EUR" doc:"Currency that the columns are compared with; EUR if omitted. It needs no column."`
		Direction invoice.Direction `json:"direction,omitempty" doc:"Whether a number is units of its column's currency for one of the base (units_per_base, the default), or units of the base for one of its column's currency (base_per_unit)."`
		From      string            `json:"from,omitempty" maxLength:"10" example:"2026-01-01" doc:"First day to import; all days if omitted."`
	}
}

func (h exchangeRates) list(
	ctx context.Context, _ *rest.Call, _ *rest.Paging, p db.Page,
) ([]invoice.ExchangeRate, db.Listed, error) {
	return h.svc.ExchangeRates(ctx, h.db, p)
}

func (h exchangeRates) add(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *addExchangeRates,
) (addedExchangeRates, error) {
	rates := make([]invoice.NewRate, len(in.Body.Rates))
	for i, r := range in.Body.Rates {
		rates[i] = invoice.NewRate(r)
	}
	added, err := h.svc.AddExchangeRates(ctx, tx, rates)
	return addedExchangeRates{added}, err
}

func (h exchangeRates) importTable(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *importExchangeRates,
) (invoice.ImportedRates, error) {
	b := &in.Body
	return h.svc.ImportExchangeRates(ctx, tx, invoice.RateTable{
		CSV: strings.NewReader(b.CSV), Currency: b.Currency, Base: b.Base, Direction: b.Direction, From: b.From,
		Source: b.Source,
	})
}

func (h exchangeRates) remove(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *exchangeRatePath,
) (invoice.ExchangeRate, error) {
	return h.svc.DeleteExchangeRate(ctx, tx, in.ID)
}
