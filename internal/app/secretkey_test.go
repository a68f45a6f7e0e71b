package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/installation"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/settings"
)

// TestEverySealedColumnIsListed compares the list with the comments of the schema: a rotation would
// forget the key of a column that is not in the list.
func TestEverySealedColumnIsListed(t *testing.T) {
	text, err := os.ReadFile("../db/migrate/sql/00001_schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	var schema, list []string
	table, column := regexp.MustCompile(`^CREATE TABLE (\w+) \(`), regexp.MustCompile(`^ +(\w+) +TEXT .*--.*\bsealed\b`)
	var of string
	for line := range strings.Lines(string(text)) {
		if m := table.FindStringSubmatch(line); m != nil {
			of = m[1]
		}
		if m := column.FindStringSubmatch(line); m != nil {
			schema = append(schema, of+"."+m[1])
		}
	}
	for _, c := range SealedColumns() {
		list = append(list, c.Table+"."+c.Column)
	}
	slices.Sort(schema)
	slices.Sort(list)
	if !slices.Equal(schema, list) {
		t.Errorf("the schema says that these are sealed:\n%q\nSealedColumns lists:\n%q", schema, list)
	}
}

// TestEveryPackageThatSealsHasColumns finds packages that seal something and list no column.
func TestEveryPackageThatSealsHasColumns(t *testing.T) {
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	seals, lists := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Base(filepath.Dir(f))
		if strings.HasSuffix(f, "_test.go") || dir == "secret" {
			continue
		}
		if bytes.Contains(text, []byte("ecrets.Seal(")) {
			seals[dir] = true
		}
		if bytes.Contains(text, []byte("\nvar Sealed = []secret.Column{")) {
			lists[dir] = true
		}
	}
	for dir := range seals {
		if !lists[dir] {
			t.Errorf("internal/%s seals something and lists no column of it", dir)
		}
	}
	if len(seals) < 9 || len(lists) != len(seals) {
		t.Errorf("%d packages seal, and %d list columns", len(seals), len(lists))
	}
}

// rotation is a database with a sealed value, and what its server does.
type rotation struct {
	t *testing.T
	c Config
}

func (r rotation) with(f func(o *Operator) error) error {
	r.t.Helper()
	o, err := OpenForKeys(r.t.Context(), r.c)
	if err != nil {
		return err
	}
	return errors.Join(f(o), o.Close())
}

func (r rotation) must(f func(o *Operator) error) {
	r.t.Helper()
	if err := r.with(f); err != nil {
		r.t.Fatal(err)
	}
}

// refused fails unless the error says each of the texts.
func (r rotation) refused(what string, err error, wants ...string) {
	r.t.Helper()
	for _, want := range wants {
		if err == nil || !strings.Contains(err.Error(), want) {
			r.t.Errorf("%s: got %v, want an error with %q", what, err, want)
		}
	}
}

// states returns the keys as "name state values".
func (r rotation) states() map[string]SecretKey {
	r.t.Helper()
	byName := map[string]SecretKey{}
	r.must(func(o *Operator) error {
		keys, err := o.SecretKeys(r.t.Context())
		for _, k := range keys {
			byName[k.Name] = k
		}
		return err
	})
	return byName
}

func (r rotation) forget(name string, yes bool) (removed bool, err error) {
	err = r.with(func(o *Operator) error {
		removed, err = o.ForgetSecretKey(r.t.Context(), r.c, name, yes)
		return err
	})
	return removed, err
}

// old makes the former keys resealed that long ago.
func (r rotation) old(ago time.Duration) {
	r.t.Helper()
	r.must(func(o *Operator) error {
		return o.DB.InTx(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
			former, err := installation.FormerKeys(ctx, tx)
			for i := range former {
				at := former[i].ResealedAt.Add(-ago)
				former[i].ResealedAt = &at
			}
			return errors.Join(err, installation.SetFormerKeys(ctx, tx, former))
		})
	})
}

func (r rotation) setPassword(o *Operator, password string) {
	r.t.Helper()
	host, user, from := "mail.example.com", "billet", "billet@example.com"
	if _, err := o.ChangeSettings(r.t.Context(), settings.Change{Mail: settings.MailChange{
		Host: &host, User: &user, FromAddress: &from, Password: &password,
	}}); err != nil {
		r.t.Fatal(err)
	}
}

// password returns what the server's settings have, as it would send it to the mail server.
func (r rotation) password(o *Operator) string {
	r.t.Helper()
	s, err := o.Settings.Get(r.t.Context(), o.DB)
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := o.Settings.Password(s)
	if err != nil {
		r.t.Error(err)
	}
	return p
}

func TestSecretKeyRotation(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		r := rotation{t, c}
		server, err := OpenOperator(t.Context(), c) // it runs all the time
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = server.Close() }()
		r.setPassword(server, "hush")
		old := server.secrets.Name()
		r.refused("forget the only key", errOf(r.forget(old, true)), "is the secret key that seals")
		added, values := r.add(old)
		r.use(server, old, added)
		r.refusedMeanwhile(old)
		lacks := r.without(added)
		r.refused("without the former key", opens(t, lacks), old, "billetd secret-key forget "+old)
		r.reseal(server, old, added, values)
		r.forgotten(old)
		if err := opens(t, lacks); err != nil {
			t.Errorf("with the new key only: %v", err)
		}
		r.must(func(o *Operator) error {
			if got := r.password(o); got != "late" {
				t.Errorf("with the new key only: %q", got)
			}
			return nil
		})
	})
}

// add adds a key: the server can read it, and goes on as before. A repetition adds no second one.
func (r rotation) add(old string) (added string, values int64) {
	r.t.Helper()
	for range 2 {
		r.must(func(o *Operator) error {
			name, err := o.AddSecretKey(r.t.Context(), r.c)
			if added != "" && name != added {
				r.t.Errorf("got another key %s", name)
			}
			added = name
			return err
		})
	}
	s := r.states()
	if len(s) != 2 || s[old].State != KeySeals || s[old].Values < 1 || s[added].State != KeyAdded ||
		!s[added].Configured {
		r.t.Errorf("added: %+v", s)
	}
	return added, s[old].Values
}

// use makes the key the one that seals. A server that has not noticed reads what the others seal,
// and they what it seals.
func (r rotation) use(server *Operator, old, added string) {
	r.t.Helper()
	r.must(func(o *Operator) error { _, err := o.UseSecretKey(r.t.Context(), added); return err })
	r.must(func(o *Operator) error { r.setPassword(o, "from another"); return nil })
	if got := r.password(server); got != "from another" || server.secrets.Name() != old {
		r.t.Errorf("a server that has not noticed: got %q, and it seals with %s", got, server.secrets.Name())
	}
	r.setPassword(server, "late")
	r.must(func(o *Operator) error {
		if got := r.password(o); got != "late" {
			r.t.Errorf("what such a server has sealed: got %q", got)
		}
		return nil
	})
	if err := server.followSecretKey(r.t.Context()); err != nil || server.secrets.Name() != added {
		r.t.Errorf("the server seals with %s: %v", server.secrets.Name(), err)
	}
}

// refusedMeanwhile is what cannot be done before everything is sealed again.
func (r rotation) refusedMeanwhile(old string) {
	r.t.Helper()
	r.refused("forget too early", errOf(r.forget(old, true)), "values are sealed with the key", "reseal")
	r.refused("begin another rotation", r.with(func(o *Operator) error {
		third, err := o.AddSecretKey(r.t.Context(), r.c)
		if err != nil {
			r.t.Fatal(err)
		}
		_, err = o.UseSecretKey(r.t.Context(), third)
		return err
	}), "not forgotten yet")
}

// without is a configuration with the added key only.
func (r rotation) without(added string) Config {
	r.t.Helper()
	lacks := r.c
	lacks.SecretKey = keyText(r.t, r.c.DataDir, added)
	return lacks
}

func (r rotation) reseal(server *Operator, old, added string, values int64) {
	r.t.Helper()
	r.must(func(o *Operator) error {
		done, err := o.ResealSecrets(r.t.Context())
		if done.Values != values || done.Unopened != 0 {
			r.t.Errorf("resealed: %+v, want %d", done, values)
		}
		return err
	})
	s := r.states()
	if s[old].Values != 0 || s[old].ForgetAfter == nil || s[added].Values != values {
		r.t.Errorf("resealed: %+v", s)
	}
	if got := r.password(server); got != "late" {
		r.t.Errorf("the server reads %q", got)
	}
}

// forgotten forgets the former key, which takes time and a backup, or a confirmation.
func (r rotation) forgotten(old string) {
	r.t.Helper()
	r.refused("forget at once", errOf(r.forget(old, true)), "repeat this after")
	r.old(2 * forgetAfter)
	r.refused("forget without a backup", errOf(r.forget(old, false)), "--yes")
	for _, want := range []bool{true, false} {
		if removed, err := r.forget(old, true); err != nil || removed != want {
			r.t.Fatalf("forget: %t, %v, want %t", removed, err, want)
		}
	}
	if _, is := r.states()[old]; is {
		r.t.Error("it is not forgotten")
	}
}

func errOf(_ bool, err error) error { return err }

// keyText returns one of the keys in the key file.
func keyText(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, secret.File))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Fields(string(text)) {
		if b, err := secret.Parse(f); err == nil && b.Name() == name {
			return f
		}
	}
	t.Fatalf("no key %s in the file", name)
	return ""
}

// A server whose keys are not in a file gets both by its configuration.
func TestSecretKeyRotation_Configured(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		one := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))
		two := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{2}, 32))
		c.SecretKey = one
		if err := opens(t, c); err != nil {
			t.Fatal(err)
		}
		r := rotation{t, c}
		r.refused("add", r.with(func(o *Operator) error { _, err := o.AddSecretKey(t.Context(), c); return err }),
			"BILLET_SECRET_KEY", "restart each server")
		box, err := secret.Parse(two)
		if err != nil {
			t.Fatal(err)
		}
		r.refused("use one that it lacks",
			r.with(func(o *Operator) error { _, err := o.UseSecretKey(t.Context(), box.Name()); return err }),
			"secret-key add")
		server, err := OpenOperator(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = server.Close() }()
		r.c.SecretKey = two + " " + one
		if err := opens(t, r.c); err != nil {
			t.Errorf("with a further key: %v", err)
		}
		former := server.secrets.Name()
		r.must(func(o *Operator) error { _, err := o.UseSecretKey(t.Context(), box.Name()); return err })
		r.refused("a server without it", server.followSecretKey(t.Context()), box.Name(), "add it")
		// Back, because a server was forgotten.
		r.must(func(o *Operator) error { _, err := o.UseSecretKey(t.Context(), former); return err })
		if err := server.followSecretKey(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A backup that is made while the key is replaced has both keys, and is restored with both only.
func TestBackupDuringSecretKeyRotation(t *testing.T) {
	c := Default()
	c.Version, c.DataDir = "v1.2.3", t.TempDir()
	if err := opens(t, c); err != nil {
		t.Fatal(err)
	}
	r := rotation{t, c}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	backup := func() (text bytes.Buffer) {
		t.Helper()
		m, err := Backup(t.Context(), c, &text, true, key.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		if err := RecordBackup(c.DataDir, m.CreatedAt); err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := backup()
	var old, added string
	r.must(func(o *Operator) error {
		r.setPassword(o, "hush")
		if added, err = o.AddSecretKey(t.Context(), c); err == nil {
			old, err = o.UseSecretKey(t.Context(), added)
		}
		return err
	})
	during := backup()
	r.must(func(o *Operator) error { _, err := o.ResealSecrets(t.Context()); return err })
	r.old(2 * forgetAfter)
	after := backup()
	if removed, err := r.forget(old, false); err != nil || !removed {
		t.Fatalf("forget after a backup: %t, %v", removed, err)
	}
	file, err := os.ReadFile(filepath.Join(c.DataDir, secret.File))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]struct {
		text bytes.Buffer
		with bool // is the new key enough?
	}{"before": {before, false}, "during": {during, false}, "after": {after, true}} {
		fresh := c
		fresh.DataDir = t.TempDir()
		if _, err := Restore(t.Context(), fresh, bytes.NewReader(b.text.Bytes()), key); err != nil {
			t.Errorf("%s, with the keys in it: %v", name, err)
		} else if err := opens(t, fresh); err != nil {
			t.Errorf("%s, opened: %v", name, err)
		}
		other := c
		other.DataDir = t.TempDir()
		if err := os.WriteFile(filepath.Join(other.DataDir, secret.File), file, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Restore(t.Context(), other, bytes.NewReader(b.text.Bytes()), key)
		if b.with != (err == nil) || err != nil && !strings.Contains(err.Error(), old) {
			t.Errorf("%s, with the new key only: %v", name, err)
		}
	}
}

func TestRotateSecretKey_RefusesPostgres(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		if c.DatabaseURL == "" {
			return
		}
		r := rotation{t, c}
		r.refused("rotate", r.with(func(o *Operator) error {
			_, _, err := o.RotateSecretKey(t.Context(), c, func(string) {})
			return err
		}), "secret-key add")
		if len(r.states()) != 1 {
			t.Errorf("%v", r.states())
		}
	})
}
