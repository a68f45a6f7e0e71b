package cli

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) scp() *cobra.Command {
	var s sshFlags
	var recursive, times, old bool
	cmd := &cobra.Command{
		Use: "scp [flags] <from>… <to>", Short: "Copy files to, from and between machines", Args: cobra.MinimumNArgs(2), DisableFlagsInUseLine: true,
		Long: `Copies files with the scp of this system. name:path is a file in a machine, with its name or id; everything else is here. Put ./ before a
file here that has a colon in its name. What goes from one machine to another passes through this one.

The machine's host keys come from the Billet server, as with 'billet ssh'. The exit code is scp's.`,
		Example: `  billet scp train.py training:
  billet scp -r training:runs/ .
  billet scp training:model.bin evaluation:`,
	}
	t.suggestMachines(cmd)
	names := cmd.ValidArgsFunction
	cmd.ValidArgsFunction = func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		found, _ := names(cmd, nil, begun)
		for i, f := range found {
			name, about, _ := strings.Cut(f, "\t")
			found[i] = cobra.CompletionWithDesc(name+":", about)
		}
		return found, cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
	}
	s.add(cmd)
	f := cmd.Flags()
	f.BoolVarP(&recursive, "recursive", "r", false, "directories with what is in them")
	f.BoolVarP(&times, "preserve", "p", false, "keep times and modes")
	f.BoolVarP(&old, "old-protocol", "O", false, "the older protocol of scp, for machines without SFTP")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := t.client()
		if err != nil {
			return err
		}
		var machines []*client.Deployment
		known := map[string]string{} // the ids of names
		far := 0
		for i, arg := range args {
			ref, path, is := remote(arg)
			if !is {
				continue
			}
			far++
			if known[ref] == "" {
				d, err := t.running(cmd.Context(), c, ref, !s.noWait)
				if err != nil {
					return err
				}
				known[ref] = d.ID
				if !slices.ContainsFunc(machines, func(m *client.Deployment) bool { return m.ID == d.ID }) {
					machines = append(machines, d)
				}
			}
			args[i] = known[ref] + ":" + path
		}
		if far == 0 {
			return usage("none of the files is in a machine: write name:path for one that is.")
		}
		to := make([]*reach, len(machines))
		for i, d := range machines {
			if to[i], err = t.reach(d); err != nil {
				return err
			}
		}
		config, err := t.copyConfig(to)
		if err != nil {
			return err
		}
		command := append([]string{"scp", "-F", config}, s.arguments(t, machines...)...)
		for _, flag := range []struct {
			name string
			set  bool
		}{{"-r", recursive}, {"-p", times}, {"-O", old}, {"-3", far > 1}} {
			if flag.set {
				command = append(command, flag.name)
			}
		}
		return t.hand(cmd.Context(), s.print, append(append(command, "--"), args...), to...)
	}
	return cmd
}

// remote takes name:path apart; a colon after a slash is of a file here.
func remote(arg string) (ref, path string, is bool) {
	ref, path, is = strings.Cut(arg, ":")
	return ref, path, is && ref != "" && !strings.ContainsAny(ref, `/\`)
}

// copyConfig writes the configuration with which scp knows each of the machines by its id, and beyond that what ssh knows here.
func (t *tool) copyConfig(to []*reach) (string, error) {
	dir, err := t.reachDir()
	if err != nil {
		return "", err
	}
	text, name := "", ""
	for _, r := range to {
		text += r.block(r.id)
		name += r.id + "+"
	}
	text += "Match all\n    Include ~/.ssh/config\n    Include /etc/ssh/ssh_config\n"
	name = strings.TrimSuffix(name, "+")
	if len(name) > 200 { // no file system takes names of more than 255 bytes
		name = fmt.Sprintf("%s+%x", to[0].id, sha256.Sum256([]byte(name)))
	}
	file := filepath.Join(dir, name+".config")
	return file, writePrivate(file, text)
}
