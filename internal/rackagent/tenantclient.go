package rackagent

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/billetcloud/billet/internal/ipaddr"
)

// MaxHeader is how many bytes the header of an image's server may have.
const MaxHeader = 64 << 10

// maxRedirects is how many redirects the download of a tenant's image follows.
const maxRedirects = 5

// TenantClient returns the client for images whose URL a tenant chose. The agent runs inside of the
// operator's network, so it connects to public addresses only, and to the operator's exceptions. It
// checks the address of each connection, after the name was resolved: a name may resolve to another
// address each time. Redirects are followed to HTTPS only.
func TenantClient(networks []netip.Prefix) *http.Client {
	d := &net.Dialer{Timeout: callTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		return permitted(address, networks)
	}}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 nil, // it would connect for us
			DialContext:           d.DialContext,
			TLSHandshakeTimeout:   callTimeout,
			ResponseHeaderTimeout: time.Minute,
			// The header's texts become part of messages, and are in memory.
			MaxResponseHeaderBytes: MaxHeader,
			DisableKeepAlives:      true, // the client is for one download
		},
		CheckRedirect: func(to *http.Request, before []*http.Request) error {
			if len(before) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			if to.URL.Scheme != "https" {
				return errors.New("a redirect to an address that is not of HTTPS")
			}
			to.Header.Del("Referer") // a URL may have a secret
			return nil
		},
	}
}

// permitted reports an address of a connection that a tenant may not have the agent make.
func permitted(address string, networks []netip.Prefix) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := a.Addr().Unmap()
	in := func(p netip.Prefix) bool { return p.Contains(ip) }
	if !ipaddr.Public(a.Addr()) && !slices.ContainsFunc(networks, in) {
		return fmt.Errorf("%s is not a public address, and not one that the operator allows for tenants' images",
			ip)
	}
	return nil
}
