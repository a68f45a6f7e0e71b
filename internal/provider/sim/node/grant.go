package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// grant is what the options of a line in authorized_keys leave to those who log in with its key.
type grant struct {
	account account // as it was at the login

	forced  bool
	command string // what is run instead of what is asked for, where forced is set

	agent, ports, terminal, rc bool
	noTouch                    bool // of a security key

	open, listen []string // the "host:port" that may be forwarded; nil for all

	from    []string  // patterns of addresses; nil for all
	expires time.Time // zero for never
}

// parseOptions reads the options of a line. One that is unknown or not supported makes the line
// useless: the restriction that it means would not be kept.
func parseOptions(options []string) (*grant, error) {
	g := &grant{agent: true, ports: true, terminal: true, rc: true}
	flags := map[string]*bool{"agent-forwarding": &g.agent, "port-forwarding": &g.ports, "pty": &g.terminal,
		"user-rc": &g.rc}
	for _, option := range options {
		name, quoted, hasValue := strings.Cut(option, "=")
		name = strings.ToLower(name)
		if !hasValue {
			positive, negated := strings.CutPrefix(name, "no-")
			switch flag := flags[positive]; {
			case flag != nil:
				*flag = !negated
			case name == "restrict":
				g.agent, g.ports, g.terminal, g.rc = false, false, false, false
			case name == "x11-forwarding" || name == "no-x11-forwarding": // there is none to allow
			case name == "no-touch-required":
				g.noTouch = true
			default:
				return nil, fmt.Errorf("option %q is not supported", name)
			}
			continue
		}
		value, err := unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("option %q: %w", name, err)
		}
		if err := g.set(name, value); err != nil {
			return nil, fmt.Errorf("option %q: %w", name, err)
		}
	}
	return g, nil
}

func unquote(text string) (string, error) {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", errors.New("the value must stand in double quotes")
	}
	return strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`), nil
}

var errTwice = errors.New("it is given twice")

func (g *grant) set(name, value string) (err error) {
	switch name {
	case "command":
		if g.forced {
			return errTwice
		}
		if word, rest, _ := strings.Cut(value, " "); word == internalSFTP && strings.TrimSpace(rest) != "" {
			return errors.New(internalSFTP + " takes no arguments here")
		}
		g.forced, g.command = true, value
	case "from":
		if g.from != nil {
			return errTwice
		}
		g.from = strings.Split(value, ",")
	case "expiry-time":
		g.expires, err = parseExpiry(value)
	case "permitopen":
		err = checkTarget(value)
		g.open = append(g.open, value)
	case "permitlisten":
		if _, numeric := port(value); numeric {
			value = "*:" + value
		}
		err = checkTarget(value)
		g.listen = append(g.listen, value)
	case "environment", "tunnel":
		// sshd ignores the first unless it is told otherwise, and neither it nor this server opens
		// tunnels.
	default:
		err = errors.New("it is not supported")
	}
	return err
}

// parseExpiry reads YYYYMMDD[HHMM[SS]] with an optional Z for UTC.
func parseExpiry(text string) (time.Time, error) {
	digits, utc := strings.CutSuffix(text, "Z")
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	for _, form := range []string{"20060102", "200601021504", "20060102150405"} {
		if t, err := time.ParseInLocation(form, digits, zone); err == nil && len(form) == len(digits) {
			return t, nil
		}
	}
	return time.Time{}, errors.New("the time must be YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with Z for UTC")
}

// port reads a port number, or "*" for any, which is 0.
func port(text string) (uint32, bool) {
	if text == "*" {
		return 0, true
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return uint32(n), err == nil && n > 0
}

func checkTarget(text string) error {
	_, number, err := net.SplitHostPort(text)
	if err != nil {
		return errors.New("it must be host:port")
	}
	if _, ok := port(number); !ok {
		return errors.New("the port must be 1 to 65535 or *")
	}
	return nil
}

// admits reports whether the key may be used from an address at a time.
func (g *grant) admits(from netip.Addr, now time.Time) error {
	if !g.expires.IsZero() && !now.Before(g.expires) {
		return errors.New("the key has expired")
	}
	if g.from == nil {
		return nil
	}
	matched := false
	for _, pattern := range g.from {
		pattern = strings.TrimSpace(pattern)
		pattern, negated := strings.CutPrefix(pattern, "!")
		hit, err := matchAddress(pattern, from)
		if err != nil {
			return err
		}
		if hit && negated {
			return fmt.Errorf("the key may not be used from %s", from)
		}
		matched = matched || hit
	}
	if !matched {
		return fmt.Errorf("the key may not be used from %s", from)
	}
	return nil
}

func matchAddress(pattern string, address netip.Addr) (bool, error) {
	if strings.Contains(pattern, "/") {
		network, err := netip.ParsePrefix(pattern)
		if err != nil || network != network.Masked() {
			return false, fmt.Errorf("%q is not a network", pattern)
		}
		return network.Contains(address), nil
	}
	return wildcard(strings.ToLower(pattern), address.String()), nil
}

// wildcard matches * and ?, and nothing else is special.
func wildcard(pattern, text string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			for i := range len(text) + 1 {
				if wildcard(pattern[1:], text[i:]) {
					return true
				}
			}
			return false
		case text == "" || pattern[0] != '?' && pattern[0] != text[0]:
			return false
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}

// mayOpen reports whether the client may be connected to an address as seen from inside.
func (g *grant) mayOpen(host string, to uint32) bool {
	return g.ports && (g.open == nil || slices.ContainsFunc(g.open, func(allowed string) bool {
		name, number, _ := net.SplitHostPort(allowed)
		n, ok := port(number)
		return ok && (n == 0 || n == to) && (name == "*" || name == host)
	}))
}

// mayListen reports whether the client may have a port of the machine.
func (g *grant) mayListen(host string, at uint32) bool {
	return g.ports && (g.listen == nil || slices.ContainsFunc(g.listen, func(allowed string) bool {
		name, number, _ := net.SplitHostPort(allowed)
		n, ok := port(number)
		return ok && (n == 0 || n == at) && wildcard(name, host)
	}))
}

// mayForwardSockets is false, too, where only some ports may be forwarded: a socket is none of
// them.
func (g *grant) mayForwardSockets() bool { return g.ports && g.open == nil && g.listen == nil }
