package certificate

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/secret"
)

// newStorage returns a storage with a box of its own; the pointed to time is the database's.
func newStorage(t *testing.T, d *db.DB, now *time.Time, key byte) *storage {
	t.Helper()
	box, err := secret.New(append(make([]byte, 31), key))
	if err != nil {
		t.Fatal(err)
	}
	return &storage{
		locks: locks{d, func(context.Context, db.Reader) (time.Time, error) { return *now, nil },
			slog.New(slog.DiscardHandler)},
		secrets: box, held: map[string]*held{},
	}
}

// A holder that crashed does not block indefinitely, and one that is late overwrites nothing.
func TestLock_LeaseAndFence(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		ctx, now := t.Context(), time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
		s := newStorage(t, d, &now, 1)
		late, got, err := s.try(ctx, "order/gpu.example.com")
		if err != nil || !got {
			t.Fatalf("a free lock: %v %v", got, err)
		}
		if _, got, err := s.try(ctx, "order/gpu.example.com"); got || err != nil {
			t.Fatalf("a lock that is held: %v %v", got, err)
		}
		if err := s.Store(late.ctx, "k", []byte("the holder's")); err != nil {
			t.Fatal(err)
		}

		now = now.Add(lease - time.Second)
		if _, got, err := s.try(ctx, "order/gpu.example.com"); got || err != nil {
			t.Fatalf("within the lease: %v %v", got, err)
		}
		now = now.Add(time.Second)
		next, got, err := s.try(ctx, "order/gpu.example.com")
		if err != nil || !got {
			t.Fatalf("after the lease: %v %v", got, err)
		}
		if err := s.Store(late.ctx, "k", []byte("too late")); !errors.Is(err, errLost) {
			t.Errorf("the late holder's write: %v, want errLost", err)
		}
		if err := late.release(ctx); err != nil {
			t.Error(err)
		}
		if err := s.Store(next.ctx, "k", []byte("the next holder's")); err != nil {
			t.Errorf("after the late holder released: %v", err)
		}
		if value, err := s.Load(ctx, "k"); err != nil || string(value) != "the next holder's" {
			t.Errorf("%q %v", value, err)
		}
		if err := next.release(ctx); err != nil {
			t.Error(err)
		}
		if h, got, err := s.try(ctx, "order/gpu.example.com"); !got || err != nil {
			t.Errorf("after the release: %v %v", got, err)
		} else if err := h.release(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestStorage_KeepsWhatCertmagicNeeds(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		ctx, now := t.Context(), time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
		s := newStorage(t, d, &now, 1)
		for _, name := range []string{"acme/ca/users/ada/ada.json", "acme/ca/users/ada/ada.key", "acme/ca/x", "acme2"} {
			if err := s.Store(ctx, name, []byte("secret of "+name)); err != nil {
				t.Fatal(err)
			}
		}
		raw, _, err := findEntry(ctx, d, "acme2")
		if err != nil || cmp.Equal([]byte(raw.sealed), []byte("secret of acme2")) {
			t.Errorf("stored as %q (%v), want it sealed", raw.sealed, err)
		}
		for _, c := range []struct {
			prefix    string
			recursive bool
			want      []string
		}{
			{"acme", false, []string{"acme/ca"}},
			{"acme/ca", false, []string{"acme/ca/users", "acme/ca/x"}},
			{"acme/ca/users/", true, []string{"acme/ca/users/ada/ada.json", "acme/ca/users/ada/ada.key"}},
			{"none", true, []string{}},
		} {
			got, err := s.List(ctx, c.prefix, c.recursive)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("List(%q, %v): %v\n%s", c.prefix, c.recursive, err, diff)
			}
		}
		if info, err := s.Stat(ctx, "acme2"); err != nil || info.Size != int64(len("secret of acme2")) ||
			!info.IsTerminal {
			t.Errorf("Stat: %+v %v", info, err)
		}
		if !s.Exists(ctx, "acme/ca/users") || s.Exists(ctx, "acme/ca/user") {
			t.Error("Exists is wrong about what is above values")
		}
		if _, err := s.Load(ctx, "missing"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load of a missing value: %v, want fs.ErrNotExist", err)
		}
		// After the secret key was replaced, what it sealed is gone.
		if _, err := newStorage(t, d, &now, 2).Load(ctx, "acme2"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load with another key: %v, want fs.ErrNotExist", err)
		}
		if err := s.Delete(ctx, "acme"); err != nil {
			t.Fatal(err)
		}
		if left, err := s.List(ctx, "", true); err != nil || !cmp.Equal(left, []string{"acme2"}) {
			t.Errorf("after Delete: %v %v", left, err)
		}
		if err := s.Unlock(ctx, "never"); err == nil {
			t.Error("a lock that is not held was unlocked")
		}
	})
}

func TestOldRowsAreDeleted(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		ctx, now := t.Context(), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
		s := newStorage(t, d, &now, 1)
		ago := func(days int) *time.Time {
			at := now.AddDate(0, 0, -days)
			return &at
		}
		if err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			for _, r := range []record{
				{domain: "ended.example.com", notAfter: ago(31), next: *ago(60)},
				{domain: "never.example.com", next: *ago(31)},
				{domain: "valid.example.com", notAfter: ago(-5), next: *ago(60)},
				{domain: "tried.example.com", next: *ago(1)},
			} {
				if err := put(ctx, tx, r); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		now = *ago(2)
		for _, name := range []string{"acme/ca/challenge_tokens/gpu.example.com.json", "acme/ca/users/ada.key"} {
			if err := s.Store(ctx, name, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		now = now.AddDate(0, 0, 2)
		err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return deleteOld(ctx, tx, now) })
		if err != nil {
			t.Fatal(err)
		}
		var domains []string
		left, err := listAll(ctx, d)
		for _, r := range left {
			domains = append(domains, r.domain)
		}
		if want := []string{"tried.example.com", "valid.example.com"}; err != nil || !cmp.Equal(domains, want) {
			t.Errorf("domains %v (%v), want %v", domains, err, want)
		}
		if names, err := s.List(ctx, "", true); err != nil || !cmp.Equal(names, []string{"acme/ca/users/ada.key"}) {
			t.Errorf("entries %v (%v), want the account's only", names, err)
		}
	})
}
