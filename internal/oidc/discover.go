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
	// discoverEvery is how long a provider's addresses and keys are taken for its own. Keys that it adds are read
	// at once; those that it withdraws cease to count then.
	discoverEvery = time.Hour
	// tenantPlace stands in the issuer that Entra names for all of its tenants: .../{tenantid}/v2.0.
	tenantPlace = "{tenantid}"
)

// algorithms are those with a key of which only the public half is published. Keycloak lists others, too.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

// provider is what a provider says of itself.
type provider struct {
	*oidc.Provider
	// issuer is how it names itself in what it signs; a template where it has tenantPlace.
	issuer   string
	userInfo string
	// query reports whether it says that it can send the browser back with a query.
	query bool
	until time.Time
}

// metadata is the part of a discovery document that we go by (OpenID Connect Discovery 1.0, 3).
type metadata struct {
	oidc.ProviderConfig
	TokenAuth     []string `json:"token_endpoint_auth_methods_supported"`
	ResponseModes []string `json:"response_modes_supported"`
}

// discover asks the provider for its addresses, once in a while.
func (c *Client) discover(ctx context.Context) (*provider, error) {
	now := c.c.Now()
	c.mu.Lock()
	known := c.provider
	c.mu.Unlock()
	if known != nil && now.Before(known.until) {
		return known, nil
	}
	// Without the lock: whoever waits for a provider that does not answer waits for themselves alone.
	m, err := c.ask(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the identity provider for its addresses: %w", err)
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
		c.style = oauth2.AuthStyleInHeader // what every provider takes that does not say (Discovery, 3)
		if len(m.TokenAuth) > 0 && !slices.Contains(m.TokenAuth, "client_secret_basic") {
			c.style = oauth2.AuthStyleInParams
		}
	}
	return p, nil
}

// ask reads the discovery document. No error has what the provider wrote, which would be a page for people as often as not.
func (c *Client) ask(ctx context.Context) (metadata, error) {
	var m metadata
	at := strings.TrimSuffix(c.c.Issuer, "/") + "/.well-known/openid-configuration"
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
		return m, fmt.Errorf("%s answers %s: is --oidc-issuer right?", at, resp.Status)
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("what %s answers is no discovery document", at)
	}
	return m, nil
}

// check finds what keeps us from working with the provider.
func (c *Client) check(m metadata) error {
	// The slash at the end is easily forgotten, and the document comes from the same address with and without. What it
	// signs has to name the issuer as the document does, to the letter.
	named := strings.TrimSuffix(m.IssuerURL, "/")
	if before, after, template := strings.Cut(named, tenantPlace); template { // names all tenants: whose token it is, the token says
		if given := strings.TrimSuffix(c.c.Issuer, "/"); strings.HasPrefix(given, before) && strings.HasSuffix(given, after) {
			named = given
		}
	}
	if named != strings.TrimSuffix(c.c.Issuer, "/") {
		return fmt.Errorf("the identity provider calls itself %q, not %q: set --oidc-issuer to what it calls itself", m.IssuerURL, c.c.Issuer)
	}
	for what, at := range map[string]string{"authorization_endpoint": m.AuthURL, "token_endpoint": m.TokenURL, "jwks_uri": m.JWKSURL} {
		if !c.sameSafety(at) {
			return fmt.Errorf("the identity provider's document has no usable %s", what)
		}
	}
	if m.UserInfoURL != "" && !c.sameSafety(m.UserInfoURL) {
		return errors.New("the identity provider's document has no usable userinfo_endpoint")
	}
	if len(m.TokenAuth) > 0 && !slices.Contains(m.TokenAuth, "client_secret_basic") && !slices.Contains(m.TokenAuth, "client_secret_post") {
		return errors.New("the identity provider takes no client secret")
	}
	return nil
}

// sameSafety reports whether an address is an https one, or the issuer itself is none, as in a test.
func (c *Client) sameSafety(at string) bool {
	u, err := url.Parse(at)
	return err == nil && u.Host != "" && (u.Scheme == "https" || (u.Scheme == "http" && strings.HasPrefix(c.c.Issuer, "http://")))
}

// issuedBy reports whether iss is how this provider names itself, or, where it is one for all tenants, how the tenant is named.
func (p *provider) issuedBy(iss, tenant string) bool {
	if !strings.Contains(p.issuer, tenantPlace) {
		return iss == p.issuer || (p.issuer == "https://accounts.google.com" && iss == "accounts.google.com") // as Google documents
	}
	return isTenant(tenant) && iss == strings.ReplaceAll(p.issuer, tenantPlace, tenant)
}

// isTenant reports whether the text is a UUID in small letters, as Entra writes tenants.
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

// readUserInfo asks who the access token is about.
func (c *Client) readUserInfo(ctx context.Context, p *provider, token *oauth2.Token) (said, error) {
	var s said
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
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "application/jwt" { // signed, which the library checks
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
		return s, errors.New("the userinfo endpoint does not answer with JSON")
	}
	return s, nil
}
