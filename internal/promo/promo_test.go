package promo_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/promo"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/settings"
)

const usd = money.USD

type world struct {
	*enginetest.Kit
	svc      *promo.Service
	set      *settings.Service
	accounts *account.Service
}

func engines(t *testing.T, f func(w *world)) {
	t.Helper()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := &world{Kit: enginetest.New(t, d, c)}
		w.IgnorePastDue()
		secrets, err := secret.Open(t.TempDir(), true)
		w.Must(err)
		w.set = settings.New(settings.Config{DB: d, Real: time.Now, Secrets: secrets})
		credits := credit.New(credit.Config{DB: d, IDs: w.IDs, Wallet: w.Wallet, Events: w.Events, Jobs: w.Jobs})
		w.Runner.Handle(credit.KindExpire, credits.Expire)
		w.Runner.Handle(credit.KindRemind, credits.Remind)
		w.accounts = account.New(account.Config{
			DB: d, IDs: w.IDs, Rand: rand.Reader, Clock: c, Real: time.Now, Secrets: secrets, CheapPasswords: true,
		})
		w.svc = promo.New(promo.Config{IDs: w.IDs, Accounts: w.accounts, Credits: credits, Settings: w.set})
		f(w)
		w.CheckLedger()
	})
}

func (w *world) create(code string, set promo.Settings) (c promo.Code, err error) {
	err = w.Tx(func(ctx context.Context, tx *db.Tx) error {
		c, err = w.svc.Create(ctx, tx, code, set)
		return err
	})
	return c, err
}

func (w *world) mustCreate(code string, set promo.Settings) promo.Code {
	w.Helper()
	c, err := w.create(code, set)
	w.Must(err)
	return c
}

func (w *world) update(c promo.Code, change func(*promo.Settings)) error {
	return w.Tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.Update(ctx, tx, c.ID, change)
		return err
	})
}

func (w *world) redeem(account id.ID, code string) (given credit.Credit, err error) {
	err = w.Tx(func(ctx context.Context, tx *db.Tx) error {
		given, err = w.svc.Redeem(ctx, tx, account, code)
		return err
	})
	return given, err
}

func (w *world) above(amount money.Micros) {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		change := settings.Change{Wallet: settings.WalletRulesChange{ApprovalAbove: &amount}}
		_, err := w.set.UpdateOnHost(ctx, tx, change)
		return err
	})
}

func (w *world) account() (of id.ID) {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		a, err := w.accounts.Create(ctx, tx, string(w.IDs.New(id.Request)))
		of = a.ID
		return err
	})
	w.OpenAccount(of, 0)
	return of
}

// owned opens an account whose owner has the email address.
func (w *world) owned(email string) id.ID {
	w.Helper()
	of := w.account()
	n, err := w.accounts.Prepare(w.Context(), account.UserRequest{Email: email, Password: "correct horse battery"})
	w.Must(err)
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.accounts.CreateUser(ctx, tx, n, of, account.Owner)
		return err
	})
	return of
}

// Who signs up again with another spelling of an address has the same mailbox.
func TestACodeIsRedeemedOncePerMailbox(t *testing.T) {
	engines(t, func(w *world) {
		w.mustCreate("WELCOME", promo.Settings{Amount: 50 * usd, Enabled: true})
		w.mustCreate("SECOND", promo.Settings{Amount: 5 * usd, Enabled: true})
		first, second := w.owned("ada.l@gmail.com"), w.owned("AdaL+2@googlemail.com")
		other, own := w.owned("ada.l@example.com"), w.owned("adal@example.com")
		for _, a := range []id.ID{first, other, own} {
			_, err := w.redeem(a, "WELCOME")
			w.Must(err)
		}
		_, err := w.redeem(second, "WELCOME")
		enginetest.WantError(w, err, apierr.Conflict, "email address")
		w.wantBalance(second, 0)
		_, err = w.redeem(second, "SECOND")
		w.Must(err)
		w.wantBalance(second, 5*usd)
	})
}

func (w *world) wantBalance(account id.ID, want money.Micros) {
	w.Helper()
	if got := w.WalletOf(account).Balance; got != want {
		w.Fatalf("balance: %s, want %s", got, want)
	}
}

func TestACodeIsRedeemedOncePerAccount(t *testing.T) {
	engines(t, func(w *world) {
		c := w.mustCreate("Welcome-50", promo.Settings{Amount: 50 * usd, CreditDays: new(int64(30)), Enabled: true})
		account := w.account()
		given, err := w.redeem(account, "  welcome-50 ")
		w.Must(err)
		if given.Amount != 50*usd || given.Source != credit.ByPromoCode || given.ExpiresAt == nil ||
			given.ExpiresAt.Sub(w.Clock.Now()).Round(time.Hour) != 30*24*time.Hour {
			t.Errorf("%+v", given)
		}
		_, err = w.redeem(account, "WELCOME-50")
		enginetest.WantError(w, err, apierr.Conflict, "before")
		w.wantBalance(account, 50*usd)
		got, err := w.svc.Get(w.Context(), w.DB, c.ID)
		w.Must(err)
		if got.Redemptions != 1 || got.Code != "WELCOME-50" {
			t.Errorf("%+v", got)
		}
		all, _, err := w.svc.Redemptions(w.Context(), w.DB, c.ID, db.Page{Number: 1, Limit: 10})
		w.Must(err)
		if len(all) != 1 || all[0].AccountID != account || all[0].CreditID != given.ID {
			t.Errorf("%+v", all)
		}
		w.Must(w.Tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.svc.Delete(ctx, tx, c.ID)
			enginetest.WantError(w, err, apierr.Conflict, "Disable")
			return nil
		}))
		w.Pass(31 * 24 * time.Hour)
		w.wantBalance(account, 0) // it has expired
	})
}

// Of fifty calls at once, of twenty-five accounts, as many succeed as the code allows.
func TestParallelRedemptionsKeepTheMaximum(t *testing.T) {
	engines(t, func(w *world) {
		c := w.mustCreate("NINE", promo.Settings{Amount: usd, MaxRedemptions: new(int64(9)), Enabled: true})
		var all []id.ID
		for range 25 {
			all = append(all, w.account())
		}
		var wg sync.WaitGroup
		var redeemed atomic.Int64
		for i := range 50 {
			wg.Go(func() {
				_, err := w.redeem(all[i%len(all)], "nine")
				switch code := w.code(err); code {
				case "":
					redeemed.Add(1)
				case apierr.Conflict, apierr.NotFound:
				default:
					t.Errorf("%s: %v", code, err)
				}
			})
		}
		wg.Wait()
		var given money.Micros
		for _, account := range all {
			b := w.WalletOf(account).Balance
			if b != 0 && b != usd {
				t.Errorf("an account has %s", b)
			}
			given += b
		}
		got, err := w.svc.Get(w.Context(), w.DB, c.ID)
		w.Must(err)
		if redeemed.Load() != 9 || given != 9*usd || got.Redemptions != 9 {
			t.Errorf("%d redeemed, %s given, %d counted", redeemed.Load(), given, got.Redemptions)
		}
	})
}

func (w *world) code(err error) apierr.Code {
	if err == nil {
		return ""
	}
	if e, is := errors.AsType[*apierr.Error](err); is {
		return e.Code
	}
	return apierr.Code(err.Error())
}

// Each code that an account cannot redeem is refused with the same text.
func TestRefusedCodesSayNothing(t *testing.T) {
	engines(t, func(w *world) {
		now, old := w.Clock.Now(), w.account()
		w.Clock.Advance(promo.NewAccount + time.Second)
		fresh := w.account()
		at := func(d time.Duration) *time.Time { return new(now.Add(promo.NewAccount + d)) }
		texts := map[string]bool{}
		for code, set := range map[string]promo.Settings{
			"DISABLED": {},
			"LATER":    {Enabled: true, ValidFrom: at(time.Hour)},
			"OVER":     {Enabled: true, ValidUntil: at(time.Second)},
			"FRESH":    {Enabled: true, NewAccountsOnly: true},
			"USED":     {Enabled: true, MaxRedemptions: new(int64(1))},
			"UNKNOWN":  {},
		} {
			set.Amount = usd
			if code != "UNKNOWN" {
				w.mustCreate(code, set)
			}
			if code == "USED" || code == "FRESH" {
				_, err := w.redeem(fresh, code)
				w.Must(err)
			}
			_, err := w.redeem(old, code)
			enginetest.WantError(w, err, apierr.NotFound, "not valid for this account")
			texts[err.Error()] = true
		}
		if len(texts) != 1 {
			t.Errorf("%d texts: %v", len(texts), texts)
		}
		w.wantBalance(old, 0)
		w.Clock.Advance(time.Hour)
		_, err := w.redeem(old, "LATER")
		w.Must(err)
	})
}

func TestSuspendedAccountsRedeemNothing(t *testing.T) {
	engines(t, func(w *world) {
		w.mustCreate("GIFT", promo.Settings{Amount: usd, Enabled: true})
		account := w.account()
		w.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.accounts.Suspend(ctx, tx, account, "abuse")
			return err
		})
		_, err := w.redeem(account, "GIFT")
		enginetest.WantError(w, err, apierr.AccountSuspended, "")
		w.wantBalance(account, 0)
	})
}

// A code does not give what one operator may not give alone.
func TestCodesKeepTheLimitOfOneOperator(t *testing.T) {
	engines(t, func(w *world) {
		before := w.mustCreate("BEFORE", promo.Settings{Amount: 500 * usd, Enabled: true})
		endless := w.mustCreate("ENDLESS", promo.Settings{Amount: usd, Enabled: true})
		w.above(100 * usd)
		account := w.account()
		for _, code := range []string{"BEFORE", "ENDLESS"} {
			_, err := w.redeem(account, code)
			enginetest.WantError(w, err, apierr.NotFound, "")
		}
		_, err := w.create("MORE", promo.Settings{Amount: 100*usd + 1, Enabled: true})
		enginetest.WantError(w, err, apierr.InvalidRequest, "2 faults", "amount")
		w.mustCreate("FITS", promo.Settings{Amount: 100 * usd, MaxRedemptions: new(int64(3)), Enabled: true})
		_, err = w.redeem(account, "FITS")
		w.Must(err)
		enginetest.WantError(w, w.update(before, func(s *promo.Settings) { s.ValidUntil = nil }),
			apierr.InvalidRequest, "amount")
		w.Must(w.update(before, func(s *promo.Settings) { s.Enabled = false }))
		w.Must(w.update(endless, func(s *promo.Settings) { s.MaxRedemptions = new(int64(1)) }))
		_, err = w.redeem(account, "ENDLESS")
		w.Must(err)
		w.wantBalance(account, 101*usd)
	})
}

func TestSettingsOfCodes(t *testing.T) {
	engines(t, func(w *world) {
		generated := w.mustCreate("", promo.Settings{Amount: usd})
		if len(generated.Code) != 12 {
			t.Errorf("generated: %q", generated.Code)
		}
		now := w.Clock.Now()
		_, err := w.create("a b", promo.Settings{
			MaxRedemptions: new(int64(0)), CreditDays: new(int64(3651)), ValidFrom: &now, ValidUntil: &now,
		})
		enginetest.WantError(w, err, apierr.InvalidRequest, "5 faults")
		_, err = w.create(strings.ToLower(generated.Code), promo.Settings{Amount: usd})
		enginetest.WantError(w, err, apierr.Conflict, "exists")
		w.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.svc.Delete(ctx, tx, generated.ID)
			return err
		})
		enginetest.WantError(w, w.update(generated, func(*promo.Settings) {}), apierr.NotFound, "")
	})
}
