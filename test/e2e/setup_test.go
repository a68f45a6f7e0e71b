package e2e_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// A server without a user logs a code. With it, and only with it, the first operator is created.
func TestFirstRun(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, args...)
		const state, create = "=/api/v1/setup", "=/api/v1/setup/operator"
		logged := regexp.MustCompile(`code=((?:[A-Z2-7]{4}-){3}[A-Z2-7]{4})`)
		codeOf := func() string {
			t.Helper()
			found := logged.FindAllStringSubmatch(s.Log(), -1)
			if len(found) != 1 {
				t.Fatalf("the log has %d codes, want one:\n%s", len(found), s.Log())
			}
			return found[0][1]
		}
		first := codeOf()
		if link := s.URL + "/setup#" + first; !strings.Contains(s.Log(), link) {
			t.Errorf("the log does not have %s:\n%s", link, s.Log())
		}
		s.Stop()
		s.Restart()
		body := map[string]any{
			"code": "AAAA-BBBB-CCCC-DDDD", "name": "Grace", "email": "grace@example.com", "password": "a long password",
		}
		call := func(status int) servertest.Answer {
			t.Helper()
			a := s.Call("", http.MethodPost, create, body, "Sec-Fetch-Site", "same-origin")
			if a.Status != status {
				t.Fatalf("code %v: got %d %s, want %d", body["code"], a.Status, a.Body, status)
			}
			return a
		}
		call(http.StatusBadRequest)
		if got := s.Call("", http.MethodGet, state, nil).Data["needed"]; got != true {
			t.Errorf("needed: got %v, want true", got)
		}
		started := codeOf()
		var made struct{ Code string }
		if err := json.Unmarshal([]byte(s.Run("setup-code", "-o", "json")), &made); err != nil {
			t.Fatal(err)
		}
		for _, ended := range []string{first, started} { // the command ends them
			body["code"] = ended
			call(http.StatusBadRequest)
		}
		body["code"] = made.Code
		operator := call(http.StatusCreated)
		if user := operator.Data["user"].(map[string]any); user["operator"] != true {
			t.Errorf("got %v, want an operator", user)
		}
		cookie := strings.Split(operator.Header.Get("Set-Cookie"), ";")[0]
		if a := s.Call("", http.MethodGet, "=/api/v1/operator/settings", nil, "Cookie", cookie); a.Status != 200 {
			t.Errorf("settings: got %d %s", a.Status, a.Body)
		}
		body["email"] = "other@example.com"
		call(http.StatusConflict)
		if out, err := s.TryRun("setup-code"); err == nil || !strings.Contains(out, "already set up") {
			t.Errorf("setup-code with a user: got %v %s, want a refusal", err, out)
		}
		s.Stop()
		s.Restart()
		if logged.MatchString(s.Log()) {
			t.Errorf("a server with a user logs a code:\n%s", s.Log())
		}
		if got := s.Call("", http.MethodGet, state, nil).Data["needed"]; got != false {
			t.Errorf("needed: got %v, want false", got)
		}
	})
}
