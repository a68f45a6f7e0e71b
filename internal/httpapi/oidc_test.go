package httpapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/oidc"
)

// issuer is an identity provider. It signs whatever claims a test wants.
type issuer struct {
	*httptest.Server
	t   *testing.T
	key *ecdsa.PrivateKey
	// claims change what the next token says; signer is the key that signs it.
	claims func(map[string]any)
	signer *ecdsa.PrivateKey
	// algorithm is what the token's header claims.
	algorithm string

	challenge, nonce string // of the sign-in under way
	exchanges        int
}

func segment(v any) string {
	text, _ := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(text)
}

func newIssuer(t *testing.T) *issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"jwks_uri":                              i.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		point, _ := i.key.PublicKey.Bytes()
		b64 := base64.RawURLEncoding.EncodeToString
		answer(
			w,
			map[string]any{
				"keys": []any{
					map[string]any{
						"kty": "EC",
						"crv": "P-256",
						"use": "sig",
						"alg": "ES256",
						"kid": "k",
						"x":   b64(point[1:33]),
						"y":   b64(point[33:]),
					},
				},
			},
		)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		i.exchanges++
		verifier := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		id, secret, _ := r.BasicAuth()
		if id == "" {
			id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
		}
		if r.FormValue("code") != "the-code" || base64.RawURLEncoding.EncodeToString(verifier[:]) != i.challenge ||
			id != "billet" ||
			secret != "hush" {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]any{"error": "invalid_grant"})
			return
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": i.token()})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

// token is what the provider says.
func (i *issuer) token() string {
	claims := map[string]any{
		"iss": i.URL, "aud": "billet", "sub": "s1", "nonce": i.nonce, "iat": real.Unix(),
		"exp":   real.Add(5 * time.Minute).Unix(),
		"email": "ada@example.com", "email_verified": true,
	}
	if i.claims != nil {
		i.claims(claims)
	}
	signer, algorithm := i.key, "ES256"
	if i.signer != nil {
		signer = i.signer
	}
	if i.algorithm != "" {
		algorithm = i.algorithm
	}
	text := segment(map[string]any{"alg": algorithm, "kid": "k", "typ": "JWT"}) + "." + segment(claims)
	if algorithm == "none" {
		return text + "."
	}
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, signer, hash[:])
	if err != nil {
		i.t.Error(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// start begins a sign-in and returns the state and the cookie that the browser has.
func (i *issuer) start(w *world, returnTo string) (state, cookie string) {
	i.t.Helper()
	r := w.want(302, tenant{}, "GET", oidcStart+returnTo, nil)
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), i.URL+"/authorize?") {
		i.t.Fatalf("%v %v", to, err)
	}
	q := to.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != "billet" ||
		q.Get("redirect_uri") != "https://gpu.example.com"+OIDCCallback ||
		q.Get("code_challenge_method") != "S256" ||
		!strings.Contains(q.Get("scope"), "openid") ||
		len(q.Get("state")) < 43 ||
		len(q.Get("nonce")) < 43 {
		i.t.Fatalf("%v", q)
	}
	if set := r.header.Get("Set-Cookie"); !strings.Contains(set, "HttpOnly") ||
		!strings.Contains(set, "SameSite=Lax") ||
		!strings.Contains(set, "__Host-"+oidcCookie.Name) ||
		!strings.Contains(set, "Path=/; ") ||
		!strings.Contains(set, "Secure") ||
		strings.Contains(set, q.Get("state")) {
		i.t.Errorf("%s", set)
	}
	i.challenge, i.nonce = q.Get("code_challenge"), q.Get("nonce")
	return q.Get("state"), cookieOf(r)
}

// back is the browser's return. A provider adds parameters of its own.
func (i *issuer) back(w *world, state, cookie, more string) reply {
	i.t.Helper()
	return w.want(
		302,
		tenant{},
		"GET",
		OIDCCallback+"?state="+url.QueryEscape(state)+"&session_state=x&iss="+url.QueryEscape(i.URL)+more,
		nil,
		header("Cookie", cookie),
		header("Sec-Fetch-Site", "cross-site"),
	)
}

func withIssuer(t *testing.T, w *world) *issuer {
	t.Helper()
	i := newIssuer(t)
	public, _ := url.Parse("https://gpu.example.com")
	client, err := oidc.New(
		oidc.Config{
			Issuer:       i.URL,
			ClientID:     "billet",
			ClientSecret: "hush",
			Name:         "Example ID",
			RedirectURL:  public.String() + OIDCCallback,
			Now:          w.time.Now,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	w.configure(func(c *Config) { c.OIDC, c.PublicURL = client, public })
	return i
}

func TestSigningInWithAnIdentityProvider(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.refused("NOT_FOUND", tenant{}, "GET", oidcStart, nil)
		w.refused("NOT_FOUND", tenant{}, "GET", OIDCCallback, nil)
		i := withIssuer(t, w)
		ada := w.user(w.ada, account.Owner, "ada@example.com")
		if r := w.want(200, tenant{}, "GET", AccountBase+"/sign-in", nil); dig(
			r.data,
			"oidc",
			"name",
		) != "Example ID" ||
			dig(r.data, "oidc", "startUrl") != oidcStart {
			t.Errorf("%s", r.body)
		}
		state, cookie := i.start(w, "?returnTo=%2Fdeployments%3Fpage%3D2")
		r := i.back(w, state, cookie, "&code=the-code")
		if r.header.Get("Location") != "/deployments?page=2" {
			t.Fatalf("%v", r.header)
		}
		me := w.by(200, cookieOf(r), "GET", AccountBase+"/me", nil)
		if dig(me.data, "user", "id") != string(ada.ID) {
			t.Errorf("%s", me.body)
		}
		if set := r.header.Get("Set-Cookie"); !strings.Contains(set, "SameSite=Strict") ||
			!strings.Contains(set, "HttpOnly") {
			t.Errorf("%s", set)
		}
		if got := w.by(200, cookieOf(r), "GET", AccountBase+"/audit?action=finishOidc", nil); len(got.list) != 1 ||
			dig(got.list[0], "actor", "id") != string(ada.ID) {
			t.Errorf("%s", got.body)
		}
		// The same subject with another address is the same user.
		i.claims = func(c map[string]any) { c["email"] = "countess@example.com" }
		state, cookie = i.start(w, "")
		if r := i.back(w, state, cookie, "&code=the-code"); r.header.Get("Location") != "/" ||
			!strings.HasPrefix(cookieOf(r), "__Host-"+sessionCookie.Name+"=") {
			t.Errorf("%v", r.header)
		}
	})
}

func TestHostileIdentityProviders(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		i := withIssuer(t, w)
		w.user(w.ada, account.Owner, "ada@example.com")
		other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		refused := func(name string, r reply) {
			t.Helper()
			if r.header.Get("Location") != "/sign-in?error=SIGN_IN_FAILED" ||
				strings.Contains(r.header.Get("Set-Cookie"), sessionCookie.Name) {
				t.Errorf("%s: %v", name, r.header)
			}
		}
		claims := func(change func(map[string]any)) func() { return func() { i.claims = change } }
		for name, wrong := range map[string]func(){
			"another sign-in's nonce":  func() { i.claims = func(c map[string]any) { c["nonce"] = "another" } },
			"no nonce":                 func() { i.claims = func(c map[string]any) { delete(c, "nonce") } },
			"another client's token":   func() { i.claims = func(c map[string]any) { c["aud"] = "another" } },
			"another issuer's token":   claims(func(c map[string]any) { c["iss"] = "https://evil.example" }),
			"an expired token":         claims(func(c map[string]any) { c["exp"] = real.Add(-3 * time.Minute).Unix() }),
			"an unverified address":    func() { i.claims = func(c map[string]any) { c["email_verified"] = false } },
			"verified is not said":     func() { i.claims = func(c map[string]any) { delete(c, "email_verified") } },
			"an unknown user":          func() { i.claims = func(c map[string]any) { c["email"] = "eve@example.com" } },
			"no subject":               func() { i.claims = func(c map[string]any) { delete(c, "sub") } },
			"another key's signature":  func() { i.signer = other },
			"no signature":             func() { i.algorithm = "none" },
			"a key that is no secret":  func() { i.algorithm = "HS256" },
			"another browser's answer": func() { i.challenge = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
		} {
			i.claims, i.signer, i.algorithm = nil, nil, ""
			state, cookie := i.start(w, "")
			wrong()
			refused(name, i.back(w, state, cookie, "&code=the-code"))
		}
		i.claims, i.signer, i.algorithm = nil, nil, ""

		state, _ := i.start(w, "")
		asked := i.exchanges
		refused("no cookie", i.back(w, state, "x=y", "&code=the-code"))
		state, cookie := i.start(w, "")
		refused("a state of one's own", i.back(w, "mine", cookie, "&code=the-code"))
		refused("no state", i.back(w, "", cookie, "&code=the-code"))
		_, another := i.start(w, "")
		refused("another browser", i.back(w, state, another, "&code=the-code"))
		if i.exchanges != asked {
			t.Error("the provider was asked for a stranger")
		}
		state, cookie = i.start(w, "")
		refused("a wrong code", i.back(w, state, cookie, "&code=guessed"))
		refused("the state again", i.back(w, state, cookie, "&code=the-code"))
		state, cookie = i.start(w, "")
		refused("the user said no", i.back(w, state, cookie, "&error=access_denied"))
		state, cookie = i.start(w, "")
		w.clock.Advance(account.ExternalTime)
		refused("too late", i.back(w, state, cookie, "&code=the-code"))
		state, cookie = i.start(w, "")
		if r := i.back(w, state, cookie, "&code=the-code"); r.header.Get("Location") != "/" {
			t.Errorf("the good one: %v", r.header)
		}
		refused("the good one again", i.back(w, state, cookie, "&code=the-code"))
		i.claims = func(c map[string]any) { c["sub"] = "s2" }
		state, cookie = i.start(w, "")
		refused("an address that was given to another user", i.back(w, state, cookie, "&code=the-code"))
		if log := w.log.String(); strings.Contains(log, "the-code") || strings.Contains(log, state) ||
			!strings.Contains(log, "SIGN_IN_FAILED") {
			t.Error("the log has what it should not, or lacks why")
		}
	})
}

func TestSignInReturnsToOwnSiteOnly(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	withIssuer(t, w)
	for _, to := range []string{"https://evil.example", "//evil.example", `/\evil.example`, `\\evil.example`,
		"/\t/evil.example", "javascript:alert(1)", "evil", "/ /evil", " /x", "/a\\b", "http:/x", "/\n"} {
		if r := w.do(tenant{}, "GET", oidcStart+"?returnTo="+url.QueryEscape(to), nil); r.status != 400 ||
			r.header.Get("Location") != "" {
			t.Errorf("%q: %d %v", to, r.status, r.header)
		}
	}
	for _, to := range []string{"/", "/deployments/dep_1?tab=events", "/a//b", "/x#y"} {
		w.want(302, tenant{}, "GET", oidcStart+"?returnTo="+url.QueryEscape(to), nil)
	}
}

func TestIdentityProviderOutageAffectsOnlyItsUsers(t *testing.T) {
	w := newWorld(t)
	i := withIssuer(t, w)
	i.Close()
	if r := w.refused("SERVICE_UNAVAILABLE", tenant{}, "GET", oidcStart, nil); strings.Contains(string(r.body), i.URL) {
		t.Errorf("%s", r.body)
	}
	w.signIn(w.ada)
}
