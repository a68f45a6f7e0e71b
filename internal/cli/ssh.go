package cli

import (
	"context"
	"os/exec"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// sshFlags are the flags that ssh and scp share.
type sshFlags struct {
	identity      string
	options       []string
	noWait, print bool
}

func (s *sshFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.identity, "identity", "i", "", "private key `file`; default: ssh's choice")
	f.StringArrayVar(&s.options, "ssh-option", nil, "`option` of ssh, such as ServerAliveInterval=30")
	f.BoolVar(&s.noWait, "no-wait", false, "fail if the machine is not running yet")
	f.BoolVar(&s.print, "print", false, "print the command instead of running it")
}

// arguments returns the arguments that both programs take.
func (s *sshFlags) arguments(t *tool, machines ...*client.Deployment) []string {
	var args []string
	for _, o := range s.options {
		args = append(args, "-o", o)
	}
	identity := s.identity
	if identity != "" {
		args = append(args, "-o", "IdentitiesOnly=yes") // an agent with many keys would exhaust the server's tries
	} else {
		identity = t.identityFileFor(machines)
	}
	if identity != "" {
		args = append(args, "-i", identity)
	}
	return args
}

func (t *tool) ssh() *cobra.Command {
	var s sshFlags
	var local, remote, dynamic []string
	var tty, nothing bool
	var node int
	cmd := &cobra.Command{
		Use: "ssh <machine> [flags] [--] [command…]", Short: "Open a shell or run a command over SSH",
		Args: cobra.MinimumNArgs(1), DisableFlagsInUseLine: true,
		Long: `Opens a shell on a machine with this system's ssh, or runs a command there. Flags end
at the first word of the command.

Host keys come from the Billet server, so that ssh verifies the machine without asking about a
fingerprint. If the machine is still starting, billet waits for it. The exit code is ssh's, which is
that of the remote command.`,
		Example: `  billet ssh training
  billet ssh training -- nvidia-smi -l 5
  billet ssh training -L 8888:localhost:8888
  billet ssh cluster --node 2
  billet ssh training -i ~/.ssh/work --ssh-option ServerAliveInterval=30`,
	}
	t.completeMachines(cmd)
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the command belongs to it
	s.add(cmd)
	f.StringArrayVarP(&local, "local-forward", "L", nil, "forward `port:host:hostport`, as in ssh")
	f.StringArrayVarP(&remote, "remote-forward", "R", nil, "forward `port:host:hostport`, as in ssh")
	f.StringArrayVarP(&dynamic, "dynamic-forward", "D", nil, "local `port` of a SOCKS proxy on the machine")
	f.IntVar(&node, "node", 0, "`index` of a cluster node; see 'billet show'")
	f.BoolVarP(&tty, "tty", "t", false, "allocate a terminal for the command")
	f.BoolVarP(&nothing, "no-command", "N", false, "run no command; for forwarding only")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ref := args[0]
		if err := f.Parse(args[1:]); err != nil { // flags after the name, as ssh takes them
			return cmd.FlagErrorFunc()(cmd, err)
		}
		if help, _ := f.GetBool("help"); help {
			return cmd.Help()
		}
		if err := t.checkFormat(); err != nil {
			return err
		}
		c, err := t.client()
		if err != nil {
			return err
		}
		command := f.Args()
		d, err := t.running(cmd.Context(), c, ref, !s.noWait)
		if err != nil {
			return err
		}
		if d, err = selectNode(d, node); err != nil {
			return err
		}
		r, err := t.sshTarget(d)
		if err != nil {
			return err
		}
		args = append(s.arguments(t, d), "-p", strconv.Itoa(r.port))
		for _, o := range r.options {
			args = append(args, "-o", o.name+"="+o.value)
		}
		for _, forward := range []struct {
			flag string
			of   []string
		}{{"-L", local}, {"-R", remote}, {"-D", dynamic}} {
			for _, of := range forward.of {
				args = append(args, forward.flag, of)
			}
		}
		if tty {
			args = append(args, "-t")
		}
		if nothing {
			args = append(args, "-N")
		}
		args = append(args, "--", r.user+"@"+r.address)
		return t.runProgram(cmd.Context(), s.print, append([]string{"ssh"}, append(args, command...)...), r)
	}
	return cmd
}

// runProgram replaces billet by ssh or scp, without the API key in its environment, or prints the
// command.
func (t *tool) runProgram(ctx context.Context, print bool, command []string, to ...*sshTarget) error {
	for _, r := range to {
		if r.trustOnFirstUse() {
			t.note("billet: the host keys of %s are unknown to the server: the first one shown is trusted from now on.",
				r.id)
		}
	}
	if print {
		if t.format == "csv" {
			return errCSVForOne
		}
		if t.machineOutput() {
			return t.encode(map[string][]string{"command": command})
		}
		words := make([]string, len(command))
		for i, word := range command {
			words[i] = shellQuoted(word)
		}
		return t.print(clean(strings.Join(words, " ")))
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return &cliError{exitOther, "NO_SSH", command[0] + " is not installed. Install the OpenSSH client."}
	}
	return t.replaceProcess(ctx, path, command, t.childEnv())
}

// childEnv returns the environment for other programs, without the API key.
func (t *tool) childEnv() []string {
	var env []string
	for _, v := range t.Env {
		if !strings.HasPrefix(v, "BILLET_API_KEY=") {
			env = append(env, v)
		}
	}
	return env
}

// shellQuoted quotes a word for a POSIX shell.
func shellQuoted(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_-+=:,./"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
