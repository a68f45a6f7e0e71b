package enginetest

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/wallet"
)

// T is what a Kit needs of a *testing.T or a *rapid.T.
type T interface {
	Helper()
	Error(args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// Kit is a database with the services that every package of the engine uses.
type Kit struct {
	T
	DB     *db.DB
	Clock  *clock.Simulated
	IDs    *id.Maker
	Log    *slog.Logger
	Jobs   *job.Queue
	Events *event.Service
	Issues *issue.Service
	Wallet *wallet.Ledger
	Meter  *meter.Service
	Runner *job.Runner
}

// FirstPage is the first page of a list, as long as lists get in tests.
var FirstPage = db.Page{Number: 1, Limit: 100}

// New returns a Kit with its services.
func New(t T, d *db.DB, c *clock.Simulated) *Kit {
	k := &Kit{T: t, DB: d, Clock: c, IDs: id.NewMaker(c, rand.Reader), Log: slog.New(slog.DiscardHandler)}
	k.Build()
	return k
}

// Build creates the services on the database, as a server that starts does. The runner handles the
// sweep of the meter; the package's own kit adds the other kinds of jobs.
func (k *Kit) Build() {
	k.Jobs, k.Events = job.NewQueue(k.IDs), event.New(k.IDs)
	k.Issues = issue.New(issue.Config{
		IDs: k.IDs, Jobs: k.Jobs, Log: k.Log, Policy: issue.Policy{EndOrphans: true, Grace: time.Hour},
	})
	k.Wallet = wallet.New(wallet.Config{
		DB: k.DB, IDs: k.IDs, CrossedZero: func(ctx context.Context, tx *db.Tx, account id.ID) error {
			return k.Jobs.Enqueue(ctx, tx, account, meter.KindPastDue, account, tx.Now)
		},
	})
	k.Meter = meter.New(meter.Config{DB: k.DB, Wallet: k.Wallet, Events: k.Events, Jobs: k.Jobs})
	k.Runner = job.NewRunner(job.Config{
		DB: k.DB, Queue: k.Jobs, Clock: k.Clock, Real: db.Time, Log: k.Log, Workers: 4,
	})
	k.Runner.Handle(meter.KindSweep, k.Meter.Sweep)
}

// HandleIssues adds the job that ends what an issue is about at those providers.
func (k *Kit) HandleIssues(providers *provider.Registry) {
	k.Runner.Handle(issue.KindEnd, issue.NewRemover(issue.RemoverConfig{
		DB: k.DB, Clock: k.Clock, Issues: k.Issues, Providers: providers,
	}).End)
}

// IgnorePastDue adds a job for accounts below zero that does nothing.
func (k *Kit) IgnorePastDue() {
	k.Runner.Handle(meter.KindPastDue, func(context.Context, id.ID) (job.Outcome, error) { return job.Done(), nil })
}

// Must fails the test if there is an error.
func (k *Kit) Must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// Tx runs f in a transaction.
func (k *Kit) Tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return k.DB.InTx(k.Context(), f)
}

// MustTx is Tx for what must succeed.
func (k *Kit) MustTx(f func(ctx context.Context, tx *db.Tx) error) {
	k.Helper()
	k.Must(k.Tx(f))
}

// Drain runs every job that is due.
func (k *Kit) Drain() {
	k.Helper()
	k.Must(k.Runner.Drain(k.Context()))
}

// Pass advances the clock. Every job runs when it is due.
func (k *Kit) Pass(d time.Duration) {
	k.Helper()
	k.Must(k.Runner.Travel(k.Context(), k.Clock, k.Clock.Now().Add(d)))
}

// OpenAccount opens an account with that credit.
func (k *Kit) OpenAccount(account id.ID, credit money.Micros) {
	k.Helper()
	k.MustTx(func(ctx context.Context, tx *db.Tx) error { return k.Wallet.Open(ctx, tx, account) })
	if credit != 0 {
		k.Credit(account, credit, "opening/"+string(account))
	}
}

// NewAccount is OpenAccount for a new account.
func (k *Kit) NewAccount(credit money.Micros) id.ID {
	k.Helper()
	account := k.IDs.New(id.Account)
	k.OpenAccount(account, credit)
	return account
}

// Credit changes an account's money, once for each reference.
func (k *Kit) Credit(account id.ID, amount money.Micros, reference string) {
	k.Helper()
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := k.Wallet.Credit(ctx, tx, wallet.Credit{
			Account: account, Type: wallet.TypeAdjustment, Amount: amount, Description: "test", Dedupe: reference,
		})
		return err
	})
}

// WalletOf returns the account's wallet.
func (k *Kit) WalletOf(account id.ID) wallet.Wallet {
	k.Helper()
	w, err := k.Wallet.Get(k.Context(), k.DB, account)
	k.Must(err)
	return w
}

// CheckLedger fails the test if the ledger contradicts itself.
func (k *Kit) CheckLedger() {
	k.Helper()
	problems, err := k.Wallet.Audit(k.Context())
	k.Must(err)
	if len(problems) > 0 {
		k.Fatal(strings.Join(problems, "\n"))
	}
}

// AllIssues returns all issues, oldest first.
func (k *Kit) AllIssues() []issue.Issue {
	k.Helper()
	all, _, err := k.Issues.List(k.Context(), k.DB, issue.Filter{}, FirstPage)
	k.Must(err)
	slices.Reverse(all)
	return all
}

// EventTypes returns the types of the subject's events, oldest first, without their prefix.
func (k *Kit) EventTypes(account, subject id.ID) (out []string) {
	k.Helper()
	events, _, err := k.Events.List(k.Context(), k.DB, account, subject, FirstPage)
	k.Must(err)
	for _, e := range events {
		_, action, _ := strings.Cut(e.Type, ".")
		out = append(out, action)
	}
	return out
}

// WantError fails the test unless the error has that code and its message contains the words.
func WantError(t T, err error, want apierr.Code, words ...string) {
	t.Helper()
	e, is := errors.AsType[*apierr.Error](err)
	if !is || e.Code != want {
		t.Fatalf("the error is %v, want %s", err, want)
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			t.Fatalf("the message %q lacks %q", e.Message, w)
		}
	}
}
