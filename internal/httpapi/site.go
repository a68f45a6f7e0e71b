package httpapi

import (
	"net"
	"net/url"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/rest"
)

// site is where browsers reach this server.
type site struct {
	router    *rest.Router
	publicURL *url.URL
}

// url is where links lead to: the public URL, or else where the browser that makes the request says
// that it is.
func (s site) url(c *rest.Call) *url.URL {
	if s.publicURL != nil {
		return s.publicURL
	}
	u := &url.URL{Scheme: "http", Host: strings.ToLower(c.Request.Host)}
	if s.router.Secure(c.Request) {
		u.Scheme = "https"
	}
	return u
}

// link is a link to a page of the dashboard. Servers on the way do not see the fragment.
func (s site) link(c *rest.Call, path, fragment string) string {
	u := *s.url(c)
	u.Path, u.Fragment = path, fragment
	return u.String()
}

// mailable reports whether links may be mailed: a request's own host may be an attacker's, and the
// mail would come from this server.
func (s site) mailable() bool { return s.publicURL != nil }

// passkeys is the site that passkeys are made for: the public URL, or else the machine itself.
// Elsewhere the Host of a request proves nothing, and browsers accept no IP address and nothing
// without TLS.
func (s site) passkeys(c *rest.Call) (account.RelyingParty, error) {
	u := s.url(c)
	host := u.Hostname()
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if net.ParseIP(host) != nil || (!local && (s.publicURL == nil || u.Scheme != "https")) {
		return account.RelyingParty{}, apierr.New(
			apierr.Conflict,
			"Passkeys do not work at this address: browsers require "+
				"https and a host name, or localhost. Open the page by its name, or ask the operator to set "+
				"--public-url.",
		)
	}
	return account.RelyingParty{ID: host, Origin: u.Scheme + "://" + u.Host}, nil
}
