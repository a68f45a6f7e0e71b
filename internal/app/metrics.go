package app

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// forLoopback answers only requests that were sent to this machine by its loopback name. A page of
// another site can resolve its own name to a loopback address (DNS rebinding), and could otherwise
// read the metrics in a browser on this machine.
func forLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) {
			http.Error(w, "The metrics are only served to localhost and 127.0.0.1; use one of these names.",
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopbackHost reports whether a Host header names this machine's loopback interface.
func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}
