package audit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
)

func TestEntriesAreTheAccountsOwnAndCanBeFiltered(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		l, boom := audit.New(id.NewMaker(c, rand.Reader)), errors.New("boom")
		add := func(account id.ID, actor, action, subject string, fail error) {
			t.Helper()
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return errors.Join(l.Append(ctx, tx, audit.Entry{
					Account: account, Actor: audit.Actor{Kind: audit.Key, ID: id.ID(actor), Name: "ci"}, Action: action, Subject: id.ID(subject), Address: "203.0.113.9", RequestID: "req_1",
				}), fail)
			})
			if !errors.Is(err, fail) {
				t.Fatal(err)
			}
			c.Advance(time.Second)
		}
		start := c.Now()
		add("acc_1", "key_a", "createDeployment", "dep_1", nil)
		add("acc_1", "key_b", "terminateDeployment", "dep_1", nil)
		add("acc_1", "key_b", "createVolume", "vol_1", nil)
		add("acc_1", "key_b", "createVolume", "vol_2", boom) // rolled back with its change
		add("acc_2", "key_c", "createVolume", "vol_3", nil)
		second, third := start.Add(time.Second), start.Add(2*time.Second)
		for _, f := range []struct {
			filter audit.Filter
			want   string
		}{
			{audit.Filter{}, "vol_1 dep_1 dep_1"}, {audit.Filter{Actor: "key_b"}, "vol_1 dep_1"}, {audit.Filter{Action: "createVolume"}, "vol_1"},
			{audit.Filter{Subject: "dep_1", Actor: "key_a"}, "dep_1"}, {audit.Filter{From: &second}, "vol_1 dep_1"}, {audit.Filter{From: &second, To: &third}, "dep_1"},
			{audit.Filter{Subject: "vol_3"}, ""}, {audit.Filter{To: &start}, ""},
		} {
			got, total, err := l.List(t.Context(), d, "acc_1", f.filter, db.Page{Number: 1, Limit: 10})
			subjects := ""
			for _, e := range got {
				subjects += fmt.Sprintf(" %s", e.Subject)
			}
			if err != nil || total.Total != len(got) || (subjects != "" && subjects[1:] != f.want) || (subjects == "" && f.want != "") {
				t.Errorf("%+v: %q of %d, %v; want %q", f.filter, subjects, total.Total, err, f.want)
			}
		}
		got, total, err := l.List(t.Context(), d, "acc_1", audit.Filter{}, db.Page{Number: 3, Limit: 1})
		if err != nil || total.Total != 3 || len(got) != 1 || !got[0].At.Equal(start) || got[0].Actor != (audit.Actor{Kind: audit.Key, ID: "key_a", Name: "ci"}) || !got[0].ID.Valid(id.Audit) {
			t.Errorf("%+v of %d, %v", got, total.Total, err)
		}
	})
}
