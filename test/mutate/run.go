package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

type outcome string

const (
	killed   outcome = "killed"
	timedOut outcome = "timed out"
	survived outcome = "survived"
	invalid  outcome = "does not compile"
)

// A runner runs the tests of packages of one module.
type runner struct {
	root string // of the module
	dir  string // for overlays
	env  []string
}

// sqliteOnly is the environment without the services that tests would use beside SQLite.
func sqliteOnly(environ []string) []string {
	var out []string
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		if name != "BILLET_TEST_POSTGRES" && name != "BILLET_TEST_REDIS" &&
			!strings.HasPrefix(name, "BILLET_TEST_REQUIRE") {
			out = append(out, v)
		}
	}
	return out
}

// baseline runs the tests without a change, and returns how long they take.
func (r runner) baseline(ctx context.Context, pkg string) (time.Duration, error) {
	dir, err := os.MkdirTemp(r.dir, "baseline-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, out, err := r.compile(ctx, pkg, dir)
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", pkg, err, out)
	}
	start := time.Now()
	if out, err := r.test(ctx, pkg, binary, time.Hour); err != nil {
		return 0, fmt.Errorf("the tests of %s fail without a change: %w\n%s", pkg, err, out)
	}
	return time.Since(start), nil
}

// try runs the package's tests with the mutation.
func (r runner) try(ctx context.Context, m mutation, limit time.Duration) (outcome, error) {
	original, err := os.ReadFile(filepath.Join(r.root, m.file))
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(r.dir, "mutation-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	changed := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(m.apply(string(original))), 0o600); err != nil {
		return "", err
	}
	target, err := filepath.Abs(filepath.Join(r.root, m.file))
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{target: changed}})
	if err != nil {
		return "", err
	}
	// The failure that a property test records of changed code says nothing about the code.
	failures := filepath.Join(r.root, m.pkg, "testdata", "rapid")
	if _, err := os.Stat(failures); errors.Is(err, os.ErrNotExist) {
		defer func() { _ = os.RemoveAll(failures) }()
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	binary, _, err := r.compile(ctx, m.pkg, dir, "-overlay", list)
	if err != nil {
		return invalid, ctx.Err()
	}
	_, err = r.test(ctx, m.pkg, binary, limit, "-test.failfast")
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil:
		return survived, nil
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut, nil
	}
	return killed, nil
}

// compile returns the path of the package's compiled tests, in dir, and what the compiler wrote.
func (r runner) compile(ctx context.Context, pkg, dir string, args ...string) (string, string, error) {
	binary, err := filepath.Abs(filepath.Join(dir, "tests"))
	if err != nil {
		return "", "", err
	}
	// Without the tables for debuggers, as go test links by itself.
	args = append([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary}, args...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+pkg)...)
	cmd.Dir, cmd.Env = r.root, r.env
	out, err := cmd.CombinedOutput()
	return binary, string(out), err
}

// test runs compiled tests in the package's folder, as go test does.
func (r runner) test(ctx context.Context, pkg, binary string, limit time.Duration, args ...string) (string, error) {
	limited, stop := context.WithTimeout(ctx, limit+time.Minute)
	defer stop()
	cmd := exec.CommandContext(limited, binary, append([]string{"-test.timeout", limit.String()}, args...)...)
	cmd.Dir, cmd.Env = filepath.Join(r.root, pkg), r.env
	// The tests' own timeout ends them; this is for what ignores it.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil && (limited.Err() != nil || strings.Contains(string(out), "panic: test timed out after")) {
		err = context.DeadlineExceeded
	}
	return string(out), err
}
