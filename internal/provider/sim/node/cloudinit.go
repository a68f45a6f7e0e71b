package node

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	cloudInitTimeout = 10 * time.Minute
	cloudInitMost    = 64 << 10 // bytes of a cloud-config text

	cloudInitDir = "/var/lib/cloud/instance"
	cloudInitLog = "/var/log/cloud-init-output.log"
)

// cloudConfig is the part of cloud-config that a simulated machine carries out.
type cloudConfig struct {
	files       []cloudFile
	commands    []string // lines of one shell script
	unsupported []string // top-level keys, sorted
}

type cloudFile struct {
	Path        string
	Content     string
	Encoding    string
	Permissions yaml.Node
	Owner       string
	Append      bool
	Defer       bool
}

// CheckCloudInit reports what is wrong with a cloud-config text: it must begin with a line "#cloud-config", be a
// YAML mapping of at most 64 KiB, and write_files and runcmd must have their proper form. Other modules are
// accepted and, in the machine, listed in its log as not supported.
func CheckCloudInit(text string) error {
	_, err := parseCloudInit(text)
	return err
}

func parseCloudInit(text string) (cloudConfig, error) {
	var cfg cloudConfig
	if len(text) > cloudInitMost {
		return cfg, fmt.Errorf("the cloud-config has %d bytes; at most %d are allowed", len(text), cloudInitMost)
	}
	first, _, _ := strings.Cut(text, "\n")
	if strings.TrimSpace(first) != "#cloud-config" {
		return cfg, errors.New(`the cloud-config must begin with the line "#cloud-config"`)
	}
	if strings.ContainsRune(text, 0) {
		return cfg, errors.New("the cloud-config has a NUL character")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return cfg, fmt.Errorf("the cloud-config is not valid YAML: %w", err)
	}
	if len(doc.Content) == 0 {
		return cfg, nil // comments only
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return cfg, errors.New("the cloud-config must be a YAML mapping")
	}
	modules := map[string]yaml.Node{}
	if err := doc.Decode(&modules); err != nil {
		return cfg, fmt.Errorf("the cloud-config is not valid YAML: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		node := modules[name]
		var err error
		switch name {
		case "write_files":
			if err = node.Decode(&cfg.files); err == nil {
				err = cfg.checkFiles()
			}
		case "runcmd":
			cfg.commands, err = shellLines(node)
		default:
			cfg.unsupported = append(cfg.unsupported, name)
		}
		if err != nil {
			return cfg, fmt.Errorf("cloud-config: %s: %w", name, err)
		}
	}
	return cfg, nil
}

func (c cloudConfig) checkFiles() error {
	for i, f := range c.files {
		if !filepath.IsAbs(f.Path) {
			return fmt.Errorf("entry %d: path %q is not absolute", i+1, f.Path)
		}
		if _, err := f.bytes(); err != nil {
			return fmt.Errorf("entry %d (%s): %w", i+1, f.Path, err)
		}
		if _, err := f.mode(); err != nil {
			return fmt.Errorf("entry %d (%s): %w", i+1, f.Path, err)
		}
	}
	return nil
}

func (f cloudFile) bytes() ([]byte, error) {
	switch strings.ToLower(f.Encoding) {
	case "", "text/plain":
		return []byte(f.Content), nil
	case "b64", "base64":
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(f.Content), ""))
		if err != nil {
			return nil, fmt.Errorf("content is not base64: %w", err)
		}
		return b, nil
	default:
		return nil, fmt.Errorf("encoding %q is not supported; there are text/plain and b64", f.Encoding)
	}
}

// mode reads permissions, which people write as '0644' and as 0644.
func (f cloudFile) mode() (fs.FileMode, error) {
	if f.Permissions.IsZero() {
		return 0o644, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(f.Permissions.Value, "0o"), 8, 32)
	if f.Permissions.Kind != yaml.ScalarNode || err != nil || n > 0o7777 {
		return 0, fmt.Errorf("permissions %q are not an octal number like '0644'", f.Permissions.Value)
	}
	mode := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= flag
		}
	}
	return mode, nil
}

// shellLines makes lines of a shell script of runcmd's entries: a string is a line, a list is one command.
func shellLines(node yaml.Node) ([]string, error) {
	var entries []yaml.Node
	if err := node.Decode(&entries); err != nil {
		return nil, err
	}
	var lines []string
	for i, e := range entries {
		switch e.Kind {
		case yaml.ScalarNode:
			lines = append(lines, e.Value)
		case yaml.SequenceNode:
			var words []string
			if err := e.Decode(&words); err != nil || len(words) == 0 {
				return nil, fmt.Errorf("entry %d must be a list of words", i+1)
			}
			for j, w := range words {
				words[j] = quote(w)
			}
			lines = append(lines, strings.Join(words, " "))
		default:
			return nil, fmt.Errorf("entry %d must be a string or a list of words", i+1)
		}
	}
	return lines, nil
}

// runCloudInit applies the cloud-config on its standard input to this machine, once in the machine's life.
func runCloudInit() error {
	text, err := io.ReadAll(io.LimitReader(os.Stdin, cloudInitMost+1))
	if err != nil {
		return err
	}
	return applyCloudInit("/", string(text))
}

// applyCloudInit does so below root. The mark that it was begun lies in the machine, where the real cloud-init
// keeps its own: a user who removes it and restarts gets another first boot.
func applyCloudInit(root, text string) error {
	at := func(path string) string { return filepath.Join(root, path) }
	for _, dir := range []string{cloudInitDir, filepath.Dir(cloudInitLog)} {
		if err := os.MkdirAll(at(dir), 0o755); err != nil {
			return err
		}
	}
	begun, err := os.OpenFile(at(cloudInitDir+"/begun"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	begun.Close()
	if err := os.WriteFile(at(cloudInitDir+"/user-data.txt"), []byte(text), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(at(cloudInitLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintln(log, "cloud-init: simulated: write_files and runcmd are carried out, nothing else is.")
	cfg, err := parseCloudInit(text)
	if err != nil {
		fmt.Fprintln(log, "cloud-init:", err)
	} else {
		cfg.apply(at, log)
	}
	return os.WriteFile(at(cloudInitDir+"/boot-finished"), []byte("cloud-init: finished\n"), 0o644)
}

func (c cloudConfig) apply(at func(string) string, log *os.File) {
	for _, name := range c.unsupported {
		fmt.Fprintf(log, "cloud-init: %s: not supported, skipped\n", name)
	}
	for _, f := range c.files {
		if err := f.write(at(f.Path)); err != nil {
			fmt.Fprintln(log, "cloud-init: write_files:", err)
		}
		if f.Owner != "" {
			fmt.Fprintf(log, "cloud-init: write_files: %s: owner is not supported, the file is root's\n", f.Path)
		}
	}
	if len(c.commands) == 0 {
		return
	}
	script := at(cloudInitDir + "/runcmd")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"+strings.Join(c.commands, "\n")+"\n"), 0o700); err != nil {
		fmt.Fprintln(log, "cloud-init: runcmd:", err)
		return
	}
	cmd := exec.Command("/bin/sh", script)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, at("/")
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(log, "cloud-init: runcmd:", err)
	}
}

func (f cloudFile) write(path string) error {
	content, err := f.bytes()
	if err != nil {
		return err
	}
	mode, err := f.mode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if f.Append {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close(), os.Chmod(path, mode))
}
