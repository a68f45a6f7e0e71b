package httpapi

import (
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/rest"
)

const sessionCookieName = "billet_session"

var (
	// sessionCookie holds the token of a session. No script can read it, and no other website's
	// page can send it.
	sessionCookie = rest.Cookie{Name: sessionCookieName, Path: "/api/v1", Site: http.SameSiteStrictMode}
	// deviceCookie identifies the browser at later sign-ins. It grants no access.
	deviceCookie = rest.Cookie{Name: "billet_device", Path: AccountBase, Site: http.SameSiteStrictMode}
	// oidcCookie binds a sign-in to the browser that began it. It is sent when the provider's page
	// sends the browser back, which a strict one would not be.
	oidcCookie = rest.Cookie{Name: "billet_oidc", Path: oidcBase, Site: http.SameSiteLaxMode}
)

const deviceCookieAge = int(account.BrowserLifetime / time.Second)

// source is where a sign-in comes from.
func source(c *rest.Call) account.Source {
	device, _ := c.Cookie(deviceCookie)
	return account.Source{Address: c.Address(), Browser: device}
}
