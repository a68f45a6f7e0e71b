package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/danielgtaylor/huma/v2"
)

// operatorInvoices are all accounts' documents, and what the operator decides about them.
type operatorInvoices struct {
	db  *db.DB
	svc *invoice.Service
}

func (h operatorInvoices) routes(r *rest.Router) {
	const all, one = OperatorBase + "/invoices", OperatorBase + "/invoices/{id}"
	const set, rates = OperatorBase + "/invoice-settings", OperatorBase + "/tax-rates"
	op := func(method, path, id, summary, description string) rest.Operation {
		scope := account.ReadOperator
		if method != http.MethodGet {
			scope = account.WriteOperator
		}
		return rest.Operation{
			Method: method, Path: path, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly, Scope: string(scope),
			Summary: summary, Description: description,
		}
	}
	rest.List(r, op(http.MethodGet, all, "listAllInvoices", "List invoices of all accounts",
		"Newest first, with credit notes."), h.list)
	preview := op(http.MethodGet, OperatorBase+"/accounts/{id}/invoice-preview", "previewAnyInvoice",
		"Preview an account's invoice of the current month",
		"What the invoice would be if the month ended now. Nothing is issued. CONFLICT if the tax cannot be "+
			"computed, such as where the seller has no country.")
	preview.Errors = []apierr.Code{apierr.Conflict}
	rest.Read(r, preview, h.preview)
	get := op(http.MethodGet, one, "getAnyInvoice", "Get an invoice of any account",
		"With `format`, returns the document as a file. Every download is byte-for-byte identical.")
	get.Media, get.Errors = invoiceMedia, []apierr.Code{apierr.NotFound}
	rest.CustomRead[invoiceQuery, invoice.Document](r, get, h.get)
	note := op(http.MethodPost, one+"/credit-note", "createCreditNote", "Issue a credit note",
		"Corrects an invoice by the given lines or, without lines, by the remaining amount. The credit notes of an "+
			"invoice never exceed its total. Balances do not change: credit the account to return money.")
	note.Status, note.Errors = http.StatusCreated, []apierr.Code{apierr.NotFound, apierr.Conflict}
	rest.Write(r, note, h.correct)
	rest.ReadVersioned(r, op(http.MethodGet, set, "getInvoiceSettings", "Get the invoice settings",
		"The seller, number formats and tax of invoices."), h.settings)
	rest.Write(r, op(http.MethodPut, set, "setInvoiceSettings", "Set the invoice settings",
		"Replaces all settings. Issued documents do not change. An invoice is issued for each month from "+
			"`firstMonth` on, once the month is over; past months from `firstMonth` on are invoiced "+
			"at once."), h.setSettings)
	rest.ReadVersioned(r, op(http.MethodGet, rates, "getTaxRates", "Get the tax rates",
		"By country and start date."), h.rates)
	rest.Write(r, op(http.MethodPut, rates, "setTaxRates", "Set the tax rates",
		"Replaces all rates. A buyer in a country with a rate pays that rate, unless reverse charge applies. "+
			"Issued documents do not change."), h.setRates)
}

type createCreditNote struct {
	invoicePath
	Body struct {
		Reason string           `json:"reason" minLength:"1" maxLength:"500" example:"Wrong address" doc:"Reason, as stated on the credit note."`
		Lines  []creditNoteLine `json:"lines,omitempty" maxItems:"100" doc:"Lines to credit; the remaining amount of the invoice if omitted."`
	}
}

type creditNoteLine struct {
	Text   string       `json:"text" minLength:"1" maxLength:"128" example:"One hour of an outage" doc:"Text of the line."`
	Amount money.Micros `json:"amount" example:"19.92" doc:"US dollars with tax, more than 0, with at most two decimals."`
}

type allInvoices struct {
	invoiceList
	AccountID id.ID `query:"account" maxLength:"40" doc:"Documents of this account."`
	Corrects  id.ID `query:"corrects" maxLength:"40" doc:"Credit notes of this invoice, ivc_…"`
}

// Check refuses what is not the id of an account or a document.
func (q allInvoices) Check() []apierr.FieldError {
	errs := append(q.Paging.Check(), checkAccountFilter(q.AccountID)...)
	if q.Corrects != "" && !q.Corrects.Valid(id.Invoice) {
		errs = append(errs, apierr.FieldError{Field: "query.corrects", Message: "must be the id of an invoice, ivc_…."})
	}
	return errs
}

// wantedSeller is the seller in a request.
type wantedSeller struct {
	Name         string `json:"name" maxLength:"128" example:"Example GmbH" doc:"Name of the company."`
	AddressLine1 string `json:"addressLine1,omitempty" maxLength:"128" doc:"Street and number."`
	AddressLine2 string `json:"addressLine2,omitempty" maxLength:"128" doc:"Further part of the address."`
	PostalCode   string `json:"postalCode,omitempty" maxLength:"40" doc:"Postal code."`
	City         string `json:"city,omitempty" maxLength:"128" doc:"City."`
	State        string `json:"state,omitempty" maxLength:"128" doc:"State or province, where addresses have one."`
	Country      string `json:"country,omitempty" maxLength:"2" example:"DE" doc:"Country, as a code of ISO 3166-1 with two letters."`
	VATID        string `json:"vatId,omitempty" maxLength:"40" example:"DE123456789" doc:"VAT identification number, or another tax number outside of the EU."`
	Email        string `json:"email,omitempty" maxLength:"254" doc:"Email address for questions about invoices."`
	TaxNumber    string `json:"taxNumber,omitempty" maxLength:"40" example:"27/123/45678" doc:"Tax number of a seller without a VAT identification number."`
	Registration string `json:"registration,omitempty" maxLength:"128" example:"HRB 12345, Amtsgericht Berlin" doc:"Registration of the company."`
	BankDetails  string `json:"bankDetails,omitempty" maxLength:"500" doc:"Bank account, in one line."`
	Note         string `json:"note,omitempty" maxLength:"500" doc:"Text at the end of each document, in one line."`
	TaxCurrency  string `json:"taxCurrency,omitempty" maxLength:"3" example:"EUR" doc:"Currency in which documents state the tax besides US dollars, as a code of ISO 4217; US dollars only if empty."`
}

type setInvoiceSettings struct {
	Body struct {
		Seller            wantedSeller        `json:"seller" doc:"Seller on every document."`
		FirstMonth        string              `json:"firstMonth,omitempty" maxLength:"7" example:"2026-12" doc:"First month that invoices are issued for, in UTC; empty to issue none."`
		NumberFormat      string              `json:"numberFormat,omitempty" maxLength:"40" example:"{year}-{number}" doc:"Format of the numbers of invoices: {year} is the year of issue, {number} counts from 000001 in each year."`
		CreditNoteFormat  string              `json:"creditNoteFormat,omitempty" maxLength:"40" example:"CN-{year}-{number}" doc:"Format of the numbers of credit notes, which have their own count."`
		ChargesTax        bool                `json:"chargesTax" doc:"Whether prices contain a tax that documents show."`
		TaxName           string              `json:"taxName,omitempty" maxLength:"40" example:"VAT" doc:"Name of the tax on documents."`
		OutsideRule       invoice.OutsideRule `json:"outsideRule,omitempty" doc:"What applies to a buyer in another country, if one of the two countries is outside the EU and no rate is set for the buyer's: none (the default), or the seller's rate."`
		ReverseChargeText string              `json:"reverseChargeText,omitempty" maxLength:"500" doc:"Text on documents with reverse charge; a built-in one if empty."`
		OutsideText       string              `json:"outsideText,omitempty" maxLength:"500" doc:"Text on documents outside the scope of the tax; a built-in one if empty."`
		ExemptText        string              `json:"exemptText,omitempty" maxLength:"500" doc:"Text on documents of a seller who charges no tax; a built-in one if empty."`
	}
}

func (in *setInvoiceSettings) settings() invoice.Settings {
	b, s := &in.Body, &in.Body.Seller
	return invoice.Settings{
		Seller: invoice.Seller{
			Party: invoice.Party{
				Name: s.Name, AddressLine1: s.AddressLine1, AddressLine2: s.AddressLine2, PostalCode: s.PostalCode,
				City: s.City, State: s.State, Country: s.Country, VATID: s.VATID, Email: s.Email,
			},
			TaxNumber: s.TaxNumber, Registration: s.Registration, BankDetails: s.BankDetails, Note: s.Note,
			TaxCurrency: s.TaxCurrency,
		},
		FirstMonth: b.FirstMonth, NumberFormat: b.NumberFormat, CreditNoteFormat: b.CreditNoteFormat,
		ChargesTax: b.ChargesTax, TaxName: b.TaxName, OutsideRule: b.OutsideRule,
		ReverseChargeText: b.ReverseChargeText, OutsideText: b.OutsideText, ExemptText: b.ExemptText,
	}
}

// rate is the schema of a tax rate, in percent.
type rate struct{}

// Schema is a number.
func (rate) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeNumber} }

// taxRates are all tax rates.
type taxRates struct {
	Rates []taxRate `json:"rates" maxItems:"1000" doc:"Rates by country and day."`
}

// taxRate is a rate as the API has it.
type taxRate struct {
	Country string  `json:"country" minLength:"2" maxLength:"2" example:"DE" doc:"Country, as a code of ISO 3166-1 with two letters."`
	From    string  `json:"from" minLength:"10" maxLength:"10" example:"2021-01-01" doc:"First day in UTC on which the rate applies. It applies until the next one of the country."`
	Percent percent `json:"percent" minimum:"0" maximum:"50" example:"19" doc:"Rate in percent, with at most two decimals."`
	Ended   bool    `json:"ended,omitempty" doc:"Whether the country has no rate from this day on; percent is 0 then."`
}

// taxRateToSet is a taxRate in a request, which takes nothing else.
type taxRateToSet taxRate

type setTaxRates struct {
	Body struct {
		Rates []taxRateToSet `json:"rates" maxItems:"1000" doc:"Rates by country and day."`
	}
}

func taxRatesOf(rates []invoice.TaxRate) taxRates {
	out := taxRates{Rates: []taxRate{}}
	for _, r := range rates {
		out.Rates = append(out.Rates, taxRate{r.Country, r.From, percent(r.Percent), r.Ended})
	}
	return out
}

func (h operatorInvoices) list(
	ctx context.Context, _ *rest.Call, in *allInvoices, p db.Page,
) ([]invoice.Summary, db.Listed, error) {
	f := in.filter(in.AccountID)
	f.Corrects = in.Corrects
	return h.svc.ListAll(ctx, h.db, f, p)
}

func (h operatorInvoices) preview(ctx context.Context, _ *rest.Call, in *accountPath) (invoice.Document, error) {
	return h.svc.PreviewAny(ctx, in.ID)
}

func (h operatorInvoices) get(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *invoiceQuery, invalid []apierr.FieldError,
) (rest.Answer, error) {
	if err := apierr.Invalid(invalid).OrNil(); err != nil {
		return rest.Answer{}, err
	}
	d, err := h.svc.GetAny(ctx, h.db, in.ID)
	if err != nil {
		return rest.Answer{}, err
	}
	return sendInvoice(ctx, w, c, h.db, h.svc, d, in)
}

func (h operatorInvoices) correct(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *createCreditNote,
) (invoice.Document, error) {
	wanted := invoice.Correction{Reason: in.Body.Reason}
	for _, l := range in.Body.Lines {
		wanted.Lines = append(wanted.Lines, invoice.CreditLine{Text: l.Text, Amount: l.Amount})
	}
	d, err := h.svc.Correct(ctx, tx, in.ID, wanted)
	if err == nil {
		c.SetHeader("Location", OperatorBase+"/invoices/"+string(d.ID))
		c.Change.Subject, c.Change.Account = d.ID, d.Account
	}
	return d, err
}

func (h operatorInvoices) settings(
	ctx context.Context, r db.Reader, _ *rest.Call, _ *rest.NoInput,
) (invoice.Settings, error) {
	return h.svc.Settings(ctx, r)
}

func (h operatorInvoices) setSettings(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *setInvoiceSettings,
) (invoice.Settings, error) {
	return h.svc.SetSettings(ctx, tx, in.settings())
}

func (h operatorInvoices) rates(
	ctx context.Context, r db.Reader, _ *rest.Call, _ *rest.NoInput,
) (taxRates, error) {
	rates, err := h.svc.TaxRates(ctx, r)
	return taxRatesOf(rates), err
}

func (h operatorInvoices) setRates(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *setTaxRates,
) (taxRates, error) {
	var rates []invoice.TaxRate
	for _, r := range in.Body.Rates {
		percent := invoice.BasisPoints(r.Percent)
		rates = append(rates, invoice.TaxRate{
			Country: r.Country, From: r.From, Percent: percent, Ended: r.Ended,
		})
	}
	set, err := h.svc.SetTaxRates(ctx, tx, rates)
	return taxRatesOf(set), err
}
