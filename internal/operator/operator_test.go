package operator_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

func TestService(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		ids := id.NewMaker(c, rand.Reader)
		secrets, err := secret.Open(t.TempDir(), true)
		if err != nil {
			t.Fatal(err)
		}
		ledger, jobs := wallet.New(wallet.Config{DB: d, IDs: ids}), job.NewQueue(ids)
		m := meter.New(meter.Config{DB: d, Wallet: ledger, Events: event.New(ids), Jobs: jobs})
		s := operator.New(operator.Config{
			IDs: ids, Wallet: ledger, Jobs: jobs,
			Credits: credit.New(credit.Config{DB: d, IDs: ids, Wallet: ledger, Events: event.New(ids), Jobs: jobs}),
			Deployments: deployment.New(
				deployment.Config{DB: d},
			), Volumes: volume.New(volume.Config{DB: d}), Events: event.New(ids),
			Accounts: account.New(account.Config{DB: d, IDs: ids, Rand: rand.Reader, Clock: c, Real: time.Now,
				Secrets: secrets}),
			Mail: &mail.Service{}, Audit: audit.New(ids),
		})
		tx := func(f func(ctx context.Context, tx *db.Tx) error) error { return d.InTx(t.Context(), f) }
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		var ada, bob operator.Account
		must(tx(func(ctx context.Context, tx *db.Tx) (err error) {
			if ada, err = s.CreateAccount(ctx, tx, "Ada", money.Dollars(100)); err != nil {
				return err
			}
			bob, err = s.CreateAccount(ctx, tx, "Bob", 0)
			return err
		}))
		must(tx(func(ctx context.Context, tx *db.Tx) error {
			for subject, price := range map[id.ID]int64{"dep_1": 3, "dep_2": 4, "vol_1": 1} {
				start := meter.Start{Subject: subject, Account: ada.ID, HourlyPrice: money.Dollars(price), At: tx.Now,
					Description: "d"}
				if err := m.Start(ctx, tx, start); err != nil {
					return err
				}
			}
			_, err := m.Stop(ctx, tx, "dep_2", tx.Now, meter.NoRefund)
			return err
		}))
		for i, want := range []bool{true, false} {
			must(tx(func(ctx context.Context, tx *db.Tx) error {
				a, made, err := s.Credit(ctx, tx, bob.ID, operator.Credit{Amount: money.Dollars(-7), Reference: "once"})
				if err == nil && (made != want || a.Available != money.Dollars(-7) || a.NegativeSince == nil) {
					t.Errorf("Credit %d: got %+v, made %t, want made %t", i+1, a, made, want)
				}
				return err
			}))
		}
		all, total, err := s.Accounts(t.Context(), d, db.Page{Number: 1, Limit: 10})
		must(err)
		if total.Total != 2 || len(all) != 2 || all[0].Name != "Bob" || all[1].RunningDeployments != 1 ||
			all[1].HourlyCost != money.Dollars(4) || all[1].Available != money.Dollars(96) {
			t.Errorf("Accounts: got %+v of %d", all, total.Total)
		}
		testRefusals(t, s, tx, ada.ID)
		failing, n, err := s.FailingJobs(t.Context(), d, "", db.Page{Number: 1, Limit: 10})
		if err != nil || n.Total != 0 || len(failing) != 0 {
			t.Errorf("FailingJobs: got %v of %d, %v, want none", failing, n.Total, err)
		}
	})
}

func testRefusals(
	t *testing.T, s *operator.Service, tx func(func(context.Context, *db.Tx) error) error, account id.ID,
) {
	t.Helper()
	for name, refused := range map[apierr.Code]func(ctx context.Context, tx *db.Tx) error{
		apierr.InvalidRequest: func(ctx context.Context, tx *db.Tx) error {
			_, err := s.CreateAccount(ctx, tx, "", -1)
			return err
		},
		apierr.NotFound: func(ctx context.Context, tx *db.Tx) error {
			_, _, err := s.Credit(ctx, tx, "acc_none", operator.Credit{Amount: 1})
			return err
		},
		apierr.Conflict: func(ctx context.Context, tx *db.Tx) error {
			_, _, err := s.Credit(ctx, tx, account, operator.Credit{Amount: 1, Reference: "once"})
			return err
		},
	} {
		if err := tx(refused); err == nil || apierr.CodeOf(err) != name {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}
