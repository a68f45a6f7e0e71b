package console_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/console"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

type kit struct {
	*console.Service
	t     *testing.T
	db    *db.DB
	clock *clock.Simulated
	audit *audit.Service
}

func each(t *testing.T, f func(k *kit)) {
	t.Helper()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		ids := id.NewMaker(c, rand.Reader)
		k := &kit{t: t, db: d, clock: c, audit: audit.New(ids)}
		k.Service = console.New(console.Config{DB: d, IDs: ids, Audit: k.audit, Jobs: job.NewQueue(ids)})
		f(k)
	})
}

func (k *kit) begin(who string, takeOver bool) (s console.Session, err error) {
	err = k.db.InTx(k.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		s, err = k.Begin(ctx, tx, console.Session{
			Deployment: "dep_1", Account: "acc_1",
			Actor:   audit.Actor{Kind: audit.User, ID: id.ID("usr_" + who), Name: who},
			Address: "203.0.113.9", RequestID: "req_1",
		}, takeOver)
		return err
	})
	return s, err
}

func (k *kit) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) lives(s console.Session, want bool) {
	k.t.Helper()
	if got, err := k.Renew(k.t.Context(), s); err != nil || got != want {
		k.t.Errorf("the session of %s lives: %v, %v, want %v", s.Actor.Name, got, err, want)
	}
}

// closed compares the entries of ends, newest first.
func (k *kit) closed(want ...string) {
	k.t.Helper()
	var got []string
	page, _, err := k.audit.List(k.t.Context(), k.db, "acc_1", audit.Filter{}, db.Page{Number: 1, Limit: 10})
	k.must(err)
	for _, e := range page {
		if e.Action != console.Closed || e.Subject != "dep_1" || e.Address != "203.0.113.9" {
			k.t.Errorf("%+v", e)
		}
		got = append(got, e.Actor.Name+": "+e.Detail)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		k.t.Errorf("the audit log has %q, want %q", got, want)
	}
}

func TestOneSessionAtATime(t *testing.T) {
	each(t, func(k *kit) {
		ada, err := k.begin("Ada", false)
		k.must(err)
		k.clock.Advance(time.Minute - console.Lease)
		k.lives(ada, true)
		if _, err := k.begin("Bob", false); apierr.CodeOf(err) != apierr.Conflict ||
			!strings.Contains(err.Error(), "Ada") {
			t.Errorf("a second session: %v", err)
		}
		if err := k.Free(t.Context(), "dep_1"); apierr.CodeOf(err) != apierr.Conflict ||
			!strings.Contains(err.Error(), "Ada") {
			t.Errorf("a console that is open is free: %v", err)
		}
		k.must(k.Free(t.Context(), "dep_2"))
		k.clock.Advance(console.Lease - time.Second)
		bob, err := k.begin("Bob", true)
		k.must(err)
		k.lives(ada, false)
		k.lives(bob, true)
		k.must(k.End(t.Context(), ada, "the user left")) // later than its end
		k.lives(bob, true)
		k.closed("Ada: Open for 59s; taken over.")
		k.clock.Advance(5 * time.Second)
		k.must(k.End(t.Context(), bob, "The user left."))
		k.must(k.End(t.Context(), bob, "again"))
		k.lives(bob, false)
		k.closed("Bob: Open for 5s; the user left.", "Ada: Open for 59s; taken over.")
	})
}

// A server that was killed writes nothing.
func TestASessionWhoseServerIsGoneEnds(t *testing.T) {
	each(t, func(k *kit) {
		ada, err := k.begin("Ada", false)
		k.must(err)
		k.clock.Advance(12 * time.Second)
		k.lives(ada, true)
		k.clock.Advance(console.Lease - time.Second)
		if again, err := k.Expire(t.Context(), "dep_1"); err != nil || again == job.Done() {
			t.Errorf("a session that was renewed: %v, %v", again, err)
		}
		k.closed()
		k.clock.Advance(time.Second)
		k.must(k.Free(t.Context(), "dep_1"))
		if again, err := k.Expire(t.Context(), "dep_1"); err != nil || again != job.Done() {
			t.Errorf("a session that was not: %v, %v", again, err)
		}
		k.lives(ada, false)
		k.closed("Ada: Open for 12s; its server stopped.")
		if again, err := k.Expire(t.Context(), "dep_1"); err != nil || again != job.Done() {
			t.Errorf("no session: %v, %v", again, err)
		}
		bob, err := k.begin("Bob", false)
		k.must(err)
		k.clock.Advance(console.Lease)
		ada, err = k.begin("Ada", false) // faster than the job
		k.must(err)
		k.lives(bob, false)
		k.lives(ada, true)
		k.closed("Bob: Open for 0s; its server stopped.", "Ada: Open for 12s; its server stopped.")
	})
}
