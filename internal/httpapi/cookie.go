package httpapi

import (
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
)

// The cookies. Over https their names begin with hostPrefix, so that no page of a neighboring host name can plant one.
const (
	// sessionCookie holds the token of a signed-in user. No script can read it, and no other site's page can have it sent.
	sessionCookie = "billet_session"
	// deviceCookie is what the browser is known by at later sign-ins. It lets nobody in.
	deviceCookie = "billet_device"
	// oidcCookie binds a sign-in to the browser that began it.
	oidcCookie = "billet_oidc"

	// hostPrefix has browsers take a cookie from this very host only, over https, for all of its paths (RFC 6265bis).
	hostPrefix = "__Host-"
)

// cookieName is what the cookie is called where the request comes from.
func (s *server) cookieName(r *http.Request, name string) string {
	if s.secure(r) {
		return hostPrefix + name
	}
	return name
}

// cookie is the value of a cookie of ours; "" where there is none.
func (s *server) cookie(r *http.Request, name string) string {
	k, err := r.Cookie(s.cookieName(r, name))
	if err != nil {
		return ""
	}
	return k.Value
}

// hasCookie reports whether the browser sent it, and be it empty.
func (s *server) hasCookie(r *http.Request, name string) bool {
	_, err := r.Cookie(s.cookieName(r, name))
	return err == nil
}

// setCookie gives the browser a cookie, or with a negative age takes it back. The path is for plain http only.
func (s *server) setCookie(c *call, name, value, path string, age int, site http.SameSite) {
	secure := s.secure(c.request)
	if secure {
		path = "/"
	}
	cookie := http.Cookie{
		Name: s.cookieName(c.request, name), Value: value, Path: path, MaxAge: age, HttpOnly: true, SameSite: site, Secure: secure,
	}
	c.cookies = append(c.cookies, cookie.String())
}

// setSessionCookie sets the session's cookie, or with a negative age takes it back.
func (s *server) setSessionCookie(c *call, token string, age int) {
	s.setCookie(c, sessionCookie, token, "/api/v1", age, http.SameSiteStrictMode)
}

// setDeviceCookie has the browser known at later sign-ins.
func (s *server) setDeviceCookie(c *call, device string) {
	s.setCookie(c, deviceCookie, device, AccountBase, int(account.DeviceLength/time.Second), http.SameSiteStrictMode)
}

// setOIDCCookie sets the cookie that is sent when the provider's page sends the browser back, which a strict one would not be.
func (s *server) setOIDCCookie(c *call, value string, age int) {
	s.setCookie(c, oidcCookie, value, oidcBase, age, http.SameSiteLaxMode)
}

// source is where a sign-in comes from.
func (s *server) source(r *http.Request) account.Source {
	return account.Source{Address: s.address(r), Device: s.cookie(r, deviceCookie)}
}
