package quote_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/google/go-cmp/cmp"
)

const (
	mine   id.ID = "acc_mine"
	theirs id.ID = "acc_theirs"
)

// testKit is the service on one database.
type testKit struct {
	*quote.Service
	t     testing.TB
	db    *db.DB
	clock *clock.Simulated
}

func each(t *testing.T, f func(t *testing.T, k *testKit)) {
	t.Parallel()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newKit(t, d, c)) })
}

func newKit(t testing.TB, d *db.DB, c *clock.Simulated) *testKit {
	return &testKit{Service: quote.New(id.NewMaker(c, rand.Reader)), t: t, db: d, clock: c}
}

func offer() catalog.Offer {
	return catalog.Offer{ID: "off_1", HourlyPrice: 29_600_000, Available: true}
}

func (k *testKit) make(account id.ID, o catalog.Offer) (q quote.Quote, err error) {
	err = k.db.InTx(k.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		q, err = k.Make(ctx, tx, account, o)
		return err
	})
	return q, err
}

// made is make for a quote that is not refused.
func (k *testKit) made(account id.ID) quote.Quote {
	k.t.Helper()
	q, err := k.make(account, offer())
	if err != nil {
		k.t.Fatal(err)
	}
	return q
}

func (k *testKit) use(account, q, deployment id.ID) error {
	return k.db.InTx(k.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return k.Use(ctx, tx, account, q, deployment)
	})
}

func (k *testKit) get(account, q id.ID) (quote.Quote, error) {
	return k.Get(k.t.Context(), k.db, account, q)
}

// wantCode checks that the error has that code.
func wantCode(t *testing.T, what string, err error, want apierr.Code) {
	t.Helper()
	if err == nil || apierr.CodeOf(err) != want {
		t.Errorf("%s = %v, want %s", what, err, want)
	}
}

func TestService_Make(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		q := k.made(mine)
		now := k.clock.Now().Truncate(time.Second)
		want := quote.Quote{
			ID: q.ID, OfferID: "off_1", HourlyPrice: 29_600_000, CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute),
		}
		if diff := cmp.Diff(want, q); diff != "" || !q.ID.Valid(id.Quote) {
			t.Errorf("Make returns the ID %q (-want +got):\n%s", q.ID, diff)
		}
		got, err := k.get(mine, q.ID)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Get = %v (-want +got):\n%s", err, diff)
		}
		soldOut := offer()
		soldOut.Available = false
		_, err = k.make(mine, soldOut)
		wantCode(t, "Make for a sold-out offer", err, apierr.OfferUnavailable)
	})
}

// The price is the offer's when the quote was created, whatever the provider asks later.
func TestQuoteFixesThePrice(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		first := k.made(mine)
		dearer := offer()
		dearer.HourlyPrice *= 2
		second, err := k.make(mine, dearer)
		if err != nil {
			t.Fatal(err)
		}
		for q, want := range map[id.ID]money.Micros{first.ID: 29_600_000, second.ID: 59_200_000} {
			if got, err := k.get(mine, q); err != nil || got.HourlyPrice != want {
				t.Errorf("Get = %+v, %v; want the price %s", got, err, want)
			}
		}
	})
}

func TestService_Use(t *testing.T) {
	for name, c := range map[string]struct {
		account  id.ID
		after    time.Duration
		usedOnce bool // by another deployment
		unknown  bool
		want     apierr.Code // "" if it can be used
	}{
		"at once":                     {account: mine},
		"in the last second":          {account: mine, after: 10*time.Minute - time.Second},
		"expired":                     {account: mine, after: 10 * time.Minute, want: apierr.Conflict},
		"used before":                 {account: mine, usedOnce: true, want: apierr.Conflict},
		"a quote of another account":  {account: theirs, want: apierr.Conflict},
		"a quote that does not exist": {account: mine, unknown: true, want: apierr.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, k *testKit) {
				// The quote's times have whole seconds.
				k.clock.AdvanceTo(k.clock.Now().Truncate(time.Second).Add(time.Second))
				q := k.made(mine).ID
				var user *id.ID
				if c.usedOnce {
					other := id.ID("dep_other")
					if user = &other; k.use(mine, q, other) != nil {
						t.Fatal("the quote cannot be used")
					}
				}
				k.clock.Advance(c.after)
				used := q
				if c.unknown {
					used = "quo_x"
				}
				err := k.use(c.account, used, "dep_1")
				if c.want != "" {
					wantCode(t, "Use", err, c.want)
				} else if dep := id.ID("dep_1"); err != nil {
					t.Errorf("Use = %v, want nil", err)
				} else {
					user = &dep
				}
				got, err := k.get(mine, q)
				if diff := cmp.Diff(user, got.UsedBy); diff != "" || err != nil {
					t.Errorf("UsedBy, %v (-want +got):\n%s", err, diff)
				}
			})
		})
	}
}

// A deployment that is rolled back leaves its quote unused.
func TestUseIsPartOfItsTransaction(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		q, boom := k.made(mine).ID, errors.New("boom")
		err := k.db.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return errors.Join(k.Use(ctx, tx, mine, q, "dep_1"), boom)
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if err := k.use(mine, q, "dep_2"); err != nil {
			t.Errorf("Use after a rollback = %v, want nil", err)
		}
	})
}

func TestParallelDeploymentsShareNoQuote(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		q := k.made(mine).ID
		var running sync.WaitGroup
		var won atomic.Int32
		for i := range 8 {
			running.Go(func() {
				switch err := k.use(mine, q, id.ID("dep_"+string(rune('a'+i)))); {
				case err == nil:
					won.Add(1)
				case apierr.CodeOf(err) != apierr.Conflict:
					t.Error(err)
				}
			})
		}
		running.Wait()
		if won.Load() != 1 {
			t.Errorf("%d deployments use one quote, want 1", won.Load())
		}
	})
}

func TestService_Get_OfAnotherAccount(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		q := k.made(mine).ID
		_, err := k.get(theirs, q)
		wantCode(t, "Get of another account's quote", err, apierr.NotFound)
		_, err = k.get(mine, "quo_x")
		wantCode(t, "Get of a quote that does not exist", err, apierr.NotFound)
	})
}

// Only quotes that can still be used count, and only those of the account.
func TestOpenQuotesAreLimited(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		var first quote.Quote
		if err := k.db.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			if first, err = k.Make(ctx, tx, mine, offer()); err != nil {
				return err
			}
			for range quote.MaxOpen - 1 {
				if _, err := k.Make(ctx, tx, mine, offer()); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		_, err := k.make(mine, offer())
		wantCode(t, "Make with the maximum of open quotes", err, apierr.LimitReached)
		k.made(theirs)
		if err := k.use(mine, first.ID, "dep_1"); err != nil {
			t.Fatal(err)
		}
		k.made(mine)
		_, err = k.make(mine, offer())
		wantCode(t, "Make after one was used and replaced", err, apierr.LimitReached)
		k.clock.Advance(quote.Lasts)
		k.made(mine)
	})
}

// An expired quote is kept for a day, for a client that asks why it cannot be used.
func TestExpiredQuotesAreDeleted(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		q := k.made(mine)
		k.clock.AdvanceTo(q.ExpiresAt.Add(24 * time.Hour))
		k.made(theirs)
		if _, err := k.get(mine, q.ID); err != nil {
			t.Errorf("Get a day after the quote expired = %v, want nil", err)
		}
		k.clock.Advance(time.Second)
		k.made(theirs)
		_, err := k.get(mine, q.ID)
		wantCode(t, "Get more than a day after the quote expired", err, apierr.NotFound)
	})
}

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	k := newKit(t, d, c)
	var q quote.Quote
	faults.FailEach(t, "Make", func() (err error) { q, err = k.make(mine, offer()); return err })
	faults.FailEach(t, "Get", func() error { _, err := k.get(mine, q.ID); return err })
	faults.FailEach(t, "Use", func() error { return k.use(mine, q.ID, "dep_1") })
}
