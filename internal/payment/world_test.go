package payment_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/wallet"
)

// bank is a processor that keeps its payments in memory and fails when it is told to.
type bank struct {
	mu       sync.Mutex
	clock    clock.Clock
	payments map[id.ID]*payment.Payment // by top-up
	refunds  map[id.ID]payment.Refund
	methods  []payment.Method
	events   []payment.Event
	moved    []payment.Movement
	live     bool

	charges, pages int
	// decline is what a charge returns; nil for success.
	decline *payment.Failure
	status  payment.PaymentStatus // of a declined charge
	// down fails every call. lost does what is asked, and then fails.
	down, lost bool
	// broken is a reference whose payment cannot be read.
	broken string
	// refuse fails refunds for good; pends leaves others pending.
	refuse, pends bool
	// silent fails charges before anything is done.
	silent bool
	// offer is the name of the processor that is offered.
	offer string
	// maximum is the largest top-up.
	maximum money.Micros
}

var errDown = errors.New("the bank does not answer")

func (b *bank) answer() error {
	if b.down || b.lost {
		return errDown
	}
	return nil
}

func (b *bank) Checkout(_ context.Context, r payment.CheckoutRequest) (payment.Checkout, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return payment.Checkout{}, errDown
	}
	ref := fmt.Sprintf("page_%s_%d", r.TopUp, r.Attempt)
	if b.payments[r.TopUp] == nil {
		b.pages++
		b.payments[r.TopUp] = &payment.Payment{
			Reference: ref, TopUp: r.TopUp, Status: payment.PaymentPending, Currency: r.Currency, Live: b.live,
		}
	}
	return payment.Checkout{
		Reference: ref, URL: "https://bank.example/" + ref, Customer: "cus_" + string(r.Account),
		ExpiresAt: r.ExpiresAt,
	}, b.answer()
}

func (b *bank) Payment(_ context.Context, reference string) (payment.Payment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down || reference == b.broken {
		return payment.Payment{}, errDown
	}
	for _, p := range b.payments {
		if p.Reference == reference || p.IntentReference == reference {
			return *p, nil
		}
	}
	if reference == "foreign" {
		return payment.Payment{}, payment.ErrNotOurs
	}
	return payment.Payment{}, payment.ErrUnknown
}

func (b *bank) Charge(_ context.Context, r payment.ChargeRequest) (payment.Payment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down || b.silent {
		return payment.Payment{}, errDown
	}
	p := b.payments[r.TopUp]
	if p == nil && r.FindOnly {
		return payment.Payment{}, payment.ErrUnknown
	}
	if p == nil {
		b.charges++
		p = &payment.Payment{
			Reference: "intent_" + string(r.TopUp), TopUp: r.TopUp, Currency: r.Currency, Live: b.live,
		}
		if b.decline != nil {
			p.Status, p.Failure = b.status, b.decline
		} else {
			p.Status, p.Received, p.IntentReference = payment.PaymentSucceeded, r.Amount, p.Reference
		}
		b.payments[r.TopUp] = p
	}
	return *p, b.answer()
}

func (b *bank) Refund(_ context.Context, r payment.RefundRequest) (payment.Refund, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return payment.Refund{}, errDown
	}
	f, made := b.refunds[r.Refund]
	if b.payments[r.TopUp] == nil {
		return payment.Refund{}, payment.ErrUnknown
	}
	if !made {
		f = payment.Refund{
			Reference: "re_" + string(r.Refund), Refund: r.Refund, Amount: r.Amount, Status: payment.RefundSucceeded,
		}
		if b.pends {
			f.Status = payment.RefundPending
		}
		if b.refuse {
			f.Status, f.Message = payment.RefundFailed, "The card was closed."
		}
		b.refunds[r.Refund] = f
		b.payments[r.TopUp].Refunds = append(b.payments[r.TopUp].Refunds, f)
	}
	return f, b.answer()
}

func (b *bank) Methods(context.Context, string) ([]payment.Method, error) {
	return b.methods, b.answer()
}
func (b *bank) Detach(context.Context, string, string) error { return b.answer() }

func (b *bank) Event(header func(string) string, body []byte) (payment.Event, error) {
	if header("Signature") != "good" {
		return payment.Event{}, payment.ErrForged
	}
	return payment.Event{ID: header("Id"), Type: "t", Reference: string(body), Live: b.live}, nil
}

func (b *bank) Events(_ context.Context, since time.Time) iter.Seq2[payment.Event, error] {
	return func(yield func(payment.Event, error) bool) {
		for _, e := range b.events {
			old := !e.CreatedAt.IsZero() && e.CreatedAt.Before(since)
			if !old && !yield(e, nil) {
				return
			}
		}
	}
}

func (b *bank) Movements(_ context.Context, from, to time.Time) iter.Seq2[payment.Movement, error] {
	return func(yield func(payment.Movement, error) bool) {
		for _, m := range b.moved {
			if !m.CreatedAt.Before(from) && m.CreatedAt.Before(to) && !yield(m, nil) {
				return
			}
		}
	}
}

// pay has the customer pay on the page of a top-up.
func (b *bank) pay(topUp id.ID, amount money.Micros) {
	p := b.payments[topUp]
	p.Status, p.Received, p.IntentReference = payment.PaymentSucceeded, amount, "intent_"+string(topUp)
	p.Customer = "cus_1"
	p.Method = &payment.Method{ID: "card_" + string(topUp), Type: "card", Brand: "visa", Last4: "4242"}
}

// world is the engine with payments by a bank.
type world struct {
	*enginetest.Kit
	bank    *bank
	svc     *payment.Service
	credits *credit.Service
	account id.ID
}

func newWorld(t enginetest.T, d *db.DB, c *clock.Simulated) *world {
	w := &world{Kit: enginetest.New(t, d, c), bank: &bank{
		clock: c, payments: map[id.ID]*payment.Payment{}, refunds: map[id.ID]payment.Refund{}, live: true,
		offer: "bank", maximum: money.Dollars(10_000),
	}}
	w.IgnorePastDue()
	w.Wallet = wallet.New(wallet.Config{DB: d, IDs: w.IDs, BelowMark: payment.CrossedLow(w.Jobs)})
	w.credits = credit.New(credit.Config{DB: d, IDs: w.IDs, Wallet: w.Wallet, Events: w.Events, Jobs: w.Jobs})
	w.Runner.Handle(credit.KindExpire, w.credits.Expire)
	w.Runner.Handle(credit.KindRemind, w.credits.Remind)
	w.svc = payment.New(payment.Config{
		DB: d, IDs: w.IDs, Clock: c, Log: w.Log, Wallet: w.Wallet, Credits: w.credits, Events: w.Events,
		Issues: w.Issues, Jobs: w.Jobs,
		Site: func() *url.URL { return &url.URL{Scheme: "https", Host: "gpu.example.com"} },
		Offer: func(context.Context, db.Reader) (payment.Offer, error) {
			return payment.Offer{Name: w.bank.offer, Limits: payment.Limits{
				Minimum: money.Dollars(1), Maximum: w.bank.maximum,
			}}, nil
		},
		Processors: func(context.Context, string) (payment.Processor, bool, error) { return w.bank, true, nil },
	})
	w.Runner.Handle(payment.KindSettle, w.svc.Settle)
	w.Runner.Handle(payment.KindRefund, w.svc.PayBack)
	w.Runner.Handle(payment.KindDetach, w.svc.DetachMethod)
	w.Runner.Handle(payment.KindAutomatic, w.svc.TopUpNow)
	w.account = w.NewAccount(0)
	return w
}

// create makes a top-up with its page.
func (w *world) create(amount money.Micros) payment.TopUp {
	w.Helper()
	var made payment.TopUp
	w.MustTx(func(ctx context.Context, tx *db.Tx) (err error) {
		made, err = w.svc.Create(ctx, tx, w.account, creator.ByOperator,
			payment.Request{Amount: amount, SaveMethod: true})
		return err
	})
	made, err := w.svc.Open(w.Context(), w.account, made.ID)
	w.Must(err)
	return made
}

// paid makes a top-up that is paid.
func (w *world) paid(amount money.Micros) payment.TopUp {
	w.Helper()
	made := w.create(amount)
	w.bank.pay(made.ID, amount)
	w.refresh(made.ID)
	return w.get(made.ID)
}

func (w *world) refresh(topUp id.ID) {
	w.Helper()
	w.Must(w.svc.Refresh(w.Context(), "bank", w.bank.payments[topUp].Reference))
}

func (w *world) get(topUp id.ID) payment.TopUp {
	w.Helper()
	t, err := w.svc.Get(w.Context(), w.DB, w.account, topUp)
	w.Must(err)
	return t
}

func (w *world) available() money.Micros {
	w.Helper()
	return w.WalletOf(w.account).Available
}

func (w *world) wantAvailable(want money.Micros) {
	w.Helper()
	if got := w.available(); got != want {
		w.Fatalf("available: %s, want %s", got, want)
	}
}

func (w *world) wantStatus(topUp id.ID, want payment.Status) {
	w.Helper()
	if got := w.get(topUp).Status; got != want {
		w.Fatalf("the top-up is %s, want %s", got, want)
	}
}

func engines(t *testing.T, f func(w *world)) {
	t.Helper()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		f(w)
		w.CheckLedger()
	})
}
