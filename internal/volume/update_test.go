package volume_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

func TestGrowthKeepsThePricePerGB(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		r.cloud.set(func(c *cloud) { c.perGB = 10_000 }) // for new volumes
		r.Clock.Advance(time.Minute)
		r.sync()
		if got := r.done(r.grow(v, 1_000)); got.SizeGB != 100 || *got.GrowingToGB != 1_000 || got.HourlyPrice != price {
			t.Fatalf("Update = %+v, want it growing at the old price", got)
		}
		r.Drain()
		if got := r.get(v); got.SizeGB != 1_000 || got.GrowingToGB != nil || got.HourlyPrice != 10*price ||
			got.CostToDate != price {
			t.Fatalf("the volume is %+v, want 1,000 GB at ten times the price", got)
		}
		r.Pass(time.Hour)
		if got := r.get(v); got.CostToDate != 11*price {
			t.Fatalf("the cost is %s, want %s", got.CostToDate, 11*price)
		}
		r.cloud.failing(trouble{rejected, false}, "grow")
		r.done(r.grow(v, 2_000))
		r.Drain()
		if got := r.get(v); got.SizeGB != 1_000 || got.GrowingToGB != nil || got.StatusReason == nil ||
			got.HourlyPrice != 10*price {
			t.Fatalf("after the provider refused, the volume is %+v", got)
		}
	})
}

func TestUpdate_Refused(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		_, err := r.grow(v, 50)
		enginetest.WantError(t, err, apierr.InvalidRequest, "cannot shrink")
		_, err = r.grow(v, 10_001)
		enginetest.WantError(t, err, apierr.InvalidRequest, "at most 10000")
		name, size := "a/b", int64(1)
		_, err = r.update(v, volume.UpdateRequest{Name: &name, SizeGB: &size})
		if e, is := errors.AsType[*apierr.Error](err); !is || len(e.Fields()) != 2 {
			t.Errorf("Update = %v, want both fields at once", err)
		}
		r.Credit(acc, -money.Dollars(20), "a debt")
		_, err = r.grow(v, 200)
		enginetest.WantError(t, err, apierr.InsufficientBalance, "$0.011", "100 GB")
		_, err = r.create(acc, "another", 10)
		enginetest.WantError(t, err, apierr.InsufficientBalance, "-$10.")
	})
}

func TestRenamedVolumeIsChargedByItsNewName(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		if got := r.done(r.rename(v, "renamed")); got.Name != "renamed" {
			t.Fatalf("Update = %+v, want the new name", got)
		}
		r.Pass(time.Hour)
		newest, _, err := r.Wallet.Transactions(
			t.Context(), r.DB, acc, wallet.Filter{Subject: v}, db.Page{Number: 1, Limit: 1})
		if err != nil || !strings.HasPrefix(newest[0].Description, "renamed: ") {
			t.Fatalf("the newest transaction is %+v, %v; want the new name", newest, err)
		}
	})
}

func TestParallelRenamesGiveANameOnce(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.open(acc, money.Dollars(1_000))
		var made []id.ID
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			made = append(made, r.done(r.create(acc, name, 10)).ID)
		}
		for _, wanted := range []string{"w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8"} { // they do not always meet
			won := race(t, made, func(v id.ID) error { _, err := r.rename(v, wanted); return err })
			if won != 1 {
				t.Fatalf("%d volumes have the name %s, want 1", won, wanted)
			}
		}
	})
}

func TestOtherAccountsVolumesAreNotFound(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		r.open("acc_2", money.Dollars(10))
		theirs := r.done(r.create("acc_2", "datasets", 100)).ID
		for name, f := range map[string]func(id.ID) (volume.Volume, error){
			"Get":    func(v id.ID) (volume.Volume, error) { return r.volumes.Get(t.Context(), r.DB, acc, v) },
			"Detach": r.detach,
			"Delete": r.delete,
			"Attach": func(v id.ID) (volume.Volume, error) { return r.attach(v, target1) },
			"Update": func(v id.ID) (volume.Volume, error) { return r.rename(v, "mine") },
		} {
			if _, err := f(theirs); err == nil || apierr.CodeOf(err) != apierr.NotFound {
				t.Errorf("%s of another account's volume = %v, want NOT_FOUND", name, err)
			}
		}
		found, missing, err := r.volumes.Find(t.Context(), r.DB, acc, "", []id.ID{theirs, v})
		if err != nil || len(found) != 1 || found[0].ID != v || found[0].CostToDate != price ||
			len(missing) != 1 || missing[0] != theirs {
			t.Errorf("Find = %+v, missing %v, %v; want only the account's own", found, missing, err)
		}
		if all, total := r.list(db.NewestFirst, enginetest.FirstPage); total != 1 || all[0].ID != v {
			t.Errorf("List = %+v of %d, want only the account's own", all, total)
		}
	})
}

func TestService_List(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.open(acc, money.Dollars(10))
		var made []id.ID
		for _, name := range []string{"a", "b", "c"} {
			made = append(made, r.done(r.create(acc, name, 10)).ID)
		}
		for _, c := range []struct {
			order db.Order
			page  int
			want  id.ID
		}{
			{db.OldestFirst, 1, made[0]}, {db.OldestFirst, 2, made[1]}, {db.NewestFirst, 1, made[2]},
			{db.NewestFirst, 3, made[0]},
		} {
			got, total := r.list(c.order, db.Page{Number: c.page, Limit: 1})
			if total != 3 || len(got) != 1 || got[0].ID != c.want {
				t.Errorf("page %d in the order %d is %+v of %d, want %s of 3", c.page, c.order, got, total, c.want)
			}
		}
	})
}

func TestService_List_ByName(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.open(acc, money.Dollars(10))
		r.done(r.create(acc, "a", 10))
		b := r.done(r.create(acc, "b", 10)).ID
		for name, want := range map[string]int{"": 2, "b": 1, "B": 1, "c": 0} {
			f := volume.Filter{NameFilter: db.NameFilter{Name: name}, Order: db.NewestFirst}
			got, total, err := r.volumes.List(t.Context(), r.DB, acc, f, enginetest.FirstPage)
			if err != nil || total.Total != want || len(got) != want || want > 0 && got[0].ID != b {
				t.Errorf("List of the name %q = %+v of %d, %v; want %d", name, got, total.Total, err, want)
			}
		}
	})
}

func TestOtherAccountsVolumeIsNotLocked(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		if r.DB.Engine() == db.SQLite {
			t.Skip("SQLite has one writer at a time")
		}
		held, done := make(chan struct{}), make(chan error)
		go func() {
			done <- r.Tx(func(ctx context.Context, tx *db.Tx) error {
				size := int64(200)
				_, err := r.volumes.Update(ctx, tx, acc, v, volume.UpdateRequest{SizeGB: &size})
				held <- struct{}{}
				<-held
				return err
			})
		}()
		<-held
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := r.volumes.Delete(ctx, tx, "acc_2", v)
			return err
		})
		held <- struct{}{}
		if err := <-done; err != nil {
			t.Error(err)
		}
		enginetest.WantError(t, err, apierr.NotFound) // without waiting for the lock
	})
}
