package invoice_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/wallet"
)

type kit struct {
	*enginetest.Kit
	svc      *invoice.Service
	accounts *account.Service
	hour     int64
}

// newKit returns a kit whose seller is in Germany and issues invoices from the clock's month on.
func newKit(t enginetest.T, d *db.DB, c *clock.Simulated) *kit {
	k := &kit{Kit: enginetest.New(t, d, c)}
	secrets, err := secret.New(make([]byte, 32))
	k.Must(err)
	k.accounts = account.New(account.Config{
		DB: d, IDs: k.IDs, Rand: rand.Reader, Clock: c, Real: c.Now, Secrets: secrets, CheapPasswords: true,
	})
	k.svc = invoice.New(invoice.Config{
		DB: d, IDs: k.IDs, Clock: c, Wallet: k.Wallet, Events: k.Events, Jobs: k.Jobs, Accounts: k.accounts,
		Issues: k.Issues,
	})
	k.Runner.Handle(invoice.KindMonth, k.svc.Month)
	k.Runner.Handle(invoice.KindIssue, k.svc.Issue)
	k.Runner.Handle(invoice.KindRender, k.svc.Render)
	k.IgnorePastDue()
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := k.svc.SetTaxRates(ctx, tx, []invoice.TaxRate{{Country: "DE", From: "2007-01-01", Percent: 1900}})
		return err
	})
	k.set(germany(c.Now().Format("2006-01")))
	return k
}

func germany(firstMonth string) invoice.Settings {
	return invoice.Settings{
		FirstMonth: firstMonth, ChargesTax: true,
		Seller: invoice.Seller{Party: invoice.Party{
			Name: "Example GmbH", AddressLine1: "1 Example Street", PostalCode: "10115", City: "Berlin", Country: "DE",
			VATID: "DE123456789",
		}},
	}
}

func (k *kit) set(s invoice.Settings) {
	k.Helper()
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := k.svc.SetSettings(ctx, tx, s)
		return err
	})
}

// tenant opens an account with details to bill.
func (k *kit) tenant(name string) id.ID {
	k.Helper()
	of := k.NewAccount(0)
	k.buyer(of, invoice.Buyer{Party: invoice.Party{Name: name, City: "Bonn", Country: "DE"}})
	return of
}

func (k *kit) buyer(of id.ID, b invoice.Buyer) {
	k.Helper()
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := k.svc.SetBillingDetails(ctx, tx, of, b)
		return err
	})
}

// pay adds money, as one type of transaction.
func (k *kit) pay(of id.ID, kind wallet.Type, amount money.Micros) {
	k.Helper()
	k.hour++
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := k.Wallet.Credit(ctx, tx, wallet.Credit{
			Account: of, Type: kind, Amount: amount, Description: "test", Dedupe: fmt.Sprint("pay/", k.hour),
		})
		return err
	})
}

// charge charges an hour that begins now.
func (k *kit) charge(of, subject id.ID, price money.Micros) wallet.Charge {
	k.Helper()
	k.hour++
	from := k.Clock.Now().Truncate(time.Second)
	c := wallet.Charge{
		Account: of, Subject: subject, Hour: k.hour, Amount: price, HourlyPrice: price, From: from,
		To: from.Add(time.Hour), Description: "an hour",
		Labels: wallet.Labels{Provider: "voltage-park", Region: "dallas-usa-5", GPUType: "NVIDIA B200", Name: "train"},
	}
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := k.Wallet.Charge(ctx, tx, c)
		return err
	})
	return c
}

// refund refunds the last minutes of a charged hour.
func (k *kit) refund(c wallet.Charge, minutes int64) {
	k.Helper()
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := k.Wallet.Refund(ctx, tx, wallet.Refund{
			Account: c.Account, Subject: c.Subject, Hour: c.Hour, HourlyPrice: c.HourlyPrice,
			Amount: money.ForSeconds(c.HourlyPrice, minutes*60), From: c.To.Add(-time.Duration(minutes) * time.Minute),
			To: c.To, Description: "unused", Labels: c.Labels,
		})
		return err
	})
}

// all returns all documents, oldest first.
func (k *kit) all(f invoice.Filter) (out []invoice.Document) {
	k.Helper()
	page, _, err := k.svc.ListAll(k.Context(), k.DB, f, enginetest.FirstPage)
	k.Must(err)
	for i := len(page) - 1; i >= 0; i-- {
		d, err := k.svc.GetAny(k.Context(), k.DB, page[i].ID)
		k.Must(err)
		if d.Number != page[i].Number || d.Total != page[i].Total || d.Month != page[i].Month {
			k.Fatalf("the list has %+v, the document %+v", page[i], d.Summary)
		}
		out = append(out, d)
	}
	return out
}

// one returns the only document.
func (k *kit) one(f invoice.Filter) invoice.Document {
	k.Helper()
	all := k.all(f)
	if len(all) != 1 {
		k.Fatalf("%d documents, want 1", len(all))
	}
	return all[0]
}

var _ enginetest.T = (*testing.T)(nil)
