package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var keyCol columnsOf[client.SSHKey]

var keyListing = listing[client.SSHKey]{
	id: func(k client.SSHKey) string { return k.ID },
	columns: []column[client.SSHKey]{
		keyCol.text("id", "KEY", func(k client.SSHKey) string { return k.ID }),
		keyCol.text("name", "NAME", func(k client.SSHKey) string { return k.Name }),
		keyCol.text("type", "TYPE", func(k client.SSHKey) string { return k.Type }),
		keyCol.text("fingerprint", "FINGERPRINT", func(k client.SSHKey) string { return k.Fingerprint }),
		keyCol.time("createdAt", "CREATED", func(k client.SSHKey) time.Time { return k.CreatedAt }),
		keyCol.text("publicKey", "PUBLIC KEY", func(k client.SSHKey) string { return k.PublicKey }).onlyWide(),
	},
	none: "No SSH keys. Run 'billet keys add' to save one.",
}

func (t *tool) keys() *cobra.Command {
	cmd := &cobra.Command{
		Use: "keys", Aliases: []string{"key", "ssh-keys"}, Short: "Manage SSH keys", Args: cobra.NoArgs,
		Long: `Lists the SSH keys saved in your account. You choose the authorized keys of a machine
when you deploy it.

Private keys are never sent.`,
		Example: `  billet keys
  billet keys add
  billet keys add ~/.ssh/work.pub --name work
  billet keys rm work`,
	}
	var q client.SSHKeyQuery
	cmd.Flags().StringVar(&q.Sort, "sort", "", sortHelp)
	listAll(t, cmd, keyListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.SSHKey, error] {
		return c.SSHKeys.All(ctx, q)
	})
	cmd.AddCommand(t.keyAdd(), t.keyRename(), t.keyRemove())
	return cmd
}

func (t *tool) keyAdd() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "add [file|-]", Short: "Save a public key", Args: cobra.MaximumNArgs(1),
		Long: `Saves the public key in the file, or on standard input with -. The default is the
first of these files in ~/.ssh: id_ed25519.pub, id_ecdsa.pub, their security-key forms, id_rsa.pub.
Saving a key again changes nothing.`,
		Example: `  billet keys add
  billet keys add ~/.ssh/work.pub --name work
  ssh-add -L | head -1 | billet keys add -`,
	}
	cmd.Flags().StringVar(&name, "name", "", "`name` of the key; default: its comment, or this machine's host name")
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		text, from, err := t.publicKey(args)
		if err != nil {
			return err
		}
		line, comment, err := parsePublicKey(text, from)
		if err != nil {
			return err
		}
		if name == "" {
			name = keyName(comment)
		}
		k, err := c.SSHKeys.Create(ctx, client.CreateSSHKey{Name: name, PublicKey: line})
		if err == nil {
			return printResult(t, k.ID, k, "Saved as %q: %s, %s.", k.Name, k.ID, k.Fingerprint)
		}
		// Saving the same key again succeeds. A name that another key has is an error.
		apiErr, is := errors.AsType[*client.Error](err)
		if !is || apiErr.Code != client.ErrConflict {
			return err
		}
		other, _ := apiErr.Details["id"].(string)
		if k, failed := c.SSHKeys.Get(ctx, other); failed == nil {
			if sameKey(k.PublicKey, line) {
				return printResult(t, k.ID, k, "Already saved as %q: %s, %s.", k.Name, k.ID, k.Fingerprint)
			}
			return &cliError{
				exitConflict,
				string(client.ErrConflict),
				fmt.Sprintf("another key is named %q (%s). Choose another name with --name.", name, k.ID),
			}
		}
		return err
	})
}

// publicKey reads the text of the key and returns where it came from.
func (t *tool) publicKey(args []string) (text, from string, err error) {
	if len(args) == 1 && args[0] == "-" {
		if t.interactive() {
			t.note("Paste the public key and press Ctrl-D.")
		}
		text, err := keyText(t.In)
		return text, "standard input", err
	}
	path := t.defaultPublicKey()
	if len(args) == 1 {
		path = t.home(args[0])
	}
	if path == "" {
		return "", "", usageError(
			"no public key found in ~/.ssh. Name a file, or create a key with: ssh-keygen -t ed25519",
		)
	}
	text, err = keyFile(path)
	return text, path, err
}

// keyFile reads a file that holds a key.
func keyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", usageError("%s", err)
	}
	defer func() { _ = f.Close() }()
	return keyText(f)
}

func keyText(f *os.File) (string, error) {
	b, err := io.ReadAll(io.LimitReader(f, 64<<10)) // keys are far smaller
	if err != nil {
		return "", usageError("%s", err)
	}
	return string(b), nil
}

// privateKeyMarkers occur in every private key file and in no public key.
var privateKeyMarkers = []string{"PRIVATE KEY", "b3BlbnNzaC1rZXktdjE", "PuTTY-User-Key-File", "AGE-SECRET-KEY-"}

// otherPublicKeyForms start other forms of public keys, which are safe to send.
var otherPublicKeyForms = []string{
	"---- BEGIN SSH2 PUBLIC KEY", "-----BEGIN RSA PUBLIC KEY", "-----BEGIN PUBLIC KEY", "-----BEGIN CERTIFICATE",
	"SHA256:", "MD5:",
	"256 SHA256:", "-----BEGIN SSH SIGNATURE", "-----BEGIN PGP PUBLIC KEY",
}

// parsePublicKey returns the only public key in a text. Anything that does not look like one is
// rejected, so that it is never sent.
func parsePublicKey(text, from string) (line, comment string, err error) {
	for _, mark := range privateKeyMarkers {
		if strings.Contains(text, mark) {
			advice := "Use the matching public key, which ends in .pub"
			if _, err := os.Stat(from + ".pub"); err == nil {
				advice = "Use its public key, " + from + ".pub"
			}
			return "", "", usageError(
				"%s is a private key. It was not sent; never share it.\n"+
					"%s, or print it with: ssh-keygen -y -f <private key>",
				from,
				advice,
			)
		}
	}
	for _, form := range otherPublicKeyForms {
		if strings.HasPrefix(strings.TrimSpace(text), form) {
			return strings.TrimSpace(text), "", nil // the server's error explains the form and how to convert it
		}
	}
	var lines []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			lines = append(lines, l)
		}
	}
	if len(lines) > 1 {
		return "", "", usageError("%s has %d lines. Give one public key at a time.", from, len(lines))
	}
	if len(lines) == 1 {
		words := strings.Fields(lines[0])
		if len(words) >= 2 && publicKeyType(words[0]) && strings.HasPrefix(words[1], "AAAA") {
			return lines[0], strings.Join(words[2:], " "), nil
		}
	}
	return "", "", usageError("%s has no public key. Expected one line such as \"ssh-ed25519 AAAA… you@laptop\".", from)
}

func publicKeyType(word string) bool {
	return strings.HasPrefix(word, "ssh-") || strings.HasPrefix(word, "ecdsa-") || strings.HasPrefix(word, "sk-")
}

// sameKey reports whether two lines have the same key, whatever their comments.
func sameKey(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	return len(x) >= 2 && len(y) >= 2 && x[0] == y[0] && x[1] == y[1]
}

// keyName returns the default name of a key.
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
	cmd := &cobra.Command{
		Use:     "rename <key> <name>",
		Short:   "Rename a key",
		Args:    cobra.ExactArgs(2),
		Example: "  billet keys rename you@laptop laptop",
	}
	t.completeFirstArg(cmd, keyNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		k, err := sshKey(ctx, c, args[0])
		if err != nil {
			return err
		}
		before := k.Name
		if k, err = c.SSHKeys.Rename(ctx, k.ID, args[1]); err != nil {
			return err
		}
		return printResult(t, k.ID, k, "Renamed %q to %q.", before, k.Name)
	})
}

func (t *tool) keyRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm <key>", Aliases: []string{"remove", "delete"}, Short: "Delete a saved key", Args: cobra.ExactArgs(1),
		Long:    "Deletes a saved key, by ID or name. Running machines keep it: its private key still opens them.",
		Example: "  billet keys rm laptop\n  billet keys rm --yes ssh_01…",
	}
	yesFlag(cmd, &yes)
	t.completeFirstArg(cmd, keyNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		k, err := sshKey(ctx, c, args[0])
		if err != nil {
			return err
		}
		question := fmt.Sprintf("Delete the key %q (%s)? Running machines keep it.", k.Name, k.Fingerprint)
		if err := t.confirmDestructive(ctx, yes, question); err != nil {
			return err
		}
		if err := c.SSHKeys.Delete(ctx, k.ID); err != nil {
			return err
		}
		return printResult(t, k.ID, k, "Deleted the key %q. Running machines keep it.", k.Name)
	})
}

// sshKey finds a saved key by id or name.
func sshKey(ctx context.Context, c *client.Client, ref string) (*client.SSHKey, error) {
	if strings.HasPrefix(ref, "ssh_") {
		if k, err := c.SSHKeys.Get(ctx, ref); !isUnknownID(err) {
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
	return resolve("SSH key", ref, found, nil, func(k client.SSHKey) string { return k.ID })
}

func keyNames(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	items, err := collect(c.SSHKeys.All(ctx, client.SSHKeyQuery{}))
	names := make([]cobra.Completion, len(items))
	for i, k := range items {
		names[i] = cobra.CompletionWithDesc(k.Name, k.ID)
	}
	return names, err
}
