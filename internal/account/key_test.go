package account_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func TestService_CreateAndListAccounts(t *testing.T) {
	engines(t, func(w world) {
		all, total, err := w.s.List(w.Context(), w.d, db.Page{Number: 1, Limit: 1})
		if err != nil || total.Total != 2 || len(all) != 1 || all[0].ID != w.theirs {
			w.Fatalf("%+v of %d, %v", all, total.Total, err)
		}
		if a, err := w.s.Get(w.Context(), w.d, w.mine); err != nil || a.Name != "mine" ||
			!a.CreatedAt.Equal(w.c.Now()) {
			w.Fatalf("%+v %v", a, err)
		}
		for _, none := range []id.ID{"acc_none", "", "acc_\x00"} {
			_, err := w.s.Get(w.Context(), w.d, none)
			w.fails(err, apierr.NotFound)
		}
		w.fails(w.tx(func(ctx context.Context, tx *db.Tx) error {
			_,
				err := w.s.Create(ctx, tx, " ")
			return err
		}), apierr.InvalidRequest)
	})
}

func TestService_CreateKey_Defaults(t *testing.T) {
	engines(t, func(w world) {
		k, secret := w.key(w.mine)
		if len(secret) != 57 || !strings.HasPrefix(secret, "pk_live_") || k.Prefix != secret[:12]+"…" ||
			!reflect.DeepEqual(k.Scopes, account.AllScopes()) ||
			k.Limits != (account.Limits{Read: 60, Write: 20, Deploy: 5}) || len(k.AllowedNetworks) != 0 ||
			k.ExpiresAt != nil {
			w.Fatalf("%+v", k)
		}
		got, err := w.s.Authenticate(w.Context(), w.d, secret, here)
		if err != nil || !reflect.DeepEqual(got, k) || got.Account != w.mine {
			w.Fatalf("%+v, %v; made %+v", got, err, k)
		}
		b, err := json.Marshal(got)
		w.ok(err)
		for _, part := range []string{`"allowedNetworks":[]`, `"expiresAt":null`, `"lastUsedAt":null`,
			`"limits":{"read":60,"write":20,"deploy":5}`} {
			if !strings.Contains(string(b), part) {
				w.Errorf("%s lacks %s", b, part)
			}
		}
		if strings.Contains(string(b), secret) || strings.Contains(string(b), string(w.mine)) {
			w.Errorf("%s tells too much", b)
		}
	})
}

func TestService_CreateKey_StoresNoSecret(t *testing.T) {
	engines(t, func(w world) {
		_, secret := w.key(w.mine)
		var row string
		w.ok(w.d.QueryRow(w.Context(),
			`SELECT id || account_id || name || secret_hash || prefix || scopes || networks FROM api_key`).Scan(&row))
		if strings.Contains(row, secret[12:]) || strings.Contains(row, secret[12:20]) {
			w.Fatalf("%s holds %s", row, secret)
		}
	})
}

func TestService_CreateKey_InvalidFields(t *testing.T) {
	engines(t, func(w world) {
		past, zero, much := w.c.Now(), 0, 1_000_001
		_, _, err := w.makeKey(w.mine, account.KeyRequest{
			Name: " x", Scopes: []account.Scope{"offers:read", "all", "members:write"}, ExpiresAt: &past,
			AllowedNetworks: []string{"10.0.0.0/8", "10.0.0.0/33", "home", "", "fe80::1%eth0", "::ffff:0:0/90"},
			Limits:          account.LimitOverrides{Read: &zero, Deploy: &much},
		})
		var got []string
		for _, f := range w.fails(err, apierr.InvalidRequest).Fields() {
			got = append(got, f.Field)
		}
		want := "name scopes[1] scopes[2] allowedNetworks[1] allowedNetworks[2] allowedNetworks[3] " +
			"allowedNetworks[4] allowedNetworks[5] expiresAt limits.read limits.deploy"
		if strings.Join(got, " ") != want {
			w.Fatalf("faults %q\nwant   %q", strings.Join(got, " "), want)
		}
		for _, req := range []account.KeyRequest{
			{Name: "x", Scopes: []account.Scope{}},
			{Name: "x", Scopes: make([]account.Scope, 100)},
			{Name: "x", AllowedNetworks: make([]string, 33)},
		} {
			_, _, err := w.makeKey(w.mine, req)
			if f := w.fails(err, apierr.InvalidRequest).Fields(); len(f) != 1 {
				w.Errorf("%v", f)
			}
		}
		if _, total, err := w.s.ListKeys(w.Context(), w.d, w.mine, db.NameFilter{}, db.NewestFirst,
			db.Page{Number: 1, Limit: 20}); err != nil || total.Total != 0 {
			w.Fatalf("%d keys, %v", total.Total, err)
		}
	})
}

func TestService_CreateKey_Normalizes(t *testing.T) {
	engines(t, func(w world) {
		until, seven := w.c.Now().Add(time.Hour).In(time.FixedZone("", 3600)), 7
		k, _, err := w.makeKey(w.mine, account.KeyRequest{
			Name: "ci", Scopes: []account.Scope{account.ReadWallet, account.ReadOffers, account.ReadWallet},
			ExpiresAt: &until,
			AllowedNetworks: []string{"203.0.113.9/24", "203.0.113.0/24", "::ffff:198.51.100.7",
				"::ffff:192.0.2.1/120", "2001:DB8:0:0::1", "10.1.2.3/32"},
			Limits: account.LimitOverrides{Write: &seven},
		})
		w.ok(err)
		got, err := w.s.GetKey(w.Context(), w.d, w.mine, k.ID)
		w.ok(err)
		if !reflect.DeepEqual(got, k) {
			w.Fatalf("stored %+v, answered %+v", got, k)
		}
		if want := "[203.0.113.0/24 198.51.100.7 192.0.2.0/24 2001:db8::1 " +
			"10.1.2.3]"; fmt.Sprint(k.AllowedNetworks) != want {
			w.Errorf("networks %v, want %s", k.AllowedNetworks, want)
		}
		if fmt.Sprint(k.Scopes) != "[offers:read wallet:read]" || !k.Allows(account.ReadOffers) ||
			k.Allows(account.WriteDeployments) {
			w.Errorf("scopes %v", k.Scopes)
		}
		if k.Limits != (account.Limits{Read: 60, Write: 7, Deploy: 5}) || k.ExpiresAt.Location() != time.UTC ||
			!k.ExpiresAt.Equal(until) {
			w.Errorf("%+v", k)
		}
	})
}

func TestService_ListKeys(t *testing.T) {
	engines(t, func(w world) {
		var made []id.ID
		for range 5 {
			k, _ := w.key(w.mine)
			made = append([]id.ID{k.ID}, made...)
			w.c.Advance(time.Second)
		}
		w.key(w.theirs)
		_, err := w.revoke(w.mine, made[0])
		w.ok(err)
		for page, want := range map[int][]id.ID{1: made[:2], 2: made[2:4], 3: made[4:], 4: {}} {
			got, total, err := w.s.ListKeys(
				w.Context(),
				w.d,
				w.mine,
				db.NameFilter{},
				db.NewestFirst,
				db.Page{Number: page, Limit: 2},
			)
			w.ok(err)
			ids := []id.ID{}
			for _, k := range got {
				ids = append(ids, k.ID)
			}
			if total.Total != 5 || got == nil || !reflect.DeepEqual(ids, want) {
				w.Errorf("page %d: %v of %d, want %v", page, ids, total.Total, want)
			}
		}
	})
}

func TestService_Keys_OtherAccount(t *testing.T) {
	engines(t, func(w world) {
		k, secret := w.key(w.theirs)
		name, seven := "new", 7
		for _, i := range []id.ID{k.ID, "key_none", "", "key_\x00"} {
			_, get := w.s.GetKey(w.Context(), w.d, w.mine, i)
			_, update := w.update(w.mine, i, account.KeyUpdate{Name: &name})
			_, revoke := w.revoke(w.mine, i)
			limits := w.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.s.SetLimits(ctx, tx, w.mine, i, account.LimitOverrides{Read: &seven})
				return err
			})
			for _, err := range []error{get, update, revoke, limits} {
				if e := w.fails(err, apierr.NotFound); e.Message != "There is no API key with this id." ||
					e.Details != nil {
					w.Errorf("%q: %+v", i, e)
				}
			}
		}
		if got, err := w.s.Authenticate(w.Context(), w.d, secret, here); err != nil || got.Name != "ci" ||
			got.RevokedAt != nil || got.Limits.Read != 60 {
			w.Fatalf("%+v %v", got, err)
		}
	})
}

func TestService_UpdateKey(t *testing.T) {
	engines(t, func(w world) {
		k, _ := w.key(w.mine)
		name, scopes := "new", []account.Scope{account.ReadWallet}
		networks, until := []string{"10.0.0.1/8"}, w.c.Now().Add(time.Hour)
		// Each alone, at once: none may undo another.
		var wg sync.WaitGroup
		for _, u := range []account.KeyUpdate{{Name: &name}, {Scopes: &scopes}, {AllowedNetworks: &networks},
			{SetExpiry: true, ExpiresAt: &until}} {
			wg.Go(func() {
				if _, err := w.update(w.mine, k.ID, u); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := w.s.GetKey(w.Context(), w.d, w.mine, k.ID)
		if err != nil || got.Name != "new" || fmt.Sprint(got.Scopes,
			got.AllowedNetworks) != "[wallet:read] [10.0.0.0/8]" || got.ExpiresAt == nil ||
			!got.ExpiresAt.Equal(until) {
			w.Fatalf("%+v %v", got, err)
		}
		none := []string{}
		got, err = w.update(w.mine, k.ID, account.KeyUpdate{AllowedNetworks: &none, SetExpiry: true})
		if err != nil || got.AllowedNetworks == nil || len(got.AllowedNetworks) != 0 || got.ExpiresAt != nil ||
			got.Name != "new" {
			w.Fatalf("%+v %v", got, err)
		}
		bad, empty, past := "", []account.Scope{}, w.c.Now()
		_, err = w.update(w.mine, k.ID, account.KeyUpdate{Name: &bad, Scopes: &empty, SetExpiry: true,
			ExpiresAt: &past})
		if f := w.fails(err, apierr.InvalidRequest).Fields(); len(f) != 3 {
			w.Fatalf("%v", f)
		}
		_, err = w.revoke(w.mine, k.ID)
		w.ok(err)
		_, err = w.update(w.mine, k.ID, account.KeyUpdate{Name: &name})
		w.fails(err, apierr.Conflict)
	})
}

func TestService_SetLimits(t *testing.T) {
	engines(t, func(w world) {
		k, _ := w.key(w.mine)
		set := func(o account.LimitOverrides) (got account.Key, err error) {
			err = w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
				got, err = w.s.SetLimits(ctx, tx, w.mine, k.ID, o)
				return err
			})
			return got, err
		}
		million, zero := account.MaxLimit, 0
		if got, err := set(account.LimitOverrides{Deploy: &million}); err != nil ||
			got.Limits != (account.Limits{Read: 60, Write: 20, Deploy: million}) {
			w.Fatalf("%+v %v", got, err)
		}
		_, err := set(account.LimitOverrides{Read: &zero})
		w.fails(err, apierr.InvalidRequest)
		if got, err := set(account.LimitOverrides{}); err != nil || got.Limits != account.DefaultLimits {
			w.Fatalf("%+v %v", got, err)
		}
	})
}

func TestService_RevokeKey(t *testing.T) {
	engines(t, func(w world) {
		k, secret := w.key(w.mine)
		first, err := w.revoke(w.mine, k.ID)
		if err != nil || first.RevokedAt == nil || !first.RevokedAt.Equal(w.c.Now()) {
			w.Fatalf("%+v %v", first, err)
		}
		w.c.Advance(time.Hour)
		again, err := w.revoke(w.mine, k.ID)
		if err != nil || !reflect.DeepEqual(again, first) {
			w.Fatalf("%+v %v", again, err)
		}
		_, err = w.s.Authenticate(w.Context(), w.d, secret, here)
		w.fails(err, apierr.RevokedAPIKey)
	})
}

func TestService_Authenticate_SeesChanges(t *testing.T) {
	engines(t, func(w world) {
		k, secret := w.key(w.mine)
		use := func() (account.Key, error) { return w.s.Authenticate(w.Context(), w.d, secret, here) }
		_, err := use()
		w.ok(err)
		scopes := []account.Scope{account.ReadWallet}
		_, err = w.update(w.mine, k.ID, account.KeyUpdate{Scopes: &scopes})
		w.ok(err)
		if got, err := use(); err != nil || got.Allows(account.ReadOffers) {
			w.Fatalf("%+v %v", got, err)
		}
		seven := 7
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.s.SetLimits(ctx, tx, w.mine, k.ID, account.LimitOverrides{Read: &seven})
			return err
		}))
		if got, err := use(); err != nil || got.Limits.Read != 7 {
			w.Fatalf("%+v %v", got, err)
		}
		_, err = w.revoke(w.mine, k.ID)
		w.ok(err)
		_, err = use()
		w.fails(err, apierr.RevokedAPIKey)
	})
}

// A database that must not be asked.
type noReads struct{ db.Reader }

func TestService_Authenticate_Malformed(t *testing.T) {
	engines(t, func(w world) {
		_, secret := w.key(w.mine)
		swapped := []byte(secret)
		for i := 8; i < len(swapped)-1; i++ { // two adjacent characters that differ, swapped by a typing error
			if swapped[i] != swapped[i+1] {
				swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
				break
			}
		}
		for text, says := range map[string]string{
			"":                                 "begins with pk_live_",
			"pk_test_" + secret[8:]:            "begins with pk_live_",
			"pk_live_your_api_key_here":        "example of the documentation",
			"pk_live_your_key":                 "example of the documentation",
			`"` + secret + `"`:                 "quotation marks",
			secret + " ":                       "quotation marks",
			secret[:56]:                        "mistyped",
			secret + "0":                       "mistyped",
			string(swapped):                    "mistyped",
			secret[:20] + "-" + secret[21:]:    "mistyped",
			secret[:20] + "\x00" + secret[21:]: "mistyped",
			strings.ToLower(secret):            "mistyped",
		} {
			if text == secret {
				continue
			}
			_, err := w.s.Authenticate(w.Context(), noReads{}, text, here)
			if e := w.fails(err, apierr.InvalidAPIKey); !strings.Contains(e.Message, says) ||
				strings.Contains(e.Error(), secret[12:20]) {
				w.Errorf("%q: %q, want %q", text, e, says)
			}
		}
		// A right checksum on an invented key: only the database can tell.
		forged := "pk_live_" + strings.Repeat("A", 43)
		forged += account.Checksum(forged)
		_, err := w.s.Authenticate(w.Context(), w.d, forged, here)
		w.fails(err, apierr.InvalidAPIKey)
	})
}

func TestService_Authenticate_Expiry(t *testing.T) {
	engines(t, func(w world) {
		until := w.c.Now().Add(time.Minute)
		_, secret, err := w.makeKey(w.mine, account.KeyRequest{Name: "ci", ExpiresAt: &until})
		w.ok(err)
		w.c.Advance(time.Minute - time.Microsecond)
		if _, err := w.s.Authenticate(w.Context(), w.d, secret, here); err != nil {
			w.Fatal(err)
		}
		w.c.Advance(time.Microsecond)
		_, err = w.s.Authenticate(w.Context(), w.d, secret, here)
		w.fails(err, apierr.ExpiredAPIKey)
	})
}

func TestService_Authenticate_Networks(t *testing.T) {
	engines(t, func(w world) {
		k, secret, err := w.makeKey(w.mine, account.KeyRequest{Name: "ci",
			AllowedNetworks: []string{"203.0.113.0/24", "2001:db8::/48", "198.51.100.7"}})
		w.ok(err)
		for from, allowed := range map[string]bool{
			"203.0.113.255": true, "203.0.114.0": false, "::ffff:203.0.113.1": true, "2001:db8::1": true,
			"2001:db8:1::": false,
			"198.51.100.7": true, "198.51.100.8": false, "2001:db8::1%eth0": true, "": false,
		} {
			var a netip.Addr
			if from != "" {
				a = netip.MustParseAddr(from)
			}
			_, err := w.s.Authenticate(w.Context(), w.d, secret, a)
			if allowed {
				w.ok(err)
			} else {
				w.fails(err, apierr.NetworkNotAllowed)
			}
		}
		// A thief elsewhere does not learn that the key has been revoked.
		_, err = w.revoke(w.mine, k.ID)
		w.ok(err)
		_, err = w.s.Authenticate(w.Context(), w.d, secret, netip.MustParseAddr("192.0.2.1"))
		w.fails(err, apierr.NetworkNotAllowed)
		_, err = w.s.Authenticate(w.Context(), w.d, secret, netip.MustParseAddr("203.0.113.1"))
		w.fails(err, apierr.RevokedAPIKey)
	})
}

func TestService_FlushLastUse(t *testing.T) {
	engines(t, func(w world) {
		a, secretA := w.key(w.mine)
		b, secretB := w.key(w.mine)
		idle, _ := w.key(w.mine)
		w.c.Advance(account.DeviceCodeLifetime) // before that a first use is written at once
		use := func(secret string) {
			w.Helper()
			if _, err := w.s.Authenticate(w.Context(), w.d, secret, here); err != nil {
				w.Fatal(err)
			}
		}
		lastUse := func(k account.Key) *time.Time {
			w.Helper()
			got, err := w.s.GetKey(w.Context(), w.d, w.mine, k.ID)
			w.ok(err)
			return got.LastUsedAt
		}
		use(secretA)
		w.c.Advance(time.Second)
		use(secretA)
		use(secretB)
		if lastUse(a) != nil {
			w.Error("written at the call itself")
		}
		ended, end := context.WithCancel(w.Context())
		end()
		if err := w.s.FlushLastUse(ended); err == nil {
			w.Fatal("flushed without a database")
		}
		w.ok(w.s.FlushLastUse(w.Context())) // what the failed one kept
		for _, k := range []account.Key{a, b} {
			if got := lastUse(k); got == nil || !got.Equal(w.c.Now()) {
				w.Errorf("last use %v, want %s", got, w.c.Now())
			}
		}
		if got := lastUse(idle); got != nil {
			w.Errorf("never used, but at %s", got)
		}
		// A replica whose flush comes late does not set the time back.
		late := service(w.T, w.d, w.c, zeros{})
		if _, err := late.Authenticate(w.Context(), w.d, secretA, here); err != nil {
			w.Fatal(err)
		}
		w.c.Advance(time.Hour)
		use(secretA)
		w.ok(w.s.FlushLastUse(w.Context()))
		w.ok(late.FlushLastUse(w.Context()))
		if got := lastUse(a); got == nil || !got.Equal(w.c.Now()) {
			w.Errorf("last use %v, want %s", got, w.c.Now())
		}
		w.ok(w.s.FlushLastUse(w.Context()))
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
