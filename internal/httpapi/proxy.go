package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// hop is one step of a request's way, as the proxy that received it wrote it down.
type hop struct {
	address netip.Addr // the zero Addr where it is hidden, unknown or not readable
	proto   string     // "" where it does not say
}

// client is where the request came from: the peer, or, where the peer is a proxy of ours, the last address that
// the proxies wrote that is not one of them. What stands left of that was written by the client and proves nothing. Where a
// proxy of ours does not say for whom it speaks, the address is that of the proxy.
func (s *server) client(r *http.Request) (netip.Addr, string) {
	at := peer(r)
	if !s.trusted(at) {
		return at, ""
	}
	hops := hopsOf(r.Header)
	proto := ""
	if len(hops) > 0 {
		proto = hops[0].proto
	}
	for i := len(hops) - 1; i >= 0 && s.trusted(at); i-- {
		if !hops[i].address.IsValid() {
			break
		}
		at, proto = hops[i].address, hops[i].proto
	}
	return at, proto
}

// address is where the request came from.
func (s *server) address(r *http.Request) netip.Addr {
	at, _ := s.client(r)
	return at
}

// secure reports whether the client speaks TLS: with us, with a proxy of ours, or because the public URL says so. A
// proxy that says nothing or overwrites what another one said does not make an https site insecure.
func (s *server) secure(r *http.Request) bool {
	if r.TLS != nil || s.publicTLS() {
		return true
	}
	switch _, proto := s.client(r); strings.ToLower(proto) {
	case "https", "wss": // Traefik writes wss for a WebSocket
		return true
	}
	return false
}

// publicTLS reports whether the public URL is an https one.
func (s *server) publicTLS() bool { return s.c.PublicURL != nil && s.c.PublicURL.Scheme == "https" }

// hopsOf reads X-Forwarded-For, or Forwarded (RFC 7239) where there is none, the client's end first. A proxy that
// writes Forwarded must therefore drop the X-Forwarded-For that a client sends.
func hopsOf(h http.Header) []hop {
	listed := elements(h.Values("X-Forwarded-For"))
	protos := elements(h.Values("X-Forwarded-Proto"))
	if len(listed) == 0 && len(protos) == 0 {
		return forwardedHops(h.Values("Forwarded"))
	}
	if len(listed) == 0 {
		return []hop{{proto: protos[0]}}
	}
	hops := make([]hop, len(listed))
	for i, text := range listed {
		hops[i].address, _ = parseHop(text)
		switch {
		case len(protos) == len(listed):
			hops[i].proto = protos[i]
		case len(protos) > 0:
			hops[i].proto = protos[0]
		}
	}
	return hops
}

// elements are those of a list header, which may come in several lines; empty ones do not count (RFC 9110, 5.6.1).
func elements(lines []string) []string {
	var out []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// forwardedHops reads Forwarded headers, each line by itself: a quotation mark that a client leaves open must not swallow
// what a proxy has written after it.
func forwardedHops(lines []string) []hop {
	var hops []hop
	for _, line := range lines {
		hops = append(hops, forwardedLine(line)...)
	}
	return hops
}

// forwardedLine reads one line. A line that ends within quotation marks is one hop of which nothing is known.
func forwardedLine(line string) []hop {
	elements, closed := quotedSplit(line, ',')
	if !closed {
		return []hop{{}}
	}
	var hops []hop
	for _, element := range elements {
		if strings.TrimSpace(element) == "" {
			continue
		}
		var at hop
		pairs, _ := quotedSplit(element, ';')
		for _, pair := range pairs {
			name, value, _ := strings.Cut(pair, "=")
			if value = strings.TrimSpace(value); len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
				value = strings.ReplaceAll(value[1:len(value)-1], `\`, "")
			}
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "for":
				at.address, _ = parseHop(value)
			case "proto":
				at.proto = value
			}
		}
		hops = append(hops, at)
	}
	return hops
}

// quotedSplit splits at separators that are not within quotation marks. closed is false where the text ends within them.
func quotedSplit(text string, separator byte) (out []string, closed bool) {
	quoted, start := false, 0
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == separator && !quoted:
			out = append(out, text[start:i])
			start = i + 1
		}
	}
	return append(out, text[start:]), !quoted
}

// parseHop reads an address as proxies write it: alone, with a port, in brackets, with a zone. It returns false for "unknown",
// for names that hide an address ("_hidden") and for everything else.
func parseHop(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		host := text
		if strings.HasPrefix(text, "[") { // [2001:db8::1] or [2001:db8::1]:443
			end := strings.IndexByte(text, ']')
			if end < 0 || (end+1 < len(text) && (text[end+1] != ':' || !isPort(text[end+2:]))) {
				return netip.Addr{}, false
			}
			host = text[1:end]
		} else if i := strings.LastIndexByte(text, ':'); i >= 0 && isPort(text[i+1:]) { // 192.0.2.1:443
			if host = text[:i]; strings.Contains(host, ":") {
				return netip.Addr{}, false
			}
		}
		if a, err = netip.ParseAddr(host); err != nil {
			return netip.Addr{}, false
		}
	}
	return a.Unmap().WithZone(""), true
}

// isPort reports whether the text can stand for a port, which may be hidden (RFC 7239, 6.2).
func isPort(text string) bool {
	if strings.HasPrefix(text, "_") {
		return len(text) > 1
	}
	return len(text) > 0 && len(text) <= 5 && strings.Trim(text, "0123456789") == ""
}

const (
	// forgottenEvery is how often one peer is named that sends headers of a proxy and is not trusted.
	forgottenEvery = time.Hour
	// forgottenMost is how many such peers are named within that time.
	forgottenMost = 5
)

// forgotten remembers the peers that send headers of a proxy although they are not trusted.
type forgotten struct {
	mu    sync.Mutex
	until time.Time
	named map[netip.Addr]bool
}

// notice reports whether this peer is to be named now.
func (f *forgotten) notice(at netip.Addr, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.named == nil || !now.Before(f.until) {
		f.until, f.named = now.Add(forgottenEvery), map[netip.Addr]bool{}
	}
	if f.named[at] || len(f.named) >= forgottenMost {
		return false
	}
	f.named[at] = true
	return true
}

// noticeProxy warns of a proxy that nobody told us of: all who come through it count as one address, which limits
// and audit entries show.
func (s *server) noticeProxy(ctx context.Context, r *http.Request) {
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"} {
		if len(r.Header[name]) == 0 {
			continue
		}
		if at := peer(r); at.IsValid() && !s.trusted(at) && s.forgotten.notice(at, s.c.Real()) {
			s.c.Log.WarnContext(ctx, "a peer that is not a trusted proxy sends headers of one, which are ignored; where it is your proxy, all of its clients "+
				"count as one address: start with --trusted-proxies="+at.String(), slog.String("peer", at.String()), slog.String("header", name))
		}
		return
	}
}

// peer is the other end of the connection.
func peer(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

func (s *server) trusted(a netip.Addr) bool {
	for _, p := range s.c.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
