package providertest

import (
	"cmp"
	"fmt"
	"net"

	"github.com/billetcloud/billet/internal/provider"
)

// testHostKey wants a machine that is given an SSH host key to show it.
func testHostKey(s *suite) {
	p, can := s.Provider.(provider.HostKeyTaker)
	if !can {
		s.Skip("the provider's machines cannot be given a host key")
	}
	offers, err := s.Provider.Offers(s.Context())
	if err != nil {
		s.Fatalf("Offers: %v", err)
	}
	for _, o := range offers {
		if !o.Available || !o.Capabilities.CloudInit || !p.TakesHostKey(o.Key) {
			continue
		}
		for _, cloudInit := range []string{"", "#cloud-config\npackages: [git]\n"} {
			r := s.request(o)
			key, err := provider.NewHostKey()
			if err != nil {
				s.Fatal(err)
			}
			r.HostKey, r.CloudInit = key, cloudInit
			s.launch(r)
			m := s.ready(r.Reference)
			s.shows(provider.Node{Address: m.Address, SSHPort: m.SSHPort}, key.Public)
			for _, n := range m.Nodes {
				s.shows(n, key.Public)
			}
			s.Advance(s.Provider.Info().PollEvery)
		}
		return
	}
	s.Skip("no offer takes a host key now")
}

// shows wants the node's SSH to show that host key.
func (s *suite) shows(n provider.Node, want string) {
	s.Helper()
	port := n.SSHPort
	if s.Port != nil {
		port = cmp.Or(s.Port(n.Address), port)
	}
	got, err := provider.ProbeSSH(s.Context(), provider.Endpoint{Address: net.JoinHostPort(n.Address, fmt.Sprint(port)), Private: true, WantKey: true})
	if err != nil || got != want {
		s.Errorf("%s shows the host key %q, %v; it was given %q", n.Address, got, err, want)
	}
}

// testCluster wants every node of a cluster, each with an SSH of its own.
func testCluster(s *suite) {
	offers, err := s.Provider.Offers(s.Context())
	if err != nil {
		s.Fatalf("Offers: %v", err)
	}
	for _, o := range offers {
		if !o.Available || o.InstanceType != provider.Cluster {
			continue
		}
		r := s.request(o)
		s.launch(r)
		m := s.ready(r.Reference)
		if len(m.Nodes) < 2 || m.Nodes[0].Address != m.Address || m.Nodes[0].SSHPort != m.SSHPort {
			s.Fatalf("a cluster at %s has the nodes %+v", m.Address, m.Nodes)
		}
		seen := map[string]bool{}
		for _, n := range m.Nodes {
			one := m
			one.Address, one.SSHPort = n.Address, n.SSHPort
			if err := s.greeted(s.Context(), one); err != nil || seen[n.Address] {
				s.Errorf("node %+v: %v", n, err)
			}
			seen[n.Address] = true
		}
		all, err := s.Provider.Machines(s.Context())
		if err != nil {
			s.Fatalf("Machines: %v", err)
		}
		for _, listed := range all {
			if listed.Reference == r.Reference && len(listed.Nodes) != len(m.Nodes) {
				s.Errorf("the list has %d nodes, the machine %d", len(listed.Nodes), len(m.Nodes))
			}
		}
		s.must("Terminate", s.end(s.Context(), r.Reference))
		s.untilGone(s.Context(), r.Reference)
		for _, n := range m.Nodes {
			one := m
			one.Address, one.SSHPort = n.Address, n.SSHPort
			if s.greeted(s.Context(), one) == nil {
				s.Errorf("SSH of node %s answers after the machine's end", n.Address)
			}
		}
		return
	}
	s.Skip("no cluster is sold now")
}
