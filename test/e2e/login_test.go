package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// A program on a machine without a browser gets the demo user's key by a code.
func TestLoginWithACode(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim", "--demo")...)
		var demo struct{ Email, Password string }
		file, err := os.ReadFile(filepath.Join(s.Dir, "demo.json"))
		if err == nil {
			err = json.Unmarshal(file, &demo)
		}
		if err != nil {
			t.Fatal(err)
		}
		login := s.Call("", "POST", "/logins", map[string]string{"client": "billet on somewhere"})
		if login.Status != 201 || text(login.Data, "verificationUrl") != s.URL+"/login-code" {
			t.Fatalf("%s", login.Body)
		}
		device, code := text(login.Data, "deviceCode"), text(login.Data, "userCode")
		claim := func() servertest.Answer {
			return s.Call("", "POST", "/logins/claim?waitSeconds=60", map[string]string{"deviceCode": device})
		}
		answer := make(chan servertest.Answer)
		go func() { answer <- claim() }()

		user := &browser{t: t, s: s}
		user.call(201, "POST", "/sessions", map[string]string{"email": demo.Email, "password": demo.Password})
		look := user.call(200, "POST", "/logins/look", map[string]string{"userCode": code})
		if text(look.Data, "client") != "billet on somewhere" || text(look.Data, "address") != "127.0.0.1" {
			t.Errorf("%s", look.Body)
		}
		allowed := user.call(200, "POST", "/logins/allow", map[string]any{"userCode": code, "name": "somewhere", "spendingLimits": map[string]any{"maxDeployments": 0}})
		got := <-answer
		key := text(got.Data, "key")
		if got.Status != 200 || key == "" || text(got.Data, "keyId") != text(allowed.Data, "id") {
			t.Fatalf("%d %s", got.Status, got.Body)
		}

		// The key outlives the server, with what was set for it.
		s.Kill()
		s.Restart()
		if a := s.Call(key, "GET", "/wallet", nil); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := s.Call(key, "POST", "/deployments", deployBody(t, "x")); a.Status != 403 || a.Code() != "KEY_LIMIT_REACHED" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if again := claim(); again.Code() != "LOGIN_CLAIMED" {
			t.Errorf("%d %s", again.Status, again.Body)
		}
		for _, secret := range []string{key, device, code} {
			if strings.Contains(s.Log(), secret) {
				t.Errorf("%s is in the log", secret)
			}
		}
	})
}
