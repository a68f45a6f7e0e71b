package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
	"github.com/billetcloud/billet/test/webauthntest"
	"github.com/pquerna/otp/totp"
)

const accountBase = "=/api/v1/account"

// browser is a user's browser, with its cookie.
type browser struct {
	t      *testing.T
	s      *servertest.Server
	cookie string
}

// call makes a request and fails the test on another status. It keeps the cookie that it gets.
func (b *browser) call(status int, method, path string, body any) servertest.Answer {
	b.t.Helper()
	a := b.s.Call("", method, accountBase+path, body, "Cookie", b.cookie, "Origin", b.s.URL)
	if a.Status != status {
		b.t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	if set := a.Header.Get("Set-Cookie"); set != "" {
		b.cookie, _, _ = strings.Cut(set, ";")
	}
	return a
}

func text(m map[string]any, name string) string {
	s, _ := m[name].(string)
	return s
}

func TestMembers(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, key := s.Key("100")
		var made struct{ Password, Email string }
		out := s.Run(
			"user", "create", "--account", account, "--email", "Ada@example.com", "--name", "Ada", "--operator",
			"-o", "json",
		)
		if err := json.Unmarshal([]byte(out), &made); err != nil || made.Email != "ada@example.com" ||
			len(made.Password) < 20 {
			t.Fatalf("%s %v", out, err)
		}
		if out := s.Run("user", "list"); !strings.Contains(out, "ada@example.com") ||
			strings.Contains(out, made.Password) {
			t.Errorf("%s", out)
		}
		if out, err := s.TryRun("user", "create", "--account", account, "--email", "ada@example.com"); err == nil {
			t.Errorf("one address twice: %s", out)
		}
		if out, err := s.TryRun("user", "create", "--account", "acc_none", "--email", "x@example.com"); err == nil {
			t.Errorf("an account that is not there: %s", out)
		}
		ada := &browser{t: t, s: s}
		ada.call(401, "GET", "/me", nil)
		ada.call(201, "POST", "/sessions", map[string]string{"email": made.Email, "password": made.Password})
		me := ada.call(200, "GET", "/me", nil).Data
		if me["role"] != "owner" || me["user"].(map[string]any)["operator"] != true {
			t.Errorf("%v", me)
		}
		if a := s.Call("", "GET", "=/api/v1/operator/accounts", nil, "Cookie", ada.cookie); a.Status != 200 {
			t.Errorf("the operator may not see the accounts: %d %s", a.Status, a.Body)
		}

		// The owner invites a viewer, who sees machines and changes nothing.
		link := text(ada.call(201, "POST", "/invitations", map[string]string{"role": "viewer"}).Data, "url")
		page, token, _ := strings.Cut(link, "#")
		if page != s.URL+"/invite" {
			t.Errorf("%s", link)
		}
		bob := &browser{t: t, s: s}
		bob.call(200, "POST", "/invitations/preview", map[string]string{"token": token})
		bob.call(
			201, "POST", "/invitations/accept",
			map[string]string{"token": token, "email": "bob@example.com", "password": "a password of Bob's"},
		)
		bob.call(404, "POST", "/invitations/preview", map[string]string{"token": token})
		bob.call(403, "GET", "/members", nil)
		if a := s.Call(
			"", "POST", "/deployments", deployBody(t, "bobs"), "Cookie", bob.cookie, "Origin", s.URL,
		); a.Status != 403 || a.Code() != "INSUFFICIENT_SCOPE" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := s.Call(
			"", "POST", "/deployments", deployBody(t, "elsewhere"), "Cookie", ada.cookie, "Origin",
			"https://evil.example",
		); a.Status != 403 || a.Code() != "NETWORK_NOT_ALLOWED" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := s.Call(
			"", "POST", "/deployments", deployBody(t, "owned"), "Cookie", ada.cookie, "Origin", s.URL,
		); a.Status != 201 {
			t.Errorf("%d %s", a.Status, a.Body)
		}

		// An authenticator app uses real time and survives a restart.
		secret := text(ada.call(200, "POST", "/me/totp", nil).Data, "secret")
		code := func(at time.Time) string {
			c, err := totp.GenerateCode(secret, at)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		s.Advance("3h")
		recovery := ada.call(
			200, "POST", "/me/totp/confirm", map[string]string{"code": code(time.Now())},
		).Data["recoveryCodes"].([]any)
		info, err := os.Stat(filepath.Join(s.Dir, "secret.key"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%v %v", info, err)
		}
		s.Stop()
		s.Restart()
		second := &browser{t: t, s: s}
		login := map[string]string{"email": made.Email, "password": made.Password}
		if a := second.call(401, "POST", "/sessions", login); a.Code() != "SECOND_FACTOR_REQUIRED" {
			t.Errorf("%s", a.Body)
		}
		login["code"] = recovery[0].(string)
		second.call(201, "POST", "/sessions", login)
		login["code"] = code(time.Now().Add(30 * time.Second)) // the next code is accepted, too, and is unused
		(&browser{t: t, s: s}).call(201, "POST", "/sessions", login)

		// The audit has every change, and no secret.
		a := ada.call(200, "GET", "/audit?limit=100", nil)
		for _, action := range []string{
			"createUser", "createApiKey", "signIn", "createInvitation", "acceptInvitation", "createDeployment",
			"startTotp", "confirmTotp",
		} {
			if !strings.Contains(string(a.Body), `"`+action+`"`) {
				t.Errorf("no %s in %s", action, a.Body)
			}
		}
		for _, hidden := range []string{made.Password, token, secret, key, recovery[0].(string)} {
			if strings.Contains(string(a.Body), hidden) || strings.Contains(s.Log(), hidden) {
				t.Errorf("%q is in the audit or the log", hidden)
			}
		}

		s.Run("user", "set-operator", "--email", made.Email, "--revoke")
		if a := s.Call("", "GET", "=/api/v1/operator/accounts", nil, "Cookie", ada.cookie); a.Status != 403 {
			t.Errorf("who is an operator no longer still sees the accounts: %d %s", a.Status, a.Body)
		}

		// The operator helps a user who is locked out.
		s.Run("user", "reset-factors", "--email", made.Email)
		if out := s.RunWith(
			"the password that I chose\n", "user", "set-password", "--email", made.Email, "--password-stdin",
		); strings.Contains(out, "chose") {
			t.Errorf("%s", out)
		}
		ada.call(401, "GET", "/me", nil)
		ada.call(
			201, "POST", "/sessions",
			map[string]string{"email": made.Email, "password": "the password that I chose"},
		)

		// The member is removed, and has no access at once.
		bobID := text(bob.call(200, "GET", "/me", nil).Data["user"].(map[string]any), "id")
		ada.call(200, "DELETE", "/members/"+bobID, nil)
		bob.call(401, "GET", "/me", nil)
		adaID := text(ada.call(200, "GET", "/me", nil).Data["user"].(map[string]any), "id")
		ada.call(409, "DELETE", "/members/"+adaID, nil)
	})
}

func TestPasskeysAtLocalhost(t *testing.T) {
	s := servertest.Start(t, "--sim", "--demo")
	var demo struct{ Email, Password string }
	file, err := os.ReadFile(filepath.Join(s.Dir, "demo.json"))
	if err == nil {
		err = json.Unmarshal(file, &demo)
	}
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Call("", "GET", accountBase+"/sign-in", nil); a.Data["passkeys"] != false ||
		a.Data["demo"].(map[string]any)["email"] != demo.Email {
		t.Errorf("%s", a.Body)
	}
	s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	if a := s.Call("", "GET", accountBase+"/sign-in", nil); a.Data["passkeys"] != true {
		t.Errorf("%s", a.Body)
	}
	b := &browser{t: t, s: s}
	b.call(http.StatusCreated, "POST", "/sessions", map[string]string{"email": demo.Email, "password": demo.Password})
	me := b.call(200, "GET", "/me", nil).Data
	if me["role"] != "owner" || me["user"].(map[string]any)["operator"] != true {
		t.Errorf("%v", me)
	}
	d := webauthntest.New(t, s.URL, "localhost")
	offer := b.call(200, "POST", "/me/passkeys/options", nil).Data
	b.call(
		201, "POST", "/me/passkeys",
		map[string]any{
			"challengeId": offer["challengeId"], "name": "laptop", "credential": d.Register(offer["options"]),
		},
	)
	again := &browser{t: t, s: s}
	ask := again.call(200, "POST", "/sessions/passkey/options", nil).Data
	again.call(
		201, "POST", "/sessions/passkey",
		map[string]any{"challengeId": ask["challengeId"], "credential": d.SignIn(ask["options"])},
	)
	again.call(200, "GET", "/me", nil)
}
