package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/billetcloud/billet/internal/provider/lambda/lambdatest"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/test/servertest"
	"github.com/pquerna/otp/totp"
)

// keyed is a server that uses every kind of sealed value which it can have without own servers.
type keyed struct {
	*servertest.Server
	t       *testing.T
	tenant  string
	public  string
	inbox   *inbox
	made    owner
	totp    string
	nextTry time.Duration // each code of an authenticator app works once
	deploys int
}

func newKeyed(t *testing.T) *keyed {
	cloud := lambdatest.Serve(t)
	s := servertest.Prepare(t, t.TempDir(), toLoopback...)
	s.RunWith(cloud.Account().Credential, added(cloud.Account())...)
	s.Restart()
	account, tenant := s.Key("100000", "--read-limit", "100000", "--write-limit", "100000", "--deploy-limit", "1000")
	k := &keyed{Server: s, t: t, tenant: tenant, public: newIdentity(t).public, inbox: newInbox(t)}
	k.inbox.hook(t, s, tenant)
	k.made = createOwner(t, s, account)
	ada := k.made.signIn(t, s)
	k.totp = text(ada.call(200, "POST", "/me/totp", nil).Data, "secret")
	ada.call(200, "POST", "/me/totp/confirm", map[string]string{"code": k.code()})
	return k
}

// code returns a code of the authenticator app that was not used yet.
func (k *keyed) code() string {
	k.t.Helper()
	c, err := totp.GenerateCode(k.totp, time.Now().Add(k.nextTry))
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

// works deploys, and awaits the event that the webhook's secret signs.
func (k *keyed) works() {
	k.t.Helper()
	k.deploys++
	d := k.Deploy(k.tenant, fmt.Sprint("machine-", k.deploys), k.public)
	k.Running(k.tenant, d)
	for a := (arrival{}); a.subject != d; {
		a = k.inbox.await(k.t, "deployment.running") // the inbox verifies it
	}
	if a := k.Call(k.tenant, "DELETE", "/deployments/"+d+"?when=earliest", nil); a.Status >= 300 {
		k.t.Errorf("%d %s", a.Status, a.Body)
	}
}

// cloudWorks uses the cloud's API key.
func (k *keyed) cloudWorks(when string) {
	k.t.Helper()
	if out, err := k.TryRun("provider", "check", "lambda"); err != nil {
		k.t.Errorf("%s: the cloud's key: %v\n%s", when, err, out)
	}
}

// keys returns `billetd secret-key status`.
func (k *keyed) keys() map[string]app.SecretKey {
	k.t.Helper()
	var all []app.SecretKey
	if err := json.Unmarshal([]byte(k.Run("secret-key", "status", "-o", "json")), &all); err != nil {
		k.t.Fatal(err)
	}
	byName := map[string]app.SecretKey{}
	for _, key := range all {
		byName[key.Name] = key
	}
	return byName
}

// seals returns the name of the key that seals.
func (k *keyed) seals() string {
	k.t.Helper()
	for name, key := range k.keys() {
		if key.State == app.KeySeals {
			return name
		}
	}
	k.t.Fatalf("no key seals: %v", k.keys())
	return ""
}

// forget makes a backup, and forgets the former key.
func (k *keyed) forget(former string) {
	k.t.Helper()
	if out, err := k.TryRun("secret-key", "forget", former); err == nil || !strings.Contains(out, "repeat this after") {
		k.t.Errorf("forgotten at once: %v\n%s", err, out)
	}
	k.Advance("2h")
	out, err := k.TryRun("secret-key", "forget", former)
	if err == nil || !strings.Contains(out, "no backup was made") {
		k.t.Errorf("forgotten without a backup: %v\n%s", err, out)
	}
	k.Run("backup", "--output", filepath.Join(k.t.TempDir(), "billet.backup"), "--unencrypted")
	k.Run("secret-key", "forget", former)
}

// file returns the names of the keys in the key file.
func (k *keyed) file() []string {
	k.t.Helper()
	b, err := secret.Open(k.Dir, false)
	if err != nil {
		k.t.Fatal(err)
	}
	return b.Names()
}

var sealedText = regexp.MustCompile(`\bv1\.([0-9a-f]{8})\.[\w-]{20,}`)

// sealedColumns returns the columns of the database that have sealed texts, with the names of the
// keys. It reads every text of every table.
func (k *keyed) sealedColumns() map[string][]string {
	k.t.Helper()
	d, _, err := sqlite.OpenReadOnly(k.t.Context(), filepath.Join(k.Dir, "billet.db"), clock.System{})
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	columns, err := db.Collect(k.t.Context(), d, func(row db.Row) (c [2]string, err error) {
		err = row.Scan(&c[0], &c[1])
		return c, err
	}, `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`)
	if err != nil || len(columns) < 500 {
		k.t.Fatalf("%d columns: %v", len(columns), err)
	}
	found := map[string][]string{}
	for _, c := range columns {
		texts, err := db.Collect(k.t.Context(), d, db.Value[string],
			`SELECT "`+c[1]+`" FROM "`+c[0]+`" WHERE typeof("`+c[1]+`") = 'text' AND "`+c[1]+`" LIKE '%v1.%'`)
		if err != nil {
			k.t.Fatal(err)
		}
		name := c[0] + "." + c[1]
		for _, m := range sealedText.FindAllStringSubmatch(strings.Join(texts, "\n"), -1) {
			if !slices.Contains(found[name], m[1]) {
				found[name] = append(found[name], m[1])
			}
		}
	}
	return found
}

// TestSecretKeyRotation replaces the secret key of a server that deploys and sends meanwhile.
func TestSecretKeyRotation(t *testing.T) {
	k := newKeyed(t)
	k.works()
	old := k.seals()
	if len(k.keys()) != 1 || k.keys()[old].Values < 4 {
		t.Errorf("before: %+v", k.keys())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if out, err := k.TryRun("secret-key", "rotate"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}()
	for running := true; running; {
		k.works()
		select {
		case <-ended:
			running = false
		default:
		}
	}
	k.works()
	k.cloudWorks("right after")
	now := k.seals()
	if got := k.keys()[old]; now == old || got.Values != 0 || got.State != app.KeyFormer || got.ForgetAfter == nil {
		t.Errorf("after: %+v", k.keys())
	}
	k.checkColumns(now)
	k.forget(old)
	if got := k.file(); !slices.Equal(got, []string{now}) {
		t.Errorf("got the keys %v in the file, want %s", got, now)
	}
	k.Stop()
	k.Restart()
	k.works()
	k.cloudWorks("after a restart with the new key only")
	k.nextTry = 30 * time.Second
	login := map[string]string{"email": k.made.Email, "password": k.made.Password, "code": k.code()}
	(&browser{t: t, s: k.Server}).call(201, "POST", "/sessions", login)
	if strings.Contains(k.Log(), "was sealed with another key") {
		t.Errorf("the server met what it cannot open:\n%s", k.Log())
	}
}

// checkColumns checks that everything in the database is sealed with the key, and is in the list.
func (k *keyed) checkColumns(key string) {
	k.t.Helper()
	var listed []string
	for _, c := range app.SealedColumns() {
		listed = append(listed, c.Table+"."+c.Column)
	}
	found := k.sealedColumns()
	for name, keys := range found {
		if !slices.Contains(listed, name) {
			k.t.Errorf("%s has sealed texts, and app.SealedColumns does not list it", name)
		}
		if !slices.Equal(keys, []string{key}) {
			k.t.Errorf("%s is sealed with %v, want %s", name, keys, key)
		}
	}
	for _, name := range []string{
		"webhook.secret", "provider_account.credential", "totp.secret", "signed_head_key.private_key",
	} {
		if found[name] == nil {
			k.t.Errorf("nothing in %s was found; found %v", name, slices.Sorted(maps.Keys(found)))
		}
	}
}

// TestKilledRotation kills the commands at each of their steps, and repeats them. The server runs
// or is started in between.
func TestKilledRotation(t *testing.T) {
	k := newKeyed(t)
	k.works()
	old := k.seals()
	killed := func(step string, args ...string) {
		t.Helper()
		t.Setenv(crashpoint.Variable, step)
		if out, err := k.TryRun(args...); err == nil {
			t.Fatalf("%s was not reached:\n%s", step, out)
		}
		t.Setenv(crashpoint.Variable, "")
		k.works()
		k.Stop()
		k.Restart()
		k.works()
	}
	killed(crashpoint.KeyAfterAdd, "secret-key", "rotate")
	added := k.file()
	if len(added) != 2 || k.seals() != old {
		t.Errorf("a key was added: got the keys %v in the file, and %s seals", added, k.seals())
	}
	killed(crashpoint.KeyAfterUse, "secret-key", "rotate")
	if !slices.Equal(k.file(), added) || k.seals() != added[0] {
		t.Errorf("it is used: got the keys %v in the file, and %s seals", k.file(), k.seals())
	}
	killed(crashpoint.ResealBeforeCommit+":9", "secret-key", "rotate")
	killed(crashpoint.ResealAfterCommit+":9", "secret-key", "rotate")
	k.cloudWorks("some are sealed again")
	k.Run("secret-key", "rotate")
	if all := k.keys(); len(all) != 2 || all[old].Values != 0 || all[added[0]].Values < 4 {
		t.Errorf("everything is sealed again: %+v", all)
	}
	k.checkColumns(added[0])
	k.Advance("2h")
	killed(crashpoint.KeyBeforeRemoval, "secret-key", "forget", old, "--yes")
	k.Run("secret-key", "forget", old)
	if got := k.file(); !slices.Equal(got, added[:1]) {
		t.Errorf("got the keys %v in the file, want %v", got, added[:1])
	}
	if files, err := filepath.Glob(filepath.Join(k.Dir, secret.File+"*")); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	k.works()
	k.cloudWorks("after all")
}
