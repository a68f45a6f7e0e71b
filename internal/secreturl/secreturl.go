package secreturl

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// escapes says what a user has to do.
const escapes = "in its user and password write % as %25, @ as %40, # as %23, / as %2F, ? as %3F, : as %3A, [ as %5B, ] as %5D and a space as %20"

var errUnreadable = errors.New("cannot be read as a URL; " + escapes)

// Parse reads a URL of one of the schemes. Its error begins with a verb, so that it can follow the name of the setting.
func Parse(text string, schemes ...string) (*url.URL, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !slices.Contains(schemes, strings.ToLower(scheme)) {
		return nil, fmt.Errorf("must begin with %s://", strings.Join(schemes, ":// or "))
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	// Beyond the host, an @ or # is most probably the rest of a password that ended too early.
	if strings.ContainsAny(rest[len(authority):], "@#") {
		return nil, errUnreadable
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return nil, errUnreadable
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return nil, errUnreadable
	}
	return u, nil
}
