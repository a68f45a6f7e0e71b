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

// TestService_List_Names reads the names of what entries are about: the present ones, and the last
// one of what was deleted.
func TestService_List_Names(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := audit.New(id.NewMaker(c, rand.Reader))
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			for _, statement := range []string{
				`INSERT INTO account (id, name, name_key, created_at)
					VALUES ('acc_1', 'Acme', 'acme', 1), ('acc_2', 'Bolt', 'bolt', 1)`,
				`INSERT INTO users (id, account_id, email, password_hash, created_at, name)
					VALUES ('usr_a', 'acc_1', 'ada@example.com', '', 1, 'Ada'),
						('usr_b', 'acc_1', 'b@example.com', '', 1, ''),
						('usr_c', 'acc_2', 'c@example.com', '', 1, 'Cleo')`,
				`INSERT INTO membership (account_id, user_id, role, created_at)
					VALUES ('acc_1', 'usr_a', 'owner', 1), ('acc_1', 'usr_b', 'member', 1),
						('acc_2', 'usr_c', 'owner', 1)`,
				`INSERT INTO webhook (id, account_id, url, description, secret, types, state, after_event, created_at)
					VALUES ('whk_1', 'acc_1', 'https://hooks.example.com/T0/SECRET', '', '', '[]', 'enabled', '', 1)`,
			} {
				if _, err := tx.Exec(ctx, statement); err != nil {
					return err
				}
			}
			entry := func(action, subject, name string) audit.Entry {
				return audit.Entry{
					Account: "acc_1", Actor: audit.Actor{Kind: audit.System}, Action: action, Subject: id.ID(subject),
					SubjectName: name,
				}
			}
			return s.Append(ctx, tx, entry("signIn", "usr_a", ""), entry("signIn", "usr_b", ""),
				entry("createSshKey", "ssh_1", ""), entry("deleteSshKey", "ssh_1", "laptop"),
				entry("createAccount", "acc_1", ""), entry("createDeployment", "dep_gone", ""),
				entry("pauseProviderAccount", "voltage-park", ""), entry("endOtherSessions", "", ""),
				entry("createWebhook", "whk_1", ""),
				entry("updateMember", "usr_d", ""), entry("removeMember", "usr_d", "Dora"),
				entry("removeMember", "usr_b", "Former name"), // and joined again
				// An operator's entries are about other accounts.
				entry("removeUser", "usr_c", ""), entry("startAccountView", "acc_2", ""))
		})
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := s.List(t.Context(), d, "acc_1", audit.Filter{}, db.Page{Number: 1, Limit: 20})
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]string{}
		for _, e := range got {
			names[e.Action+" "+string(e.Subject)] = e.SubjectName
		}
		want := map[string]string{
			"signIn usr_a": "Ada", "signIn usr_b": "b@example.com", "createSshKey ssh_1": "laptop",
			"deleteSshKey ssh_1": "laptop", "createAccount acc_1": "Acme", "createDeployment dep_gone": "",
			"pauseProviderAccount voltage-park": "", "endOtherSessions ": "",
			"createWebhook whk_1": "hooks.example.com", "updateMember usr_d": "Dora", "removeMember usr_d": "Dora",
			"removeMember usr_b": "Former name", "removeUser usr_c": "", "startAccountView acc_2": "",
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("names of the subjects (-want +got):\n%s", diff)
		}
	})
}
