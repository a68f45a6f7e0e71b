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
		Use: "scp [flags] <from>… <to>", Short: "Copy files to, from and between machines",
		Args: cobra.MinimumNArgs(2), DisableFlagsInUseLine: true,
		Long: `Copies files with this system's scp. name:path is a file on a machine, by its name or
ID; anything else is a local file. Put ./ before a local file name that contains a colon. Copies
between machines pass through this computer.

Host keys are verified as with 'billet ssh'. The exit code is scp's.`,
		Example: `  billet scp train.py training:
  billet scp -r training:runs/ .
  billet scp training:model.bin evaluation:`,
	}
	t.completeMachines(cmd)
	names := cmd.ValidArgsFunction
	cmd.ValidArgsFunction = func(
		cmd *cobra.Command, _ []string, prefix string,
	) ([]cobra.Completion, cobra.ShellCompDirective) {
		found, _ := names(cmd, nil, prefix)
		for i, f := range found {
			name, about, _ := strings.Cut(f, "\t")
			found[i] = cobra.CompletionWithDesc(name+":", about)
		}
		return found, cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
	}
	s.add(cmd)
	f := cmd.Flags()
	f.BoolVarP(&recursive, "recursive", "r", false, "copy directories recursively")
	f.BoolVarP(&times, "preserve", "p", false, "preserve times and modes")
	f.BoolVarP(&old, "old-protocol", "O", false, "use the legacy scp protocol, for machines without SFTP")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := t.client()
		if err != nil {
			return err
		}
		var machines []*client.Deployment
		ids := map[string]string{} // by name
		remoteFiles := 0
		for i, arg := range args {
			ref, path, is := remote(arg)
			if !is {
				continue
			}
			remoteFiles++
			if ids[ref] == "" {
				d, err := t.running(cmd.Context(), c, ref, !s.noWait)
				if err != nil {
					return err
				}
				ids[ref] = d.ID
				if !slices.ContainsFunc(machines, func(m *client.Deployment) bool { return m.ID == d.ID }) {
					machines = append(machines, d)
				}
			}
			args[i] = ids[ref] + ":" + path
		}
		if remoteFiles == 0 {
			return usageError("no remote file. Use name:path for a file on a machine.")
		}
		to := make([]*sshTarget, len(machines))
		for i, d := range machines {
			if to[i], err = t.sshTarget(d); err != nil {
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
		}{{"-r", recursive}, {"-p", times}, {"-O", old}, {"-3", remoteFiles > 1}} {
			if flag.set {
				command = append(command, flag.name)
			}
		}
		return t.runProgram(cmd.Context(), s.print, append(append(command, "--"), args...), to...)
	}
	return cmd
}

// remote splits name:path. A colon after a slash belongs to a local file.
func remote(arg string) (ref, path string, is bool) {
	ref, path, is = strings.Cut(arg, ":")
	return ref, path, is && ref != "" && !strings.ContainsAny(ref, `/\`)
}

// copyConfig writes an ssh configuration that has each machine by its id and includes the user's
// own configuration.
func (t *tool) copyConfig(to []*sshTarget) (string, error) {
	dir, err := t.sshDir()
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
	if len(name) > 200 { // file systems limit names to 255 bytes
		name = fmt.Sprintf("%s+%x", to[0].id, sha256.Sum256([]byte(name)))
	}
	file := filepath.Join(dir, name+".config")
	return file, writePrivate(file, text)
}
