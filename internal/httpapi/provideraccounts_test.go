package httpapi

import (
	"context"
	"testing"

	"github.com/billetcloud/billet/internal/db"
)

// storeProvider stores a provider account without an adapter.
func (w *world) storeProvider(slug string) {
	w.t.Helper()
	if err := w.d.InTx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO provider_account
			(slug, kind, name, base_url, settings, credential, created_at, key_changed_at)
			VALUES ($1, 'iron', 'Iron', '', '{}', '', 0, 0)`, slug)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}

func TestProviderAccountsWithHyphens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := w.operator()
	for _, slug := range []string{"voltage-park", "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g234"} {
		w.storeProvider(slug)
		at := OperatorBase + "/provider-accounts/" + slug
		w.want(200, op, "POST", at+"/pause", nil)
		w.want(200, op, "POST", at+"/drain", nil)
		w.want(200, op, "POST", at+"/drain", nil) // changes nothing, so has no entry
		w.want(200, op, "DELETE", at, nil)
		var entries int
		if err := w.d.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit WHERE subject = $1`, slug).
			Scan(&entries); err != nil || entries != 3 {
			t.Errorf("audit entries of %s: got %d, %v, want 3", slug, entries, err)
		}
	}
	w.want(404, op, "POST", OperatorBase+"/provider-accounts/-voltage-park/pause", nil)
}

func TestTheListOfProvidersTellsTheirOwnMarkup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op, slug := w.operator(), "voltage-park"
	markup := func() any {
		t.Helper()
		return dig(w.want(200, op, "GET", OperatorBase+"/provider-accounts", nil).list[0], "ownMarkupPercent")
	}
	same(t, "of a provider that is not stored", markup(), nil)
	w.storeProvider(slug)
	same(t, "without one", markup(), nil)
	for want, stored := range map[any]any{0.0: 0, 12.5: 1250} {
		if err := w.d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE provider_account SET markup = $1 WHERE slug = $2`, stored, slug)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		same(t, "its own", markup(), want)
	}
}
