package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var keyListing = listing[client.SSHKey]{
	id: func(k client.SSHKey) string { return k.ID },
	columns: []column[client.SSHKey]{
		{name: "id", head: "KEY", text: func(k client.SSHKey) string { return k.ID }},
		{name: "name", head: "NAME", text: func(k client.SSHKey) string { return k.Name }},
		{name: "type", head: "TYPE", text: func(k client.SSHKey) string { return k.Type }},
		{name: "fingerprint", head: "FINGERPRINT", text: func(k client.SSHKey) string { return k.Fingerprint }},
		{name: "createdAt", head: "SAVED", text: func(k client.SSHKey) string { return when(k.CreatedAt) }, raw: func(k client.SSHKey) string { return stamp(k.CreatedAt) }},
		{name: "publicKey", head: "PUBLIC KEY", wide: true, text: func(k client.SSHKey) string { return k.PublicKey }},
	},
	none: "No SSH keys are saved. 'billet keys add' saves one of yours.",
}

func (t *tool) keys() *cobra.Command {
	cmd := &cobra.Command{
		Use: "keys", Aliases: []string{"key", "ssh-keys"}, Short: "Your SSH keys: whose owner may log in to your machines", Args: cobra.NoArgs,
		Long: `Shows the SSH keys that are saved in your account. A deploy puts those that you choose into the machine.

Only the public half of a key is ever sent.`,
		Example: `  billet keys
  billet keys add
  billet keys add ~/.ssh/work.pub --name work
  billet keys rm work`,
	}
	var q client.SSHKeyQuery
	cmd.Flags().StringVar(&q.Sort, "sort", "", "createdAt or name; with a hyphen before it downwards")
	t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := collect(c.SSHKeys.All(ctx, q))
		if err != nil {
			return err
		}
		return list(t, keyListing, items)
	})
	cmd.AddCommand(t.keyAdd(), t.keyRename(), t.keyRemove())
	return cmd
}

func (t *tool) keyAdd() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "add [file|-]", Short: "Save a public key", Args: cobra.MaximumNArgs(1),
		Long: `Saves a public key: that of the file, or with - of standard input. Without a file it is the first there is in
~/.ssh of id_ed25519.pub, id_ecdsa.pub, their forms for security keys, and id_rsa.pub. A key that is saved already is left as it is.`,
		Example: `  billet keys add
  billet keys add ~/.ssh/work.pub --name work
  ssh-add -L | head -1 | billet keys add -`,
	}
	cmd.Flags().StringVar(&name, "name", "", "what it is called; without this its comment, or this machine's name")
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		text, from, err := t.publicKey(args)
		if err != nil {
			return err
		}
		line, comment, err := onePublicKey(text, from)
		if err != nil {
			return err
		}
		if name == "" {
			name = keyName(comment)
		}
		k, err := c.SSHKeys.Create(ctx, client.CreateSSHKey{Name: name, PublicKey: line})
		if err == nil {
			return did(t, k.ID, k, "Saved as %q: %s, %s.", k.Name, k.ID, k.Fingerprint)
		}
		// Saved already is as good as saved. Another key that has the name is not.
		refused := (*client.Error)(nil)
		if !errors.As(err, &refused) || refused.Code != client.ErrConflict {
			return err
		}
		other, _ := refused.Details["id"].(string)
		if k, failed := c.SSHKeys.Get(ctx, other); failed == nil {
			if sameKey(k.PublicKey, line) {
				return did(t, k.ID, k, "It is saved already, as %q: %s, %s.", k.Name, k.ID, k.Fingerprint)
			}
			return &fault{exitConflict, string(client.ErrConflict), fmt.Sprintf("another key has the name %q (%s). Choose one with --name.", name, k.ID)}
		}
		return err
	})
}

// publicKey reads the text of the key and says where it came from.
func (t *tool) publicKey(args []string) (text, from string, err error) {
	if len(args) == 1 && args[0] == "-" {
		if t.asks() {
			t.note("Paste the one line of the public key, and end with Ctrl-D.")
		}
		text, err := keyText(t.In)
		return text, "standard input", err
	}
	path := t.usualPublicKey()
	if len(args) == 1 {
		path = t.home(args[0])
	}
	if path == "" {
		return "", "", usage("there is no public key in ~/.ssh. Name a file, or make a key with: ssh-keygen -t ed25519")
	}
	text, err = keyFile(path)
	return text, path, err
}

// keyFile is the text of a file with a key.
func keyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", usage("%s", err)
	}
	defer func() { _ = f.Close() }()
	return keyText(f)
}

func keyText(f *os.File) (string, error) {
	b, err := io.ReadAll(io.LimitReader(f, 64<<10)) // a key is far below
	if err != nil {
		return "", usage("%s", err)
	}
	return string(b), nil
}

// privateMarks are what files of private keys have in them, and public keys never.
var privateMarks = []string{"PRIVATE KEY", "b3BlbnNzaC1rZXktdjE", "PuTTY-User-Key-File", "AGE-SECRET-KEY-"}

// publicForms are how other forms of public keys begin, which can be sent without harm.
var publicForms = []string{
	"---- BEGIN SSH2 PUBLIC KEY", "-----BEGIN RSA PUBLIC KEY", "-----BEGIN PUBLIC KEY", "-----BEGIN CERTIFICATE", "SHA256:", "MD5:",
	"256 SHA256:", "-----BEGIN SSH SIGNATURE", "-----BEGIN PGP PUBLIC KEY",
}

// onePublicKey takes the one public key in a text. What does not look like one is never sent.
func onePublicKey(text, from string) (line, comment string, err error) {
	for _, mark := range privateMarks {
		if strings.Contains(text, mark) {
			beside := "Give the file of its public half, which ends in .pub"
			if _, err := os.Stat(from + ".pub"); err == nil {
				beside = "Its public half is " + from + ".pub: give that"
			}
			return "", "", usage("%s has a private key. It was not sent, and should never be.\n%s; 'ssh-keygen -y -f <private key>' prints it, too.", from, beside)
		}
	}
	for _, form := range publicForms {
		if strings.HasPrefix(strings.TrimSpace(text), form) {
			return strings.TrimSpace(text), "", nil // the server says what it is, and how to convert it
		}
	}
	var lines []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			lines = append(lines, l)
		}
	}
	if len(lines) > 1 {
		return "", "", usage("%s has %d lines; give one public key at a time.", from, len(lines))
	}
	if len(lines) == 1 {
		if words := strings.Fields(lines[0]); len(words) >= 2 && publicKeyType(words[0]) && strings.HasPrefix(words[1], "AAAA") {
			return lines[0], strings.Join(words[2:], " "), nil
		}
	}
	return "", "", usage("%s has no public key: that is one line such as \"ssh-ed25519 AAAA… you@laptop\".", from)
}

func publicKeyType(word string) bool {
	return strings.HasPrefix(word, "ssh-") || strings.HasPrefix(word, "ecdsa-") || strings.HasPrefix(word, "sk-")
}

// sameKey compares two lines without their comments.
func sameKey(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	return len(x) >= 2 && len(y) >= 2 && x[0] == y[0] && x[1] == y[1]
}

// keyName is what a key is called that nobody has named.
func keyName(comment string) string {
	if name := []rune(clean(comment)); len(name) > 0 {
		return strings.TrimSpace(string(name[:min(len(name), 64)]))
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		return host
	}
	return "key"
}

func (t *tool) keyRename() *cobra.Command {
	cmd := &cobra.Command{Use: "rename <key> <name>", Short: "Give a key another name", Args: cobra.ExactArgs(2), Example: "  billet keys rename you@laptop laptop"}
	t.suggest(cmd, keyNames)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		k, err := sshKey(ctx, c, args[0])
		if err != nil {
			return err
		}
		before := k.Name
		if k, err = c.SSHKeys.Rename(ctx, k.ID, args[1]); err != nil {
			return err
		}
		return did(t, k.ID, k, "Renamed %q to %q.", before, k.Name)
	})
}

func (t *tool) keyRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm <key>", Aliases: []string{"remove", "delete"}, Short: "Delete a saved key", Args: cobra.ExactArgs(1),
		Long:    "Deletes a saved key, by its id or name. Machines that run keep it: who has the private half can still log in to them.",
		Example: "  billet keys rm laptop\n  billet keys rm --yes ssh_01…",
	}
	yesFlag(cmd, &yes)
	t.suggest(cmd, keyNames)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		k, err := sshKey(ctx, c, args[0])
		if err != nil {
			return err
		}
		if err := t.agreeToLoss(ctx, yes, fmt.Sprintf("Delete the key %q (%s)? Machines that run keep it.", k.Name, k.Fingerprint)); err != nil {
			return err
		}
		if err := c.SSHKeys.Delete(ctx, k.ID); err != nil {
			return err
		}
		return did(t, k.ID, k, "Deleted the key %q. Machines that run keep it.", k.Name)
	})
}

// sshKey finds a saved key by its id or name.
func sshKey(ctx context.Context, c *client.Client, ref string) (*client.SSHKey, error) {
	if strings.HasPrefix(ref, "ssh_") {
		if k, err := c.SSHKeys.Get(ctx, ref); !noID(err) {
			return k, err
		}
	}
	var found []client.SSHKey
	for k, err := range c.SSHKeys.All(ctx, client.SSHKeyQuery{}) {
		if err != nil {
			return nil, err
		}
		if k.Name == ref {
			found = append(found, k)
		}
	}
	return theOne("SSH key", ref, found, nil, func(k client.SSHKey) string { return k.ID })
}

func keyNames(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	items, err := collect(c.SSHKeys.All(ctx, client.SSHKeyQuery{}))
	names := make([]cobra.Completion, len(items))
	for i, k := range items {
		names[i] = cobra.CompletionWithDesc(k.Name, k.ID)
	}
	return names, err
}
