package cloudinit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile is how large a compressed file of write_files may be once decompressed, in bytes.
const maxFile = 16 << 20

// Document is a cloud-config that was read.
type Document struct {
	// Keys are its keys, in order.
	Keys []Key
	// Packages are packages without a version; Versions are those with a version, or for one
	// package manager only.
	Packages []string
	Versions []Key
	Files    []File
	Commands []Command // of runcmd
}

// Key is a name in the text, with its place.
type Key struct {
	Name         string
	Line, Column int
}

// File is an entry of write_files.
type File struct {
	Path, Content, Encoding, Owner, Permissions string
	Append, Defer                               bool
	// Source is an address to fetch it from, or "".
	Source       string
	Line, Column int
	at           map[string]*yaml.Node // its keys
}

// At returns where a key of the entry is; where the entry is if it does not have the key.
func (f *File) At(key string) (line, column int) {
	if n := f.at[key]; n != nil {
		return n.Line, n.Column
	}
	return f.Line, f.Column
}

// Command is an entry of runcmd: a line for the shell, or the arguments of one command.
type Command struct {
	Shell        string
	Words        []string
	Line, Column int
}

// read takes from a valid mapping what this package's callers carry out themselves.
func (d *Document) read(c *checker, root *yaml.Node) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], followed(root.Content[i+1])
		d.Keys = append(d.Keys, Key{key.Value, key.Line, key.Column})
		switch key.Value {
		case "packages":
			for _, p := range value.Content {
				if n := followed(p); n.Kind == yaml.ScalarNode {
					d.Packages = append(d.Packages, n.Value)
				} else {
					d.Versions = append(d.Versions, Key{"packages", p.Line, p.Column})
				}
			}
		case "write_files":
			for _, f := range value.Content {
				d.Files = append(d.Files, readFile(c, f))
			}
		case "runcmd":
			for _, r := range value.Content {
				switch n := followed(r); {
				case n.Kind == yaml.SequenceNode:
					command := Command{Words: []string{}, Line: r.Line, Column: r.Column}
					for _, w := range n.Content {
						command.Words = append(command.Words, followed(w).Value)
					}
					if len(command.Words) == 0 {
						c.add(r, "runcmd has an empty list here; give the words of a command.")
					}
					d.Commands = append(d.Commands, command)
				case n.Tag != "!!null":
					d.Commands = append(d.Commands, Command{Shell: n.Value, Line: r.Line, Column: r.Column})
				}
			}
		}
	}
}

func followed(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func readFile(c *checker, n *yaml.Node) File {
	f := File{Line: n.Line, Column: n.Column, at: map[string]*yaml.Node{}}
	fields := followed(n).Content
	content := n
	for i := 0; i+1 < len(fields); i += 2 {
		v := followed(fields[i+1])
		f.at[fields[i].Value] = fields[i]
		switch fields[i].Value {
		case "path":
			f.Path = v.Value
			if !strings.HasPrefix(f.Path, "/") {
				c.add(v, "path must be absolute, such as /etc/motd.")
			}
		case "content":
			f.Content, content = v.Value, v
		case "encoding":
			f.Encoding = v.Value
		case "owner":
			f.Owner = v.Value
		case "permissions":
			f.Permissions = strings.TrimPrefix(v.Value, "0o")
			if _, err := f.Mode(); err != nil {
				c.add(v, "permissions must be an octal number in quotes, such as '0644'.")
			}
		case "append":
			f.Append = truth(v)
		case "defer":
			f.Defer = truth(v)
		case "source":
			for j := 0; j+1 < len(v.Content); j += 2 {
				if v.Content[j].Value == "uri" {
					f.Source = followed(v.Content[j+1]).Value
				}
			}
		}
	}
	if _, err := f.Bytes(); err != nil {
		c.add(content, "content is not %s: %s.", f.Encoding, err)
	}
	return f
}

func truth(n *yaml.Node) bool {
	switch strings.ToLower(n.Value) {
	case "true", "yes", "on":
		return true
	}
	return false
}

var (
	errBase64 = errors.New("it cannot be decoded from base64")
	errGzip   = errors.New("it cannot be uncompressed, or becomes larger than 16 MiB")
)

// Bytes returns the content of the file, decoded.
func (f File) Bytes() ([]byte, error) {
	content := []byte(f.Content)
	compressed := strings.HasPrefix(f.Encoding, "gz")
	if strings.HasSuffix(f.Encoding, "b64") || strings.HasSuffix(f.Encoding, "base64") {
		decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(f.Content), ""))
		if err != nil {
			return nil, errBase64
		}
		content = decoded
	}
	if !compressed {
		return content, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, errGzip
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxFile+1))
	if err != nil || len(plain) > maxFile {
		return nil, errGzip
	}
	return plain, nil
}

// Mode returns the file's permissions, 0644 by default. They may be written as '0644' and as 0644:
// both are octal.
func (f File) Mode() (fs.FileMode, error) {
	if f.Permissions == "" {
		return 0o644, nil
	}
	n, err := strconv.ParseUint(f.Permissions, 8, 32)
	if err != nil {
		return 0, err
	}
	if n > 0o7777 {
		return 0, strconv.ErrRange
	}
	mode := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= flag
		}
	}
	return mode, nil
}

// Script returns the command as a line for a shell.
func (c Command) Script() string {
	if c.Words == nil {
		return c.Shell
	}
	quoted := make([]string, len(c.Words))
	for i, w := range c.Words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
