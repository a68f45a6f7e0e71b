package wallet_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/google/go-cmp/cmp"
)

func TestStatementIsFilteredAndPaged(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, other := r.account(money.Dollars(100)), r.account(money.Dollars(9))
		dep, vol := r.ids.New(id.Deployment), r.ids.New(id.Volume)
		for n := range int64(5) { // lines 2 to 11, an hour apart
			c.Advance(time.Hour)
			r.charge(hour(account, dep, n, money.USD))
			r.charge(hour(account, vol, n, 1000))
			r.charge(hour(other, r.ids.New(id.Deployment), n, money.USD))
		}
		if made, err := r.refund(back(hour(account, dep, 4, money.USD), 5)); !made || err != nil {
			t.Fatal(made, err)
		}
		at := func(hours int) time.Time { return dbtest.Start.Add(time.Duration(hours) * time.Hour) }
		for _, k := range []struct {
			name string
			f    wallet.Filter
			want int
		}{
			{"all", wallet.Filter{}, 12},
			{"a type", wallet.Filter{Types: []wallet.Type{wallet.TypeCharge}}, 10},
			{"two types", wallet.Filter{Types: []wallet.Type{wallet.TypeTopUp, wallet.TypeRefund}}, 2},
			{"no such type", wallet.Filter{Types: []wallet.Type{"gift"}}, 0},
			{"the deployment", wallet.Filter{Subject: dep}, 6},
			{"the volume", wallet.Filter{Subject: vol}, 5},
			{"another account's deployment", wallet.Filter{Subject: "dep_other"}, 0},
			{"from, inclusive", wallet.Filter{From: at(2)}, 9},
			{"to, exclusive", wallet.Filter{To: at(2)}, 3},
			{"from and to", wallet.Filter{From: at(2), To: at(4)}, 4},
			{"everything at once", wallet.Filter{Types: []wallet.Type{wallet.TypeCharge}, Subject: dep, From: at(2),
				To: at(4)}, 2},
		} {
			all := r.lines(account, k.f)
			if len(all) != k.want {
				t.Errorf("%s: %d lines exported, want %d", k.name, len(all), k.want)
			}
			var paged []wallet.Transaction
			for page := 1; page <= 7; page++ {
				found, total, err := r.ledger.Transactions(t.Context(), d, account, k.f,
					db.Page{Number: page, Limit: 2})
				if err != nil || total.Total != k.want || found == nil {
					t.Fatalf("%s: page %d: %v, total %d, %v", k.name, page, found, total.Total, err)
				}
				paged = append(paged, found...)
			}
			if !reflect.DeepEqual(paged, all) {
				t.Errorf("%s: the pages are not the export", k.name)
			}
			for i := 1; i < len(all); i++ {
				if all[i-1].ID <= all[i].ID {
					t.Errorf("%s: line %d is not newer than the one after it", k.name, i)
				}
			}
		}
		if v := r.lines(account, wallet.Filter{Subject: vol})[0]; v.DeploymentID != nil || *v.VolumeID != vol {
			t.Errorf("the volume's line: %+v", v)
		}
	})
}

func TestLedger_Export(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(0)
		const lines = 2000 // two full chunks: the third query finds nothing
		for n := range lines / 500 {
			var charges []wallet.Charge
			for i := range 500 {
				charges = append(charges, hour(account, "dep_1", int64(n*500+i), 1))
			}
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := r.ledger.ChargeAll(ctx, tx,
					charges)
				return err
			})
		}
		all := r.lines(account, wallet.Filter{})
		if len(all) != lines {
			t.Fatalf("%d lines", len(all))
		}
		for i, l := range all {
			if l.AvailableAfter != money.Micros(i-lines) {
				t.Fatalf("line %d: %+v", i, l)
			}
		}
		enough, seen := errors.New("enough"), 0
		err := r.ledger.Export(t.Context(), d, account, wallet.Filter{}, func(wallet.Transaction) error {
			if seen++; seen == 3 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || seen != 3 {
			t.Errorf("%v after %d", err, seen)
		}
	})
}

func TestLedger_UsageIsNetOfRefundsByDayOfStart(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(money.Dollars(100))
		midnight := time.Date(2028, 3, 1, 0, 0, 0, 0, time.UTC)
		book := func(account, subject id.ID, n int64, from time.Time, amount, refund money.Micros,
			labels wallet.Labels) {
			t.Helper()
			charge := wallet.Charge{Account: account, Subject: subject, Hour: n, Amount: amount, HourlyPrice: amount,
				From: from, To: from.Add(time.Hour), Labels: labels}
			r.charge(charge)
			if refund > 0 {
				f := back(charge, refund)
				f.From = from.Add(45 * time.Minute) // on the next day for the hour that spans midnight
				if made, err := r.refund(f); !made || err != nil {
					t.Fatal(made, err)
				}
			}
		}
		a, b, v := r.ids.New(id.Deployment), r.ids.New(id.Deployment), r.ids.New(id.Volume)
		b200 := wallet.Labels{Provider: "voltage-park", Region: "dallas-usa-5", GPUType: "NVIDIA B200", Name: "alpha"}
		h100 := wallet.Labels{Provider: "latitude", Region: "nyc", GPUType: "NVIDIA H100", Name: "beta"}
		store := wallet.Labels{Provider: "latitude", Region: "nyc", Name: "data"}
		book(account, a, 0, midnight.Add(-90*time.Minute), 20, 0, b200)
		book(account, a, 1, midnight.Add(-30*time.Minute), 20, 5, b200) // still the 29th, refund and all
		book(account, b, 0, midnight, 7, 0, h100)                       // the first instant of the 1st
		book(account, b, 1, midnight.Add(time.Hour), 7, 7, h100)
		book(account, v, 0, midnight.Add(-time.Microsecond), 3, 0, store) // the last instant of the 29th
		book(r.account(50), r.ids.New(id.Deployment), 0, midnight, 50, 0, b200)

		name := func(s string) *string { return &s }
		everFrom, everTo := midnight.AddDate(-1, 0, 0), midnight.AddDate(1, 0, 0)
		for _, k := range []struct {
			by       wallet.GroupBy
			from, to time.Time
			want     []wallet.UsageGroup
		}{
			{wallet.ByDay, everFrom, everTo, []wallet.UsageGroup{{"2028-02-29", nil, 38}, {"2028-03-01", nil, 7}}},
			{wallet.ByDay, midnight, everTo, []wallet.UsageGroup{{"2028-03-01", nil, 7}}},
			{wallet.ByDay, everFrom, midnight, []wallet.UsageGroup{{"2028-02-29", nil, 38}}},
			{wallet.ByDay, everTo, everTo.AddDate(1, 0, 0), []wallet.UsageGroup{}},
			{wallet.ByDeployment, everFrom, everTo, []wallet.UsageGroup{{string(a), name("alpha"), 35},
				{string(b), name("beta"), 7}, {string(v), name("data"), 3}}},
			{wallet.ByGPUType, everFrom, everTo, []wallet.UsageGroup{{"NVIDIA B200", nil, 35}, {"NVIDIA H100", nil, 7},
				{"", nil, 3}}},
			{wallet.ByProvider, everFrom, everTo, []wallet.UsageGroup{{"voltage-park", nil, 35},
				{"latitude", nil, 10}}},
		} {
			u, err := r.ledger.Usage(t.Context(), d, account, wallet.UsageQuery{From: k.from, To: k.to, By: k.by})
			if err != nil {
				t.Fatal(err)
			}
			total := money.Micros(0)
			for _, g := range k.want {
				total += g.Cost
			}
			if !reflect.DeepEqual(u.Groups, k.want) || u.Total != total || u.GroupBy != k.by {
				t.Errorf("by %s: %+v, want %+v", k.by, u, k.want)
			}
		}
		weekly := wallet.UsageQuery{From: everFrom, To: everTo, By: "week"}
		if _, err := r.ledger.Usage(t.Context(), d, account, weekly); err == nil {
			t.Error("grouped by week")
		}
		r.audited()
	})
}

func TestStatementListsUseIndexes(t *testing.T) {
	d := dbtest.SQLite(t, clock.System{})
	for _, query := range []string{
		`SELECT id FROM wallet_transaction WHERE account_id = $1 ORDER BY seq DESC LIMIT 20`,
		`SELECT id FROM wallet_transaction WHERE account_id = $1 AND type IN ('charge') ORDER BY seq DESC LIMIT 20`,
		`SELECT id FROM wallet_transaction WHERE account_id = $1 AND subject = 'x' ORDER BY seq DESC LIMIT 20`,
		`SELECT COUNT(*) FROM wallet_transaction WHERE account_id = $1 AND created_at >= 5 AND created_at < 9`,
		`SELECT provider FROM wallet_charge WHERE account_id = $1 AND from_at >= 5 AND from_at < 9`,
	} {
		rows, err := d.Query(t.Context(), `EXPLAIN QUERY PLAN `+query, "acc_1")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var a, b, c int
			var plan string
			if err := rows.Scan(&a, &b, &c, &plan); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(plan, "INDEX") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("%s\n%s", query, plan)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLedger_UsageByTag(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(10)
		for subject, tags := range map[id.ID][]string{"dep_a": {"train", "eu"}, "dep_b": {"train"}, "dep_c": nil} {
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				return r.ledger.Describe(ctx, tx, wallet.Subject{ID: subject, Account: account, Tags: tags})
			})
			r.charge(hour(account, subject, 0, 10))
		}
		from, to := dbtest.Start.Add(-time.Hour), dbtest.Start.Add(time.Hour)
		got, err := r.ledger.Usage(t.Context(), d, account, wallet.UsageQuery{From: from, To: to, By: wallet.ByTag})
		want := wallet.Usage{
			From: from, To: to, GroupBy: wallet.ByTag, Total: 30,
			Groups: []wallet.UsageGroup{{Key: "train", Cost: 20}, {Key: "", Cost: 10}, {Key: "eu", Cost: 10}},
			Days:   []wallet.UsageDay{},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Usage by tag: %v (-want +got):\n%s", err, diff)
		}
		charges := wallet.Filter{Types: []wallet.Type{wallet.TypeCharge}}
		_, listed, err := r.ledger.Transactions(t.Context(), d, account, charges, db.Page{Number: 1, Limit: 10})
		if listed.Total != 3 || err != nil {
			t.Errorf("Transactions of one type counts %d, %v, want 3 of 4", listed.Total, err)
		}
	})
}
