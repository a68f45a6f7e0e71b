package audit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/google/go-cmp/cmp"
)

func TestService_List(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s, boom := audit.New(id.NewMaker(c, rand.Reader)), errors.New("boom")
		add := func(account id.ID, actor, action, subject string, fail error) {
			t.Helper()
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return errors.Join(s.Append(ctx, tx, audit.Entry{
					Account: account, Actor: audit.Actor{Kind: audit.Key, ID: id.ID(actor), Name: "ci"}, Action: action,
					Subject: id.ID(subject), Address: "203.0.113.9", RequestID: "req_1",
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
			{audit.Filter{}, "vol_1 dep_1 dep_1"},
			{audit.Filter{Actor: "key_b"}, "vol_1 dep_1"},
			{audit.Filter{Action: "createVolume"}, "vol_1"},
			{audit.Filter{Subject: "dep_1", Actor: "key_a"}, "dep_1"},
			{audit.Filter{From: &second}, "vol_1 dep_1"},
			{audit.Filter{From: &second, To: &third}, "dep_1"},
			{audit.Filter{Subject: "vol_3"}, ""},
			{audit.Filter{To: &start}, ""},
		} {
			got, total, err := s.List(t.Context(), d, "acc_1", f.filter, db.Page{Number: 1, Limit: 10})
			var subjects []string
			for _, e := range got {
				subjects = append(subjects, string(e.Subject))
			}
			if text := strings.Join(subjects, " "); err != nil || total.Total != len(got) || text != f.want {
				t.Errorf("List %+v: got %q of %d, %v; want %q", f.filter, text, total.Total, err, f.want)
			}
		}
		got, total, err := s.List(t.Context(), d, "acc_1", audit.Filter{}, db.Page{Number: 3, Limit: 1})
		if err != nil || total.Total != 3 || len(got) != 1 || !got[0].ID.Valid(id.Audit) {
			t.Fatalf("List of the last page: got %+v of %d, %v", got, total.Total, err)
		}
		want := audit.Entry{
			ID: got[0].ID, Account: "acc_1", At: start, Actor: audit.Actor{Kind: audit.Key, ID: "key_a", Name: "ci"},
			Action: "createDeployment", Subject: "dep_1", Address: "203.0.113.9", RequestID: "req_1",
		}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("List of the last page (-want +got):\n%s", diff)
		}
	})
}
