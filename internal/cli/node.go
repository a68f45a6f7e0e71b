package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
)

// atNode is the deployment with the address, port and host keys of one of its nodes. It is known to
// ssh by an id of its own, but for the first, which is the deployment's own address.
func atNode(d *client.Deployment, node int) (*client.Deployment, error) {
	if node == 0 {
		return d, nil
	}
	if node < 0 || node >= len(d.Nodes) {
		if len(d.Nodes) < 2 {
			return nil, usage("%s has one node; leave --node out.", d.Name)
		}
		return nil, usage("--node must be from 0 to %d: %s has %d nodes.", len(d.Nodes)-1, d.Name, len(d.Nodes))
	}
	n, at := d.Nodes[node], *d
	at.ID, at.Name = d.ID+nodeSuffix(node), d.Name+"-node"+strconv.Itoa(node)
	at.IPAddress, at.SSHPort, at.SSHHostKeys = &n.IPAddress, &n.SSHPort, n.SSHHostKeys
	return &at, nil
}

// withNodes has each further node of a cluster follow its deployment, as a machine of its own.
func withNodes(all []client.Deployment) (out []client.Deployment) {
	for i := range all {
		out = append(out, all[i])
		for n := 1; n < len(all[i].Nodes); n++ {
			if at, err := atNode(&all[i], n); err == nil {
				out = append(out, *at)
			}
		}
	}
	return out
}

func nodeSuffix(node int) string { return "_node" + strconv.Itoa(node) }

// nodeRows are the rows of a deployment's nodes; none where it has one.
func nodeRows(d *client.Deployment) (rows []row) {
	if len(d.Nodes) < 2 {
		return nil
	}
	for _, n := range d.Nodes {
		parts := []string{n.IPAddress + ", port " + strconv.Itoa(n.SSHPort)}
		if n.PrivateIPAddress != nil {
			parts = append(parts, "private "+*n.PrivateIPAddress)
		}
		rows = append(rows, row{fmt.Sprintf("Node %d", n.Index), strings.Join(parts, ", ")})
	}
	return rows
}

// hostKeysOf says how the host keys are known.
func hostKeysOf(d *client.Deployment) string {
	switch or(d.SSHHostKeySource, "") {
	case client.HostKeysStated:
		return "stated by the provider"
	case client.HostKeysIssued:
		return "made by Billet, and shown by the machine"
	case client.HostKeysLearned:
		return "shown by the machine when Billet first connected"
	}
	return ""
}
