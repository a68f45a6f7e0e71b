package invoice_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"pgregory.net/rapid"
)

// engine opens a database for each case of a property, on both engines.
func engines(t *testing.T, check func(t *rapid.T, k *kit)) {
	for name, open := range map[string]func(testing.TB, clock.Clock) *db.DB{
		"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				c := clock.NewFrozen(dbtest.Start)
				d := open(t, c)
				defer func() { _ = d.Close() }()
				check(rt, newKit(rt, d, c))
			})
		})
	}
}

// Whatever happens in a wallet, each month has one invoice, which says what the ledger says, and
// each begins with the balance that the one before ended with.
func TestEveryInvoiceEqualsItsPartOfTheLedger(t *testing.T) {
	engines(t, func(t *rapid.T, k *kit) {
		accounts := []id.ID{k.tenant("Ada Ltd"), k.tenant("Bob Inc")}
		subjects := []id.ID{k.IDs.New(id.Deployment), k.IDs.New(id.Deployment), k.IDs.New(id.Volume)}
		var open []wallet.Charge
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			of := rapid.SampledFrom(accounts).Draw(t, "account")
			steps := []string{"pay", "charge", "charge", "refund", "hold", "pass", "jump"}
			switch rapid.SampledFrom(steps).Draw(t, "do") {
			case "pay":
				kind := rapid.SampledFrom([]wallet.Type{wallet.TypeTopUp, wallet.TypeCredit,
					wallet.TypeAdjustment}).Draw(t, "type")
				k.pay(of, kind, money.Micros(rapid.Int64Range(1, 90_000_000).Draw(t, "amount")))
			case "charge":
				price := money.Micros(rapid.Int64Range(0, 20_000_000).Draw(t, "price"))
				c := k.charge(of, rapid.SampledFrom(subjects).Draw(t, "subject"), price)
				open = append(open, c)
			case "refund":
				if len(open) > 0 {
					k.refund(open[len(open)-1], rapid.Int64Range(1, 59).Draw(t, "minutes"))
					open = open[:len(open)-1]
				}
			case "hold":
				k.MustTx(func(ctx context.Context, tx *db.Tx) error {
					k.hour++
					err := k.Wallet.Hold(ctx, tx, wallet.Hold{
						Account: of, Subject: id.ID(fmt.Sprint("dep_hold", k.hour)), Amount: 1, Description: "hold",
					})
					if _, insufficient := errors.AsType[*wallet.InsufficientError](err); insufficient {
						return nil
					}
					return err
				})
			case "pass":
				k.Pass(time.Duration(rapid.Int64Range(1, 20*24).Draw(t, "hours")) * time.Hour)
			case "jump": // the server was down
				k.Clock.Advance(time.Duration(rapid.Int64Range(1, 70).Draw(t, "days")) * 24 * time.Hour)
			}
		}
		k.Pass(40 * 24 * time.Hour)
		for _, of := range accounts {
			k.checkInvoices(of)
			k.checkLines(of)
		}
	})
}

// checkInvoices compares all invoices of an account with its ledger.
func (k *kit) checkInvoices(of id.ID) {
	k.Helper()
	want := map[string]map[string]money.Micros{} // month, kind, amount
	err := k.Wallet.Export(k.Context(), k.DB, of, wallet.Filter{}, func(t wallet.Transaction) error {
		month, kind := t.CreatedAt.Format("2006-01"), string(t.Type)
		switch t.Type {
		case wallet.TypeHold, wallet.TypeRelease:
			return nil
		case wallet.TypeCharge, wallet.TypeRefund:
			kind = "usage"
		}
		if want[month] == nil {
			want[month] = map[string]money.Micros{}
		}
		want[month][kind] += t.Amount
		want[month]["all"] += t.Amount
		return nil
	})
	k.Must(err)
	balance := money.Micros(0)
	for _, d := range k.all(invoice.Filter{Account: of}) {
		w := want[d.Month]
		delete(want, d.Month)
		b, tot, lines := d.Balance, d.Totals, k.sumOfLines(d)
		if b.Opening != balance || lines != -w["usage"] || b.Usage != lines || tot.Exact != lines ||
			b.Payments != w["top_up"] || b.Credits != w["credit"] || b.Adjustments != w["adjustment"] ||
			b.Closing != b.Opening+w["all"] {
			k.Fatalf("%s: %+v %+v, want %v after %s", d.Month, *b, tot, w, balance)
		}
		balance = b.Closing
		k.checkTotals(tot, b.Closing)
	}
	if len(want) > 0 {
		k.Fatalf("no invoice for %v", want)
	}
}

// checkLines compares each line with the transactions that it stands for: its hours, its time and
// its amounts, and that price and quantity give the amount.
func (k *kit) checkLines(of id.ID) {
	k.Helper()
	type key struct {
		month   string
		subject id.ID
		price   money.Micros
	}
	type part struct {
		hours, refunds, seconds int64
		charged, refunded       money.Micros
	}
	want := map[key]part{}
	costs := wallet.Filter{Types: []wallet.Type{wallet.TypeCharge, wallet.TypeRefund}}
	k.Must(k.Wallet.Export(k.Context(), k.DB, of, costs, func(t wallet.Transaction) error {
		subject := t.DeploymentID
		if subject == nil {
			subject = t.VolumeID
		}
		at := key{t.CreatedAt.Format("2006-01"), *subject, *t.HourlyPrice}
		p, seconds := want[at], int64(t.To.Sub(*t.From)/time.Second)
		if t.Type == wallet.TypeCharge {
			p.hours, p.seconds, p.charged = p.hours+1, p.seconds+seconds, p.charged-t.Amount
		} else {
			p.refunds, p.seconds, p.refunded = p.refunds+1, p.seconds-seconds, p.refunded+t.Amount
		}
		want[at] = p
		return nil
	}))
	for _, d := range k.all(invoice.Filter{Account: of}) {
		for _, l := range d.Lines {
			at := key{d.Month, l.Subject, l.HourlyPrice}
			w, found := want[at]
			delete(want, at)
			got := part{l.Hours, w.refunds, l.Seconds, l.Charged, l.Refunded}
			if !found || got != w {
				k.Fatalf("%s: the line %+v, want %+v", d.Month, l, w)
			}
			// Each refund is rounded half-up by itself.
			rest := int64(l.HourlyPrice)*l.Seconds - int64(l.Amount)*3600
			if l.Charged != l.HourlyPrice.Times(l.Hours) || max(rest, -rest) > 1800*w.refunds {
				k.Fatalf("%s: price and quantity of %+v give another amount", d.Month, l)
			}
		}
	}
	if len(want) > 0 {
		k.Fatalf("no line for %v", want)
	}
}

func (k *kit) sumOfLines(d invoice.Document) (sum money.Micros) {
	k.Helper()
	for _, l := range d.Lines {
		sum += l.Amount
		if l.Amount != l.Charged-l.Refunded || l.To.Before(*l.From) {
			k.Fatalf("the line %+v", l)
		}
	}
	return sum
}

func (k *kit) checkTotals(t invoice.Totals, closing money.Micros) {
	k.Helper()
	if t.Total != t.Exact+t.Rounding || t.Total%10_000 != 0 || t.Total != t.Net+t.Tax+t.TaxRounding ||
		t.Total != t.Paid+t.Due || t.Due < 0 || t.Due > 0 && closing >= 0 {
		k.Fatalf("the totals %+v", t)
	}
}

// Documents that are issued at once, some of which are rolled back, have numbers without gaps.
func TestNumbersHaveNoGaps(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		const n = 20
		rollBack := errors.New("rolled back")
		var wg sync.WaitGroup
		for i := range 2 * n {
			of := k.tenant(fmt.Sprint("Tenant ", i))
			wg.Go(func() {
				err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					made, err := invoice.Insert(k.svc, ctx, tx, invoice.Document{Summary: invoice.Summary{
						Account: of, Type: invoice.Invoice, Month: "2028-02", Currency: "USD",
					}})
					if err == nil && i%2 == 1 {
						return fmt.Errorf("%s: %w", made.Number, rollBack)
					}
					return err
				})
				if err != nil && !errors.Is(err, rollBack) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		page, _, err := k.svc.ListAll(t.Context(), d, invoice.Filter{}, enginetest.FirstPage)
		k.Must(err)
		for _, s := range page {
			seen[s.Number] = true
		}
		for i := range n {
			if number := fmt.Sprintf("2028-%06d", i+1); !seen[number] || len(seen) != n {
				t.Fatalf("%s is missing among %v", number, seen)
			}
		}
	})
}

func TestMonthIsIssuedOnceAfterItsEnd(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c) // 90 seconds before the end of February
		of, idle := k.tenant("Ada Ltd"), k.tenant("Idle Ltd")
		k.pay(of, wallet.TypeTopUp, 50*money.USD)
		k.charge(of, k.IDs.New(id.Deployment), 10*money.USD)
		k.Pass(30 * time.Minute)
		if got := k.all(invoice.Filter{}); len(got) != 0 {
			t.Fatalf("%d documents half an hour after the month", len(got))
		}
		k.Pass(time.Hour)
		got := k.one(invoice.Filter{})
		if got.Number != "2028-000001" || got.Month != "2028-02" || got.Account != of || got.Total != 10*money.USD ||
			got.Tax != 1_600_000 || got.Balance.Closing != 40*money.USD || got.Buyer.Name != "Ada Ltd" {
			t.Errorf("%+v", got)
		}
		k.set(germany("2028-01")) // goes through the months again
		k.Drain()
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			return k.Jobs.Enqueue(ctx, tx, of, invoice.KindIssue, id.ID(string(of)+"/2028-02"), tx.Now)
		})
		k.Drain()
		if again := k.one(invoice.Filter{}); again.ID != got.ID {
			t.Errorf("issued again as %s", again.ID)
		}
		if types := k.EventTypes(of, got.ID); len(types) != 1 || types[0] != "issued" {
			t.Errorf("the events are %v", types)
		}
		k.pay(idle, wallet.TypeCredit, money.USD)
		k.Pass(40 * 24 * time.Hour)
		if all := k.all(invoice.Filter{}); len(all) != 2 || all[1].Account != idle || all[1].Month != "2028-03" ||
			all[1].Balance.Credits != money.USD || all[1].Total != 0 {
			t.Errorf("%+v", all)
		}
	})
}

// Two processes that issue the same month at once issue one invoice, with one number and one event.
func TestOneMonthIsIssuedAtOnceOnlyOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		k.pay(of, wallet.TypeTopUp, 50*money.USD)
		c.Advance(2 * time.Hour)
		var wg sync.WaitGroup
		for range 6 {
			other := invoice.New(invoice.Config{
				DB: d, IDs: k.IDs, Clock: c, Wallet: k.Wallet, Events: k.Events, Jobs: k.Jobs, Accounts: k.accounts,
				Issues: k.Issues,
			})
			wg.Go(func() { _, _ = other.Issue(t.Context(), of+"/2028-02") })
		}
		wg.Wait()
		_, err := k.svc.Issue(t.Context(), of+"/2028-02") // as the job that is retried
		k.Must(err)
		got := k.one(invoice.Filter{})
		if types := k.EventTypes(of, got.ID); got.Number != "2028-000001" || len(types) != 1 {
			t.Errorf("%s, events %v", got.Number, types)
		}
		k.pay(of, wallet.TypeTopUp, money.USD)
		k.Pass(40 * 24 * time.Hour)
		if all := k.all(invoice.Filter{}); len(all) != 2 || all[1].Number != "2028-000002" {
			t.Errorf("%+v", all)
		}
	})
}

// A job of a later month issues the months before it first, so that numbers follow the months and
// each invoice begins with the balance of the one before.
func TestEarlierMonthsAreIssuedFirst(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		for range 3 { // February, April, June
			k.pay(of, wallet.TypeTopUp, 50*money.USD)
			c.Advance(61 * 24 * time.Hour)
		}
		_, err := k.svc.Issue(t.Context(), of+"/2028-06")
		k.Must(err)
		all := k.all(invoice.Filter{})
		if len(all) != 3 || all[0].Month >= all[1].Month || all[1].Month >= all[2].Month ||
			all[2].Balance.Opening != 100*money.USD {
			t.Errorf("%+v", all)
		}
		for _, i := range all {
			if types := k.EventTypes(of, i.ID); len(types) != 1 {
				t.Errorf("%s has the events %v", i.Month, types)
			}
		}
	})
}

// A transaction that gets a time for which an invoice was issued is a stated difference on the next
// one, which is not retried forever.
func TestLateTransactionIsAStatedDifference(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		february := c.Now()
		k.pay(of, wallet.TypeTopUp, 50*money.USD)
		k.Pass(2 * time.Hour)
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			tx.Now = february
			_, err := k.Wallet.Credit(ctx, tx, wallet.Credit{
				Account: of, Type: wallet.TypeCredit, Amount: 7 * money.USD, Description: "late", Dedupe: "late",
			})
			return err
		})
		k.pay(of, wallet.TypeTopUp, money.USD)
		k.Pass(40 * 24 * time.Hour)
		all := k.all(invoice.Filter{})
		if len(all) != 2 || all[1].Balance.Opening != 50*money.USD || all[1].Balance.Adjustments != 7*money.USD ||
			all[1].Balance.Closing != 58*money.USD || len(all[1].Movements) != 2 {
			t.Errorf("%+v", all)
		}
		k.wantDifference("$7.00", "invoice "+all[0].Number, "Invoice "+all[1].Number+" states it")
	})
}

// wantDifference checks that there is one issue, about a difference, with these words.
func (k *kit) wantDifference(words ...string) {
	k.Helper()
	all, _, err := k.Issues.List(k.Context(), k.DB, issue.Filter{}, enginetest.FirstPage)
	k.Must(err)
	if len(all) != 1 || all[0].Kind != issue.InvoiceDifference || all[0].Provider != issue.LedgerSource {
		k.Fatalf("%+v", all)
	}
	for _, w := range words {
		if !strings.Contains(all[0].Detail, w) {
			k.Fatalf("no %q in %q", w, all[0].Detail)
		}
	}
}

// A difference of an account that has no next invoice is an issue, too.
func TestLateTransactionWithoutNextInvoice(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		february := c.Now()
		subject := k.IDs.New(id.Deployment)
		k.charge(of, subject, 5*money.USD)
		k.Pass(2 * time.Hour)
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			tx.Now = february
			_, _, err := k.Wallet.Charge(ctx, tx, wallet.Charge{
				Account: of, Subject: subject, Hour: 999, Amount: 3 * money.USD, HourlyPrice: 3 * money.USD,
				From: february.Truncate(time.Second), To: february.Truncate(time.Second).Add(time.Hour),
				Description: "late",
			})
			return err
		})
		k.Pass(40 * 24 * time.Hour)
		got := k.one(invoice.Filter{})
		k.wantDifference("-$3.00", "invoice "+got.Number, "No invoice states it")
		k.Pass(40 * 24 * time.Hour)
		k.wantDifference()
	})
}

// What is charged and refunded late for time of a month that is invoiced is on the invoice of the
// month in which it was recorded, which says so and names the earlier invoice.
func TestInvoiceNamesTheEarlierMonthsThatItBills(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		subject := k.IDs.New(id.Deployment)
		refunded := k.charge(of, subject, 6*money.USD)
		february := c.Now().Truncate(time.Second)
		k.Pass(2 * time.Hour)
		first := k.one(invoice.Filter{})
		if len(first.EarlierMonths) != 0 {
			t.Errorf("%+v", first.EarlierMonths)
		}
		k.refund(refunded, 59) // of which some is in February
		for hour, from := range []time.Time{february.Add(-30 * 24 * time.Hour), february.Add(-time.Hour), c.Now()} {
			from = from.Truncate(time.Second)
			k.MustTx(func(ctx context.Context, tx *db.Tx) error {
				_, _, err := k.Wallet.Charge(ctx, tx, wallet.Charge{
					Account: of, Subject: subject, Hour: 100 + int64(hour), Amount: 2 * money.USD,
					HourlyPrice: 2 * money.USD, From: from, To: from.Add(time.Hour), Description: "late",
				})
				return err
			})
		}
		want := []invoice.EarlierMonth{
			{Month: "2028-01", Charged: 2 * money.USD, Amount: 2 * money.USD},
			{Month: "2028-02", Number: first.Number, Charged: 2 * money.USD, Refunded: 5_900_000,
				Amount: -3_900_000},
		}
		preview, err := k.svc.Preview(t.Context(), of)
		k.Must(err)
		k.Pass(40 * 24 * time.Hour)
		all := k.all(invoice.Filter{})
		if len(all) != 2 || !slices.Equal(all[1].EarlierMonths, want) || !slices.Equal(preview.EarlierMonths, want) {
			t.Fatalf("%+v and %+v, want %+v", all[len(all)-1].EarlierMonths, preview.EarlierMonths, want)
		}
		for _, f := range []invoice.Format{invoice.HTML, invoice.XML} {
			content := string(k.file(all[1].ID, f))
			for _, words := range []string{
				"$2.00 charged is for time in January 2028.",
				"$2.00 charged and $5.90 refunded are for time in February 2028: they were recorded after invoice " +
					first.Number + " was issued.",
			} {
				if !strings.Contains(content, words) {
					t.Errorf("the %s does not say %q", f, words)
				}
			}
		}
		all2, _, err := k.Issues.List(t.Context(), d, issue.Filter{}, enginetest.FirstPage)
		if err != nil || len(all2) != 0 {
			t.Errorf("%+v, %v", all2, err)
		}
	})
}

// A month with nothing to put on an invoice needs no tax rate: it has no document and no error.
func TestMonthWithoutAnythingNeedsNoTax(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := k.svc.SetTaxRates(ctx, tx, nil)
			return err
		})
		c.Advance(2 * time.Hour)
		if _, err := k.svc.Issue(t.Context(), of+"/2028-02"); err != nil || len(k.all(invoice.Filter{})) != 0 {
			t.Errorf("%v", err)
		}
	})
}

// Where the operator issues none for some months, the next invoice begins with the balance of then.
func TestMonthsCanBeLeftOut(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		k.pay(of, wallet.TypeTopUp, 50*money.USD)
		k.Pass(2 * time.Hour) // into March
		k.set(germany(""))
		k.charge(of, k.IDs.New(id.Deployment), 10*money.USD)
		k.Pass(40 * 24 * time.Hour) // into April
		k.charge(of, k.IDs.New(id.Deployment), 5*money.USD)
		k.set(germany("2028-04"))
		k.Pass(31 * 24 * time.Hour)
		all := k.all(invoice.Filter{})
		if len(all) != 2 || all[1].Month != "2028-04" || all[1].Balance.Opening != 40*money.USD ||
			all[1].Balance.Closing != 35*money.USD {
			t.Errorf("%+v", all)
		}
	})
}

func TestPreviewIssuesNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		k.charge(of, k.IDs.New(id.Deployment), 10*money.USD)
		p, err := k.svc.Preview(t.Context(), of)
		k.Must(err)
		if !p.Preview || p.Number != "" || p.Total != 10*money.USD || p.Due != 10*money.USD || len(p.Lines) != 1 {
			t.Errorf("%+v", p)
		}
		if got := k.all(invoice.Filter{}); len(got) != 0 {
			t.Errorf("%d documents", len(got))
		}
	})
}

func TestDocumentsAreScopedByAccount(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of, other := k.tenant("Ada Ltd"), k.tenant("Bob Inc")
		k.pay(of, wallet.TypeTopUp, money.USD)
		k.Pass(2 * time.Hour)
		got := k.one(invoice.Filter{Account: of})
		for _, account := range []id.ID{other, ""} {
			if _, err := k.svc.Get(t.Context(), d, account, got.ID); err == nil {
				t.Errorf("account %q read the document", account)
			}
			all, _, err := k.svc.List(t.Context(), d, account, invoice.Filter{Account: of}, enginetest.FirstPage)
			if err != nil || len(all) != 0 {
				t.Errorf("account %q lists the document: %v", account, err)
			}
		}
	})
}
