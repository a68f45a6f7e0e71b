package httpapi

import (
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

const settingsPath = OperatorBase + "/settings"

func TestSettings(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op := w.operator()
		first := w.want(200, op, "GET", settingsPath, nil)
		got := first.data.(map[string]any)
		same(t, "version", got["version"], 0.0)
		same(t, "name", got["installation"].(map[string]any)["name"], "Billet")
		same(t, "configured", got["mail"].(map[string]any)["configured"], false)
		same(t, "policy", got["signUp"].(map[string]any)["policy"], "closed")

		change := map[string]any{
			"installation": map[string]any{"name": "Example Cloud"},
			"mail": map[string]any{
				"host": "smtp.example.com", "user": "u", "password": "correct horse",
				"fromAddress": "no-reply@example.com",
			},
			"signUp": map[string]any{"startingCredit": 2.5},
		}
		tag := first.header.Get("ETag")
		changed := w.want(200, op, "PATCH", settingsPath, change, header("If-Match", tag))
		w.refused("PRECONDITION_FAILED", op, "PATCH", settingsPath, change, header("If-Match", tag))
		read := w.want(200, op, "GET", settingsPath, nil)
		same(t, "ETag", read.header.Get("ETag"), changed.header.Get("ETag"))
		got = read.data.(map[string]any)
		mail := got["mail"].(map[string]any)
		same(t, "configured", mail["configured"], true)
		same(t, "passwordSet", mail["passwordSet"], true)
		same(t, "startingCredit", got["signUp"].(map[string]any)["startingCredit"], 2.5)
		for _, shown := range []string{string(changed.body), string(read.body), w.log.String()} {
			if strings.Contains(shown, "correct horse") {
				t.Errorf("the password is shown: %s", shown)
			}
		}
		now, err := w.c.Settings.Current(t.Context())
		if err != nil || now.Installation.Name != "Example Cloud" {
			t.Errorf("this process has %+v, %v", now, err)
		}
	})
}

func TestNoSettingHasHiddenCharacters(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	op := w.operator()
	for group, names := range map[string][]string{
		"installation": {"name", "supportAddress", "termsUrl", "termsVersion", "privacyUrl"},
		"mail":         {"host", "user", "fromAddress", "fromName", "replyTo"},
	} {
		for _, name := range names {
			for text := range hiddenIn {
				r := w.refused("INVALID_REQUEST", op, "PATCH", settingsPath,
					map[string]any{group: map[string]any{name: text}})
				if !slices.Contains(r.fields(), group+"."+name) {
					t.Errorf("%s.%s with %q: %s", group, name, text, r.body)
				}
			}
		}
	}
}

func TestSettingsNameEveryFault(t *testing.T) {
	w := newWorld(t)
	op := w.operator()
	r := w.refused("INVALID_REQUEST", op, "PATCH", settingsPath, map[string]any{
		"installation": map[string]any{"supportAddress": "no-one", "privacyUrl": "x"},
		"mail":         map[string]any{"port": 70000, "hots": "a"},
		"signUp":       map[string]any{"policy": "maybe"},
	})
	for _, want := range []string{
		"installation.supportAddress", "installation.privacyUrl", "mail.port", "mail.hots", "signUp.policy",
	} {
		if !strings.Contains(string(r.body), `"`+want+`"`) {
			t.Errorf("%s is not named: %s", want, r.body)
		}
	}
	w.refused("INVALID_REQUEST", op, "PATCH", settingsPath, map[string]any{})
	w.refused("INVALID_REQUEST", op, "PATCH", settingsPath, map[string]any{"mail": map[string]any{}})
	w.refused("INSUFFICIENT_SCOPE", w.ada, "GET", settingsPath, nil)
	w.refused("INSUFFICIENT_SCOPE", w.keyWith(w.bob, account.ReadOperator), "PATCH", settingsPath,
		map[string]any{"publicPages": map[string]any{"prices": true}})
}
