//go:build !unix

package cli

import (
	"context"
	"errors"
	"os/exec"
)

// replaceProcess runs the program as a child process and returns its exit code, on systems without
// exec.
func (t *tool) replaceProcess(_ context.Context, path string, command, env []string) error {
	child := exec.Command(path, command[1:]...) // the terminal sends it signals itself
	child.Stdin, child.Stdout, child.Stderr, child.Env = t.In, t.Out, t.Err, env
	err := child.Run()
	if ended, is := errors.AsType[*exec.ExitError](err); is && ended.ExitCode() > 0 {
		return exit(ended.ExitCode())
	}
	return err
}
