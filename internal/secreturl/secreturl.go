package secreturl

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

var (
	errEscape = errors.New("is not a valid URL; in its user and password write % as %25, @ as %40, # as %23, / as " +
		"%2F, ? as %3F, " +
		": as %3A, [ as %5B, ] as %5D and a space as %20")
	errPort  = errors.New("has an invalid port; a port is a number from 1 to 65535")
	errQuery = errors.New("has invalid parameters after the ?; write them as name=value, separated by &")
)

// Parse parses a URL that has one of the schemes. Its error continues a sentence that begins with
// the name of the setting.
func Parse(text string, schemes ...string) (*url.URL, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !slices.Contains(schemes, strings.ToLower(scheme)) {
		return nil, fmt.Errorf("must begin with %s://", strings.Join(schemes, ":// or "))
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	// After the host, an @ or # is most probably the rest of a password that ended too early.
	if strings.ContainsAny(rest[len(authority):], "@#") {
		return nil, errEscape
	}
	if !validPorts(authority[strings.LastIndexByte(authority, '@')+1:]) {
		return nil, errPort
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return nil, errEscape
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return nil, errQuery
	}
	return u, nil
}

// validPorts reports whether each port of the hosts, which are separated by commas, is valid. A
// host may have no port.
func validPorts(hosts string) bool {
	for host := range strings.SplitSeq(hosts, ",") {
		host = host[strings.LastIndexByte(host, ']')+1:] // an IPv6 address has colons of its own
		_, port, found := strings.Cut(host, ":")
		if n, err := strconv.ParseUint(port, 10, 16); found && (err != nil || n == 0) {
			return false
		}
	}
	return true
}
