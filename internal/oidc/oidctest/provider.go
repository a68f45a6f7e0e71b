package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// The registration of the provider's client.
const (
	ClientID     = "billet"
	ClientSecret = "hush: /+ü"
)

// Provider is an identity provider. A test may change its fields before a request.
type Provider struct {
	*httptest.Server
	// Path is the issuer's path.
	Path string
	// Now is the provider's clock.
	Now func() time.Time
	// Document, Claims and UserInfo change the discovery document, the claims of the next token and
	// those of the userinfo endpoint. A value of nil removes a claim.
	Document, Claims, UserInfo map[string]any
	// Auth is how a client must send its secret: "basic", "post", or "" for either.
	Auth string
	// UserInfoStatus is the status of the userinfo endpoint unless it is 0. With SignedUserInfo its
	// response is a token.
	UserInfoStatus int
	SignedUserInfo bool
	// Broken is the status of a page in place of the discovery document, unless it is 0.
	Broken int
	// Reads counts requests by endpoint: "document", "keys", "token", "userinfo".
	Reads map[string]int

	mu               sync.Mutex
	key              *ecdsa.PrivateKey
	kid              string
	published        []any
	challenge, nonce string
}

// New starts a provider, which ends with the test.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{
		Now:      time.Now,
		Document: map[string]any{},
		Claims:   map[string]any{},
		UserInfo: map[string]any{},
		Reads:    map[string]int{},
	}
	p.Rotate(t, "first")
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

// Issuer returns the issuer of the provider's tokens.
func (p *Provider) Issuer() string { return p.URL + p.Path }

// Rotate signs with a new key from now on, and publishes it alone.
func (p *Provider) Rotate(t testing.TB, kid string) {
	t.Helper()
	p.SignWith(t, kid)
	p.mu.Lock()
	defer p.mu.Unlock()
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	p.published = []any{
		map[string]any{
			"kty": "EC",
			"crv": "P-256",
			"use": "sig",
			"alg": "ES256",
			"kid": kid,
			"x":   b64(point[1:33]),
			"y":   b64(point[33:]),
		},
	}
}

// SignWith signs with a new key from now on, and publishes nothing.
func (p *Provider) SignWith(t testing.TB, kid string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.kid = key, kid
}

// Authorize plays the browser at the provider's page: it opens the client's URL, and returns a
// code.
func (p *Provider) Authorize(t testing.TB, at string) (code string, query url.Values) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	query = u.Query()
	p.challenge, p.nonce = query.Get("code_challenge"), query.Get("nonce")
	return "the-code", query
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		p.Reads["document"]++
		if p.Broken != 0 {
			w.WriteHeader(p.Broken)
			_, _ = w.Write([]byte("<html>a page with a secret</html>"))
			return
		}
		p.answer(w, 200, changed(map[string]any{
			"issuer": p.Issuer(), "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL +
				"/token", "jwks_uri": p.URL + "/keys",
			"userinfo_endpoint": p.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES256",
				"HS256", "none"},
			"subject_types_supported": []string{"public"}, "response_types_supported": []string{"code"},
		}, p.Document))
	case r.URL.Path == "/keys":
		p.Reads["keys"]++
		p.answer(w, 200, map[string]any{"keys": p.published})
	case r.URL.Path == "/token":
		p.Reads["token"]++
		p.token(w, r)
	case r.URL.Path == "/userinfo":
		p.Reads["userinfo"]++
		p.userInfo(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	user, secret, basic := r.BasicAuth()
	user, _ = url.QueryUnescape(user) // RFC 6749, 2.3.1
	secret, _ = url.QueryUnescape(secret)
	if !basic {
		user, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if user != ClientID || secret != ClientSecret || (p.Auth == "basic" && !basic) || (p.Auth == "post" && basic) {
		p.answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	verifier := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if r.PostFormValue("code") != "the-code" || base64.RawURLEncoding.EncodeToString(verifier[:]) != p.challenge {
		p.answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	now := p.Now()
	p.answer(
		w,
		200,
		map[string]any{
			"access_token": "an access token",
			"token_type":   "bearer",
			"id_token": p.sign(changed(map[string]any{
				"iss": p.Issuer(), "aud": ClientID, "sub": "subject-1", "iat": now.Unix(),
				"exp": now.Add(5 * time.Minute).Unix(), "nonce": p.nonce,
			}, p.Claims)),
		},
	)
}

func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	claims := changed(map[string]any{"sub": "subject-1"}, p.UserInfo)
	switch {
	case r.Header.Get("Authorization") != "Bearer an access token":
		w.WriteHeader(http.StatusUnauthorized)
	case p.UserInfoStatus != 0:
		w.WriteHeader(p.UserInfoStatus)
	case p.SignedUserInfo:
		w.Header().Set("Content-Type", "application/jwt")
		_, _ = w.Write([]byte(p.sign(claims)))
	default:
		p.answer(w, 200, claims)
	}
}

func (p *Provider) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *Provider) sign(claims map[string]any) string {
	segment := func(v any) string {
		text, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	header := map[string]any{"alg": "ES256", "typ": "JWT"}
	if p.kid != "" {
		header["kid"] = p.kid
	}
	text := segment(header) + "." + segment(claims)
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, hash[:])
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// changed returns the values with the changes, of which nil removes one.
func changed(values, by map[string]any) map[string]any {
	maps.Copy(values, by)
	maps.DeleteFunc(values, func(_ string, v any) bool { return v == nil })
	return values
}

// Null is a claim whose value is null.
var Null = json.RawMessage("null")
