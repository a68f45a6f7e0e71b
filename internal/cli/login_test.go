package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// approve waits until billet has written its user code to the file, and approves the device
// authorization as an owner of the account.
func approve(s *servertest.Server, account, file string) error {
	shown := regexp.MustCompile(`compare the code: (\S+)\n`)
	var code string
	for deadline := time.Now().Add(time.Minute); code == ""; {
		b, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		if m := shown.FindSubmatch(b); m != nil {
			code = string(m[1])
		} else if time.Now().After(deadline) {
			return fmt.Errorf("got no user code in: %s", b)
		} else {
			time.Sleep(10 * time.Millisecond) // another process writes the file
		}
	}
	var made struct{ Password, Email string }
	out := s.Run("user", "create", "--account", account, "--email", "ada@example.com", "-o", "json")
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		return err
	}
	cookie := ""
	for _, call := range []struct {
		path string
		body any
	}{
		{"/sessions", map[string]string{"email": made.Email, "password": made.Password}},
		{"/device-authorizations/approve", map[string]any{
			"userCode": code, "name": "laptop", "scopes": []string{"offers:read", "wallet:read"},
		}},
	} {
		a := s.Call("", "POST", "=/api/v1/account"+call.path, call.body, "Cookie", cookie, "Origin", s.URL)
		if a.Status != http.StatusCreated && a.Status != http.StatusOK {
			return fmt.Errorf("%s: %s", call.path, a.Body)
		}
		if set := a.Header.Get("Set-Cookie"); set != "" {
			cookie, _, _ = strings.Cut(set, ";")
		}
	}
	return nil
}
