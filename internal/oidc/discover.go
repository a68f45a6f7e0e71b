package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// discoverEvery is how long a provider's addresses and keys are kept. New keys are read at
	// once; withdrawn ones stop working then.
	discoverEvery = time.Hour
	// tenantPlace is the placeholder in the issuer of Entra for all tenants: .../{tenantid}/v2.0.
	tenantPlace = "{tenantid}"
)

// algorithms are the asymmetric ones. Keycloak lists others, too.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512,
	oidc.EdDSA,
}

// provider is what a provider's discovery document says.
type provider struct {
	*oidc.Provider
	// issuer is the issuer of its tokens; a template if it contains tenantPlace.
	issuer   string
	userInfo string
	// query is true if it lists the response mode "query".
	query bool
	until time.Time
}

// metadata is the part of a discovery document that is used (OpenID Connect Discovery 1.0, section
// 3).
type metadata struct {
	oidc.ProviderConfig
	TokenAuth     []string `json:"token_endpoint_auth_methods_supported"`
	ResponseModes []string `json:"response_modes_supported"`
}

// discover returns the provider's addresses, which it reads every discoverEvery.
func (c *Client) discover(ctx context.Context) (*provider, error) {
	now := c.cfg.Now()
	c.mu.Lock()
	known := c.provider
	c.mu.Unlock()
	if known != nil && now.Before(known.until) {
		return known, nil
	}
	// Without the lock, so that a provider that does not answer delays each sign-in only once.
	m, err := c.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the identity provider's discovery document: %w", err)
	}
	if err := c.check(m); err != nil {
		return nil, err
	}
	m.Algorithms = slices.DeleteFunc(m.Algorithms, func(a string) bool { return !slices.Contains(algorithms, a) })
	p := &provider{
		Provider: m.NewProvider(oidc.ClientContext(ctx, c.http)), issuer: m.IssuerURL, userInfo: m.UserInfoURL,
		query: slices.Contains(m.ResponseModes, "query"), until: now.Add(discoverEvery),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.provider = p
	if c.style == oauth2.AuthStyleAutoDetect {
		c.style = oauth2.AuthStyleInHeader // the default (Discovery, section 3)
		if len(m.TokenAuth) > 0 && !slices.Contains(m.TokenAuth, "client_secret_basic") {
			c.style = oauth2.AuthStyleInParams
		}
	}
	return p, nil
}

// fetch reads the discovery document. Its errors do not quote the response, which is often an HTML
// page.
func (c *Client) fetch(ctx context.Context) (metadata, error) {
	var m metadata
	at := strings.TrimSuffix(c.cfg.Issuer, "/") + "/.well-known/openid-configuration"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return m, err
	}
	r.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return m, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return m, fmt.Errorf("%s answers %s: check --oidc-issuer", at, resp.Status)
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("the response of %s is no discovery document", at)
	}
	return m, nil
}

// check returns why the provider cannot be used.
func (c *Client) check(m metadata) error {
	// The address of the document is the same with and without a slash at the end of the issuer.
	// Tokens must name the issuer exactly as the document does.
	named := strings.TrimSuffix(m.IssuerURL, "/")
	if before, after, template := strings.Cut(named, tenantPlace); template { // the token has the tenant
		configured := strings.TrimSuffix(c.cfg.Issuer, "/")
		if strings.HasPrefix(configured, before) && strings.HasSuffix(configured, after) {
			named = configured
		}
	}
	if named != strings.TrimSuffix(c.cfg.Issuer, "/") {
		return fmt.Errorf(
			"the identity provider's issuer is %q, not %q: set --oidc-issuer to it",
			m.IssuerURL,
			c.cfg.Issuer,
		)
	}
	endpoints := map[string]string{
		"authorization_endpoint": m.AuthURL, "token_endpoint": m.TokenURL, "jwks_uri": m.JWKSURL,
		"userinfo_endpoint": m.UserInfoURL,
	}
	for name, at := range endpoints {
		if missing := at == "" && name == "userinfo_endpoint"; !missing && !c.isSafe(at) {
			return fmt.Errorf("the identity provider's document has no usable %s", name)
		}
	}
	takesSecret := func(method string) bool { return method == "client_secret_basic" || method == "client_secret_post" }
	if len(m.TokenAuth) > 0 && !slices.ContainsFunc(m.TokenAuth, takesSecret) {
		return errors.New("the identity provider does not accept a client secret")
	}
	return nil
}

// isSafe reports whether an address is https, or http like the issuer itself, as in a test.
func (c *Client) isSafe(at string) bool {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" {
		return false
	}
	return u.Scheme == "https" || (u.Scheme == "http" && strings.HasPrefix(c.cfg.Issuer, "http://"))
}

// issuedBy reports whether iss is this provider's issuer, or that of the tenant if it is a provider
// for all tenants.
func (p *provider) issuedBy(iss, tenant string) bool {
	if !strings.Contains(p.issuer, tenantPlace) {
		// Google documents both of its names.
		return iss == p.issuer || (p.issuer == "https://accounts.google.com" && iss == "accounts.google.com")
	}
	return isTenant(tenant) && iss == strings.ReplaceAll(p.issuer, tenantPlace, tenant)
}

// isTenant reports whether the text is a UUID in lower case, as Entra writes tenants.
func isTenant(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		switch b := text[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if b != '-' {
				return false
			}
		case (b < '0' || b > '9') && (b < 'a' || b > 'f'):
			return false
		}
	}
	return true
}

// readUserInfo reads the claims of the userinfo endpoint.
func (c *Client) readUserInfo(ctx context.Context, p *provider, token *oauth2.Token) (claims, error) {
	var s claims
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.userInfo, nil)
	if err != nil {
		return s, err
	}
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	r.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return s, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("the userinfo endpoint answers %s", resp.Status)
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media == "application/jwt" { // signed; the library checks it
		info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err == nil {
			err = info.Claims(&s)
		}
		return s, err
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, errors.New("the userinfo endpoint's response is no JSON")
	}
	return s, nil
}
