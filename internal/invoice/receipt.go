package invoice

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Payment is money that was paid into a wallet, or that was returned of it.
type Payment struct {
	// ID is the top-up, or the refund of a part of it. There is one receipt for each.
	ID, TopUp id.ID
	Account   id.ID
	Amount    money.Micros
	// How is what was paid with, for users: "Bank transfer".
	How string
	// At is when the money was credited or returned.
	At time.Time
	// Reason is that of a refund; "" for a payment.
	Reason string
}

// Receipt is a document that states a payment or a refund. It is no tax document.
type Receipt struct {
	ID       id.ID        `json:"id" doc:"Id of the top-up, top_…, or of the refund, ref_…"`
	TopUp    id.ID        `json:"topUpId" doc:"Id of the top-up."`
	Refund   bool         `json:"refund" doc:"true for the receipt of a refund."`
	Account  id.ID        `json:"accountId" doc:"Id of the account."`
	Amount   money.Micros `json:"amount" doc:"US dollars that were paid or returned."`
	Currency string       `json:"currency" enum:"USD" doc:"Currency of every amount."`
	How      string       `json:"paidBy" example:"Bank transfer" doc:"How it was paid."`
	At       time.Time    `json:"at" doc:"When the money was credited or returned."`
	Reason   string       `json:"reason" doc:"Reason of a refund; empty for a payment."`
	Seller   Seller       `json:"seller" doc:"Seller, as the operator had set it when the receipt was made."`
	Buyer    Buyer        `json:"buyer" doc:"Buyer, as the account had set it when the receipt was made."`
	MadeAt   time.Time    `json:"madeAt" doc:"When the receipt was made: when it was first read."`
}

// ReceiptFormats lists the forms of a receipt, in the order in which they are made.
var ReceiptFormats = []Format{JSON, HTML, PDF}

// JSON is the form of a receipt as data.
const JSON Format = "json"

// Receipt returns the receipt of a payment in a form: the same bytes whenever it is called. All
// forms are made when the first is read, and kept: a later change of the seller, the buyer or this
// server changes none.
func (s *Service) Receipt(ctx context.Context, p Payment, f Format) ([]byte, error) {
	if kept, found, err := findReceipt(ctx, s.cfg.DB, p.ID, f); err != nil || found {
		return kept, err
	}
	r := Receipt{
		ID: p.ID, TopUp: p.TopUp, Refund: p.ID != p.TopUp, Account: p.Account, Amount: p.Amount, Currency: "USD",
		How: p.How, At: p.At, Reason: p.Reason, MadeAt: s.cfg.Clock.Now().UTC(),
	}
	err := s.cfg.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		set, err := s.Settings(ctx, tx)
		if err != nil {
			return err
		}
		r.Seller = set.Seller
		r.Buyer, err = s.buyerOf(ctx, tx, p.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]rendering, 0, len(ReceiptFormats))
	for _, f := range ReceiptFormats {
		content, err := r.render(f)
		if err != nil {
			return nil, fmt.Errorf("make the %s of the receipt %s: %w", f, p.ID, err)
		}
		all = append(all, rendering{p.ID, f, content})
	}
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return insertReceipt(ctx, tx, p.Account, all)
	})
	if err != nil {
		return nil, err
	}
	// Another request may have made it first.
	kept, found, err := findReceipt(ctx, s.cfg.DB, p.ID, f)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no such form of a receipt. Use json, html or pdf.")
	}
	return kept, err
}

func (r Receipt) render(f Format) ([]byte, error) {
	switch f {
	case JSON:
		return json.Marshal(r)
	case PDF:
		return r.page().pdf(r.Seller.Name, r.MadeAt)
	default:
		var b bytes.Buffer
		err := htmlTemplate.Execute(&b, r.page())
		return b.Bytes(), err
	}
}

// page returns the receipt as text.
func (r Receipt) page() page {
	p := page{
		Title: "Receipt", Number: string(r.ID), Seller: r.Seller.lines(), Buyer: r.Buyer.lines(), Receipt: true,
	}
	date, amount := "Paid on", "Amount paid (USD)"
	if r.Refund {
		p.Title, date, amount = "Refund receipt", "Refunded on", "Amount refunded (USD)"
	}
	fact := func(label, value string) {
		if value != "" {
			p.Facts = append(p.Facts, pair{Label: label, Value: value})
		}
	}
	fact(date, minuteOf(r.At)+" UTC")
	fact("Paid by", r.How)
	if r.Refund {
		fact("Payment", string(r.TopUp))
	}
	fact("Reason", r.Reason)
	fact("Account", string(r.Account))
	fact("Your reference", r.Buyer.PurchaseOrder)
	fact("Questions", r.Seller.Email)
	p.Totals = []pair{{Label: amount, Value: usd(r.Amount), Strong: true}}
	if r.Refund {
		p.Notes = append(p.Notes, "This amount was taken out of the prepaid balance and returned to the payer.")
	} else {
		p.Notes = append(p.Notes, "This amount was added to the prepaid balance. A refund has a receipt of its own.")
	}
	p.Notes = append(p.Notes, "This is not a tax document. What is used is invoiced by month, with the tax that its "+
		"price contains.")
	p.Foot = p.Title + " " + p.Number
	if r.Seller.Name != "" {
		p.Foot = r.Seller.Name + " · " + p.Foot
	}
	return p
}
