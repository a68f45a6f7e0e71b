package invoice

import (
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// Type is the type of a document. Each has its own series of numbers.
type Type string

// The types of documents.
const (
	Invoice    Type = "invoice"
	CreditNote Type = "credit_note"
)

// Enum lists every type.
func (Type) Enum() []Type { return []Type{Invoice, CreditNote} }

// Summary is a document as lists show it.
type Summary struct {
	ID       id.ID        `json:"id" doc:"Id of the document, ivc_…; empty for a preview."`
	Account  id.ID        `json:"accountId" doc:"Id of the account."`
	Type     Type         `json:"type" doc:"invoice, or credit_note for a document that corrects one."`
	Number   string       `json:"number" example:"2026-000123" doc:"Number of the document; empty for a preview."`
	Month    string       `json:"month" example:"2026-11" doc:"Month that is billed, in UTC."`
	IssuedAt time.Time    `json:"issuedAt" doc:"Time of issue; for a preview, the time at which it was created."`
	Currency string       `json:"currency" enum:"USD" doc:"Currency of every amount."`
	Total    money.Micros `json:"total" doc:"Total in US dollars, with tax. Positive for a credit note, too."`
	Tax      money.Micros `json:"tax" doc:"Tax that the total contains."`
	Due      money.Micros `json:"due" doc:"Part of the total that the balance did not cover when the month ended. Add money to pay it."`
	Corrects *id.ID       `json:"corrects" doc:"Invoice that a credit note corrects; null for an invoice."`
}

// Document is an invoice or credit note with everything that is on it.
type Document struct {
	Summary
	Preview        bool       `json:"preview" doc:"true for a preview of the current month: the amounts still change, and nothing is issued."`
	CorrectsNumber string     `json:"correctsNumber" doc:"Number of the invoice that a credit note corrects; empty for an invoice."`
	Reason         string     `json:"reason" doc:"Reason of a credit note; empty for an invoice."`
	From           time.Time  `json:"from" doc:"Start of the billed month."`
	To             time.Time  `json:"to" doc:"End of the billed month, exclusive."`
	Seller         Seller     `json:"seller" doc:"Seller, as the operator had set it at the time of issue."`
	Buyer          Buyer      `json:"buyer" doc:"Buyer, as the account had set it at the time of issue."`
	Lines          []Line     `json:"lines" doc:"Usage by deployment or volume and hourly price."`
	Balance        *Balance   `json:"balance" doc:"Changes of the wallet's balance in the month; null for a credit note."`
	Movements      []Movement `json:"movements" doc:"Payments, credits and adjustments, oldest first."`
	Totals         Totals     `json:"totals" doc:"Total with its tax."`

	TaxConversion *TaxConversion `json:"taxConversion" doc:"Tax in the seller's tax currency; null without a tax or such a currency."`

	EarlierMonths []EarlierMonth `json:"earlierMonths" doc:"What the lines contain of time in earlier months, because it was charged or refunded after these ended; oldest first."`

	MissingDetails []MissingDetail `json:"missingDetails" doc:"For a preview, the billing details that the invoice should have and are not set; empty for an issued document."`

	MissingExchangeRate string `json:"missingExchangeRate" doc:"For a preview, why the tax cannot be stated in the seller's tax currency: the invoice is issued once the operator has entered such a rate. Otherwise empty."`
}

// EarlierMonth is what a document has of the time of an earlier month.
type EarlierMonth struct {
	Month    string       `json:"month" example:"2026-10" doc:"Month, in UTC."`
	Number   string       `json:"number" example:"2026-000123" doc:"Number of that month's invoice, which does not have it; empty if there is none."`
	Charged  money.Micros `json:"charged" doc:"US dollars that were charged late for the month."`
	Refunded money.Micros `json:"refunded" doc:"US dollars that were refunded late for the month."`
	Amount   money.Micros `json:"amount" doc:"charged less refunded."`
}

// Line is an entry of a document.
type Line struct {
	Subject     id.ID        `json:"subject" doc:"Id of the deployment or volume; empty for a line that the operator wrote."`
	Name        string       `json:"name" doc:"Name of the deployment or volume, or the text of the line."`
	GPUType     string       `json:"gpuType" doc:"GPU type of a deployment; empty for others."`
	Provider    string       `json:"provider" doc:"Provider slug; may be empty."`
	Region      string       `json:"region" doc:"Region slug; may be empty."`
	From        *time.Time   `json:"from" doc:"Start of the billed time; null for a line that the operator wrote."`
	To          *time.Time   `json:"to" doc:"End of the billed time."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"Hourly price in US dollars, with tax."`
	Hours       int64        `json:"hours" doc:"Number of hours that were charged."`
	Seconds     int64        `json:"seconds" doc:"Billed time in seconds: charged less refunded. Negative where only a refund of an earlier month is billed."`
	Charged     money.Micros `json:"charged" doc:"Charges in US dollars, exact to the micro-dollar: hours at the hourly price, each rounded half-up."`
	Refunded    money.Micros `json:"refunded" doc:"Refunds in US dollars."`
	Amount      money.Micros `json:"amount" doc:"charged less refunded, with tax."`
}

// Balance is how a wallet's balance changed.
type Balance struct {
	Opening     money.Micros `json:"opening" doc:"Balance when the month began."`
	Payments    money.Micros `json:"payments" doc:"Payments received."`
	Credits     money.Micros `json:"credits" doc:"Credits that the operator gave."`
	Adjustments money.Micros `json:"adjustments" doc:"Adjustments, such as corrections and returned payments. May be negative."`
	Usage       money.Micros `json:"usage" doc:"Charges less refunds, exact: the sum of all lines."`
	Closing     money.Micros `json:"closing" doc:"Balance when the month ended: opening plus payments, credits and adjustments, less usage."`
}

// Movement is a transaction that is not about usage.
type Movement struct {
	Transaction id.ID        `json:"transactionId" doc:"Id of the transaction, txn_…"`
	Type        wallet.Type  `json:"type" doc:"Type of the transaction."`
	At          time.Time    `json:"at" doc:"Time of the transaction."`
	Description string       `json:"description" doc:"Description of the transaction."`
	Amount      money.Micros `json:"amount" doc:"Change of the balance in US dollars."`
}

// Totals is the total of a document with its tax. All amounts except exact and rounding are cents.
type Totals struct {
	Exact       money.Micros `json:"exact" doc:"Sum of the lines, exact to the micro-dollar."`
	Rounding    money.Micros `json:"rounding" doc:"total less exact: the exact sum is rounded half-up to cents."`
	Net         money.Micros `json:"net" doc:"Total without tax."`
	Tax         money.Micros `json:"tax" doc:"Tax: net at the rate, rounded half-up."`
	TaxRounding money.Micros `json:"taxRounding" doc:"total less net and tax: at most one cent, where no net amount and its tax add up to the total."`
	Total       money.Micros `json:"total" doc:"Total with tax."`
	Paid        money.Micros `json:"paid" doc:"Part of the total that was paid from the wallet."`
	Due         money.Micros `json:"due" doc:"Remaining part of the total."`
	Treatment   Treatment    `json:"treatment" doc:"Why this tax applies."`
}

func lineOf(p wallet.PeriodLine) Line {
	l := Line{
		Subject: p.Subject, Name: p.Name, GPUType: p.GPUType, Provider: p.Provider, Region: p.Region,
		From: new(p.From), To: new(p.To), HourlyPrice: p.HourlyPrice, Hours: p.Hours, Seconds: p.Seconds,
		Charged: p.Charged, Refunded: p.Refunded, Amount: p.Amount(),
	}
	if l.Name == "" {
		l.Name = string(p.Subject)
	}
	return l
}

// balanceOf divides the changes of a balance. A type of transaction that this package does not know
// counts as an adjustment, so that the balance is right whatever is added.
func balanceOf(p wallet.Period) (b Balance, movements []Movement) {
	b.Opening, b.Closing = p.Opening, p.Closing
	movements = []Movement{}
	for _, l := range p.Lines {
		b.Usage += l.Amount()
	}
	for _, t := range p.Movements {
		switch t.Type {
		case wallet.TypeTopUp:
			b.Payments += t.Amount
		case wallet.TypeCredit:
			b.Credits += t.Amount
		default:
			b.Adjustments += t.Amount
		}
		movements = append(movements, Movement{t.ID, t.Type, t.CreatedAt, t.Description, t.Amount})
	}
	return b, movements
}
