package invoice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// The jobs. KindMonth, with the subject Fleet, finds the accounts that get an invoice after the end
// of a month, and enqueues KindIssue for each, whose subject is the account and the month.
// KindRender makes the forms of a credit note.
const (
	KindMonth  job.Kind = "invoice-month"
	KindIssue  job.Kind = "invoice-issue"
	KindRender job.Kind = "invoice-render"
	Fleet      id.ID    = "invoices"
)

// Delay is how long after the end of a month its invoices are issued. A transaction that began
// before the end is over by then: its deadline is far shorter.
const Delay = time.Hour

// accountChunk is how many accounts one transaction enqueues.
const accountChunk = 100

// Month is the handler of KindMonth. It goes through all months that are over and were not gone
// through before, also those that ended while no server ran. Before a month ends, it asks accounts
// for what their first invoice needs.
func (s *Service) Month(ctx context.Context, _ id.ID) (job.Outcome, error) {
	for {
		month, due, found, err := s.nextMonth(ctx)
		if err != nil || !found {
			return job.Done(), err
		}
		if due.After(s.cfg.Clock.Now()) {
			next, more, err := s.askFor(ctx, month)
			if err == nil && more {
				due = next
			}
			return job.At(due), err
		}
		if err := s.enqueueMonth(ctx, month); err != nil {
			return job.Outcome{}, err
		}
	}
}

// nextMonth returns the first month that was not gone through, and when it is due. It returns false
// if no invoices are issued.
func (s *Service) nextMonth(ctx context.Context) (month string, due time.Time, found bool, err error) {
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		set, err := s.Settings(ctx, tx)
		if found = err == nil && set.FirstMonth != ""; !found {
			return err
		}
		done, err := selectMonths(ctx, tx, set.FirstMonth)
		if err != nil {
			return err
		}
		from, to, _ := monthOf(set.FirstMonth)
		for _, m := range done { // in order
			if m != from.Format(monthLayout) {
				break
			}
			from, to = to, to.AddDate(0, 1, 0)
		}
		month, due = from.Format(monthLayout), to.Add(Delay)
		return nil
	})
	return month, due, found, err
}

func (s *Service) enqueueMonth(ctx context.Context, month string) error {
	from, to, _ := monthOf(month)
	for after := id.ID(""); ; {
		// Also those of the month before: a difference to its invoice may be all that they have.
		accounts, err := s.cfg.Wallet.Active(ctx, s.cfg.DB, from.AddDate(0, -1, 0), to, after, accountChunk)
		if err != nil {
			return err
		}
		err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			for _, a := range accounts {
				subject := job.Subject(string(a), month)
				if err := s.cfg.Jobs.Enqueue(ctx, tx, a, KindIssue, subject, tx.Now); err != nil {
					return err
				}
			}
			if len(accounts) < accountChunk {
				return insertMonth(ctx, tx, month)
			}
			return nil
		})
		if err != nil || len(accounts) < accountChunk {
			return err
		}
		after = accounts[len(accounts)-1]
	}
}

// Issue is the handler of KindIssue.
func (s *Service) Issue(ctx context.Context, subject id.ID) (job.Outcome, error) {
	of, month, _ := strings.Cut(string(subject), "/")
	if _, _, ok := monthOf(month); !ok {
		return job.Outcome{}, fmt.Errorf("invoice: %q is not an account and a month", subject)
	}
	issued, err := s.issue(ctx, id.ID(of), month)
	if err != nil || issued == "" {
		return job.Done(), err
	}
	return job.Done(), s.render(ctx, issued)
}

// Render is the handler of KindRender.
func (s *Service) Render(ctx context.Context, of id.ID) (job.Outcome, error) {
	return job.Done(), s.render(ctx, of)
}

// issue issues an account's invoice of a month, unless there is one, after those of earlier months.
// It returns its ID, or "" if there is nothing to put on it.
func (s *Service) issue(ctx context.Context, of id.ID, month string) (issued id.ID, err error) {
	for {
		earlier, err := s.missing(ctx, of, month)
		if err != nil {
			return "", err
		}
		if earlier == "" {
			return s.issueOne(ctx, of, month)
		}
		issued, err := s.issueOne(ctx, of, earlier)
		if err == nil && issued != "" {
			err = s.render(ctx, issued) // its own job may have found nothing to issue
		}
		if err != nil || issued == "" {
			return "", errors.Join(err, fmt.Errorf("invoice: %s of %s must be issued before %s", earlier, of, month))
		}
	}
}

// missing returns the first month after the account's newest invoice before this month that has to
// have one, or "". Months that the operator left out have none.
func (s *Service) missing(ctx context.Context, of id.ID, month string) (string, error) {
	set, err := s.Settings(ctx, s.cfg.DB)
	if err != nil {
		return "", err
	}
	from, _, ok := monthOf(set.FirstMonth)
	if !ok {
		return "", nil
	}
	before, found, err := findBefore(ctx, s.cfg.DB, of, month)
	if err != nil {
		return "", err
	}
	if _, end, _ := monthOf(before.Month); found && end.After(from) {
		from = end
	}
	to, _, _ := monthOf(month)
	at, found, err := s.cfg.Wallet.FirstChange(ctx, s.cfg.DB, of, from, to)
	if err != nil || !found {
		return "", err
	}
	return at.UTC().Format(monthLayout), nil
}

// issueOne issues an account's invoice of a month whose earlier ones are issued. The month is over,
// so what is read in one transaction is still so in the next.
func (s *Service) issueOne(ctx context.Context, of id.ID, month string) (issued id.ID, err error) {
	if issued, err = findInvoice(ctx, s.cfg.DB, of, month); err != nil || issued != "" {
		return issued, err
	}
	from, to, _ := monthOf(month)
	p, err := s.cfg.Wallet.Period(ctx, of, from, to)
	if err != nil {
		return "", err
	}
	late, err := s.lateBefore(ctx, s.cfg.DB, of, month, p.Opening)
	if err != nil {
		return "", err
	}
	if len(p.Lines)+len(p.Movements) == 0 {
		if late.difference == 0 {
			return "", nil
		}
		return "", s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return s.raise(ctx, tx, of, late, "No invoice states it.")
		})
	}
	d, err := s.draft(ctx, of, month, p, to.Add(-time.Microsecond))
	if err != nil {
		return "", err
	}
	if err := s.awaitRate(ctx, &d, to.Add(-time.Microsecond).Format(time.DateOnly)); err != nil {
		return "", err
	}
	d.MissingDetails = []MissingDetail{} // it says what the buyer is, not what it should be
	d.follow(late)
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if issued, err = findInvoice(ctx, tx, of, month); err != nil || issued != "" {
			return err
		}
		if d, err = s.insert(ctx, tx, d); err != nil {
			return err
		}
		issued = d.ID
		set, err := s.Settings(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.settleRates(ctx, tx, set); err != nil || late.difference == 0 {
			return err
		}
		stated := "Invoice " + d.Number + " states it as an adjustment of the balance, without a tax."
		return s.raise(ctx, tx, of, late, stated)
	})
	return issued, err
}

// late is the ledger's balance at the end of the last invoice less the one that the invoice states.
type late struct {
	difference money.Micros
	invoice    Summary
}

// lateBefore compares the balance at the start of a month with the one at which the account's
// invoice before ended. They are the same, unless a transaction was recorded with a time for which
// an invoice was issued, which takes a clock that is wrong by more than Delay. Where no invoices
// were issued for a month between, there is nothing to compare with.
func (s *Service) lateBefore(
	ctx context.Context, r db.Reader, of id.ID, month string, opening money.Micros,
) (late, error) {
	before, found, err := findBefore(ctx, r, of, month)
	if err != nil || !found {
		return late{}, err
	}
	done, err := selectMonths(ctx, r, before.Month)
	if err != nil {
		return late{}, err
	}
	from, _, _ := monthOf(month)
	for _, at, _ := monthOf(before.Month); at.Before(from); at = at.AddDate(0, 1, 0) {
		if !slices.Contains(done, at.Format(monthLayout)) {
			return late{}, nil
		}
	}
	last, err := before.document()
	if err != nil {
		return late{}, err
	}
	return late{opening - last.Balance.Closing, last.Summary}, nil
}

// follow makes the document begin with the balance at which the invoice before ended, and states
// the difference.
func (d *Document) follow(l late) {
	if l.difference == 0 {
		return
	}
	d.Balance.Opening -= l.difference
	d.Balance.Adjustments += l.difference
	d.Movements = slices.Insert(d.Movements, 0, Movement{
		Type: wallet.TypeAdjustment, At: d.From, Amount: l.difference,
		Description: "Recorded after invoice " + l.invoice.Number + " was issued, with a time before " + dayOf(d.From),
	})
}

// raise opens an issue about a difference, which is on no invoice as what it is: its usage has no
// line, and no tax.
func (s *Service) raise(ctx context.Context, tx *db.Tx, of id.ID, l late, stated string) error {
	return s.cfg.Issues.Raise(ctx, tx, issue.LedgerSource, issue.Sighting{
		Kind: issue.InvoiceDifference, UpstreamID: l.invoice.Number, Reference: of,
		Detail: fmt.Sprintf("%s: transactions of %s were recorded with a time before the end of %s after "+
			"invoice %s was issued. %s", of, l.difference, l.invoice.Month, l.invoice.Number, stated),
	})
}

// insert gives the document its ID, number and time, and inserts it.
func (s *Service) insert(ctx context.Context, tx *db.Tx, d Document) (Document, error) {
	set, err := s.Settings(ctx, tx)
	if err != nil {
		return d, err
	}
	format := set.NumberFormat
	if d.Type == CreditNote {
		format = set.CreditNoteFormat
	}
	year := tx.Now.UTC().Year()
	n, err := nextNumber(ctx, tx, d.Type, year)
	if err != nil {
		return d, err
	}
	d.ID, d.Number, d.IssuedAt = s.cfg.IDs.New(id.Invoice), numbered(format, year, n), tx.Now
	switch taken, err := numberTaken(ctx, tx, d.Number); {
	case err != nil:
		return d, err
	case taken: // a number that is left out would be a gap
		field := "numberFormat"
		if d.Type == CreditNote {
			field = "creditNoteFormat"
		}
		return d, apierr.New(apierr.Conflict, "The next number would be %s, which a document has already. Change %s "+
			"in the invoice settings.", d.Number, field)
	}
	content, err := json.Marshal(d)
	if err != nil {
		return d, err
	}
	return d, insertDocument(ctx, tx, row{Summary: d.Summary, year: int64(year), sequence: n, content: content})
}

// render makes the forms of a document that are missing, and tells the account once.
func (s *Service) render(ctx context.Context, of id.ID) error {
	d, err := s.GetAny(ctx, s.cfg.DB, of)
	if err != nil {
		return err
	}
	rendered := make([]rendering, 0, len(Formats))
	for _, f := range Formats {
		content, err := d.render(f)
		if err != nil {
			return fmt.Errorf("make the %s of %s: %w", f, of, err)
		}
		rendered = append(rendered, rendering{of, f, content})
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		before, err := countRenderings(ctx, tx, of)
		if err != nil {
			return err
		}
		// The first forms and the event are of one transaction: where there is a form, it was told.
		n, err := insertRenderings(ctx, tx, rendered)
		if err != nil || n == 0 || before > 0 {
			return err
		}
		return s.cfg.Events.Append(ctx, tx, event.Event{
			Account: d.Account, Subject: d.ID, Type: "invoice.issued", Data: map[string]any{
				"type": string(d.Type), "number": d.Number, "month": d.Month, "total": d.Total, "due": d.Due,
			},
		})
	})
}

func (d Document) render(f Format) ([]byte, error) {
	switch f {
	case PDF:
		return d.pdf()
	case XML:
		return d.xml()
	default:
		return d.html()
	}
}
