package secret_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/secret"
)

var (
	values = secret.Column{
		Table: "acme_entry", Column: "value", Key: "name", Purpose: func(name string) string { return "acme/" + name },
	}
	password = secret.Column{Table: "settings", Column: "mail_password", Purpose: secret.For("password")}
	columns  = []secret.Column{values, password}
)

// kept is a database with sealed texts, and both keys.
type kept struct {
	t        *testing.T
	db       *db.DB
	one, two *secret.Box
	both     *secret.Box // seals with two
}

func newKept(t *testing.T, d *db.DB) *kept {
	t.Helper()
	both, err := secret.New(bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &kept{t, d, box(t, 1), box(t, 2), both}
}

func (k *kept) exec(query string, args ...any) {
	k.t.Helper()
	if err := k.db.InTx(k.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	}); err != nil {
		k.t.Error(err)
	}
}

func (k *kept) insert(name, value string) {
	k.t.Helper()
	k.exec(`INSERT INTO acme_entry (name, value, modified_at) VALUES ($1, $2, 0)`, name, value)
}

// text returns what is in the row, which the box opens.
func (k *kept) text(b *secret.Box, name string) string {
	k.t.Helper()
	sealed, found, err := db.Find(k.t.Context(), k.db, db.Value[string],
		`SELECT value FROM acme_entry WHERE name = $1`, name)
	if err != nil || !found {
		k.t.Fatalf("%s: %t, %v", name, found, err)
	}
	plain, err := b.Open(values.Purpose(name), sealed)
	if err != nil {
		k.t.Errorf("%s: %v", name, err)
	}
	return string(plain)
}

func (k *kept) counts(want map[string]int64) {
	k.t.Helper()
	got, err := secret.Count(k.t.Context(), k.db, columns)
	if err != nil || !maps.Equal(got, want) {
		k.t.Errorf("Count: got %v, %v, want %v", got, err, want)
	}
}

func TestReseal(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		k := newKept(t, d)
		const n = 250 // several batches
		for i := range n {
			name := fmt.Sprint("row ", i)
			k.insert(name, k.one.Seal("acme/"+name, []byte("text of "+name)))
		}
		k.insert("new", k.two.Seal("acme/new", []byte("new")))
		k.insert("other", box(t, 3).Seal("acme/other", []byte("lost")))
		k.exec(`UPDATE settings SET mail_password = $1`, k.one.Seal("password", []byte("hush")))
		k.insert("moved", k.one.Seal("acme/elsewhere", []byte("of another row")))
		one, two, other := k.one.Name(), k.two.Name(), box(t, 3).Name()
		k.counts(map[string]int64{one: n + 2, two: 1, other: 1})

		done, err := k.both.Reseal(t.Context(), d, one, columns)
		if err != nil || done.Values != n+1 || done.Unopened != 1 || len(done.Problems) != 1 {
			t.Fatalf("Reseal: got %+v, %v, want %d values and one problem", done, err, n+1)
		}
		k.counts(map[string]int64{one: 1, two: n + 2, other: 1})
		for i := range n {
			name := fmt.Sprint("row ", i)
			if got := k.text(k.two, name); got != "text of "+name {
				t.Errorf("%s: got %q", name, got)
			}
		}
		done, err = k.both.Reseal(t.Context(), d, one, columns)
		if err != nil || done.Values != 0 || done.Unopened != 1 {
			t.Errorf("Reseal again: got %+v, %v", done, err)
		}
	})
}

// A text that is changed while everything is sealed again stays as it was written.
func TestReseal_OverwritesNoChange(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		k := newKept(t, d)
		const rows, writes = 40, 120
		want := map[string]string{}
		for i := range rows {
			name := fmt.Sprint("row ", i)
			want[name] = "first"
			k.insert(name, k.one.Seal(values.Purpose(name), []byte("first")))
		}
		ended := make(chan struct{})
		go func() { // a server that has not noticed the new key
			defer close(ended)
			for i := range writes {
				name := fmt.Sprint("row ", i*7%rows)
				want[name] = fmt.Sprint("write ", i)
				k.exec(`UPDATE acme_entry SET value = $1 WHERE name = $2`,
					k.one.Seal(values.Purpose(name), []byte(want[name])), name)
			}
		}()
		for writing := true; writing; {
			select {
			case <-ended:
				writing = false
			default:
			}
			if _, err := k.both.Reseal(t.Context(), d, k.one.Name(), columns); err != nil {
				t.Fatal(err)
			}
		}
		k.counts(map[string]int64{k.two.Name(): rows})
		for name, text := range want {
			if got := k.text(k.two, name); got != text {
				t.Errorf("%s: got %q, want %q", name, got, text)
			}
		}
	})
}
