//go:build unix

package cli

import (
	"context"
	"syscall"
)

// become puts the program in the place of billet, so that signals, the terminal and the exit code are its own.
func (t *tool) become(ctx context.Context, path string, command, env []string) error {
	if err := ctx.Err(); err != nil { // a Ctrl-C that came before is not the program's
		return err
	}
	return syscall.Exec(path, command, env)
}
