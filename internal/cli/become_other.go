//go:build !unix

package cli

import (
	"context"
	"errors"
	"os/exec"
)

// become runs the program as a child, where one cannot take billet's place, and ends with its exit code.
func (t *tool) become(_ context.Context, path string, command, env []string) error {
	child := exec.Command(path, command[1:]...) // it gets the terminal's signals by itself
	child.Stdin, child.Stdout, child.Stderr, child.Env = t.In, t.Out, t.Err, env
	err := child.Run()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) && ended.ExitCode() > 0 {
		return exit(ended.ExitCode())
	}
	return err
}
