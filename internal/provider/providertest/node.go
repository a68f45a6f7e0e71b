package providertest

import (
	"github.com/billetcloud/billet/internal/provider"
)

// testHostKey checks that a machine shows the SSH host key of its launch.
func testHostKey(s *suite) {
	p, can := s.Provider.(provider.HostKeyTaker)
	if !can {
		s.Skip("the provider does not take host keys")
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
			for _, n := range append(m.Nodes, provider.Node{Address: m.Address, SSHPort: m.SSHPort}) {
				if got, err := s.probe(n.Address, n.SSHPort, true); err != nil || got != key.Public {
					s.Errorf("%s: got the host key %q, %v, want %q", n.Address, got, err, key.Public)
				}
			}
			s.Advance(s.Provider.Info().PollEvery)
		}
		return
	}
	s.Skip("no available offer takes a host key")
}

// testCluster checks that a cluster shows every node, each with SSH.
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
			if _, err := s.probe(n.Address, n.SSHPort, false); err != nil || seen[n.Address] {
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
			s.closed(n.Address, n.SSHPort)
		}
		return
	}
	s.Skip("no cluster is available")
}
