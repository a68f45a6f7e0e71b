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
}

// Service issues and reads documents. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

var errNotFound = apierr.New(apierr.NotFound, "No invoice has this id. List yours with GET /invoices.")

// Filter selects documents. A zero field does not filter.
type Filter struct {
	// Account is required of a tenant, and optional for the operator.
	Account id.ID
	Type    Type
	// Month is "2026-11".
	Month string
}

// List returns a page of the documents that match the filter, newest first.
func (s *Service) List(ctx context.Context, r db.Reader, f Filter, p db.Page) ([]Summary, db.Listed, error) {
	return list(ctx, r, f, p)
}

// Get returns a document of the account, or of any account if that is "", or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, of id.ID) (Document, error) {
	d, found, err := find(ctx, r, account, of, "")
	if err == nil && !found {
		err = errNotFound
	}
	if err != nil {
		return Document{}, err
	}
	return d.document()
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
// NOT_FOUND, or SERVICE_UNAVAILABLE in the moment between the issue and the making of the forms.
func (s *Service) File(ctx context.Context, r db.Reader, account, of id.ID, f Format) (Document, []byte, error) {
	d, err := s.Get(ctx, r, account, of)
	if err != nil {
		return Document{}, nil, err
	}
	content, found, err := findRendering(ctx, r, of, f)
	if err == nil && !found {
		err = &apierr.Error{
			Code: apierr.ServiceUnavailable, RetryAfter: time.Second,
			Message: "The document was issued a moment ago, and this form of it is being made. Try again.",
		}
	}
	return d, content, err
}

// Preview returns what the invoice of the current month would be if it were issued now.
func (s *Service) Preview(ctx context.Context, account id.ID) (d Document, err error) {
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		// Transactions of this instant are part of it.
		now := s.cfg.Clock.Now().UTC().Truncate(time.Microsecond)
		month := now.Format(monthLayout)
		d, _, err = s.draft(ctx, tx, account, month, now.Add(time.Microsecond))
		d.Preview, d.IssuedAt = true, now
		return err
	})
	return d, err
}

// draft returns the invoice of a month without its ID and number, and false if there is nothing to
// put on it. Transactions at or after until are left out.
func (s *Service) draft(
	ctx context.Context, tx *db.Tx, of id.ID, month string, until time.Time,
) (d Document, something bool, err error) {
	from, to, _ := monthOf(month)
	set, err := s.Settings(ctx, tx)
	if err != nil {
		return d, false, err
	}
	rates, err := selectRates(ctx, tx)
	if err != nil {
		return d, false, err
	}
	buyer, err := findBuyer(ctx, tx, of)
	if err != nil {
		return d, false, err
	}
	if buyer.Name == "" {
		a, err := s.cfg.Accounts.Get(ctx, tx, of)
		if err != nil {
			return d, false, err
		}
		buyer.Name = a.Name
	}
	until = earlier(to, until)
	p, err := s.cfg.Wallet.Period(ctx, tx, of, from, until)
	if err != nil {
		return d, false, err
	}
	// The rate of the last day of the month is that of the service, which is billed monthly.
	t, err := Treat(set, rates, buyer.Party, until.Add(-time.Microsecond).Format(time.DateOnly))
	if err != nil {
		return d, false, err
	}
	b, movements := balanceOf(p)
	d = Document{
		Summary: Summary{Account: of, Type: Invoice, Month: month, Currency: "USD"},
		From:    from, To: to, Seller: set.Seller, Buyer: buyer, Lines: []Line{}, Balance: &b, Movements: movements,
	}
	for _, l := range p.Lines {
		d.Lines = append(d.Lines, lineOf(l))
	}
	d.setTotals(totalsOf(b.Usage, t, -b.Closing))
	return d, len(d.Lines)+len(movements) > 0, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (d *Document) setTotals(t Totals) {
	d.Totals, d.Total, d.Tax, d.Due = t, t.Total, t.Tax, t.Due
}
