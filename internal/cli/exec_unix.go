//go:build unix

package cli

import (
	"context"
	"syscall"
)

// replaceProcess replaces billet by the program, which then owns the signals, the terminal and the
// exit code.
func (t *tool) replaceProcess(ctx context.Context, path string, command, env []string) error {
	if err := ctx.Err(); err != nil { // an earlier Ctrl-C was meant for billet
		return err
	}
	return syscall.Exec(path, command, env)
}
