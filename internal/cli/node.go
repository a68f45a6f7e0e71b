package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
)

// selectNode returns the deployment with the address, port and host keys of one of its nodes. Each
// node except the first, whose address is the deployment's, gets an id of its own for ssh.
func selectNode(d *client.Deployment, node int) (*client.Deployment, error) {
	if node == 0 {
		return d, nil
	}
	if node < 0 || node >= len(d.Nodes) {
		if len(d.Nodes) < 2 {
			return nil, usageError("%s has one node. Remove --node.", d.Name)
		}
		return nil, usageError("--node must be 0 to %d: %s has %d nodes.", len(d.Nodes)-1, d.Name, len(d.Nodes))
	}
	n, at := d.Nodes[node], *d
	at.ID, at.Name = d.ID+nodeSuffix(node), d.Name+"-node"+strconv.Itoa(node)
	at.IPAddress, at.SSHPort, at.SSHHostKeys = &n.IPAddress, &n.SSHPort, n.SSHHostKeys
	return &at, nil
}

// expandNodes inserts each further node of a cluster after its deployment, as a machine of its own.
func expandNodes(all []client.Deployment) (out []client.Deployment) {
	for i := range all {
		out = append(out, all[i])
		for n := 1; n < len(all[i].Nodes); n++ {
			if at, err := selectNode(&all[i], n); err == nil {
				out = append(out, *at)
			}
		}
	}
	return out
}

func nodeSuffix(node int) string { return "_node" + strconv.Itoa(node) }

// nodeRows returns the rows of a cluster's nodes.
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

// hostKeySourceText explains how the host keys became known.
func hostKeySourceText(d *client.Deployment) string {
	switch valueOr(d.SSHHostKeySource, "") {
	case client.HostKeysStated:
		return "reported by the provider"
	case client.HostKeysIssued:
		return "created by Billet"
	case client.HostKeysLearned:
		return "recorded at the first connection"
	}
	return ""
}
