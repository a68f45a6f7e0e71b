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

// owner is a user whom a command has created.
type owner struct{ Password, Email string }

// createOwner creates the account's owner, who is an operator as well.
func createOwner(t *testing.T, s *servertest.Server, account string) (made owner) {
	t.Helper()
	out := s.Run(
		"user", "create", "--account", account, "--email", "Ada@example.com", "--name", "Ada", "--operator",
		"-o", "json",
	)
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Email != "ada@example.com" ||
		len(made.Password) < 20 {
		t.Fatalf("%s %v", out, err)
	}
	return made
}

func (o owner) signIn(t *testing.T, s *servertest.Server) *browser {
	t.Helper()
	b := &browser{t: t, s: s}
	b.call(401, "GET", "/me", nil)
	b.call(201, "POST", "/sessions", map[string]string{"email": o.Email, "password": o.Password})
	return b
}

func TestUserCreate(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, _ := s.Key("100")
		made := createOwner(t, s, account)
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
		ada := made.signIn(t, s)
		me := ada.call(200, "GET", "/me", nil).Data
		if me["role"] != "owner" || me["user"].(map[string]any)["operator"] != true {
			t.Errorf("%v", me)
		}
		accounts := func() int {
			return s.Call("", "GET", "=/api/v1/operator/accounts", nil, "Cookie", ada.cookie).Status
		}
		if got := accounts(); got != 200 {
			t.Errorf("an operator reads the accounts: got %d, want 200", got)
		}
		s.Run("user", "set-operator", "--email", made.Email, "--revoke")
		if got := accounts(); got != 403 {
			t.Errorf("a user who is no operator any more reads the accounts: got %d, want 403", got)
		}
	})
}

// inviteViewer lets the owner invite a viewer, who reads machines and changes nothing.
func inviteViewer(t *testing.T, s *servertest.Server, ada *browser) (bob *browser, token string) {
	t.Helper()
	link := text(ada.call(201, "POST", "/invitations", map[string]string{"role": "viewer"}).Data, "url")
	page, token, _ := strings.Cut(link, "#")
	if page != s.URL+"/invite" {
		t.Errorf("%s", link)
	}
	bob = &browser{t: t, s: s}
	bob.call(200, "POST", "/invitations/preview", map[string]string{"token": token})
	bob.call(
		201, "POST", "/invitations/accept",
		map[string]string{"token": token, "email": "bob@example.com", "password": "a password of Bob's"},
	)
	bob.call(404, "POST", "/invitations/preview", map[string]string{"token": token})
	bob.call(403, "GET", "/members", nil)
	for _, c := range []struct {
		who          *browser
		origin, code string
		status       int
	}{
		{bob, s.URL, "INSUFFICIENT_SCOPE", 403}, {ada, "https://evil.example", "NETWORK_NOT_ALLOWED", 403},
		{ada, s.URL, "", 201},
	} {
		if a := s.Call(
			"", "POST", "/deployments", deployBody(t, "mine"), "Cookie", c.who.cookie, "Origin", c.origin,
		); a.Status != c.status || a.Code() != c.code {
			t.Errorf("deploy from %s: got %d %s, want %d %s", c.origin, a.Status, a.Body, c.status, c.code)
		}
	}
	return bob, token
}

// useAuthenticator adds an authenticator app, which uses real time and survives a restart, and
// signs in with it.
func useAuthenticator(t *testing.T, s *servertest.Server, ada *browser, made owner) (secret, recovery string) {
	t.Helper()
	secret = text(ada.call(200, "POST", "/me/totp", nil).Data, "secret")
	code := func(at time.Time) string {
		c, err := totp.GenerateCode(secret, at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s.Advance("3h")
	recovery = ada.call(
		200, "POST", "/me/totp/confirm", map[string]string{"code": code(time.Now())},
	).Data["recoveryCodes"].([]any)[0].(string)
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
	login["code"] = recovery
	second.call(201, "POST", "/sessions", login)
	login["code"] = code(time.Now().Add(30 * time.Second)) // the next code is accepted, too, and is unused
	(&browser{t: t, s: s}).call(201, "POST", "/sessions", login)
	return secret, recovery
}

// checkAudit checks that the audit has every change, and neither it nor the log a secret.
func checkAudit(t *testing.T, s *servertest.Server, ada *browser, secrets ...string) {
	t.Helper()
	a := ada.call(200, "GET", "/audit?limit=100", nil)
	for _, action := range []string{
		"createUser", "createApiKey", "signIn", "createInvitation", "acceptInvitation", "createDeployment",
		"startTotp", "confirmTotp",
	} {
		if !strings.Contains(string(a.Body), `"`+action+`"`) {
			t.Errorf("no %s in %s", action, a.Body)
		}
	}
	for _, hidden := range secrets {
		if strings.Contains(string(a.Body), hidden) || strings.Contains(s.Log(), hidden) {
			t.Errorf("%q is in the audit or the log", hidden)
		}
	}
}

func TestMembers(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, key := s.Key("100")
		made := createOwner(t, s, account)
		ada := made.signIn(t, s)
		bob, token := inviteViewer(t, s, ada)
		secret, recovery := useAuthenticator(t, s, ada, made)
		checkAudit(t, s, ada, made.Password, token, secret, key, recovery)

		// The operator helps a user who is locked out.
		s.Run("user", "reset-factors", "--email", made.Email)
		made.Password = "the password that I chose"
		if out := s.RunWith(
			made.Password+"\n", "user", "set-password", "--email", made.Email, "--password-stdin",
		); strings.Contains(out, "chose") {
			t.Errorf("%s", out)
		}
		ada.call(401, "GET", "/me", nil)
		ada = made.signIn(t, s)

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
