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

// user signs a new owner of the account in and returns a function that calls the dashboard's API as
// that user.
func user(t *testing.T, s *servertest.Server, account string) func(path string, body any) servertest.Answer {
	t.Helper()
	var made struct{ Password, Email string }
	created := s.Run("user", "create", "--account", account, "--email", "ada@example.com", "-o", "json")
	if err := json.Unmarshal([]byte(created), &made); err != nil {
		t.Fatal(err)
	}
	cookie := ""
	post := func(path string, body any) servertest.Answer {
		return s.Call("", "POST", "=/api/v1/account"+path, body, "Cookie", cookie, "Origin", s.URL)
	}
	in := post("/sessions", map[string]string{"email": made.Email, "password": made.Password})
	if in.Status != http.StatusCreated {
		t.Fatalf("sign in: got %d: %s", in.Status, in.Body)
	}
	cookie, _, _ = strings.Cut(in.Header.Get("Set-Cookie"), ";")
	return post
}

// A program without a key gets one, although the answer with it is lost.
func TestDeviceAuthorization_Wait(t *testing.T) {
	s := servertest.Start(t, "--sim")
	account, _ := s.Key("100")
	ada := user(t, s, account)
	b := &between{server: s, lose: map[string]int{}, lost: map[string]int{}}
	front := httptest.NewServer(b)
	defer front.Close()
	config := client.Config{
		BaseURL: front.URL, APIKey: "pk_live_of_another_account",
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Sleep: func(ctx context.Context, d time.Duration) error {
			if d >= 5*time.Second {
				s.Advance(d.String()) // the interval
			}
			return ctx.Err()
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := client.DeviceAuthorizationRequest{
		ClientID: "billet on laptop",
		Scopes:   []client.Scope{client.ScopeReadOffers, client.ScopeReadWallet},
	}
	d, err := client.AuthorizeDevice(ctx, config, r)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(d.VerificationURI, "/device") ||
		d.VerificationURIComplete != d.VerificationURI+"#"+d.UserCode ||
		len(d.UserCode) != 9 {
		t.Fatalf("AuthorizeDevice: got %+v", d)
	}
	approval := map[string]any{"userCode": d.UserCode, "name": "laptop", "scopes": []string{"offers:read"}}
	if a := ada("/device-authorizations/approve", approval); a.Status != 200 {
		t.Fatalf("approve: got %d: %s", a.Status, a.Body)
	}
	b.loses("POST", 1)
	var response client.Response
	k, err := d.Wait(ctx, client.WithResponse(&response))
	if err != nil {
		t.Fatal(err)
	}
	if response.Attempts != 2 || k.KeyName != "laptop" || k.AccountID != account || k.ExpiresAt != nil ||
		!slices.Equal(k.Scopes, []client.Scope{client.ScopeReadOffers}) {
		t.Fatalf("Wait: got %+v after %d attempts", k, response.Attempts)
	}
	shown := fmt.Sprintf("%v %+v %#v %v %#v %v %+v %v %#v", k, k, k, d, d, *k, *k, *d, *d)
	if strings.Contains(shown, k.Key) || strings.Contains(shown, "deviceCode") {
		t.Errorf("a secret is printed: %s", shown)
	}
	config.APIKey = k.Key
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Offers.List(ctx, client.OfferQuery{}); err != nil {
		t.Errorf("Offers.List: %v", err)
	}
	if _, err := c.Wallet.Get(ctx); !errors.Is(err, client.ErrInsufficientScope) {
		t.Errorf("Wallet.Get: got %v, want %s", err, client.ErrInsufficientScope)
	}
	if _, err := d.Wait(ctx); !errors.Is(err, client.ErrInvalidGrant) {
		t.Errorf("Wait with a used key: got %v, want %s", err, client.ErrInvalidGrant)
	}
}

// A program learns that its request is denied, and that it took too long.
func TestDeviceAuthorization_WaitEndsWithoutKey(t *testing.T) {
	s := servertest.Start(t, "--sim")
	account, _ := s.Key("100")
	ada := user(t, s, account)
	config := client.Config{BaseURL: s.URL, Sleep: func(ctx context.Context, d time.Duration) error {
		s.Advance(d.Round(time.Second).String())
		return ctx.Err()
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for want, end := range map[error]func(d *client.DeviceAuthorization){
		client.ErrAccessDenied: func(d *client.DeviceAuthorization) {
			ada("/device-authorizations/deny", map[string]string{"userCode": d.UserCode})
		},
		client.ErrExpiredToken: func(*client.DeviceAuthorization) { s.Advance("11m") },
	} {
		d, err := client.AuthorizeDevice(ctx, config, client.DeviceAuthorizationRequest{ClientID: "billet"})
		if err != nil {
			t.Fatal(err)
		}
		end(d)
		if _, err := d.Wait(ctx); !errors.Is(err, want) {
			t.Errorf("Wait: got %v, want %v", err, want)
		}
	}
}

// The interval of the server is kept, and grows where the server asks for it. A page that is no web
// page is refused.
func TestDeviceAuthorization_Interval(t *testing.T) {
	t.Parallel()
	page := "https://billet.example/device"
	answers := []string{
		`{"error":"authorization_pending"}`,
		`{"error":"slow_down","error_description":"Too fast."}`,
		`{"error":"authorization_pending"}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a key was sent")
		}
		switch {
		case r.URL.Path == "/api/v1/account/device/authorize":
			_, _ = fmt.Fprintf(
				w,
				`{"device_code":"d","user_code":"u","verification_uri":%[1]q,"verification_uri_complete":%[1]q,
					"expires_in":600,"interval":7}`,
				page,
			)
		case r.URL.Path != "/api/v1/account/device/token":
			t.Errorf("got a request to %s", r.URL.Path)
		case len(answers) > 0:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, answers[0])
			answers = answers[1:]
		default:
			_, _ = fmt.Fprint(
				w,
				`{"access_token":"pk_live_x","token_type":"Bearer","scope":"","key_id":"key_1","key_name":"n",
					"account_id":"acc_1","account_name":"a"}`,
			)
		}
	}))
	defer server.Close()
	var slept []time.Duration
	config := client.Config{
		BaseURL: server.URL,
		Sleep:   func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil },
	}
	d, err := client.AuthorizeDevice(t.Context(), config, client.DeviceAuthorizationRequest{ClientID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	k, err := d.Wait(t.Context())
	if want := []time.Duration{7 * time.Second, 7 * time.Second, 12 * time.Second, 12 * time.Second}; err != nil ||
		k.Key != "pk_live_x" ||
		!slices.Equal(slept, want) {
		t.Errorf("Wait: got %v, %v after pauses of %v, want %v", k, err, slept, want)
	}
	page = "file:///etc/passwd"
	request := client.DeviceAuthorizationRequest{ClientID: "x"}
	if _, err := client.AuthorizeDevice(t.Context(), config, request); err == nil ||
		strings.Contains(err.Error(), "passwd") {
		t.Errorf("AuthorizeDevice with a file as page: got %v, want an error that does not show it", err)
	}
	if _, err := client.AuthorizeDevice(t.Context(), client.Config{}, request); err == nil {
		t.Error("AuthorizeDevice without a server: got no error")
	}
}
