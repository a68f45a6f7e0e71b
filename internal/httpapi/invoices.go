package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/rest"
)

// invoices are the documents about an account's money, and what is on them.
type invoices struct {
	db  *db.DB
	svc *invoice.Service
}

// invoiceMedia are the types of a document's files.
var invoiceMedia = []string{"text/html", "application/pdf", "application/xml"}

func (h invoices) routes(r *rest.Router) {
	const all, one, details = Base + "/invoices", Base + "/invoices/{id}", Base + "/wallet/billing-details"
	op := func(path, id, summary, description string) rest.Operation {
		return rest.Operation{
			Method: http.MethodGet, Path: path, ID: id, Tag: tagWallet, Scope: string(account.ReadWallet),
			Summary: summary, Description: description,
		}
	}
	rest.List(r, op(all, "listInvoices", "List invoices",
		"Newest first, with credit notes. A month's invoice is issued an hour after the month ends (UTC), if the "+
			"operator issues invoices and the account had transactions."), h.list)
	preview := op(all+"/preview", "previewInvoice", "Preview the current month's invoice",
		"What the invoice would be if the month ended now. Nothing is issued. CONFLICT if the operator has not set "+
			"what the tax is computed from.")
	preview.Errors = []apierr.Code{apierr.Conflict}
	rest.Read(r, preview, h.preview)
	get := op(one, "getInvoice", "Get an invoice",
		"With `format`, returns the document as a file. Every download is byte-for-byte identical. `xml` is an "+
			"electronic invoice according to EN 16931, in the syntax UN/CEFACT CII.")
	get.Media, get.Errors = invoiceMedia, []apierr.Code{apierr.NotFound}
	rest.CustomRead[invoiceQuery, invoice.Document](r, get, h.get)
	rest.ReadVersioned(r, op(details, "getBillingDetails", "Get the billing details",
		"The account's details as the buyer on future invoices. If nothing is set, invoices show the account's "+
			"name and are taxed as if the buyer were in the seller's country. `missing` is what the next invoice "+
			"should have, too."), h.details)
	put := op(details, "setBillingDetails", "Set the billing details",
		"Replaces the details on future invoices. Issued invoices keep theirs. An EU VAT identification number "+
			"must have the right form and belong to the country.")
	put.Method, put.Auth, put.Scope = http.MethodPut, rest.SessionOnly, string(account.WriteWallet)
	rest.Write(r, put, h.setDetails)
}

type invoiceList struct {
	rest.Paging
	Type  invoice.Type `query:"type" doc:"Documents of this type."`
	Month string       `query:"month" maxLength:"7" example:"2026-11" doc:"Documents of this month."`
}

func (q invoiceList) filter(of id.ID) invoice.Filter {
	return invoice.Filter{Account: of, Type: q.Type, Month: q.Month}
}

type invoicePath struct {
	ID id.ID `path:"id" doc:"Id of the document, ivc_…"`
}

type invoiceQuery struct {
	invoicePath
	Format string `query:"format" enum:"json,html,pdf,xml" doc:"json if omitted."`
}

// buyerDetails is the body of setBillingDetails, which takes nothing else, while answers may get
// more fields.
type buyerDetails struct {
	Name          string `json:"name,omitempty" maxLength:"128" example:"Example GmbH" doc:"Name of the company or user; the account's name if empty."`
	AddressLine1  string `json:"addressLine1,omitempty" maxLength:"128" doc:"Street and number."`
	AddressLine2  string `json:"addressLine2,omitempty" maxLength:"128" doc:"Further part of the address."`
	PostalCode    string `json:"postalCode,omitempty" maxLength:"40" doc:"Postal code."`
	City          string `json:"city,omitempty" maxLength:"128" doc:"City."`
	State         string `json:"state,omitempty" maxLength:"128" doc:"State or province, where addresses have one."`
	Country       string `json:"country,omitempty" maxLength:"2" example:"DE" doc:"Country, as a code of ISO 3166-1 with two letters."`
	VATID         string `json:"vatId,omitempty" maxLength:"40" example:"DE123456789" doc:"VAT identification number, or another tax number outside of the EU."`
	Email         string `json:"email,omitempty" maxLength:"254" doc:"Email address of the buyer on invoices."`
	PurchaseOrder string `json:"purchaseOrder,omitempty" maxLength:"128" doc:"Reference that is repeated on each invoice, such as a purchase order."`
}

type setBillingDetails struct{ Body buyerDetails }

func (b buyerDetails) buyer() invoice.Buyer {
	return invoice.Buyer{
		Party: invoice.Party{
			Name: b.Name, AddressLine1: b.AddressLine1, AddressLine2: b.AddressLine2, PostalCode: b.PostalCode,
			City: b.City, State: b.State, Country: b.Country, VATID: b.VATID, Email: b.Email,
		},
		PurchaseOrder: b.PurchaseOrder,
	}
}

// seesWholeAccount refuses API keys that are bound to a project: a document is about all of them.
func seesWholeAccount(c *rest.Call) error {
	if c.Caller.Project == "" {
		return nil
	}
	return apierr.New(apierr.InsufficientScope,
		"This API key is bound to a project, and invoices are of the whole account. Use a key of the whole account.")
}

func (h invoices) list(
	ctx context.Context, c *rest.Call, in *invoiceList, p db.Page,
) ([]invoice.Summary, db.Listed, error) {
	if err := seesWholeAccount(c); err != nil {
		return nil, db.Listed{}, err
	}
	return h.svc.List(ctx, h.db, c.Caller.Account, in.filter(""), p)
}

func (h invoices) preview(ctx context.Context, c *rest.Call, _ *rest.NoInput) (invoice.Document, error) {
	if err := seesWholeAccount(c); err != nil {
		return invoice.Document{}, err
	}
	d, err := h.svc.Preview(ctx, c.Caller.Account)
	if e, is := errors.AsType[*apierr.Error](err); is && e.Code == apierr.Conflict {
		err = apierr.New(apierr.Conflict, // what is missing is the operator's to set
			"There is no preview yet: the invoice settings of this cloud are not complete. Ask its operator.")
	}
	return d, err
}

func (h invoices) get(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *invoiceQuery, invalid []apierr.FieldError,
) (rest.Answer, error) {
	if err := apierr.Invalid(invalid).OrNil(); err != nil {
		return rest.Answer{}, err
	}
	if err := seesWholeAccount(c); err != nil {
		return rest.Answer{}, err
	}
	d, err := h.svc.Get(ctx, h.db, c.Caller.Account, in.ID)
	if err != nil {
		return rest.Answer{}, err
	}
	return sendInvoice(ctx, w, c, h.db, h.svc, d, in)
}

// sendInvoice answers with a document, or sends one of its files.
func sendInvoice(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, r db.Reader, svc *invoice.Service,
	d invoice.Document, in *invoiceQuery,
) (rest.Answer, error) {
	if in.Format == "" || in.Format == "json" {
		return c.Data(d), nil
	}
	f := invoice.Format(in.Format)
	content, err := svc.File(ctx, r, d, f)
	if err != nil {
		return rest.Answer{}, err
	}
	sendFile(w, f.MediaType(), fmt.Sprintf("%s.%s", fileName(d.Number), f), content)
	return rest.Answer{}, nil
}

// sendFile sends a file that a browser shows and runs nothing of.
func sendFile(w http.ResponseWriter, media, name string, content []byte) {
	header := w.Header()
	header.Set("Content-Type", media)
	header.Set("Content-Length", strconv.Itoa(len(content)))
	header.Set("Content-Disposition", `inline; filename="`+name+`"`)
	if media != invoice.PDF.MediaType() { // for which browsers refuse to start their viewer in a sandbox
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	}
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(content)
}

// fileName makes a number fit for a name of a file.
func fileName(number string) string {
	name := []byte(number)
	for i, b := range name {
		if b == '/' || b == '.' {
			name[i] = '-'
		}
	}
	return string(name)
}

func (h invoices) details(
	ctx context.Context, r db.Reader, c *rest.Call, _ *rest.NoInput,
) (invoice.Details, error) {
	if err := seesWholeAccount(c); err != nil {
		return invoice.Details{}, err
	}
	return h.svc.BillingDetails(ctx, r, c.Caller.Account)
}

func (h invoices) setDetails(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *setBillingDetails,
) (invoice.Details, error) {
	return h.svc.SetBillingDetails(ctx, tx, c.Caller.Account, in.Body.buyer())
}
