package cli

import (
	"testing"

	"github.com/billetcloud/billet/client"
)

func TestSelectNode(t *testing.T) {
	t.Parallel()
	tool := &tool{
		System: System{
			Env: []string{"BILLET_CONFIG_DIR=" + t.TempDir(), "BILLET_URL=https://billet.example", "BILLET_API_KEY=x"},
		},
	}
	d := machine()
	if at, err := selectNode(d, 0); err != nil || at != d {
		t.Errorf("%+v, %v", at, err)
	}
	if _, err := selectNode(d, 1); err == nil {
		t.Error("selectNode(1) of a single node succeeded")
	}
	private := "10.0.0.11"
	d.Nodes = []client.Node{
		{Index: 0, IPAddress: *d.IPAddress, SSHPort: *d.SSHPort, SSHHostKeys: d.SSHHostKeys},
		{
			Index:            1,
			IPAddress:        "192.0.2.8",
			PrivateIPAddress: &private,
			SSHPort:          22,
			SSHHostKeys:      []string{"192.0.2.8 ssh-ed25519 BBBB"},
		},
	}
	at, err := selectNode(d, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := tool.sshTarget(at)
	if err != nil || r.address != "192.0.2.8" || r.port != 22 || r.id != "dep_1_node1" || r.user != "ubuntu" ||
		r.trustOnFirstUse() {
		t.Errorf("%+v, %v", r, err)
	}
	if *d.IPAddress != "192.0.2.7" || d.ID != "dep_1" {
		t.Errorf("selectNode changed the deployment: %+v", d)
	}
	for _, node := range []int{-1, 2} {
		if _, err := selectNode(d, node); err == nil {
			t.Errorf("selectNode(%d) succeeded", node)
		}
	}
	if rows := nodeRows(d); len(rows) != 2 || rows[1] != (row{"Node 1", "192.0.2.8, port 22, private 10.0.0.11"}) {
		t.Errorf("%+v", rows)
	}
}
