package invoice

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/wallet"
)

// Config configures a Service. Every field is required.
type Config struct {
	DB       *db.DB
	IDs      *id.Maker
	Clock    clock.Clock
	Accounts *account.Service
	Wallet   *wallet.Ledger
	Events   *event.Service
	Jobs     *job.Queue
	Issues   *issue.Service
}

// Service issues and reads documents. It is safe for concurrent use.
type Service struct {
	cfg      Config
	previews *previews
}

// New returns a Service.
func New(c Config) *Service { return &Service{c, newPreviews(c)} }

var errNotFound = apierr.New(apierr.NotFound, "No invoice has this id. List yours with GET /invoices.")

// Filter selects documents. A zero field does not filter.
type Filter struct {
	// Account is used by ListAll only.
	Account id.ID
	Type    Type
	// Month is "2026-11".
	Month string
	// Corrects is an invoice, for its credit notes.
	Corrects id.ID
}

// List returns a page of the account's documents that match the filter, newest first.
func (s *Service) List(
	ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page,
) ([]Summary, db.Listed, error) {
	return list(ctx, r, []db.Cond{db.Is("account_id", account)}, f, p)
}

// ListAll is List for all accounts, or the one that the filter names. It is for the operator.
func (s *Service) ListAll(ctx context.Context, r db.Reader, f Filter, p db.Page) ([]Summary, db.Listed, error) {
	if f.Account != "" {
		return s.List(ctx, r, f.Account, f, p)
	}
	return list(ctx, r, nil, f, p)
}

// Get returns a document of the account, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, of id.ID) (Document, error) {
	d, found, err := find(ctx, r, account, of)
	return d.found(found, err)
}

// GetAny is Get for all accounts. It is for the operator.
func (s *Service) GetAny(ctx context.Context, r db.Reader, of id.ID) (Document, error) {
	d, found, err := findAny(ctx, r, of)
	return d.found(found, err)
}

func (r row) found(found bool, err error) (Document, error) {
	if err == nil && !found {
		err = errNotFound
	}
	if err != nil {
		return Document{}, err
	}
	return r.document()
}

// Format is a form of a document.
type Format string

// The forms that are made once, when a document is issued.
const (
	HTML Format = "html"
	PDF  Format = "pdf"
	XML  Format = "xml"
)

// Formats lists the forms, in the order in which they are made.
var Formats = []Format{HTML, PDF, XML}

// MediaType returns the type of the form's content.
func (f Format) MediaType() string {
	switch f {
	case PDF:
		return "application/pdf"
	case XML:
		return "application/xml"
	default:
		return "text/html; charset=utf-8"
	}
}

// File returns the bytes of a document in a form: the same ones whenever it is called. It returns
// SERVICE_UNAVAILABLE in the moment between the issue and the making of the forms. The document is
// one that Get or GetAny returned.
func (s *Service) File(ctx context.Context, r db.Reader, d Document, f Format) ([]byte, error) {
	content, found, err := findRendering(ctx, r, d.ID, f)
	if err == nil && !found {
		err = &apierr.Error{
			Code: apierr.ServiceUnavailable, RetryAfter: time.Second,
			Message: "The document was issued a moment ago, and this form of it is being made. Try again.",
		}
	}
	return content, err
}

// Preview returns what the invoice of the current month would be if it had been issued a moment
// ago: the transactions are those of at most a minute before, IssuedAt says which.
func (s *Service) Preview(ctx context.Context, account id.ID) (d Document, err error) {
	p, at, err := s.previews.period(ctx, account)
	if err == nil {
		d, err = s.draft(ctx, account, at.Format(monthLayout), p, at)
	}
	d.Preview, d.IssuedAt = true, at
	return d, err
}

// PreviewAny is Preview for the operator, who may name an account that does not exist: it returns
// NOT_FOUND then.
func (s *Service) PreviewAny(ctx context.Context, account id.ID) (Document, error) {
	if _, err := s.cfg.Accounts.Get(ctx, s.cfg.DB, account); err != nil {
		return Document{}, err
	}
	return s.Preview(ctx, account)
}

// draft returns the invoice of a month without its ID and number. The last instant that is billed
// decides about the tax.
func (s *Service) draft(
	ctx context.Context, of id.ID, month string, p wallet.Period, last time.Time,
) (d Document, err error) {
	from, to, _ := monthOf(month)
	var set Settings
	var rates []TaxRate
	var buyer Buyer
	var missing []MissingDetail
	var earlier []EarlierMonth
	var newest ExchangeRate
	var exchanged bool
	day := last.Format(time.DateOnly)
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if set, err = s.Settings(ctx, tx); err != nil {
			return err
		}
		if rates, err = selectRates(ctx, tx); err != nil {
			return err
		}
		if buyer, err = findBuyer(ctx, tx, of); err != nil {
			return err
		}
		newest, exchanged, err = findExchangeRate(ctx, tx, set.Seller.TaxCurrency, day)
		if err != nil {
			return err
		}
		missing = buyer.missing(set)
		if buyer, err = s.named(ctx, tx, of, buyer); err != nil {
			return err
		}
		earlier, err = earlierOf(ctx, tx, of, p.Earlier)
		return err
	})
	if err != nil {
		return d, err
	}
	// The rate of the last day of the month is that of the service, which is billed monthly.
	t, err := Treat(set, rates, buyer.Party, day)
	if err != nil {
		return d, err
	}
	b, movements := balanceOf(p)
	d = Document{
		Summary: Summary{Account: of, Type: Invoice, Month: month, Currency: "USD"},
		From:    from, To: to, Seller: set.Seller, Buyer: buyer, Lines: []Line{}, Balance: &b, Movements: movements,
		EarlierMonths: earlier, MissingDetails: missing,
	}
	for _, l := range p.Lines {
		d.Lines = append(d.Lines, lineOf(l))
	}
	d.setTotals(totalsOf(b.Usage, t, -b.Closing))
	d.convertTax(newest, exchanged, day)
	return d, nil
}

// earlierOf returns what a period has of earlier months, with the numbers of their invoices.
func earlierOf(ctx context.Context, r db.Reader, of id.ID, all []wallet.Earlier) ([]EarlierMonth, error) {
	out := make([]EarlierMonth, len(all))
	if len(all) == 0 {
		return out, nil
	}
	first, last := all[0].Month.Format(monthLayout), all[len(all)-1].Month.Format(monthLayout)
	numbers, err := selectNumbers(ctx, r, of, first, last)
	for i, e := range all {
		month := e.Month.Format(monthLayout)
		out[i] = EarlierMonth{month, numbers[month], e.Charged, e.Refunded, e.Charged - e.Refunded}
	}
	return out, err
}

// buyerOf returns the account as a buyer, with its own name if its details have none.
func (s *Service) buyerOf(ctx context.Context, r db.Reader, of id.ID) (Buyer, error) {
	buyer, err := findBuyer(ctx, r, of)
	if err != nil {
		return buyer, err
	}
	return s.named(ctx, r, of, buyer)
}

// named returns the buyer with the account's name if it has none.
func (s *Service) named(ctx context.Context, r db.Reader, of id.ID, buyer Buyer) (Buyer, error) {
	if buyer.Name != "" {
		return buyer, nil
	}
	a, err := s.cfg.Accounts.Get(ctx, r, of)
	buyer.Name = a.Name
	return buyer, err
}

func (d *Document) setTotals(t Totals) {
	d.Totals, d.Total, d.Tax, d.Due = t, t.Total, t.Tax, t.Due
}
