package account

import (
	"strings"
	"time"
)

// BrowserLifetime is how long a browser keeps its token.
const BrowserLifetime = 180 * 24 * time.Hour

const browserPurpose = "device"

// newBrowser returns a token for a browser on which the user with that email address has just
// signed in. It admits no one: it only keeps the failures of others from counting against that
// browser.
func (s *Service) newBrowser(email string) (string, error) {
	name, err := randomText(s.cfg.Rand)
	if err != nil {
		return "", err
	}
	return s.cfg.Secrets.Seal(browserPurpose, []byte(name+" "+email)), nil
}

// browser returns the name of a browser and its user's email address; "" for an invalid token.
func (s *Service) browser(token string) (name, email string) {
	if token == "" || len(token) > maxBrowser {
		return "", ""
	}
	plain, err := s.cfg.Secrets.Open(browserPurpose, token)
	if err != nil {
		return "", ""
	}
	name, email, _ = strings.Cut(string(plain), " ")
	return name, email
}

// maxBrowser is the most bytes of a token: the longest email address, the name and the seal.
const maxBrowser = 1024

// BrowserUser returns a name for the user who has signed in on the browser with this token: the
// same for all of their browsers, and not their email address. It returns "" for an invalid token.
func (s *Service) BrowserUser(token string) string {
	name, email := s.browser(token)
	if name == "" {
		return ""
	}
	return hashOf("device of " + email)[:32]
}
