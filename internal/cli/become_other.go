//go:build !unix

package cli

import "context"

// become runs the program as a child, where one cannot take billet's place.
func (t *tool) become(_ context.Context, path string, command, env []string) error {
	return t.spawn(path, command, env)
}
