package account_test

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func TestService_SetMarkup(t *testing.T) {
	engines(t, func(w world) {
		set := func(of id.ID, markup *int64) error {
			return w.tx(func(ctx context.Context, tx *db.Tx) error {
				_,
					err := w.s.SetMarkup(ctx, tx, of, markup)
				return err
			})
		}
		all := func(want map[id.ID]int64) {
			got, err := w.s.Markups(w.Context(), w.d)
			if err != nil || !maps.Equal(got, want) {
				w.Errorf("%v, not %v: %v", got, want, err)
			}
		}
		all(map[id.ID]int64{})
		w.ok(set(w.mine, new(int64(1_250))))
		w.ok(set(w.theirs, new(int64(0))))
		all(map[id.ID]int64{w.mine: 1_250, w.theirs: 0})
		a, err := w.s.Get(w.Context(), w.d, w.mine)
		if err != nil || a.Markup == nil || *a.Markup != 1_250 {
			w.Fatalf("%+v %v", a, err)
		}
		if b, err := json.Marshal(a); err != nil || strings.Contains(strings.ToLower(string(b)), "markup") {
			w.Errorf("%s %v", b, err)
		}
		w.ok(set(w.mine, nil))
		all(map[id.ID]int64{w.theirs: 0})
		for _, wrong := range []int64{-1, account.MaxMarkup + 1} {
			w.fails(set(w.mine, &wrong), apierr.InvalidRequest)
		}
		w.fails(set("acc_none", nil), apierr.NotFound)
		all(map[id.ID]int64{w.theirs: 0})
	})
}
