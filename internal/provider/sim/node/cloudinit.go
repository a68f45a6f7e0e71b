package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/cloudinit"
)

const (
	cloudInitTimeout = 10 * time.Minute

	cloudInitDir = "/var/lib/cloud/instance"
	cloudInitLog = "/var/log/cloud-init-output.log"
	// cloudInitResultFile has the errors, in cloud-init's own form.
	cloudInitResultFile = "/var/lib/cloud/data/result.json"
)

// CheckCloudInit returns what is wrong with a cloud-config, or cannot be done by a simulated
// machine, which carries out write_files and runcmd. Other modules are accepted and, in the
// machine, listed in its log as skipped.
func CheckCloudInit(text string) []cloudinit.Problem {
	d, problems := cloudinit.Parse(text)
	if problems != nil {
		return problems
	}
	for _, f := range d.Files {
		if f.Source != "" {
			line, column := f.At("source")
			problems = append(problems, cloudinit.Problem{
				Line: line, Column: column,
				Message: "source cannot be fetched, because a simulated machine has no network beyond this host; " +
					"give content instead.",
			})
		}
	}
	return problems
}

// runCloudInit applies the cloud-config on its standard input to this machine, once in the
// machine's life.
func runCloudInit() error {
	text, err := io.ReadAll(io.LimitReader(os.Stdin, cloudinit.MaxBytes+1))
	if err != nil {
		return err
	}
	return applyCloudInit("/", string(text))
}

// applyCloudInit does so below root. The mark that it was begun lies in the machine, where the real
// cloud-init keeps its own: a user who removes it and restarts gets another first boot.
func applyCloudInit(root, text string) error {
	at := func(path string) string { return filepath.Join(root, path) }
	for _, dir := range []string{cloudInitDir, filepath.Dir(cloudInitResultFile), filepath.Dir(cloudInitLog)} {
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
	var errs []string
	if d, problems := cloudinit.Parse(text); problems != nil {
		errs = cloudinit.Sentences(problems)
		fmt.Fprintln(log, "cloud-init:", problems[0])
	} else {
		errs = carryOut(d, at, log)
	}
	return finishCloudInit(root, errs)
}

// finishCloudInit leaves the files by which scripts see that the first boot is over. A machine
// without a cloud-config has them, too; there, those of an earlier start stay.
func finishCloudInit(root string, errs []string) error {
	at := func(path string) string { return filepath.Join(root, path) }
	var result cloudInitResult
	result.V1.Datasource, result.V1.Errors = "DataSourceNoCloud", append([]string{}, errs...)
	b, err := json.Marshal(result)
	if err != nil {
		return err
	}
	for path, text := range map[string][]byte{
		cloudInitResultFile:             append(b, '\n'),
		cloudInitDir + "/boot-finished": []byte("cloud-init: finished\n"),
	} {
		if _, err := os.Lstat(at(path)); err == nil && len(errs) == 0 {
			continue
		}
		err := os.MkdirAll(filepath.Dir(at(path)), 0o755)
		if err = errors.Join(err, os.WriteFile(at(path), text, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// carryOut does what the machine can of a cloud-config, says in the log what it skips, and returns
// what went wrong.
func carryOut(d *cloudinit.Document, at func(string) string, log *os.File) []string {
	errs := []string{}
	failed := func(module string, err error) {
		errs = append(errs, module+": "+err.Error())
		fmt.Fprintf(log, "cloud-init: %s: %v\n", module, err)
	}
	for _, k := range d.Keys {
		if k.Name != "write_files" && k.Name != "runcmd" {
			fmt.Fprintf(log, "cloud-init: %s: not supported, skipped\n", k.Name)
		}
	}
	for _, f := range d.Files {
		if err := writeFile(f, at(f.Path)); err != nil {
			failed("write_files", err)
		}
		if f.Owner != "" {
			fmt.Fprintf(log, "cloud-init: write_files: %s: owner is not supported, the file is root's\n", f.Path)
		}
	}
	if len(d.Commands) == 0 {
		return errs
	}
	lines := []string{"#!/bin/sh"}
	for _, c := range d.Commands {
		lines = append(lines, c.Script())
	}
	script := at(cloudInitDir + "/runcmd")
	if err := os.WriteFile(script, []byte(strings.Join(lines, "\n")+"\n"), 0o700); err != nil {
		failed("runcmd", err)
		return errs
	}
	cmd := exec.Command("/bin/sh", script)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, at("/")
	if err := cmd.Run(); err != nil {
		failed("runcmd", err)
	}
	return errs
}

func writeFile(f cloudinit.File, path string) error {
	if f.Source != "" {
		return fmt.Errorf("%s: source is not supported, skipped", f.Path)
	}
	content, err := f.Bytes()
	if err != nil {
		return err
	}
	mode, err := f.Mode()
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
