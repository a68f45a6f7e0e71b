package ironic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	pageSize = 500
	maxPages = 100
	fields   = "uuid,name,provision_state,power_state,target_power_state,maintenance,retired,instance_uuid," +
		"resource_class,extra,instance_info,last_error,automated_clean"
)

// node is the part of a server that we read.
type node struct {
	UUID         string  `json:"uuid"`
	Name         *string `json:"name"`
	State        string  `json:"provision_state"`
	Power        *string `json:"power_state"` // nil where Ironic cannot tell
	TargetPower  *string `json:"target_power_state"`
	Maintenance  bool    `json:"maintenance"`
	Retired      bool    `json:"retired"`
	Allocation   *string `json:"instance_uuid"`
	Class        *string `json:"resource_class"`
	LastError    *string `json:"last_error"`
	Clean        *bool   `json:"automated_clean"` // nil for the cluster's own setting
	InstanceInfo info    `json:"instance_info"`
	Extra        extra   `json:"extra"`
	terms        terms   // where problem is ""
	problem      string  // why it is not sold
	stated       bool    // whether it has terms at all
}

// info is what a launch stores in instance_info.
type info struct {
	User    string `json:"billet_user"`
	Address string `json:"billet_address"`
}

type extra struct {
	Billet json.RawMessage `json:"billet"`
}

// terms are what the operator states about a node, under "billet" in extra.
type terms struct {
	GPUType      string           `json:"gpuType"`
	GPUCount     int              `json:"gpuCount"`
	GPUMemoryGB  int              `json:"gpuMemoryGb"`
	VCPUs        int              `json:"vcpus"`
	MemoryGB     int              `json:"memoryGb"`
	StorageGB    int              `json:"storageGb"`
	Interconnect string           `json:"interconnect"`
	Region       string           `json:"region"`
	RegionName   string           `json:"regionName"`
	Country      string           `json:"country"`
	HourlyPrice  upstream.Dollars `json:"hourlyPrice"`
	network
}

// network is the address of a node. With a prefix length the machine is told to use it; without,
// DHCP gives it.
type network struct {
	Address string   `json:"address"` // 203.0.113.10 or 203.0.113.10/24
	Gateway string   `json:"gateway"`
	MAC     string   `json:"mac"`
	DNS     []string `json:"dns"`
}

// name returns what the operator calls the node.
func (n node) name() string {
	if n.Name != nil && *n.Name != "" {
		return *n.Name
	}
	return n.UUID
}

func (n node) class() string {
	if n.Class == nil {
		return ""
	}
	return *n.Class
}

// free reports whether Ironic would give the node to an allocation.
func (n node) free() bool {
	return n.State == "available" && !n.Maintenance && !n.Retired && n.Allocation == nil && n.Power != nil
}

// read sets terms, or problem.
func (n *node) read() {
	n.stated = len(n.Extra.Billet) > 0 && string(n.Extra.Billet) != "null"
	if !n.stated {
		n.problem = `it has no terms under "billet" in extra`
		return
	}
	d := json.NewDecoder(bytes.NewReader(n.Extra.Billet))
	d.DisallowUnknownFields()
	if err := d.Decode(&n.terms); err != nil {
		n.problem = "the terms are malformed: " + err.Error()
		return
	}
	n.problem = n.terms.check()
	switch {
	case n.problem != "":
	case !upstream.IsPlain(n.class()):
		n.problem = "it has no resource class"
	case n.Clean != nil && !*n.Clean:
		n.problem = "its automated_clean is off, so the next tenant could read the drives"
	}
}

// check returns what is wrong with the terms, or "".
func (t terms) check() string {
	sizes := []int{t.GPUCount, t.GPUMemoryGB, t.VCPUs, t.MemoryGB, t.StorageGB}
	for _, size := range sizes {
		if size < 1 || size > upstream.MaxGB {
			return "gpuCount, gpuMemoryGb, vcpus, memoryGb and storageGb must be positive"
		}
	}
	optional := func(text string) bool { return text == "" || upstream.IsPlain(text) }
	country := len(t.Country) == 2 && strings.Trim(t.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	switch {
	case !upstream.IsPlain(t.GPUType):
		return "gpuType is required"
	case !provider.ValidSlug(t.Region):
		return "region must be a slug, such as dallas-1"
	case t.Country != "" && !country:
		return "country must be two capital letters"
	case !optional(t.Interconnect) || !optional(t.RegionName):
		return "interconnect and regionName must be plain text"
	case !t.HourlyPrice.Known || t.HourlyPrice.Amount <= 0 || t.HourlyPrice.Amount > upstream.MaxPrice:
		return "hourlyPrice must be positive"
	}
	return t.network.check()
}

func (n network) check() string {
	prefix, err := netip.ParsePrefix(n.Address)
	if err != nil {
		if _, err := netip.ParseAddr(n.Address); err != nil {
			return "address must be an IP address, with or without a prefix length"
		}
		if n.Gateway != "" || n.MAC != "" || len(n.DNS) > 0 {
			return "gateway, mac and dns need an address with a prefix length"
		}
		return ""
	}
	gateway, err := netip.ParseAddr(n.Gateway)
	if err != nil || !prefix.Masked().Contains(gateway) || gateway == prefix.Addr() {
		return "gateway must be another address in the network of address"
	}
	if _, err := net.ParseMAC(n.MAC); err != nil {
		return "mac must be the address of the network interface"
	}
	for _, server := range n.DNS {
		if _, err := netip.ParseAddr(server); err != nil {
			return "dns must be a list of IP addresses"
		}
	}
	return ""
}

// ip is the address without its prefix length.
func (n network) ip() string {
	address, _, _ := strings.Cut(n.Address, "/")
	return address
}

// data is the network as OpenStack's config drive has it; nil where DHCP gives the address.
func (n network) data() map[string]any {
	prefix, err := netip.ParsePrefix(n.Address)
	if err != nil {
		return nil
	}
	kind, everywhere, mask := "ipv4", "0.0.0.0", net.IP(net.CIDRMask(prefix.Bits(), 32)).String()
	if prefix.Addr().Is6() {
		kind, everywhere, mask = "ipv6", "::", net.IP(net.CIDRMask(prefix.Bits(), 128)).String()
	}
	services := []map[string]string{}
	for _, server := range n.DNS {
		services = append(services, map[string]string{"type": "dns", "address": server})
	}
	return map[string]any{
		"links": []map[string]any{{"id": "nic0", "type": "phy", "ethernet_mac_address": n.MAC}},
		"networks": []map[string]any{{
			"id": "net0", "network_id": "net0", "type": kind, "link": "nic0", "ip_address": n.ip(), "netmask": mask,
			"routes": []map[string]string{{"network": everywhere, "netmask": everywhere, "gateway": n.Gateway}},
		}},
		"services": services,
	}
}

// fetchNodes returns every node, with its terms.
func (x *Adapter) fetchNodes(ctx context.Context) ([]node, error) {
	all, err := pages[node](ctx, x, "nodes", url.Values{"fields": {fields}}, func(n node) string { return n.UUID })
	if err != nil {
		return nil, err
	}
	judge(all)
	return all, nil
}

// judge reads the terms of the nodes. Of two nodes of an offer that differ, and of two with one
// address, only the first is sold.
func judge(all []node) {
	first, addresses := map[[2]string]node{}, map[string]string{}
	for i := range all {
		n := &all[i]
		n.read()
		if n.problem != "" {
			continue
		}
		at := [2]string{n.terms.Region, n.class()}
		one, known := first[at]
		same, taken := addresses[n.terms.ip()]
		switch {
		case known && !one.terms.equal(n.terms):
			n.problem = "its terms differ from those of " + one.name() +
				", which has the same resource class and region"
		case taken:
			n.problem = "it has the address of " + same
		default:
			addresses[n.terms.ip()] = n.name()
			if !known {
				first[at] = *n
			}
		}
	}
}

// equal reports whether tenants cannot tell two nodes apart.
func (t terms) equal(o terms) bool {
	return t.GPUType == o.GPUType && t.GPUCount == o.GPUCount && t.GPUMemoryGB == o.GPUMemoryGB &&
		t.VCPUs == o.VCPUs && t.MemoryGB == o.MemoryGB && t.StorageGB == o.StorageGB &&
		t.Interconnect == o.Interconnect && t.RegionName == o.RegionName && t.Country == o.Country &&
		t.HourlyPrice == o.HourlyPrice
}

// pages reads a whole list, or returns an error.
func pages[T any](ctx context.Context, x *Adapter, what string, query url.Values, id func(T) string) ([]T, error) {
	query.Set("limit", fmt.Sprint(pageSize))
	query.Set("sort_key", "uuid")
	var out []T
	for range maxPages {
		var raw json.RawMessage
		if err := x.client.Get(ctx, "/v1/"+what, query, &raw); err != nil {
			return nil, upstream.ListError(err)
		}
		var page map[string]json.RawMessage
		var some []T
		if err := json.Unmarshal(raw, &page); err != nil || page[what] == nil {
			return nil, upstream.Malformed("the "+what, err)
		}
		if err := json.Unmarshal(page[what], &some); err != nil {
			return nil, upstream.Malformed("the "+what, err)
		}
		for _, one := range some {
			if id(one) == "" {
				return nil, upstream.Malformed("the uuid of each of the "+what, nil)
			}
		}
		out = append(out, some...)
		if page["next"] == nil || len(some) == 0 {
			return out, nil
		}
		query.Set("marker", id(some[len(some)-1]))
	}
	return nil, upstream.Malformed("the end of the "+what, errors.New("there are too many"))
}
