package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"time"
)

// InvoiceType is the type of a document.
type InvoiceType string

// The types of documents.
const (
	// InvoiceOfMonth is the invoice of a month.
	InvoiceOfMonth InvoiceType = "invoice"
	// InvoiceCreditNote corrects an invoice.
	InvoiceCreditNote InvoiceType = "credit_note"
)

// TaxCategory is why a tax applies or does not. The codes are those of EN 16931.
type TaxCategory string

// The categories.
const (
	// TaxStandard means that a rate above zero applies.
	TaxStandard TaxCategory = "S"
	// TaxZeroRated means that a rate of zero applies.
	TaxZeroRated TaxCategory = "Z"
	// TaxReverseCharge means that the buyer owes the tax.
	TaxReverseCharge TaxCategory = "AE"
	// TaxOutside means that the sale is outside the scope of the tax.
	TaxOutside TaxCategory = "O"
	// TaxExempt means that the seller charges no tax.
	TaxExempt TaxCategory = "E"
)

// InvoiceFormat is a form of a document as a file.
type InvoiceFormat string

// The forms.
const (
	// InvoiceHTML is a page.
	InvoiceHTML InvoiceFormat = "html"
	// InvoicePDF is for printing.
	InvoicePDF InvoiceFormat = "pdf"
	// InvoiceXML is an electronic invoice after EN 16931, in the syntax UN/CEFACT CII.
	InvoiceXML InvoiceFormat = "xml"
)

// InvoiceSummary is an invoice or credit note without its lines.
type InvoiceSummary struct {
	// ID has the form ivc_…; it is "" for a preview.
	ID        string      `json:"id"`
	AccountID string      `json:"accountId"`
	Type      InvoiceType `json:"type"`
	// Number is unique; it is "" for a preview.
	Number string `json:"number"`
	// Month is billed, in UTC: "2026-11".
	Month    string    `json:"month"`
	IssuedAt time.Time `json:"issuedAt"`
	Currency Currency  `json:"currency"`
	// Total is with Tax. Due is the part that the wallet had no money for.
	Total Money `json:"total"`
	Tax   Money `json:"tax"`
	Due   Money `json:"due"`
	// Corrects is the ID of the invoice that a credit note corrects; nil for an invoice.
	Corrects *string `json:"corrects"`
}

// Invoice is an invoice or credit note with everything that is on it.
type Invoice struct {
	InvoiceSummary
	// Preview is true while the month is not over.
	Preview bool `json:"preview"`
	// CorrectsNumber and Reason are of a credit note.
	CorrectsNumber string `json:"correctsNumber"`
	Reason         string `json:"reason"`
	// From is the start of the month, To its end, exclusive.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Seller and Buyer are as they were set at the time of issue.
	Seller Seller         `json:"seller"`
	Buyer  BillingDetails `json:"buyer"`
	Lines  []InvoiceLine  `json:"lines"`
	// Balance is nil for a credit note.
	Balance   *InvoiceBalance   `json:"balance"`
	Movements []InvoiceMovement `json:"movements"`
	Totals    InvoiceTotals     `json:"totals"`
	// TaxConversion is the tax in the seller's tax currency; nil without one.
	TaxConversion *TaxConversion `json:"taxConversion"`
	// EarlierMonths is what Lines contain of time in earlier months, oldest first.
	EarlierMonths []InvoiceEarlierMonth `json:"earlierMonths"`
	// MissingDetails is what the invoice of a preview should have; empty for an issued document.
	MissingDetails []MissingBillingDetail `json:"missingDetails"`
	// MissingExchangeRate is why the tax of a preview cannot be stated in the tax currency.
	MissingExchangeRate string `json:"missingExchangeRate"`
}

// TaxConversion is the tax of a document in another currency.
type TaxConversion struct {
	// Currency is a code of ISO 4217.
	Currency string `json:"currency"`
	// Amount is a decimal number with the decimals of the currency: "3.15".
	Amount string `json:"amount"`
	// From is the day of the rate, "2026-11-27".
	From string `json:"from"`
	// Rate is the exact amount in the currency for so many Dollars.
	Rate    string `json:"rate"`
	Dollars string `json:"dollars"`
	// PerDollar is their quotient, rounded unless Dollars is 1.
	PerDollar string `json:"perDollar"`
	// Source is who published the rate.
	Source string `json:"source"`
}

// InvoiceEarlierMonth is what an invoice has of the time of an earlier month, because it was
// charged or refunded late.
type InvoiceEarlierMonth struct {
	Month string `json:"month"`
	// Number is that of the month's own invoice; "" if there is none.
	Number string `json:"number"`
	// Amount is Charged less Refunded.
	Charged  Money `json:"charged"`
	Refunded Money `json:"refunded"`
	Amount   Money `json:"amount"`
}

// Party is the seller or the buyer on an invoice.
type Party struct {
	Name         string `json:"name"`
	AddressLine1 string `json:"addressLine1"`
	AddressLine2 string `json:"addressLine2"`
	PostalCode   string `json:"postalCode"`
	City         string `json:"city"`
	State        string `json:"state"`
	// Country is a code of ISO 3166-1 with two letters.
	Country string `json:"country"`
	// VATID is a VAT identification number, or another tax number outside of the EU.
	VATID string `json:"vatId"`
	Email string `json:"email"`
}

// Seller is the operator of the cloud on an invoice.
type Seller struct {
	Party
	// TaxNumber is of a seller without a VAT identification number.
	TaxNumber    string `json:"taxNumber"`
	Registration string `json:"registration"`
	BankDetails  string `json:"bankDetails"`
	Note         string `json:"note"`
	// TaxCurrency is the one in which documents state the tax besides US dollars; "" for none.
	TaxCurrency string `json:"taxCurrency"`
}

// BillingDetails are the account as the buyer on an invoice.
type BillingDetails struct {
	Party
	// PurchaseOrder is repeated on each invoice.
	PurchaseOrder string `json:"purchaseOrder"`
}

// MissingBillingDetail is something that the next invoice should have, and that is not set.
type MissingBillingDetail struct {
	// Field is the one of BillingDetails, as in JSON.
	Field string `json:"field"`
	// Required is false for what only companies have.
	Required bool   `json:"required"`
	Message  string `json:"message"`
}

// AccountBillingDetails is the account as the buyer on its next invoices.
type AccountBillingDetails struct {
	BillingDetails
	Missing []MissingBillingDetail `json:"missing"`
}

// InvoiceLine is what a deployment or volume cost at one hourly price.
type InvoiceLine struct {
	// Subject is the ID of the deployment or volume; "" for a line that the operator wrote.
	Subject  string `json:"subject"`
	Name     string `json:"name"`
	GPUType  string `json:"gpuType"`
	Provider string `json:"provider"`
	Region   string `json:"region"`
	// From and To are the billed time; nil for a line that the operator wrote.
	From *time.Time `json:"from"`
	To   *time.Time `json:"to"`
	// Hours were charged at HourlyPrice. Seconds is the charged less the refunded time.
	HourlyPrice Money `json:"hourlyPrice"`
	Hours       int   `json:"hours"`
	Seconds     int   `json:"seconds"`
	// Amount is Charged less Refunded, exact to the micro-dollar and with tax.
	Charged  Money `json:"charged"`
	Refunded Money `json:"refunded"`
	Amount   Money `json:"amount"`
}

// InvoiceBalance is how the wallet's balance changed in the month.
type InvoiceBalance struct {
	// Closing is Opening plus Payments, Credits and Adjustments, less Usage.
	Opening     Money `json:"opening"`
	Payments    Money `json:"payments"`
	Credits     Money `json:"credits"`
	Adjustments Money `json:"adjustments"`
	Usage       Money `json:"usage"`
	Closing     Money `json:"closing"`
}

// InvoiceMovement is a payment, credit or adjustment.
type InvoiceMovement struct {
	TransactionID string          `json:"transactionId"`
	Type          TransactionType `json:"type"`
	At            time.Time       `json:"at"`
	Description   string          `json:"description"`
	Amount        Money           `json:"amount"`
}

// InvoiceTotals is the total of an invoice with its tax.
type InvoiceTotals struct {
	// Exact is the sum of the lines; Total is Exact plus Rounding, in cents.
	Exact    Money `json:"exact"`
	Rounding Money `json:"rounding"`
	// Total is Net plus Tax plus TaxRounding.
	Net         Money `json:"net"`
	Tax         Money `json:"tax"`
	TaxRounding Money `json:"taxRounding"`
	Total       Money `json:"total"`
	// Paid is what the wallet had money for, Due the rest.
	Paid Money `json:"paid"`
	Due  Money `json:"due"`
	// Treatment is why this tax applies.
	Treatment TaxTreatment `json:"treatment"`
}

// TaxTreatment is how a sale is taxed.
type TaxTreatment struct {
	Category TaxCategory `json:"category"`
	// Name is the name of the tax, such as VAT.
	Name string `json:"name"`
	// Country is the one whose rate applies; "" without a rate.
	Country string  `json:"country"`
	Percent float64 `json:"percent"`
	// Reason is why no tax is shown; "" where a rate applies.
	Reason string `json:"reason"`
}

// InvoiceQuery filters invoices. Zero values filter nothing.
type InvoiceQuery struct {
	Paging
	// Type is the type of documents.
	Type InvoiceType `query:"type"`
	// Month is the billed month, in UTC: "2026-11".
	Month string `query:"month"`
}

// InvoiceService reads invoices. It needs the scope wallet:read, and a key without a project.
type InvoiceService struct{ c *Client }

// List returns one page of invoices and credit notes, newest first.
func (s *InvoiceService) List(
	ctx context.Context, q InvoiceQuery, options ...CallOption,
) (*Page[InvoiceSummary], error) {
	return list[InvoiceSummary](ctx, s.c, request{path: "/invoices", query: queryOf(q)}, options)
}

// All iterates over invoices and credit notes, newest first.
func (s *InvoiceService) All(
	ctx context.Context, q InvoiceQuery, options ...CallOption,
) iter.Seq2[InvoiceSummary, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[InvoiceSummary], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(i InvoiceSummary) string { return i.ID })
}

// Get returns an invoice or credit note. The error is ErrNotFound if there is none.
func (s *InvoiceService) Get(ctx context.Context, id string, options ...CallOption) (*Invoice, error) {
	return one[Invoice](ctx, s.c, request{
		method: http.MethodGet, path: "/invoices/" + id, id: id, field: "path.id",
	}, options)
}

// Download returns an invoice or credit note as a file: the same bytes whenever it is called. The
// caller closes it.
func (s *InvoiceService) Download(
	ctx context.Context, id string, format InvoiceFormat, options ...CallOption,
) (io.ReadCloser, error) {
	media := "text/html"
	if format != InvoiceHTML {
		media = "application/" + string(format)
	}
	return s.c.send(ctx, request{
		method: http.MethodGet, path: "/invoices/" + id, id: id, field: "path.id",
		query: map[string][]string{"format": {string(format)}}, accept: media, streaming: true,
	}, options)
}

// Preview returns what the invoice of the current month would be now. Nothing is issued.
func (s *InvoiceService) Preview(ctx context.Context, options ...CallOption) (*Invoice, error) {
	return one[Invoice](ctx, s.c, request{method: http.MethodGet, path: "/invoices/preview"}, options)
}

// BillingDetails returns the account as the buyer on its next invoices. A user sets them in the
// dashboard: no API key may.
func (s *InvoiceService) BillingDetails(ctx context.Context, options ...CallOption) (*AccountBillingDetails, error) {
	r := request{method: http.MethodGet, path: "/wallet/billing-details"}
	return one[AccountBillingDetails](ctx, s.c, r, options)
}
