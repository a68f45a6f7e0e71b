package provideraccount_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/google/go-cmp/cmp"
)

const key = "sk-live-very-secret"

// cloud is a provider that answers what its fields hold.
type cloud struct {
	account upstream.Account
	offers  [][]provider.Offer
	lists   *int
	err     error
	found   bool
}

func (c cloud) Info() provider.Info { return provider.Info{Slug: c.account.Slug, Name: c.account.Name} }
func (c cloud) Offers(context.Context) ([]provider.Offer, error) {
	if c.err != nil || len(c.offers) == 0 {
		return nil, c.err
	}
	*c.lists++
	return c.offers[(*c.lists-1)%len(c.offers)], nil
}
func (c cloud) Machines(context.Context) ([]provider.Machine, error) { return nil, c.err }
func (c cloud) Terminate(context.Context, id.ID) error               { return errors.New("a check ends nothing") }
func (c cloud) Machine(context.Context, id.ID) (m provider.Machine, err error) {
	if c.err != nil || c.found {
		return m, c.err
	}
	return m, &provider.Error{Kind: provider.KindNotFound}
}
func (c cloud) Launch(context.Context, provider.LaunchRequest) (m provider.Machine, err error) {
	return m, errors.New("a check launches nothing")
}

func service(t *testing.T, secretKey byte) *provideraccount.Service {
	t.Helper()
	box, err := secret.New([]byte(strings.Repeat(string(rune(secretKey)), 32)))
	if err != nil {
		t.Fatal(err)
	}
	return provideraccount.New(box, []provideraccount.Kind{{
		Word: "iron-park", Name: "Iron Park", Settings: map[string]string{"team": "The team that pays."},
		Open: func(a upstream.Account) (provider.Provider, error) {
			if a.Settings["team"] == "unknown" {
				return nil, errors.New("the team is unknown")
			}
			return cloud{account: a}, nil
		},
	}})
}

func add(
	ctx context.Context, d *db.DB, b *provideraccount.Service, p provideraccount.Provider, credential string,
) (added provideraccount.Provider, err error) {
	err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		added, err = b.Add(ctx, tx, p, credential)
		return err
	})
	return added, err
}

func TestService_Open(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		b := service(t, 'a')
		first, err := add(t.Context(), d, b, provideraccount.Provider{Kind: "iron-park"}, key+"\n")
		if err != nil || first.Slug != "iron-park" || first.Name != "Iron Park" {
			t.Fatalf("Add: got %+v, %v", first, err)
		}
		bp := int64(1250)
		other := provideraccount.Provider{Kind: "iron-park", Slug: "iron-2", Markup: &bp,
			Settings: map[string]string{"team": "red"}}
		if _, err := add(t.Context(), d, b, other, "another"); err != nil {
			t.Fatal(err)
		}
		_, err = add(t.Context(), d, b, provideraccount.Provider{Kind: "iron-park"}, key)
		if err == nil || !strings.Contains(err.Error(), "--slug") {
			t.Errorf("Add with the same slug: got %v, want an error that names --slug", err)
		}
		var stored string
		err = d.QueryRow(t.Context(), `SELECT credential FROM provider_account WHERE slug = $1`,
			"iron-park").Scan(&stored)
		if err != nil || strings.Contains(stored, key) || stored == "" {
			t.Errorf("stored credential: got %q, %v, want a sealed one", stored, err)
		}
		testOpened(t, d, b)
		// A credential that is moved to another row does not open.
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE provider_account SET credential = $1 WHERE slug = 'iron-2'`, stored)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		testMovedCredential(t, d, b)
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := b.ChangeKey(ctx, tx, "iron-2", "third"); err != nil {
				return err
			}
			_, err := b.ChangeMarkup(ctx, tx, "iron-2", nil)
			return errors.Join(err, b.Remove(ctx, tx, "iron-park"))
		}); err != nil {
			t.Fatal(err)
		}
		opened, err := b.Open(t.Context(), d, nil, provideraccount.Env{})
		if err != nil || len(opened) != 1 || opened[0].Machines.(cloud).account.Credential != "third" ||
			opened[0].Markup != nil {
			t.Errorf("Open: got %+v, %v", opened, err)
		}
	})
}

// testMovedCredential opens the accounts after the credential of one was moved to the other.
func testMovedCredential(t *testing.T, d *db.DB, b *provideraccount.Service) {
	t.Helper()
	opened, err := b.Open(t.Context(), d, nil, provideraccount.Env{})
	if err != nil || opened[0].Err == nil || opened[0].Machines != nil || opened[1].Err != nil {
		t.Errorf("Open with the credential of another account: got %+v, %v, want an error of that one", opened, err)
	}
}

// testOpened opens the two accounts of TestService_Open.
func testOpened(t *testing.T, d *db.DB, b *provideraccount.Service) {
	t.Helper()
	opened, err := b.Open(t.Context(), d, nil, provideraccount.Env{Version: "1"})
	if err != nil || len(opened) != 2 || opened[0].Slug != "iron-2" ||
		opened[1].Machines.(cloud).account.Credential != key {
		t.Fatalf("Open: got %+v, %v", opened, err)
	}
	a := opened[0].Machines.(cloud).account
	if a.Credential != "another" || a.Settings["team"] != "red" || *opened[0].Markup != 1250 ||
		a.Name != "Iron Park (iron-2)" {
		t.Errorf("Open: got account %+v", a)
	}
	opened, err = service(t, 'b').Open(t.Context(), d, nil, provideraccount.Env{})
	for _, o := range opened {
		if err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "BILLET_SECRET_KEY") {
			t.Errorf("Open with another secret key: got %v, %v, want an error that names BILLET_SECRET_KEY", o.Err, err)
		}
	}
}

func TestService_Add_Refuses(t *testing.T) {
	d, b, far := dbtest.SQLite(t, clock.System{}), service(t, 'a'), int64(100_001)
	for want, p := range map[string]provideraccount.Provider{
		"there is no kind":  {Kind: "tin-park"},
		"the slug \"Iron\"": {Kind: "iron-park", Slug: "Iron"},
		"https://":          {Kind: "iron-park", BaseURL: "http://api.example.com"},
		"without a user":    {Kind: "iron-park", BaseURL: "https://a:b@api.example.com"},
		"no setting":        {Kind: "iron-park", Settings: map[string]string{"shape": "round"}},
		"is unknown":        {Kind: "iron-park", Settings: map[string]string{"team": "unknown"}},
		"markup":            {Kind: "iron-park", Markup: &far},
		"must be true": {Kind: "iron-park",
			Settings: map[string]string{provideraccount.PrivateAddresses: "perhaps"}},
		"no slug of a region": {Kind: "iron-park", Settings: map[string]string{provideraccount.Exclude: "a, B C"}},
	} {
		_, err := add(t.Context(), d, b, p, key)
		if _, is := errors.AsType[provideraccount.Invalid](err); !is || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), key) {
			t.Errorf("Add %+v: got %v, want an error with %q and without the key", p, err, want)
		}
	}
	for _, bad := range []string{"", " \n", "two\nlines"} {
		if _, err := add(t.Context(), d, b, provideraccount.Provider{Kind: "iron-park"}, bad); err == nil {
			t.Errorf("Add with the key %q: got no error", bad)
		}
	}
	local := provideraccount.Provider{Kind: "iron-park", BaseURL: "http://127.0.0.1:1"}
	if _, err := add(t.Context(), d, b, local, key); err != nil {
		t.Errorf("Add of a cloud on this machine: %v", err)
	}
}

func TestService_Open_File(t *testing.T) {
	d, b, dir := dbtest.SQLite(t, clock.System{}), service(t, 'a'), t.TempDir()
	write := func(text string) string {
		file := filepath.Join(dir, "providers.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	if err := os.WriteFile(filepath.Join(dir, "iron.key"), []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("IRON_KEY", "from the environment")
	open := func(text string) ([]provideraccount.Opened, error) {
		inFile, err := b.Read(write(text))
		if err != nil {
			return nil, err
		}
		return b.Open(t.Context(), d, inFile, provideraccount.Env{})
	}
	opened, err := open(`
providers:
  - kind: iron-park
    apiKeyFile: iron.key
    markupPercent: "12.5"
    settings: {team: red}
  - {kind: iron-park, slug: iron-2, apiKeyEnv: IRON_KEY, baseUrl: "https://iron.example.com"}
`)
	if err != nil || len(opened) != 2 || opened[0].Machines.(cloud).account.Credential != key ||
		*opened[0].Markup != 1250 ||
		opened[1].Machines.(cloud).account.Credential != "from the environment" {
		t.Fatalf("Open: got %+v, %v", opened, err)
	}
	for want, text := range map[string]string{
		"either apiKeyFile": "providers: [{kind: iron-park}]",
		"apiKey":            "providers: [{kind: iron-park, apiKey: x}]",
		"two providers": "providers: [{kind: iron-park, apiKeyEnv: IRON_KEY}, {kind: iron-park, apiKeyEnv: " +
			"IRON_KEY}]",
		"NO_SUCH_VARIABLE_IS_SET": "providers: [{kind: iron-park, apiKeyEnv: NO_SUCH_VARIABLE_IS_SET}]",
		"percentage":              `providers: [{kind: iron-park, apiKeyEnv: IRON_KEY, markupPercent: "-1"}]`,
	} {
		_, err := open(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open of %s: got %v, want an error with %q", text, err, want)
		}
	}
	// With the same slug in the database, neither is used: the machines may be those of either.
	if _, err := add(t.Context(), d, b, provideraccount.Provider{Kind: "iron-park"}, key); err != nil {
		t.Fatal(err)
	}
	opened, err = open("providers: [{kind: iron-park, apiKeyEnv: IRON_KEY}]")
	if err != nil || len(opened) != 1 || opened[0].Err == nil {
		t.Errorf("Open of one slug twice: got %+v, %v, want one account with an error", opened, err)
	}
}

func TestCheck(t *testing.T) {
	one := provider.Offer{
		Key: "a", Region: "dallas", GPUType: "h100", GPUCount: 8, HourlyPrice: money.USD,
		OperatingSystems: []string{"Ubuntu"},
	}
	other, broken := one, one
	other.Key, broken.HourlyPrice = "b", 0
	ids := id.NewMaker(clock.System{}, rand.Reader)
	unused := func(k id.Kind) id.ID { return ids.New(k) }
	check := func(c cloud) map[string]provideraccount.Verdict {
		c.lists = new(int)
		out := map[string]provideraccount.Verdict{}
		for _, r := range provideraccount.Check(t.Context(), c, c, unused, time.Now) {
			out[r.What] = r.Verdict
		}
		return out
	}
	rude := cloud{err: &provider.Error{Kind: provider.KindUnavailable,
		Cause: errors.New("<html>\n\x1b[2Jgone\u202e\n")}, lists: new(int)}
	for _, r := range provideraccount.Check(t.Context(), rude, rude, unused, time.Now) {
		if r.Verdict == provideraccount.Failed && r.Detail != "<html> [2Jgone" {
			t.Errorf("%s: got detail %q, want one line without control characters", r.What, r.Detail)
		}
	}
	// The second list comes from the second adapter: the first one keeps its list.
	first := cloud{offers: [][]provider.Offer{{one}}, lists: new(int)}
	second := cloud{offers: [][]provider.Offer{{other}}, lists: new(int)}
	if r := provideraccount.Check(t.Context(), first, second, unused,
		time.Now)[2]; r.Verdict != provideraccount.Differs ||
		*first.lists != 1 || *second.lists != 1 {
		t.Errorf("Check: got %+v after %d and %d lists, want differs after 1 and 1", r, *first.lists, *second.lists)
	}
	for name, c := range map[string]struct {
		cloud
		what string
		want provideraccount.Verdict
	}{
		"agrees": {cloud{offers: [][]provider.Offer{{one}}}, "offers are the same in a second list",
			provideraccount.Agrees},
		"a list changes": {cloud{offers: [][]provider.Offer{{one}, {other}}}, "offers are the same in a second list",
			provideraccount.Differs},
		"no price": {cloud{offers: [][]provider.Offer{{broken}}}, "offers are complete",
			provideraccount.Differs},
		"nothing is sold": {cloud{}, "offers can be listed", provideraccount.Differs},
		"refused": {cloud{err: &provider.Error{Kind: provider.KindCredentials}}, "machines can be listed",
			provideraccount.Failed},
		"finds anything": {cloud{found: true}, "an unknown machine is not found", provideraccount.Differs},
		"no volumes":     {cloud{}, "volumes", provideraccount.Skipped},
	} {
		if got := check(c.cloud)[c.what]; got != c.want {
			t.Errorf("%s, %s: got %q, want %q", name, c.what, got, c.want)
		}
	}
}

func TestService_Open_CommonSettings(t *testing.T) {
	d, b := dbtest.SQLite(t, clock.System{}), service(t, 'a')
	settings := map[string]string{provideraccount.PrivateAddresses: "true",
		provideraccount.Exclude: "hyperstack-*, dallas-usa-5", "team": "red"}
	if _, err := add(t.Context(), d, b, provideraccount.Provider{Kind: "iron-park", Settings: settings},
		key); err != nil {
		t.Fatal(err)
	}
	opened, err := b.Open(t.Context(), d, nil, provideraccount.Env{})
	if err != nil || len(opened) != 1 {
		t.Fatalf("Open: got %+v, %v", opened, err)
	}
	a := opened[0].Machines.(cloud).account
	want := upstream.Account{
		Slug: "iron-park", Name: "Iron Park", Credential: key, Settings: map[string]string{"team": "red"},
		PrivateAddresses: true, Exclude: []string{"hyperstack-*", "dallas-usa-5"},
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("Open: account (-want +got):\n%s", diff)
	}
}

func TestService_Try_NewSettings(t *testing.T) {
	d, b := dbtest.SQLite(t, clock.System{}), service(t, 'a')
	if _, err := add(t.Context(), d, b, provideraccount.Provider{Kind: "iron-park"}, key); err != nil {
		t.Fatal(err)
	}
	change := provideraccount.Update{Settings: map[string]string{"team": "blue"}}
	tried, err := b.Try(t.Context(), d, "iron-park", change, provideraccount.Env{})
	if err != nil || tried.(cloud).account.Settings["team"] != "blue" || tried.(cloud).account.Credential != key {
		t.Errorf("Try: got %+v, %v, want the stored key with the new settings", tried, err)
	}
}

func TestService_Update_Credential(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		b := service(t, 'a')
		first, err := add(t.Context(), d, b, provideraccount.Provider{Kind: "iron-park"}, key)
		if err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Hour)
		for _, step := range []struct {
			update     provideraccount.Update
			credential string
			changedAt  time.Time
		}{
			{provideraccount.Update{Name: new("Iron")}, key, first.KeyChangedAt},
			{provideraccount.Update{Credential: "another"}, "another", first.KeyChangedAt.Add(time.Hour)},
		} {
			var got provideraccount.Provider
			if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				got, err = b.Update(ctx, tx, "iron-park", step.update)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			opened, err := b.Open(t.Context(), d, nil, provideraccount.Env{})
			if err != nil || opened[0].Machines.(cloud).account.Credential != step.credential ||
				!got.KeyChangedAt.Equal(step.changedAt) {
				t.Errorf("after %+v: %+v, %v, want the key %s of %s",
					step.update, got, err, step.credential, step.changedAt)
			}
		}
	})
}
