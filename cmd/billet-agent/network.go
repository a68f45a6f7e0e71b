//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/billetcloud/billet/internal/rackagent"
)

// networkTimeout is how long the network interface may take to appear.
const networkTimeout = 2 * time.Minute

// configureNetwork gives the machine the address of the parameters. Whether the server can be
// reached turns out when it is called.
func configureNetwork(ctx context.Context, p rackagent.Parameters, loadModules func()) error {
	link, err := findLink(ctx, p.MAC, loadModules)
	if err != nil {
		return err
	}
	if lo, err := netlink.LinkByName("lo"); err == nil {
		_ = netlink.LinkSetUp(lo)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("the network interface %s cannot be used: %w", link.Attrs().Name, err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{
		IP: p.Address.Addr().AsSlice(), Mask: net.CIDRMask(p.Address.Bits(), p.Address.Addr().BitLen()),
	}}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("the address %s cannot be used: %w", p.Address, err)
	}
	if p.Gateway.IsValid() {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: p.Gateway.AsSlice()}
		if err := netlink.RouteAdd(route); err != nil {
			return fmt.Errorf("the gateway %s cannot be used: %w", p.Gateway, err)
		}
	}
	var servers strings.Builder
	for _, s := range p.DNS {
		fmt.Fprintf(&servers, "nameserver %s\n", s)
	}
	return os.WriteFile("/etc/resolv.conf", []byte(servers.String()), 0o644)
}

func findLink(ctx context.Context, mac string, loadModules func()) (netlink.Link, error) {
	for deadline := time.Now().Add(networkTimeout); ; {
		loadModules()
		links, err := netlink.LinkList()
		if err != nil {
			return nil, fmt.Errorf("list the network interfaces: %w", err)
		}
		var found []string
		for _, l := range links {
			address := l.Attrs().HardwareAddr.String()
			if strings.EqualFold(address, mac) {
				return l, nil
			}
			if address != "" && l.Attrs().Name != "lo" {
				found = append(found, address)
			}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no network interface has the MAC address %s; found: %s",
				mac, strings.Join(found, ", "))
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}
