package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/test/servertest"
)

// user signs a new owner of the account in and returns how they call the API of the dashboard.
func user(t *testing.T, s *servertest.Server, account string) func(path string, body any) servertest.Answer {
	t.Helper()
	var made struct{ Password, Email string }
	if err := json.Unmarshal([]byte(s.Run("user", "create", "--account", account, "--email", "ada@example.com", "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	cookie := ""
	post := func(path string, body any) servertest.Answer {
		return s.Call("", "POST", "=/api/v1/account"+path, body, "Cookie", cookie, "Origin", s.URL)
	}
	in := post("/sessions", map[string]string{"email": made.Email, "password": made.Password})
	if in.Status != http.StatusCreated {
		t.Fatalf("%s", in.Body)
	}
	cookie, _, _ = strings.Cut(in.Header.Get("Set-Cookie"), ";")
	return post
}

// A program without a key gets one, although the answer that had it is lost.
func TestALoginBringsAKey(t *testing.T) {
	s := servertest.Start(t, "--sim")
	account, _ := s.Key("100")
	ada := user(t, s, account)
	b := &between{server: s, lose: map[string]int{}, lost: map[string]int{}}
	front := httptest.NewServer(b)
	defer front.Close()
	config := client.Config{
		BaseURL: front.URL, APIKey: "pk_live_of_somebody_else", HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := client.StartLogin(ctx, config, client.LoginRequest{Client: "billet on laptop", Scopes: []client.Scope{client.ScopeReadOffers, client.ScopeReadWallet}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(l.VerificationURL, "/login-code") || l.VerificationURLComplete != l.VerificationURL+"#"+l.UserCode || len(l.UserCode) != 9 {
		t.Fatalf("%+v", l)
	}
	if a := ada("/logins/allow", map[string]any{"userCode": l.UserCode, "name": "laptop", "scopes": []string{"offers:read"}}); a.Status != 200 {
		t.Fatalf("%s", a.Body)
	}
	b.loses("POST", 1)
	var r client.Response
	k, err := l.Wait(ctx, client.WithResponse(&r))
	if err != nil || r.Attempts != 2 || k.Name != "laptop" || k.Account.ID != account || k.ExpiresAt != nil || !slices.Equal(k.Scopes, []client.Scope{client.ScopeReadOffers}) {
		t.Fatalf("%+v %v, %+v", k, err, r)
	}
	if shown := fmt.Sprintf("%v %+v %#v %v %#v %v %+v %v %#v", k, k, k, l, l, *k, *k, *l, *l); strings.Contains(shown, k.Key) || strings.Contains(shown, "evice") {
		t.Errorf("%s", shown)
	}
	config.APIKey = k.Key
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Offers.List(ctx, client.OfferQuery{}); err != nil {
		t.Error(err)
	}
	if _, err := c.Wallet.Get(ctx); !errors.Is(err, client.ErrInsufficientScope) {
		t.Error(err)
	}
	if _, err := l.Wait(ctx); !errors.Is(err, client.ErrLoginClaimed) {
		t.Error(err)
	}

	// Somebody else's decision, and nobody's.
	ends := map[error]func(l *client.Login){
		client.ErrLoginDenied:  func(l *client.Login) { ada("/logins/deny", map[string]string{"userCode": l.UserCode}) },
		client.ErrLoginExpired: func(*client.Login) { s.Advance("11m") },
	}
	for want, end := range ends {
		l, err := client.StartLogin(ctx, config, client.LoginRequest{Client: "billet"})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() { _, err := l.Wait(ctx); got <- err }()
		end(l) // before or while it is waited for
		if err := <-got; !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// A server that does not wait is not asked without end, and one that points elsewhere is not believed.
func TestALoginIsPatient(t *testing.T) {
	page, pending := "https://billet.example/login-code", 3
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a key was sent")
		}
		switch {
		case !strings.HasSuffix(r.URL.Path, "/claim"):
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"success":true,"data":{"deviceCode":"d","userCode":"u","verificationUrl":%q,"verificationUrlComplete":%q,"expiresAt":"2028-02-29T12:00:00Z","intervalSeconds":7}}`, page, page)
		case pending > 0:
			pending--
			w.WriteHeader(http.StatusAccepted)
			_, _ = fmt.Fprint(w, `{"success":true,"data":{"status":"pending"}}`)
		default:
			_, _ = fmt.Fprint(w, `{"success":true,"data":{"status":"allowed","key":"pk_live_x","keyId":"key_1","name":"n","scopes":[],"account":{"id":"acc_1","name":"a"}}}`)
		}
	}))
	defer server.Close()
	var slept []time.Duration
	config := client.Config{BaseURL: server.URL, Sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }}
	l, err := client.StartLogin(t.Context(), config, client.LoginRequest{Client: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if k, err := l.Wait(t.Context()); err != nil || k.Key != "pk_live_x" || !slices.Equal(slept, []time.Duration{7 * time.Second, 7 * time.Second, 7 * time.Second}) {
		t.Errorf("%v %v %v", k, err, slept)
	}
	page = "file:///etc/passwd"
	if _, err := client.StartLogin(t.Context(), config, client.LoginRequest{Client: "x"}); err == nil || strings.Contains(err.Error(), "passwd") {
		t.Error(err)
	}
	if _, err := client.StartLogin(t.Context(), client.Config{}, client.LoginRequest{Client: "x"}); err == nil {
		t.Error("a login at no server")
	}
}
