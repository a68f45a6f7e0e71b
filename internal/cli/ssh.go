package cli

import (
	"context"
	"os/exec"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// sshFlags are those that ssh and scp share.
type sshFlags struct {
	identity      string
	options       []string
	noWait, print bool
}

func (s *sshFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.identity, "identity", "i", "", "the `file` of the private key; ssh chooses by itself where it is not given")
	f.StringArrayVar(&s.options, "ssh-option", nil, "an `option` of ssh, such as ServerAliveInterval=30")
	f.BoolVar(&s.noWait, "no-wait", false, "fail where the machine does not run yet, instead of waiting for it")
	f.BoolVar(&s.print, "print", false, "print the command instead of running it")
}

// arguments are what both are called with.
func (s *sshFlags) arguments(t *tool, machines ...*client.Deployment) []string {
	var args []string
	for _, o := range s.options {
		args = append(args, "-o", o)
	}
	identity := s.identity
	if identity != "" {
		args = append(args, "-o", "IdentitiesOnly=yes") // an agent with many keys would use up the tries
	} else {
		identity = t.identityOf(machines)
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
		Use: "ssh <machine> [flags] [--] [command…]", Short: "A prompt inside a machine, or a command there", Args: cobra.MinimumNArgs(1), DisableFlagsInUseLine: true,
		Long: `Opens a prompt inside a machine with the ssh of this system, or runs a command there. Flags are read up to the command's first word.

The machine's host keys come from the Billet server, so that ssh neither asks about a fingerprint nor takes another machine for it. A deployment that is
still being made is waited for. The exit code is ssh's, which is that of the command.`,
		Example: `  billet ssh training
  billet ssh training -- nvidia-smi -l 5
  billet ssh training -L 8888:localhost:8888
  billet ssh cluster --node 2
  billet ssh training -i ~/.ssh/work --ssh-option ServerAliveInterval=30`,
	}
	t.suggestMachines(cmd)
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the command belongs to it
	s.add(cmd)
	f.StringArrayVarP(&local, "local-forward", "L", nil, "`port:host:hostport`, as ssh has it")
	f.StringArrayVarP(&remote, "remote-forward", "R", nil, "`port:host:hostport`, as ssh has it")
	f.StringArrayVarP(&dynamic, "dynamic-forward", "D", nil, "a `port` here for a SOCKS proxy there")
	f.IntVar(&node, "node", 0, "the `index` of a cluster's node; billet show lists them")
	f.BoolVarP(&tty, "tty", "t", false, "a terminal for the command, too")
	f.BoolVarP(&nothing, "no-command", "N", false, "run nothing; for forwards")
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
		if d, err = atNode(d, node); err != nil {
			return err
		}
		r, err := t.reach(d)
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
		return t.hand(cmd.Context(), s.print, append([]string{"ssh"}, append(args, command...)...), r)
	}
	return cmd
}

// hand gives the terminal to ssh or scp, without the API key, or prints what would be run.
func (t *tool) hand(ctx context.Context, print bool, command []string, to ...*reach) error {
	for _, r := range to {
		if r.unchecked() {
			t.note("billet: the server does not know the host keys of %s: the one that it shows first is taken, and no other later.", r.id)
		}
	}
	if print {
		if t.format == "csv" {
			return usage("-o csv is for lists; take json or yaml for one thing.")
		}
		if t.forPrograms() {
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
		return &fault{exitOther, "NO_SSH", command[0] + " is not installed here: install OpenSSH's client."}
	}
	return t.become(ctx, path, command, t.envForOthers())
}

// envForOthers is the environment for other programs: without the API key.
func (t *tool) envForOthers() []string {
	var env []string
	for _, v := range t.Env {
		if !strings.HasPrefix(v, "BILLET_API_KEY=") {
			env = append(env, v)
		}
	}
	return env
}

// shellQuoted is a word as a POSIX shell reads it.
func shellQuoted(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_-+=:,./", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
