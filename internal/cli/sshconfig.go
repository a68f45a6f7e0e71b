package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// sshHost is a machine as ssh's configuration knows it.
type sshHost struct {
	Hosts         []string `json:"hosts"`
	DeploymentID  string   `json:"deploymentId"`
	HostName      string   `json:"hostName"`
	Port          int      `json:"port"`
	User          string   `json:"user"`
	IdentityFile  string   `json:"identityFile,omitempty"`
	HostKeysKnown bool     `json:"hostKeysKnown"`

	text string
}

func (t *tool) sshConfig() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use: "ssh-config", Short: "Your running machines for ssh's configuration", Args: cobra.NoArgs,
		Long: `Prints a Host block for each machine that runs, and for each further node of a cluster by name-node1, name-node2, …, so that ssh, rsync, Ansible or an editor reach it by its name. Its host keys are written
to a file of billet's own. Write it into a file once, name this file in ~/.ssh/config, before the first Host, by a line "Include billet.conf", and write it anew when
machines come and go.

A name that ssh cannot take is left out, and so is one that several running machines share, which is said, as is one with a dot, which could pass for another
host, or one that begins as ids do; the deployment's id always works.`,
		Example: `  billet ssh-config > ~/.ssh/billet.conf
  rsync -e 'ssh -F ~/.ssh/billet.conf' -r data/ training:data/
  billet ssh-config --prefix gpu-`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "what to put before each machine's name")
	return t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if prefix != "" && !aliasForm.MatchString(prefix) {
			return usage("--prefix %q is not made of letters, digits, hyphens and underscores, the first one no hyphen.", prefix)
		}
		machines, err := collect(c.Deployments.All(ctx, client.DeploymentQuery{Statuses: []client.DeploymentStatus{client.DeploymentRunning}}))
		if err != nil {
			return err
		}
		hosts, shared := []sshHost{}, map[string][]string{}
		machines = withNodes(machines)
		for i, d := range machines {
			r, err := t.reach(&machines[i])
			if err != nil { // the others are still reached
				t.note("billet: %s is left out: %s", d.ID, clean(err.Error()))
				continue
			}
			h := sshHost{DeploymentID: d.ID, HostName: r.address, Port: r.port, User: r.user, IdentityFile: t.identityOf([]*client.Deployment{&machines[i]}), HostKeysKnown: !r.unchecked()}
			twice := slices.ContainsFunc(machines, func(m client.Deployment) bool { return m.Name == d.Name && m.ID != d.ID })
			if twice {
				shared[d.Name] = append(shared[d.Name], d.ID)
			}
			if aliasForm.MatchString(d.Name) && !twice && !strings.HasPrefix(prefix+d.Name, "dep_") && !strings.EqualFold(prefix+d.Name, "localhost") {
				h.Hosts = append(h.Hosts, prefix+d.Name)
			}
			if h.Hosts = append(h.Hosts, d.ID); h.IdentityFile != "" {
				r.options = append(r.options, option{"IdentityFile", configQuoted(h.IdentityFile)})
			}
			h.text = r.block(h.Hosts...)
			if twice { // by the id alone nobody knows it
				h.text = "# " + clean(d.Name) + "\n" + h.text
			}
			hosts = append(hosts, h)
		}
		for _, name := range slices.Sorted(maps.Keys(shared)) {
			t.note("billet: %d running machines are named %s; reach them by id: %s.", len(shared[name]), clean(name), strings.Join(shared[name], ", "))
		}
		if t.format != "table" && t.format != "wide" {
			return list(t, sshHostListing, hosts)
		}
		text := "# Machines of Billet, written by 'billet ssh-config'.\n"
		for _, h := range hosts {
			text += "\n" + h.text
		}
		if len(hosts) == 0 {
			t.note("No machine runs. 'billet ps' shows those that do not run yet.")
		}
		_, err = fmt.Fprint(t.Out, text)
		return err
	})
}

var sshHostListing = listing[sshHost]{
	id: func(h sshHost) string { return h.DeploymentID },
	columns: []column[sshHost]{
		{name: "hosts", text: func(h sshHost) string { return strings.Join(h.Hosts, " ") }},
		{name: "deploymentId", text: func(h sshHost) string { return h.DeploymentID }},
		{name: "hostName", text: func(h sshHost) string { return h.HostName }},
		{name: "port", text: func(h sshHost) string { return strconv.Itoa(h.Port) }},
		{name: "user", text: func(h sshHost) string { return h.User }},
		{name: "identityFile", text: func(h sshHost) string { return h.IdentityFile }},
		{name: "hostKeysKnown", text: func(h sshHost) string { return strconv.FormatBool(h.HostKeysKnown) }},
	},
}
