package httpapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
)

func TestCachedOffersMatchCatalogAndCaller(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	at := Base + "/offers?available=true&limit=1"
	asOf := func() string {
		return w.want(200, w.ada, "GET", at, nil).list[0].(map[string]any)["asOf"].(string)
	}
	before := asOf()
	same(t, "again", asOf(), before)
	same(t, "another query", len(w.want(200, w.ada, "GET", Base+"/offers?available=true&limit=2", nil).list), 2)
	same(
		t,
		"another's",
		string(w.want(200, w.bob, "GET", at, nil).body),
		string(w.want(200, w.ada, "GET", at, nil).body),
	)
	head := w.want(200, w.ada, "HEAD", at, nil)
	same(t, "length", head.header.Get("Content-Length"), strconv.Itoa(len(w.want(200, w.ada, "GET", at, nil).body)))
	w.want(400, w.ada, "GET", at+"&nonsense=1", nil)
	w.want(400, w.ada, "GET", at+"&nonsense=1", nil)
	w.want(400, w.ada, "GET", at, `{"a": 1, "a": 2}`)

	w.clock.Advance(time.Minute)
	if _, err := w.c.Catalog.Sync(t.Context(), "provider/voltage-park"); err != nil {
		t.Fatal(err)
	}
	if after := asOf(); after <= before {
		t.Errorf("confirmed at %s, before at %s", after, before)
	}

	scopes := []account.Scope{account.ReadWallet}
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Accounts.UpdateKey(ctx, tx, w.ada.account, w.ada.key.ID, account.KeyUpdate{Scopes: &scopes})
		return err
	})
	w.refused("INSUFFICIENT_SCOPE", w.ada, "GET", at, nil)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Accounts.RevokeKey(ctx, tx, w.ada.account, w.ada.key.ID)
		return err
	})
	w.refused("REVOKED_API_KEY", w.ada, "GET", at, nil)
	w.refused("MISSING_API_KEY", tenant{}, "GET", at, nil)
}

func TestKeptAnswersAreBounded(t *testing.T) {
	k, first := &offerCache{}, catalog.Edition{}
	second := newWorld(t).c.Catalog.Edition()
	k.get(first, "a")
	k.put(first, "a", []byte("1"))
	if got := k.get(first, "a"); string(got) != "1" {
		t.Errorf("%q", got)
	}
	if got := k.get(second, "a"); got != nil {
		t.Errorf("%q of another edition", got)
	}
	k.put(first, "a", []byte("1")) // made from an edition that has passed meanwhile
	if got := k.get(second, "a"); got != nil {
		t.Errorf("%q of an edition that has passed", got)
	}
	k.put(second, strings.Repeat("x", maxCachedQuery+1), []byte("1"))
	if len(k.bodies) != 0 {
		t.Error("a query of any length is kept")
	}
	for i := range 3 * maxCached >> 20 {
		k.put(second, fmt.Sprint(i), make([]byte, 1<<20))
	}
	total := 0
	for query, body := range k.bodies {
		total += len(query) + len(body)
	}
	if total > maxCached || total != k.size || total == 0 {
		t.Errorf("%d bytes are kept, %d are counted", total, k.size)
	}
}
