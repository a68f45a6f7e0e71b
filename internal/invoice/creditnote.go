package invoice

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// MaxCreditLines is the most lines of a credit note that the operator writes.
const MaxCreditLines = 100

// CreditLine is a line of a credit note.
type CreditLine struct {
	// Text describes the line.
	Text string
	// Amount is above zero, in cents, and with tax.
	Amount money.Micros
}

// Correction is a credit note to be issued.
type Correction struct {
	// Reason is required.
	Reason string
	// Lines are what is credited. Without lines it is all that is left of the invoice.
	Lines []CreditLine
}

func (c Correction) check() error {
	errs := apierr.CheckText("reason", c.Reason, maxText)
	add := func(field, format string, args ...any) {
		errs = append(errs, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if c.Reason == "" {
		add("reason", "is required: the credit note says why it corrects the invoice.")
	}
	if len(c.Lines) > MaxCreditLines {
		add("lines", "has %d lines; at most %d are allowed.", len(c.Lines), MaxCreditLines)
	}
	for i, l := range c.Lines {
		field := fmt.Sprintf("lines[%d].", i)
		if l.Text == "" {
			add(field+"text", "is required.")
		}
		errs = append(errs, apierr.CheckText(field+"text", l.Text, maxName)...)
		if l.Amount <= 0 || l.Amount > maxCredit || l.Amount%cent != 0 {
			add(field+"amount", "must be more than 0 and at most 1,000,000,000 US dollars, with at most two decimals.")
		}
	}
	return apierr.Invalid(errs).OrNil()
}

const maxCredit = 1_000_000_000 * money.USD

// Correct issues a credit note that corrects an invoice. It changes no balance: money is given back
// by a credit. Together the credit notes of an invoice are at most its total, however many are
// issued at once. It returns INVALID_REQUEST with every problem, NOT_FOUND, or CONFLICT where less
// is left of the invoice.
func (s *Service) Correct(ctx context.Context, tx *db.Tx, of id.ID, c Correction) (Document, error) {
	if err := c.check(); err != nil {
		return Document{}, err
	}
	found, is, err := findAny(ctx, tx, of)
	switch {
	case err != nil:
		return Document{}, err
	case !is:
		return Document{}, errNotFound
	case found.Type != Invoice:
		return Document{}, apierr.New(apierr.Conflict,
			"%s is a credit note. Name the invoice that is to be corrected.", found.Number)
	}
	i, err := found.document()
	if err != nil {
		return Document{}, err
	}
	credited, err := sumCredited(ctx, tx, of)
	if err != nil {
		return Document{}, err
	}
	left := i.Total - credited
	d := i.corrected(c.Reason)
	switch {
	case len(c.Lines) > 0:
		d.Lines = []Line{}
		for _, l := range c.Lines {
			d.Lines = append(d.Lines, Line{Name: l.Text, Charged: l.Amount, Amount: l.Amount})
		}
	case credited != 0:
		d.Lines = []Line{{Name: "Rest of invoice " + i.Number, Charged: left, Amount: left}}
	}
	var exact money.Micros
	for _, l := range d.Lines {
		exact += l.Amount
	}
	t := totalsOf(exact, i.Totals.Treatment, 0)
	if left <= 0 || t.Total <= 0 || t.Total > left {
		return Document{}, apierr.New(apierr.Conflict, "The total of invoice %s is %s, and credit notes have %s of "+
			"it. At most %s can be credited.", i.Number, i.Total, credited, max(left, 0))
	}
	d.setTotals(t)
	d.TaxConversion = i.TaxConversion.of(t.Tax)
	if d, err = s.insert(ctx, tx, d); err != nil {
		return Document{}, err
	}
	return d, s.cfg.Jobs.Enqueue(ctx, tx, d.Account, KindRender, d.ID, tx.Now)
}

// corrected returns a credit note of the whole invoice, without its number and totals.
func (d Document) corrected(reason string) Document {
	return Document{
		Summary: Summary{
			Account: d.Account, Type: CreditNote, Month: d.Month, Currency: d.Currency, Corrects: &d.ID,
		},
		CorrectsNumber: d.Number, Reason: reason, From: d.From, To: d.To, Seller: d.Seller, Buyer: d.Buyer,
		Lines: d.Lines, Movements: []Movement{}, EarlierMonths: []EarlierMonth{},
		MissingDetails: []MissingDetail{},
	}
}
