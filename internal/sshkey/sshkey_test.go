package sshkey_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/sshkey"
)

const (
	mine   id.ID = "acc_mine"
	theirs id.ID = "acc_theirs"
)

func open(t *testing.T, d *db.DB, c *clock.Simulated) *sshkey.Service {
	t.Helper()
	return sshkey.New(sshkey.Config{DB: d, IDs: id.NewMaker(c, rand.Reader)})
}

func create(ctx context.Context, d *db.DB, s *sshkey.Service, account id.ID, name, key string) (k sshkey.Key,
	err error) {
	err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		k, err = s.Create(ctx, tx, account, name, key, creator.ByOperator)
		return err
	})
	return k, err
}

func wantCode(t *testing.T, err error, code apierr.Code) *apierr.Error {
	t.Helper()
	e, is := errors.AsType[*apierr.Error](err)
	if !is || e.Code != code {
		t.Fatalf("got error %v, want %s", err, code)
	}
	return e
}

func TestService_Create(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := open(t, d, c)
		made, err := create(t.Context(), d, s, mine, "laptop", "  "+keys().ed+"   me@laptop\n")
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(t.Context(), d, mine, made.ID)
		if err != nil || got != made || got.PublicKey != keys().ed+" me@laptop" || got.Type != "ssh-ed25519" ||
			!got.CreatedAt.Equal(c.Now()) || !got.ID.Valid(id.SSHKey) {
			t.Fatalf("Get: got %+v, %v, want %+v", got, err, made)
		}
		var fields map[string]any
		if b, err := json.Marshal(got); err != nil || json.Unmarshal(b, &fields) != nil || len(fields) != 7 ||
			fields["publicKey"] != got.PublicKey {
			t.Fatalf("JSON: got %s, %v", b, err)
		}
	})
}

func TestService_Create_InvalidFields(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := open(t, d, c)
		_, err := create(t.Context(), d, s, mine, "", "ssh-ed25519 AAAA... user@machine")
		e := wantCode(t, err, apierr.InvalidRequest)
		if f := e.Fields(); len(f) != 2 || f[0].Field != "name" || f[1].Field != "publicKey" ||
			!strings.Contains(f[1].Message, "placeholder of the example") {
			t.Fatalf("got fields %+v", f)
		}
		if _, total, err := s.List(t.Context(), d, mine, db.NameFilter{}, db.NewestFirst, db.Page{
			Number: 1, Limit: 20,
		}); err != nil ||
			total.Total != 0 {
			t.Fatalf("got %d keys, %v, want none", total.Total, err)
		}
	})
}

func TestService_Create_Conflict(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s, ctx := open(t, d, c), t.Context()
		first, err := create(ctx, d, s, mine, "laptop", keys().ed+" me@laptop")
		if err != nil {
			t.Fatal(err)
		}
		_, err = create(ctx, d, s, mine, "other", keys().ed+" another comment")
		if e := wantCode(t, err, apierr.Conflict); e.Details["id"] != first.ID ||
			!strings.Contains(e.Message, string(first.ID)) || !strings.Contains(e.Message, "public key") {
			t.Fatalf("got %+v", e)
		}
		_, err = create(ctx, d, s, mine, "laptop", keys().ed2)
		if e := wantCode(t, err, apierr.Conflict); e.Details["id"] != first.ID || !strings.Contains(e.Message, "name") {
			t.Fatalf("got %+v", e)
		}
		// Another account may have both; that the first has them is not to be seen.
		if _, err := create(ctx, d, s, theirs, "laptop", keys().ed); err != nil {
			t.Fatal(err)
		}
	})
}

func TestService_Create_Concurrent(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := open(t, d, c)
		made := make(chan id.ID, 10)
		var wg sync.WaitGroup
		for range cap(made) {
			wg.Go(func() {
				k, err := create(t.Context(), d, s, mine, "laptop", keys().ed)
				if err == nil {
					made <- k.ID
				} else if apierr.CodeOf(err) != apierr.Conflict {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, total, err := s.List(t.Context(), d, mine, db.NameFilter{}, db.NewestFirst, db.Page{
			Number: 1, Limit: 20,
		}); err != nil ||
			total.Total != 1 ||
			len(made) != 1 {
			t.Fatalf("got %d created, %d stored, %v, want one", len(made), total.Total, err)
		}
	})
}

func TestService_List_Pages(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s, ctx := open(t, d, c), t.Context()
		for i, k := range []string{keys().ed, keys().ed2, keys().rsa, keys().p256, keys().p384} {
			if _, err := create(ctx, d, s, mine, string(rune('a'+i)), k); err != nil {
				t.Fatal(err)
			}
			c.Advance(time.Second)
		}
		if _, err := create(ctx, d, s, theirs, "x", keys().ed); err != nil {
			t.Fatal(err)
		}
		for page, want := range map[int]string{1: "ed", 2: "cb", 3: "a", 4: ""} {
			got, total, err := s.List(ctx, d, mine, db.NameFilter{}, db.NewestFirst, db.Page{Number: page, Limit: 2})
			names := ""
			for _, k := range got {
				names += k.Name
			}
			if err != nil || total.Total != 5 || names != want || got == nil {
				t.Errorf("page %d: got %q of %d, %v; want %q", page, names, total.Total, err, want)
			}
		}
	})
}

func TestService_List_Order(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s, ctx := open(t, d, c), t.Context()
		for i, k := range []string{keys().ed, keys().ed2, keys().rsa} {
			if _, err := create(ctx, d, s, mine, []string{"b", "A", "c"}[i], k); err != nil {
				t.Fatal(err)
			}
			c.Advance(time.Second)
		}
		for o, want := range map[db.Order]string{db.NewestFirst: "cAb", db.OldestFirst: "bAc", db.ByName: "Abc",
			db.ByNameDown: "cbA"} {
			got, _, err := s.List(ctx, d, mine, db.NameFilter{}, o, db.Page{Number: 1, Limit: 10})
			names := ""
			for _, k := range got {
				names += k.Name
			}
			if err != nil || names != want {
				t.Errorf("order %d: got %q, %v; want %q", o, names, err, want)
			}
		}
	})
}

func TestService_OtherAccount(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s, ctx := open(t, d, c), t.Context()
		k, err := create(ctx, d, s, theirs, "laptop", keys().ed)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []id.ID{k.ID, "ssh_none", "", "ssh_\x00", "dep_1", "ssh_\xff"} {
			errs := []error{}
			_, err := s.Get(ctx, d, mine, i)
			errs = append(errs, err)
			errs = append(errs, d.InTx(ctx, func(ctx context.Context,
				tx *db.Tx) error {
				return s.Delete(ctx, tx, mine, i)
			}))
			errs = append(errs, d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
				_, err := s.Rename(ctx, tx, mine, i, "new")
				return err
			}))
			for _, err := range errs {
				// Alike to the letter, or the two could be told apart.
				if e := wantCode(t, err, apierr.NotFound); e.Message != "There is no SSH key with this id." ||
					e.Details != nil {
					t.Errorf("%q: got %+v", i, e)
				}
			}
		}
		if got, err := s.Get(ctx, d, theirs, k.ID); err != nil || got != k {
			t.Fatalf("got %+v, %v", got, err)
		}
		found, missing, err := s.Find(ctx, d, mine, []id.ID{k.ID})
		if err != nil || len(found) != 0 || len(missing) != 1 {
			t.Fatalf("Find: got %v, missing %v, %v", found, missing, err)
		}
		if byPrint, err := s.ByFingerprint(ctx, d, mine, []string{k.Fingerprint}); err != nil || len(byPrint) != 0 {
			t.Fatalf("ByFingerprint: got %v, %v", byPrint, err)
		}
	})
}

func TestService_Find(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s, ctx := open(t, d, c), t.Context()
		a, err := create(ctx, d, s, mine, "a", keys().ed)
		if err != nil {
			t.Fatal(err)
		}
		b, err := create(ctx, d, s, mine, "b", keys().ed2)
		if err != nil {
			t.Fatal(err)
		}
		ids := []id.ID{b.ID, "ssh_none", a.ID, b.ID, "bad\x00id"}
		for range 1200 { // more than one batch
			ids = append(ids, "ssh_none")
		}
		found, missing, err := s.Find(ctx, d, mine, ids)
		if err != nil || len(found) != 2 || found[0] != b || found[1] != a || len(missing) != 2 ||
			missing[0] != "ssh_none" || missing[1] != "bad\x00id" {
			t.Fatalf("Find: got %+v, missing %q, %v", found, missing, err)
		}
		if found, missing, err = s.Find(ctx, d, mine, nil); err != nil || found == nil || missing == nil ||
			len(found)+len(missing) != 0 {
			t.Fatalf("Find: got %v, missing %v, %v", found, missing, err)
		}
		byPrint, err := s.ByFingerprint(ctx, d, mine, []string{a.Fingerprint, "SHA256:none", "\x00", a.Fingerprint})
		if err != nil || len(byPrint) != 1 || byPrint[a.Fingerprint] != a {
			t.Fatalf("ByFingerprint: got %v, %v", byPrint, err)
		}
	})
}

func TestService_RenameAndDelete(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s, ctx := open(t, d, c), t.Context()
		a, err := create(ctx, d, s, mine, "a", keys().ed)
		if err != nil {
			t.Fatal(err)
		}
		b, err := create(ctx, d, s, mine, "b", keys().ed2)
		if err != nil {
			t.Fatal(err)
		}
		rename := func(to string) (k sshkey.Key, err error) {
			err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
				k, err = s.Rename(ctx, tx, mine, a.ID, to)
				return err
			})
			return k, err
		}
		if k, err := rename("a"); err != nil || k != a {
			t.Fatalf("got %+v, %v", k, err)
		}
		_, err = rename("b")
		if e := wantCode(t, err, apierr.Conflict); e.Details["id"] != b.ID {
			t.Fatalf("got %+v", e)
		}
		_, err = rename(" c")
		wantCode(t, err, apierr.InvalidRequest)
		if k, err := rename("c"); err != nil || k.Name != "c" {
			t.Fatalf("got %+v, %v", k, err)
		}
		remove := func() error {
			return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.Delete(ctx, tx, mine, a.ID) })
		}
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		wantCode(t, remove(), apierr.NotFound)
		// Key and name are free again.
		if _, err := create(ctx, d, s, mine, "c", keys().ed); err != nil {
			t.Fatal(err)
		}
	})
}

// A name refused by the unique index must not spoil the caller's transaction: PostgreSQL would
// refuse its every further statement.
func TestService_Rename_ConflictKeepsTransaction(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s, ctx := open(t, d, c), t.Context()
		a, err := create(ctx, d, s, mine, "a", keys().ed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := create(ctx, d, s, mine, "b", keys().ed2); err != nil {
			t.Fatal(err)
		}
		err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := s.Rename(ctx, tx, mine, a.ID, "b")
			wantCode(t, err, apierr.Conflict)
			_, err = s.Rename(ctx, tx, mine, a.ID, "c")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if k, err := s.Get(ctx, d, mine, a.ID); err != nil || k.Name != "c" {
			t.Fatalf("got %+v, %v", k, err)
		}
	})
}

func TestService_Rename_Concurrent(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s, ctx := open(t, d, c), t.Context()
		var made []id.ID
		for i, text := range []string{keys().ed, keys().ed2, keys().rsa, keys().p256, keys().p384, keys().p521} {
			k, err := create(ctx, d, s, mine, string(rune('a'+i)), text)
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, k.ID)
		}
		won := make(chan id.ID, len(made))
		var wg sync.WaitGroup
		for _, k := range made {
			wg.Go(func() {
				err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
					_, err := s.Rename(ctx, tx, mine, k, "wanted")
					return err
				})
				if err == nil {
					won <- k
				} else if apierr.CodeOf(err) != apierr.Conflict {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("got %d keys with the name, want one", len(won))
		}
	})
}
