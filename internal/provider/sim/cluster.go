package sim

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strconv"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim/node"
)

// gpusPerNode is how many GPUs one server of a cluster has.
const gpusPerNode = 8

// nodes is how many servers a machine of the offer has.
func (o *offer) nodes() int {
	if o.InstanceType != provider.Cluster {
		return 1
	}
	return max(1, o.GPUCount/gpusPerNode)
}

// server is one server of a cluster beside its first, as the record keeps it.
type server struct {
	// Address is what it is to listen on; Endpoint is where it does.
	Address  netip.Addr
	Endpoint netip.AddrPort
	HostKeys []string `json:",omitempty"`
}

// folders are those of the files of each server of the machine.
func (m *machine) folders(r machineRecord) []string {
	all := []string{m.node()}
	for i := range r.Others {
		all = append(all, filepath.Join(m.folder, "node-"+strconv.Itoa(i+1)))
	}
	return all
}

// addresses are what the machine's servers are to listen on.
func (r machineRecord) addresses() []netip.Addr {
	all := []netip.Addr{r.Address}
	for _, o := range r.Others {
		all = append(all, o.Address)
	}
	return all
}

// reserveOthers takes free addresses for the servers beside the first; the caller holds mu.
func (w *World) reserveOthers(k key, o *offer) (others []server, err error) {
	for range o.nodes() - 1 {
		address, err := w.reserve(k)
		if err != nil {
			return nil, err
		}
		others = append(others, server{Address: address})
	}
	return others, nil
}

// deafen has every server at an address at which nothing answers.
func (r machineRecord) deafen() machineRecord {
	r.Others = append([]server(nil), r.Others...)
	for i := range r.Others {
		r.Others[i].Endpoint = deaf(r.Others[i].Address)
	}
	return r
}

// shownNodes are the servers of a cluster; nil for a machine of one server, or where one is not up.
func (r machineRecord) shownNodes(first provider.Machine) []provider.Node {
	if len(r.Others) == 0 {
		return nil
	}
	all := []provider.Node{{Address: first.Address, SSHPort: first.SSHPort, SSHHostKeys: first.SSHHostKeys}}
	for _, o := range r.Others {
		if !o.Endpoint.IsValid() {
			return nil
		}
		n := provider.Node{
			Address:     o.Endpoint.Addr().String(),
			SSHPort:     int(o.Endpoint.Port()),
			SSHHostKeys: o.HostKeys,
		}
		all = append(all, n)
	}
	return all
}

// each does something with the folder of every server of the machine.
func (w *World) each(ctx context.Context, m *machine, do func(ctx context.Context, dir string) error) error {
	var errs []error
	for _, dir := range m.folders(w.read(m)) {
		errs = append(errs, do(ctx, dir))
	}
	return errors.Join(errs...)
}

// runs reports whether every server of the machine does.
func (w *World) runs(m *machine) bool {
	for _, dir := range m.folders(w.read(m)) {
		if _, is := w.host.running(dir); !is {
			return false
		}
	}
	return true
}

// startServer starts one server, at another address where its own is taken.
func (w *World) startServer(ctx context.Context, r machineRecord, spec node.Spec) (node.Endpoint, netip.Addr, error) {
	endpoint, err := w.host.start(ctx, spec)
	for range addressTries {
		if !isTaken(err) {
			break
		}
		w.mu.Lock()
		spec.Address, err = w.reserve(key{r.Provider, r.Reference})
		w.mu.Unlock()
		if err != nil {
			break
		}
		endpoint, err = w.host.start(ctx, spec)
	}
	return endpoint, spec.Address, err
}

// startAll starts every server of the machine, and returns the record with where each is.
func (w *World) startAll(ctx context.Context, m *machine, r machineRecord) (machineRecord, node.Endpoint, error) {
	spec := w.spec(m, r)
	var first node.Endpoint
	var err error
	if first, r.Address, err = w.startServer(ctx, r, spec); err != nil {
		return r, first, err
	}
	r.Others = append([]server(nil), r.Others...)
	for i, dir := range m.folders(r)[1:] {
		own, o := spec, &r.Others[i]
		own.Dir, own.Address, own.Hostname, own.Volumes = dir, o.Address, spec.Hostname+"-"+strconv.Itoa(
			i+1,
		), map[string]string{}
		endpoint, address, err := w.startServer(ctx, r, own)
		if err != nil {
			return r, first, err
		}
		*o = server{Address: address, Endpoint: endpoint.Address, HostKeys: endpoint.HostKeys}
	}
	return r, first, nil
}
