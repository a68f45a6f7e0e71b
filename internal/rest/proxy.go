package rest

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// hop is one step of a request on its way here, as the proxy that received it recorded it.
type hop struct {
	address netip.Addr // the zero Addr where it is hidden, unknown or malformed
	proto   string     // "" where it is not named
}

// client is where the request came from: the peer, or, where the peer is a trusted proxy, the last
// address that the proxies wrote that is not one of them. What stands left of that was written by
// the client and proves nothing. Where a trusted proxy names no client, the address is that of the
// proxy.
func (rr *Router) client(r *http.Request) (netip.Addr, string) {
	at := peer(r)
	if !rr.trusted(at) {
		return at, ""
	}
	hops := hopsOf(r.Header)
	proto := ""
	if len(hops) > 0 {
		proto = hops[0].proto
	}
	for i := len(hops) - 1; i >= 0 && rr.trusted(at); i-- {
		if !hops[i].address.IsValid() {
			break
		}
		at, proto = hops[i].address, hops[i].proto
	}
	return at, proto
}

// Address is where the request came from.
func (rr *Router) Address(r *http.Request) netip.Addr {
	at, _ := rr.client(r)
	return at
}

// Secure reports whether the client uses TLS: with this server, with a trusted proxy, or because
// the public URL is an https one. A proxy that omits or overwrites the protocol does not make an
// https site insecure.
func (rr *Router) Secure(r *http.Request) bool {
	if r.TLS != nil || rr.publicTLS() {
		return true
	}
	switch _, proto := rr.client(r); strings.ToLower(proto) {
	case "https", "wss": // Traefik writes wss for a WebSocket
		return true
	}
	return false
}

// publicTLS reports whether the public URL is an https one.
func (rr *Router) publicTLS() bool {
	return rr.cfg.PublicURL != nil && rr.cfg.PublicURL.Scheme == "https"
}

// hopsOf reads X-Forwarded-For, or Forwarded (RFC 7239) where there is none, the client's end
// first. A proxy that writes Forwarded must therefore drop the X-Forwarded-For that a client sends.
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

// elements are those of a list header, which may have several lines. Empty ones are skipped (RFC
// 9110, 5.6.1).
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

// forwardedHops reads Forwarded headers, each line by itself: a quotation mark that a client leaves
// open must not swallow what a proxy has written after it.
func forwardedHops(lines []string) []hop {
	var hops []hop
	for _, line := range lines {
		hops = append(hops, forwardedLine(line)...)
	}
	return hops
}

// forwardedLine reads one line. A line that ends within quotation marks is one hop without any
// information.
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

// quotedSplit splits at separators that are not within quotation marks. closed is false where the
// text ends within them.
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

// parseHop reads an address as proxies write it: alone, with a port, in brackets, with a zone. It
// returns false for "unknown", for names that hide an address ("_hidden") and for everything else.
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
	// warnEvery is how often the log names a peer that sends headers of a proxy and is not trusted.
	warnEvery = time.Hour
	// maxWarned is how many such peers are named within that time.
	maxWarned = 5
)

// warnedPeers are the peers that send headers of a proxy although they are not trusted.
type warnedPeers struct {
	mu    sync.Mutex
	until time.Time
	named map[netip.Addr]bool
}

// due reports whether the log is to name this peer now.
func (p *warnedPeers) due(peer netip.Addr, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.named == nil || !now.Before(p.until) {
		p.until, p.named = now.Add(warnEvery), map[netip.Addr]bool{}
	}
	if p.named[peer] || len(p.named) >= maxWarned {
		return false
	}
	p.named[peer] = true
	return true
}

// warnOfProxy warns of a proxy that is not configured: all of its clients count as one address, in
// limits and in audit entries.
func (rr *Router) warnOfProxy(ctx context.Context, r *http.Request) {
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"} {
		if len(r.Header[name]) == 0 {
			continue
		}
		if from := peer(r); from.IsValid() && !rr.trusted(from) && rr.warned.due(from, rr.cfg.Real()) {
			rr.cfg.Log.WarnContext(
				ctx,
				"ignoring proxy headers of a peer that is not a trusted proxy; if it is your proxy, "+
					"all of its clients count as one address: start with --trusted-proxies="+from.String(),
				slog.String("peer", from.String()),
				slog.String("header", name),
			)
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

func (rr *Router) trusted(a netip.Addr) bool {
	for _, p := range rr.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
