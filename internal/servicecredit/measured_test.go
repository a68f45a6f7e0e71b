package servicecredit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/settings"
)

// exec changes rows as another part of the server does.
func (k *testKit) exec(statement string, args ...any) {
	k.Helper()
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	})
}

// insertDowntime records a downtime, and does nothing about it; it lasts if to is nil.
func (k *testKit) insertDowntime(from int, to *time.Time) {
	k.Helper()
	k.exec(`INSERT INTO deployment_downtime (deployment_id, from_at, seen_at, to_at, cause, provider, settled)
		VALUES ($1, $2, $2, $3, 'unhealthy', 'p', 0)`, k.deployment, k.at(from), to)
}

// After the server was down, a downtime may be decided before its hours are charged.
func TestHoursThatAreNotChargedYetAreCredited(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		k.Clock.Advance(8 * time.Hour) // without the runs that charge hours
		k.insertDowntime(0, new(k.at(300)))
		_, err := k.svc.Propose(k.Context(), k.deployment)
		k.Must(err)
		all := k.all()
		if len(all) != 1 || all[0].Amount != price.Times(5) {
			t.Fatalf("of five hours at %s: %+v", price, all)
		}
		byHand, err := k.create(300, 420, 8)
		k.Must(err)
		if byHand.Amount != price.Times(2) {
			t.Errorf("of two hours that an operator enters: %+v", byHand)
		}
		k.Pass(time.Minute)
		if got := k.WalletOf(k.account).Balance; got != 1000*money.USD-price.Times(9) {
			t.Errorf("the balance is %s after nine hours", got)
		}
		k.CheckLedger()
	})
}

// A list may end another downtime while those that have ended are decided.
func TestOnlyDowntimesThatWereReadAreSettled(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		k.Pass(50 * time.Minute)
		k.insertDowntime(0, new(k.at(12)))
		k.insertDowntime(20, nil)
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			read, err := deployment.EndedDowntimes(ctx, tx, k.deployment)
			if err != nil {
				return err
			}
			if len(read) != 1 {
				t.Errorf("read %+v", read)
			}
			_, err = tx.Exec(ctx, `UPDATE deployment_downtime SET to_at = $1 WHERE to_at IS NULL`, k.at(40))
			if err != nil {
				return err
			}
			return deployment.SettleDowntimes(ctx, tx, k.deployment, read)
		})
		left, err := deployment.EndedDowntimes(k.Context(), k.DB, k.deployment)
		k.Must(err)
		if len(left) != 1 || !left[0].From.Equal(k.at(20)) {
			t.Fatalf("left: %+v", left)
		}
	})
}

// The bill ends when the auto-termination is due, also if it is carried out later: what comes after
// it is refunded, and must not be credited as well.
func TestNoCreditForTheTimeAfterADueEnd(t *testing.T) {
	for name, ended := range map[string]bool{"not carried out yet": false, "carried out": true} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, k *testKit) {
				k.Pass(50 * time.Minute)
				k.exec(`UPDATE deployment SET auto_terminate_at = $1 WHERE id = $2`, k.at(30), k.deployment)
				end := func() {
					k.exec(`UPDATE deployment SET billed_until = $1 WHERE id = $2`, k.at(30), k.deployment)
					k.MustTx(func(ctx context.Context, tx *db.Tx) error {
						_, err := k.Meter.Stop(ctx, tx, k.deployment, k.at(30), meter.CurrentHour)
						return err
					})
				}
				if ended {
					end()
				}
				k.down(deployment.DownUnhealthy, 5, 50)
				all := k.all()
				if len(all) != 1 || !all[0].To.Equal(k.at(30)) || all[0].Amount != money.ForSeconds(price, 1500) {
					t.Fatalf("of 25 minutes: %+v", all)
				}
				k.set(settings.ServiceCreditsChange{FactorPercent: new(int64(1000))})
				_, err := k.create(0, 50, 8)
				if apierr.CodeOf(err) != apierr.InvalidRequest || !strings.Contains(err.Error(), "to") {
					t.Errorf("entered for later: %v", err)
				}
				byHand, err := k.create(0, 20, 8)
				k.Must(err)
				if byHand.Amount != price/2 {
					t.Errorf("of an hour of which 30 minutes are paid: %s", byHand.Amount)
				}
				_, _, err = k.approve(all[0].ID)
				k.Must(err)
				_, _, err = k.approve(byHand.ID)
				k.Must(err)
				if !ended {
					end()
				}
				k.wantCredited(price / 2)
				if got := k.WalletOf(k.account).Balance; got != 1000*money.USD {
					t.Errorf("the balance is %s: it is not what it was before the charge", got)
				}
			})
		})
	}
}
