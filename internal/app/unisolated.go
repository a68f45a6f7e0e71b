package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/billetcloud/billet/internal/provider/sim/node"
)

// unisolated reports whether simulated machines are sold although they cannot be isolated from this
// computer, which the operator must have accepted. It returns an error that says what to do where
// they must not be.
func unisolated(ctx context.Context, c Config) (bool, error) {
	dir := filepath.Join(c.DataDir, "sim")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("make the simulator's directory: %w", err)
	}
	isolated, reason := node.Isolation(ctx, dir)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if isolated {
		return false, nil
	}
	if os.Geteuid() != 0 && c.SimUnisolated {
		c.Log.WarnContext(ctx, "simulated machines are NOT ISOLATED here, as --sim-unisolated accepts: "+
			"anyone who logs in to one has all rights of this server's user, "+
			"and can read its secret key and its database", "reason", reason)
		return true, nil
	}
	advice := "let this system make user namespaces; a container must be allowed to"
	if command := node.Remedy(); command != "" {
		advice = "allow user namespaces with `" + command + "` (and in /etc/sysctl.d, to keep it)"
	}
	if os.Geteuid() == 0 {
		return false, errors.Join(node.ErrUnisolatedRoot, fmt.Errorf("the reason: %w; to have --sim, %s", reason,
			advice))
	}
	return false, errors.Join(node.ErrUnisolated,
		fmt.Errorf("the reason: %w; to have --sim, %s, or accept it with --sim-unisolated", reason, advice))
}
