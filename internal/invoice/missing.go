package invoice

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

// MissingDetail is something that a complete invoice has, and that the account has not set.
type MissingDetail struct {
	Field    string `json:"field" example:"addressLine1" doc:"Field of the billing details."`
	Required bool   `json:"required" doc:"Whether each invoice should have it; false for what only companies have."`
	Message  string `json:"message" doc:"What is missing, and what follows from it."`

	label string
}

// Details is an account as the buyer on its next documents.
type Details struct {
	Buyer
	Missing []MissingDetail `json:"missing" doc:"What the next invoice should have and is not set; empty if nothing is missing, or if no invoices are issued."`
}

// missing returns what the buyer's documents should have; never nil. Nothing is missing where no
// invoices are issued.
func (b Buyer) missing(s Settings) []MissingDetail {
	all := []MissingDetail{}
	if s.FirstMonth == "" {
		return all
	}
	add := func(field, label, text string) {
		all = append(all, MissingDetail{field, field != "vatId", text, label})
	}
	if b.Name == "" {
		add("name", "name",
			"The name of the company or user is missing. Invoices show the name of the account instead.")
	}
	if b.AddressLine1 == "" {
		add("addressLine1", "street and number", "The street and number are missing.")
	}
	if b.City == "" {
		add("city", "city", "The city is missing.")
	}
	if b.Country == "" {
		text := "The country is missing."
		if s.ChargesTax {
			text += " Invoices are taxed as if it were the seller's."
		}
		add("country", "country", text)
	}
	if form := vatIDs[b.Country]; s.ChargesTax && inEU(s.Seller.Country) && form != nil &&
		b.Country != s.Seller.Country && !form.MatchString(b.VATID) {
		add("vatId", "VAT identification number (only companies have one)",
			"If the buyer is a company, its VAT identification number of "+countryName(b.Country)+
				" is missing. With it, no tax is charged on invoices: the reverse charge applies.")
	}
	return all
}

// BillingDetails returns the account as a buyer; empty if it set nothing.
func (s *Service) BillingDetails(ctx context.Context, r db.Reader, account id.ID) (Details, error) {
	b, err := findBuyer(ctx, r, account)
	if err != nil {
		return Details{}, err
	}
	return s.detailsOf(ctx, r, b)
}

// detailsOf reads the settings without a lock: they decide only about a hint.
func (s *Service) detailsOf(ctx context.Context, r db.Reader, b Buyer) (Details, error) {
	set, err := peekSettings(ctx, r)
	return Details{b, b.missing(set.completed())}, err
}

// asked is when accounts that will get their first invoice are asked for missing details, before
// the end of the month. The last is for those that began on its last day.
var asked = []time.Duration{72 * time.Hour, 48 * time.Hour, 24 * time.Hour, time.Hour}

// askFor asks accounts for missing details if it is time to, and returns when it is the next time;
// false once the month has none left.
func (s *Service) askFor(ctx context.Context, month string) (next time.Time, more bool, err error) {
	from, to, _ := monthOf(month)
	now := s.cfg.Clock.Now()
	if !now.Before(to.Add(-asked[0])) {
		if err := s.askAccounts(ctx, month, from, now); err != nil {
			return next, false, err
		}
	}
	for _, before := range asked {
		if at := to.Add(-before); at.After(now) {
			return at, true, nil
		}
	}
	return next, false, nil
}

// askAccounts asks each account that has changes in the month, no invoice yet, and something
// missing. It asks an account once.
func (s *Service) askAccounts(ctx context.Context, month string, from, to time.Time) error {
	for after := id.ID(""); ; {
		accounts, err := s.cfg.Wallet.Active(ctx, s.cfg.DB, from, to, after, accountChunk)
		if err != nil || len(accounts) == 0 {
			return err
		}
		err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return s.ask(ctx, tx, accounts, month)
		})
		if err != nil || len(accounts) < accountChunk {
			return err
		}
		after = accounts[len(accounts)-1]
	}
}

func (s *Service) ask(ctx context.Context, tx *db.Tx, accounts []id.ID, month string) error {
	set, err := peekSettings(ctx, tx)
	if err != nil {
		return err
	}
	done, err := selectAskedOrInvoiced(ctx, tx, accounts)
	if err != nil {
		return err
	}
	buyers, err := selectBuyers(ctx, tx, accounts)
	if err != nil {
		return err
	}
	missing := map[id.ID][]MissingDetail{}
	var to []id.ID
	for _, a := range accounts {
		m := buyers[a].missing(set.completed())
		if len(m) > 0 && !slices.Contains(done, a) {
			missing[a], to = m, append(to, a)
		}
	}
	if len(to) == 0 {
		return nil
	}
	if to, err = markAsked(ctx, tx, to); err != nil {
		return err
	}
	var events []event.Event
	for _, a := range to {
		var fields, labels []string
		for _, m := range missing[a] {
			fields, labels = append(fields, m.Field), append(labels, m.label)
		}
		events = append(events, event.Event{
			Account: a, Subject: a, Type: "account.billing_details_missing", Data: map[string]any{
				"month": month, "fields": fields, "missing": strings.Join(labels, ", "),
			},
		})
	}
	return s.cfg.Events.Append(ctx, tx, events...)
}
