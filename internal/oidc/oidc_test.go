package oidc_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/oidc"
	"github.com/billetcloud/billet/internal/oidc/oidctest"
)

const (
	address = "ada@example.com"
	tenant  = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

type claims = map[string]any

func client(t *testing.T, issuer string, now func() time.Time) *oidc.Client {
	t.Helper()
	c, err := oidc.New(oidc.Config{
		Issuer: issuer, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, Name: "Test",
		RedirectURL: "https://gpu.example.com/callback", Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signIn plays a browser that signs in.
func signIn(t *testing.T, c *oidc.Client, p *oidctest.Provider) (oidc.Claims, url.Values, error) {
	t.Helper()
	at, err := c.StartURL(t.Context(), "state", "nonce", "verifier")
	if err != nil {
		return oidc.Claims{}, nil, err
	}
	code, query := p.Authorize(t, at)
	got, err := c.Finish(t.Context(), code, "nonce", "verifier")
	return got, query, err
}

// Each case is what the named provider's manual describes, and what must come of it.
func TestClient_Finish_Providers(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(p *oidctest.Provider)
		issuer func(p *oidctest.Provider) string // as the operator writes it; nil for as the provider does
		want   oidc.Claims                       // Issuer and Subject where they are not the usual ones
	}{
		// Keycloak, "OIDC token mappers": claims in the ID token, azp always, several audiences
		// with a mapper, HS256 among its algorithms.
		"Keycloak": {set: func(p *oidctest.Provider) {
			p.Path = "/realms/lab"
			p.Claims = claims{"email": address, "email_verified": true, "azp": oidctest.ClientID,
				"aud": []string{oidctest.ClientID, "account"}, "preferred_username": "ada"}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"Keycloak, unverified": {set: func(p *oidctest.Provider) {
			p.Path = "/realms/lab"
			p.Claims = claims{"email": address, "email_verified": false, "azp": oidctest.ClientID}
		}, want: oidc.Claims{Email: address}},

		// Authelia, "OpenID Connect 1.0 claims": since 4.39 email only at the userinfo endpoint;
		// wants one of basic and post per client.
		"Authelia": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"aud": []string{oidctest.ClientID}, "azp": oidctest.ClientID}
			p.UserInfo = claims{"email": address, "email_verified": true, "preferred_username": "ada", "name": "Ada"}
			p.Auth = "post"
			p.Document = claims{"token_endpoint_auth_methods_supported": []string{"client_secret_basic",
				"client_secret_post"}, "response_modes_supported": []string{"form_post", "query", "fragment"}}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"a signed userinfo answer": {set: func(p *oidctest.Provider) {
			p.SignedUserInfo = true
			p.UserInfo = claims{"email": address, "email_verified": true}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},

		// authentik, "OAuth2 provider": the issuer of each application has a slash at its end;
		// email_verified is false unless a mapping says else.
		"authentik": {set: func(p *oidctest.Provider) {
			p.Path = "/application/o/billet/"
			p.Claims = claims{"email": address, "email_verified": true, "groups": []string{"a"}}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"authentik, slash forgotten": {set: func(p *oidctest.Provider) {
			p.Path = "/application/o/billet/"
			p.Claims = claims{"email": address, "email_verified": true}
		}, issuer: func(p *oidctest.Provider) string {
			return strings.TrimSuffix(p.Issuer(),
				"/")
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"a slash too many": {set: func(p *oidctest.Provider) {
			p.Path = "/realms/lab"
			p.Claims = claims{"email": address, "email_verified": true}
		}, issuer: func(p *oidctest.Provider) string {
			return p.Issuer() +
				"/"
		}, want: oidc.Claims{Email: address, EmailVerified: true}},

		// Zitadel, "Claims": user info is in the ID token only where the app asserts it; the
		// audience has the project, azp the client.
		"Zitadel": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"aud": []string{"237645120571703297@project", oidctest.ClientID, "237645120571703297"},
				"azp": oidctest.ClientID}
			p.UserInfo = claims{"email": address, "email_verified": true, "locale": oidctest.Null}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},

		// Google, "OpenID Connect": everything in the ID token, azp is the client, post and basic.
		"Google": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address, "email_verified": true, "azp": oidctest.ClientID, "hd": "example.com",
				"at_hash": "x"}
			p.Document = claims{"token_endpoint_auth_methods_supported": []string{"client_secret_post",
				"client_secret_basic"}, "response_modes_supported": []string{"query", "fragment", "form_post"}}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},

		// Entra, "ID token claims reference", "Optional claims": no email_verified; xms_edov is
		// true if the domain is the tenant's.
		"Entra": {set: func(p *oidctest.Provider) {
			p.Path = "/" + tenant + "/v2.0"
			p.Claims = claims{"email": address, "preferred_username": address, "tid": tenant, "xms_edov": true}
			p.Document = claims{"token_endpoint_auth_methods_supported": []string{"client_secret_post",
				"private_key_jwt", "client_secret_basic"}}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"Entra, an address that anybody may have written": {set: func(p *oidctest.Provider) {
			p.Path = "/" + tenant + "/v2.0"
			p.Claims = claims{"email": address, "preferred_username": address, "tid": tenant}
			p.UserInfo = claims{"email": address}
		}, want: oidc.Claims{Email: address}},
		"Entra, not the tenant's domain": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address, "tid": tenant, "xms_edov": false}
		}, want: oidc.Claims{Email: address}},
		"Entra, the domain as a number": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address, "tid": tenant, "xms_edov": 1}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"Entra, no address at all": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"preferred_username": address, "tid": tenant}
			p.UserInfo = claims{"name": "Ada"}
		}, want: oidc.Claims{}},
		"Entra, all tenants": {set: func(p *oidctest.Provider) {
			p.Path = "/{tenantid}/v2.0"
			p.Claims = claims{"email": address, "tid": tenant, "xms_edov": true, "iss": p.URL + "/" + tenant + "/v2.0"}
		}, issuer: func(p *oidctest.Provider) string {
			return p.URL +
				"/common/v2.0"
		}, want: oidc.Claims{Issuer: "/" + tenant + "/v2.0", Email: address, EmailVerified: true}},

		// AWS Cognito, "userInfo endpoint": the word instead of the value.
		"Cognito": {set: func(p *oidctest.Provider) {
			p.UserInfo = claims{"email": address, "email_verified": "true"}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"the word false": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address, "email_verified": "false"}
		}, want: oidc.Claims{Email: address}},
		"a capital word": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address, "email_verified": "True"}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"null": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address, "email_verified": oidctest.Null}
		}, want: oidc.Claims{Email: address}},
		"a number": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address, "email_verified": 1}
		}, want: oidc.Claims{Email: address}},
		"another word": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address, "email_verified": "yes"}
		}, want: oidc.Claims{Email: address}},
		"an address that is no text": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": []string{address}, "email_verified": true}
		}, want: oidc.Claims{}},
		"the rest at the userinfo endpoint": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address}
			p.UserInfo = claims{"email": "Ada@Example.com", "email_verified": true}
		}, want: oidc.Claims{Email: "Ada@Example.com", EmailVerified: true}},
		"another address at the userinfo endpoint": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address}
			p.UserInfo = claims{"email": "eve@example.com", "email_verified": true}
		}, want: oidc.Claims{Email: address}},
		"no userinfo endpoint": {set: func(p *oidctest.Provider) {
			p.Document = claims{"userinfo_endpoint": nil}
			p.Claims = claims{"email": address}
		}, want: oidc.Claims{Email: address}},
		"no kid": {set: func(p *oidctest.Provider) {
			p.Claims = claims{"email": address, "email_verified": true}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"a secret in the header only": {set: func(p *oidctest.Provider) {
			p.Auth, p.Claims = "basic", claims{"email": address, "email_verified": true}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
		"a secret among the parameters only": {set: func(p *oidctest.Provider) {
			p.Auth, p.Claims = "post", claims{"email": address, "email_verified": true}
			p.Document = claims{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}
		}, want: oidc.Claims{Email: address, EmailVerified: true}},
	} {
		t.Run(name, func(t *testing.T) {
			p := oidctest.New(t)
			if name == "no kid" {
				p.Rotate(t, "")
			}
			c.set(p)
			issuer := p.Issuer()
			if c.issuer != nil {
				issuer = c.issuer(p)
			}
			got, query, err := signIn(t, client(t, issuer, time.Now), p)
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want.Subject = "subject-1"; want.Issuer == "" {
				want.Issuer = p.Issuer()
			} else {
				want.Issuer = p.URL + want.Issuer
			}
			if got != want {
				t.Errorf("Finish: got %+v, want %+v", got, want)
			}
			modes, _ := p.Document["response_modes_supported"].([]string)
			if mode := query.Get("response_mode"); (mode == "query") != (len(modes) > 0) {
				t.Errorf("got response_mode %q with modes %v", mode, modes)
			}
			if tried := p.Reads["token"]; tried > 2 || (tried == 2 && name != "Authelia") {
				t.Errorf("the code was sent %d times", tried)
			}
		})
	}
}

func TestClient_Finish_Refuses(t *testing.T) {
	for name, set := range map[string]func(p *oidctest.Provider){
		"another client's token": func(p *oidctest.Provider) { p.Claims = claims{"aud": "another"} },
		"another client among ours": func(p *oidctest.Provider) {
			p.Claims = claims{"aud": []string{"another",
				oidctest.ClientID}}
		},
		"made for another client": func(p *oidctest.Provider) { p.Claims = claims{"azp": "another"} },
		"another issuer":          func(p *oidctest.Provider) { p.Claims = claims{"iss": "https://evil.example"} },
		"the issuer with a slash": func(p *oidctest.Provider) {
			p.Claims = claims{"iss": p.Issuer() +
				"/"}
		},
		"another sign-in":                       func(p *oidctest.Provider) { p.Claims = claims{"nonce": "another"} },
		"no nonce":                              func(p *oidctest.Provider) { p.Claims = claims{"nonce": nil} },
		"a key that is not published":           func(p *oidctest.Provider) { p.Claims = claims{"email": address} },
		"a secret that is refused in every way": func(p *oidctest.Provider) { p.Auth = "neither" },
	} {
		t.Run(name, func(t *testing.T) {
			p := oidctest.New(t)
			set(p)
			switch name {
			case "a key that is not published":
				p.SignWith(t, "another")
			case "a secret that is refused in every way":
				c, err := oidc.New(
					oidc.Config{
						Issuer:       p.Issuer(),
						ClientID:     oidctest.ClientID,
						ClientSecret: "wrong",
						Name:         "Test",
						RedirectURL:  "https://gpu.example.com",
						Now:          time.Now,
					},
				)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := signIn(t, c, p); err == nil || strings.Contains(err.Error(), "the-code") {
					t.Errorf("Finish: got %v, want an error without the code", err)
				}
				return
			}
			if got, _, err := signIn(t, client(t, p.Issuer(), time.Now), p); err == nil {
				t.Errorf("Finish: got %+v, want an error", got)
			}
		})
	}
	// A tenant of Entra cannot pass for another one.
	for name, said := range map[string]claims{
		"another tenant": {"tid": tenant, "iss": "/11111111-2222-3333-4444-555555555555/v2.0"},
		"no tenant":      {"iss": "/" + tenant + "/v2.0"},
		"the template":   {"tid": "{tenantid}", "iss": "/{tenantid}/v2.0"},
		"a path":         {"tid": "../evil", "iss": "/../evil/v2.0"},
	} {
		p := oidctest.New(t)
		p.Path = "/{tenantid}/v2.0"
		said["iss"] = p.URL + said["iss"].(string)
		p.Claims = said
		if got, _, err := signIn(t, client(t, p.URL+"/common/v2.0", time.Now), p); err == nil {
			t.Errorf("Finish, %s: got %+v, want an error", name, got)
		}
	}
}

// Google uses two issuers; linked users are found by one.
func TestClient_Finish_GoogleIssuers(t *testing.T) {
	const google = "https://accounts.google.com"
	for _, iss := range []string{google, "accounts.google.com"} {
		p := oidctest.New(t)
		const at = "https://oauth2.googleapis.com"
		p.Document = claims{
			"issuer":                 google,
			"authorization_endpoint": at + "/auth",
			"token_endpoint":         at + "/token",
			"userinfo_endpoint":      at + "/userinfo",
			"jwks_uri":               at + "/keys",
		}
		p.Claims = claims{"iss": iss, "email": address, "email_verified": true, "azp": oidctest.ClientID}
		c := client(t, google, time.Now)
		c.Through(toward(p.URL))
		got, _, err := signIn(t, c, p)
		if err != nil || got.Issuer != google {
			t.Errorf("Finish, %s: got %+v, %v", iss, got, err)
		}
	}
}

// toward sends every request to that server, whatever host it names.
type toward string

func (to toward) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	u, err := url.Parse(string(to))
	if err != nil {
		return nil, err
	}
	r.URL.Scheme, r.URL.Host, r.Host = "http", u.Host, u.Host
	return http.DefaultTransport.RoundTrip(r)
}

func TestClient_Finish_ClockSkew(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		behind time.Duration // the provider's clock, whose tokens last five minutes
		more   claims
		good   bool
	}{
		"the same":               {0, nil, true},
		"a minute behind":        {time.Minute, nil, true},
		"expired within the two": {5*time.Minute + 110*time.Second, nil, true},
		"expired":                {5*time.Minute + 130*time.Second, nil, false},
		"two minutes ahead":      {-2 * time.Minute, claims{"nbf": now.Add(2 * time.Minute).Unix()}, true},
		"far ahead":              {-10 * time.Minute, claims{"nbf": now.Add(10 * time.Minute).Unix()}, false},
	} {
		p := oidctest.New(t)
		p.Now, p.Claims = func() time.Time { return now.Add(-c.behind) }, c.more
		if _, _, err := signIn(t, client(t, p.Issuer(), func() time.Time { return now }), p); (err == nil) != c.good {
			t.Errorf("Finish, %s: got %v, want success %t", name, err, c.good)
		}
	}
}

func TestClient_Finish_KeyRotation(t *testing.T) {
	p := oidctest.New(t)
	now := time.Now()
	c := client(t, p.Issuer(), func() time.Time { return now })
	in := func(good bool, keys int) {
		t.Helper()
		if _, _, err := signIn(t, c, p); (err == nil) != good || p.Reads["keys"] != keys {
			t.Fatalf(
				"Finish: got %v after %d reads of the keys, want success %t after %d",
				err,
				p.Reads["keys"],
				good,
				keys,
			)
		}
	}
	in(true, 1)
	in(true, 1) // known by now
	p.Rotate(t, "second")
	in(true, 2)
	in(true, 2)
	p.SignWith(t, "never published")
	in(false, 3) // once more, and no more than that, for each
	in(false, 4)
	p.Rotate(t, "third")
	// The library shares a read of the keys until shortly after its end: the next token may meet
	// the read that found nothing.
	for range 100 {
		if _, _, err := signIn(t, c, p); err == nil {
			break
		}
	}
	in(true, 5)
	if p.Reads["document"] != 1 {
		t.Errorf("got %d reads of the document", p.Reads["document"])
	}
	now = now.Add(time.Hour) // what was withdrawn is forgotten
	p.Now = func() time.Time { return now }
	in(true, 6)
	if p.Reads["document"] != 2 {
		t.Errorf("got %d reads of the document", p.Reads["document"])
	}
}

func TestClient_Finish_UserInfo(t *testing.T) {
	p := oidctest.New(t)
	c := client(t, p.Issuer(), time.Now)
	p.Claims = claims{"email": address, "email_verified": true}
	if _, _, err := signIn(t, c, p); err != nil || p.Reads["userinfo"] != 0 {
		t.Errorf("Finish: got %v after %d userinfo requests, want none", err, p.Reads["userinfo"])
	}
	p.Claims = nil
	p.UserInfo = claims{"sub": "subject-2", "email": address, "email_verified": true}
	got, _, err := signIn(t, c, p)
	if err != nil || got.Email != "" || got.EmailVerified || got.Subject != "subject-1" || got.UserInfoError == nil {
		t.Errorf("userinfo of another subject: got %+v, %v, want no address", got, err)
	}
	p.UserInfo, p.UserInfoStatus = nil, http.StatusForbidden
	got, _, err = signIn(t, c, p)
	if err != nil || got.Subject != "subject-1" || got.UserInfoError == nil ||
		!strings.Contains(got.UserInfoError.Error(), "403") {
		t.Errorf("userinfo that is refused: got %+v, %v, want the subject and the error", got, err)
	}
}

func TestClient_StartURL_DiscoveryErrors(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(p *oidctest.Provider)
		want string
	}{
		"not there":    {func(p *oidctest.Provider) { p.Broken = 404 }, "check --oidc-issuer"},
		"down":         {func(p *oidctest.Provider) { p.Broken = 503 }, "503"},
		"an HTML page": {func(p *oidctest.Provider) { p.Broken = 200 }, "no discovery document"},
		"another name": {
			func(p *oidctest.Provider) { p.Document = claims{"issuer": "https://sso.example.com"} },
			`issuer is "https://sso.example.com"`,
		},
		"a template of another site": {
			func(p *oidctest.Provider) { p.Document = claims{"issuer": "https://evil.example/{tenantid}/v2.0"} },
			"set --oidc-issuer",
		},
		"no token endpoint": {func(p *oidctest.Provider) { p.Document = claims{"token_endpoint": nil} },
			"no usable token_endpoint"},
		"no keys": {func(p *oidctest.Provider) { p.Document = claims{"jwks_uri": "file:///etc/passwd"} },
			"no usable jwks_uri"},
		"no client secrets": {func(p *oidctest.Provider) {
			p.Document = claims{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}
		}, "does not accept a client secret"},
	} {
		p := oidctest.New(t)
		c.set(p)
		it := client(t, p.Issuer(), time.Now)
		_, err := it.StartURL(t.Context(), "state", "nonce", "verifier")
		if err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "a page with a secret") {
			t.Errorf("StartURL, %s: got %v, want an error with %q", name, err, c.want)
		}
		p.Broken, p.Document = 0, nil // the next sign-in reads the document again
		if _, err := it.StartURL(t.Context(), "state", "nonce", "verifier"); err != nil {
			t.Errorf("StartURL, %s, after a fix: %v", name, err)
		}
	}
	p := oidctest.New(t)
	p.Document = claims{"token_endpoint": p.URL + "/token"} // in the clear, of a provider that is not
	c := client(t, "https://sso.example.com", time.Now)
	c.Through(toward(p.URL))
	p.Document["issuer"] = "https://sso.example.com"
	if _, err := c.StartURL(t.Context(), "state", "nonce", "verifier"); err == nil ||
		!strings.Contains(err.Error(), "no usable") {
		t.Errorf("StartURL with an http endpoint of an https issuer: got %v, want an error", err)
	}
}

// Concurrent sign-ins with keys that rotate.
func TestClient_Finish_Concurrent(t *testing.T) {
	p := oidctest.New(t)
	c := client(t, p.Issuer(), time.Now)
	at, err := c.StartURL(t.Context(), "state", "nonce", "verifier")
	if err != nil {
		t.Fatal(err)
	}
	code, _ := p.Authorize(t, at)
	p.Rotate(t, "second")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Finish(t.Context(), code, "nonce", "verifier"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
