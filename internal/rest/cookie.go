package rest

import "net/http"

// hostPrefix makes browsers accept a cookie from this very host only, over https, for all of its
// paths (RFC 6265bis). No page of a neighboring host name can plant one.
const hostPrefix = "__Host-"

// Cookie describes a cookie of the API. Over https its name begins with __Host-.
type Cookie struct {
	Name string
	// Path is for plain http only: over https it is /.
	Path string
	Site http.SameSite
}

// name is what the cookie is called where the request comes from.
func (rr *Router) cookieName(r *http.Request, k Cookie) string {
	if rr.Secure(r) {
		return hostPrefix + k.Name
	}
	return k.Name
}

// Cookie returns the value of a cookie, and whether the browser sent it, even if it is empty.
func (c *Call) Cookie(k Cookie) (value string, sent bool) {
	found, err := c.Request.Cookie(c.router.cookieName(c.Request, k))
	if err != nil {
		return "", false
	}
	return found.Value, true
}

// SetCookie sets a cookie for so many seconds. A negative age deletes it.
func (c *Call) SetCookie(k Cookie, value string, age int) {
	secure, path := c.router.Secure(c.Request), k.Path
	if secure {
		path = "/"
	}
	cookie := http.Cookie{
		Name: c.router.cookieName(c.Request, k), Value: value, Path: path, MaxAge: age,
		HttpOnly: true, SameSite: k.Site, Secure: secure,
	}
	c.cookies = append(c.cookies, cookie.String())
}
