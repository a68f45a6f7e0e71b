package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/rest"
)

// listing is what a list answers.
type listing struct {
	Data []struct {
		ID string `json:"id"`
	} `json:"data"`
	Pagination rest.Pagination `json:"pagination"`
}

// pageOf reads a list's answer.
func pageOf(t *testing.T, r reply) (ids []string, p rest.Pagination, next string) {
	t.Helper()
	var l listing
	if err := json.Unmarshal(r.body, &l); err != nil {
		t.Fatal(err)
	}
	for _, item := range l.Data {
		ids = append(ids, item.ID)
	}
	if l.Pagination.NextCursor != nil {
		next = *l.Pagination.NextCursor
	}
	return ids, l.Pagination, next
}

func TestListsGoOnByCursor(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		for i := range 5 {
			w.want(
				201,
				w.ada,
				"POST",
				Base+"/ssh-keys",
				map[string]any{"name": fmt.Sprintf("Key %d", 5-i), "publicKey": publicKey(t)},
			)
		}
		for _, sort := range []string{"", "&sort=name", "&sort=-name", "&sort=createdAt"} {
			whole, _, next := pageOf(t, w.want(200, w.ada, "GET", Base+"/ssh-keys?limit=100"+sort, nil))
			if len(whole) != 5 || next != "" {
				t.Fatalf("%q: %v, %q", sort, whole, next)
			}
			var all []string
			cursor := ""
			for n := 1; n < 9; n++ {
				some, p, next := pageOf(
					t,
					w.want(200, w.ada, "GET", Base+"/ssh-keys?limit=2"+sort+"&cursor="+url.QueryEscape(cursor), nil),
				)
				if all = append(all, some...); next == "" {
					break
				}
				if p.Page != n || p.Total != 5 || p.TotalPages != 3 || !p.TotalIsExact {
					t.Errorf("page %d says %+v", n, p)
				}
				cursor = next
			}
			if !slices.Equal(all, whole) {
				t.Errorf("%q: %v, want %v", sort, all, whole)
			}
		}
	})
}

func TestACursorIsGoodForItsOwnListOnly(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		for i := range 3 {
			w.want(
				201,
				w.ada,
				"POST",
				Base+"/ssh-keys",
				map[string]any{"name": fmt.Sprint(i), "publicKey": publicKey(t)},
			)
		}
		_, _, next := pageOf(t, w.want(200, w.ada, "GET", Base+"/ssh-keys?limit=1", nil))
		plain, err := base64.RawURLEncoding.DecodeString(next)
		if err != nil {
			t.Fatal(err)
		}
		seal := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
		id := string(plain[2:10]) // the list's
		for target, field := range map[string]string{
			"/ssh-keys?limit=1&page=2&cursor=" + next:                     "query.cursor",
			"/ssh-keys?sort=name&cursor=" + next:                          "query.cursor",
			"/volumes?cursor=" + next:                                     "query.cursor",
			"/ssh-keys?cursor=nonsense":                                   "query.cursor",
			"/ssh-keys?cursor=" + seal(`[]`):                              "query.cursor",
			"/ssh-keys?cursor=" + seal(`["`+id+`",1,1,3]`):                "query.cursor",
			"/ssh-keys?cursor=" + seal(`["`+id+`",1,1,3,true,7]`):         "query.cursor",
			"/ssh-keys?cursor=" + seal(`["`+id+`",1,1,3,true,null]`):      "query.cursor",
			"/ssh-keys?cursor=" + seal(`["`+id+`",1,1,3,true,"a\u0000"]`): "query.cursor",
			"/ssh-keys?cursor=" + seal(`["`+id+`",-1,1,3,true,"a"]`):      "query.cursor",
			"/ssh-keys?cursor=" + seal(`["`+id+`",1e99,1,3,true,"a"]`):    "query.cursor",
			"/ssh-keys?cursor=" + seal(`["`+id+`",1,1,3,"true","a"]`):     "query.cursor",
			"/ssh-keys?cursor=" + seal(`["`+id+`",1,1,3,true,"a","b"]`):   "query.cursor",
		} {
			r := w.refused("INVALID_REQUEST", w.ada, "GET", Base+target, nil)
			if got := r.fields(); !slices.Equal(got, []string{field}) {
				t.Errorf("%s: %v", target, got)
			}
		}
		// It says nothing of another account's list but where its page begins.
		if some, _, _ := pageOf(t, w.want(200, w.bob, "GET", Base+"/ssh-keys?cursor="+next, nil)); len(some) != 0 {
			t.Errorf("Bob got %v", some)
		}
	})
}
