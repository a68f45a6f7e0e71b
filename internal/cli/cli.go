package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/version"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// System is the environment that a run of billet reads from and writes to.
type System struct {
	// In, Out and Err are the standard streams.
	In, Out, Err *os.File
	// Env is the environment in the form of os.Environ.
	Env []string
	// Version identifies the build.
	Version version.Info
	// Now returns the current time; nil means time.Now.
	Now func() time.Time
	// Sleep waits for the duration or until the context ends; nil means a real wait.
	Sleep func(context.Context, time.Duration) error
}

// tool is one run of billet.
type tool struct {
	System
	format  string
	profile string
	url     string
	made    *client.Client
	args    []string
}

// Main runs billet with the arguments, which do not include the program's name, and returns its
// exit code.
func Main(ctx context.Context, system System, args []string) int {
	t := &tool{System: system}
	if t.Now == nil {
		t.Now = time.Now
	}
	root := t.root()
	t.args = args
	root.SetArgs(args)
	root.SetIn(t.In)
	root.SetOut(t.Out)
	root.SetErr(t.Err)
	if cmd, err := root.ExecuteContextC(ctx); err != nil {
		return t.fail(ctx, cmd, err)
	}
	return exitOK
}

// env returns an environment variable, or "" if it is not set.
func (t *tool) env(name string) string {
	for i := len(t.Env) - 1; i >= 0; i-- { // the last one wins, as it does for child processes
		if v := t.Env[i]; len(v) > len(name) && v[len(name)] == '=' && v[:len(name)] == name {
			return v[len(name)+1:]
		}
	}
	return ""
}

// interactive reports whether the user can be prompted.
func (t *tool) interactive() bool { return terminal(t.In) && terminal(t.Err) }

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// note prints a line on standard error.
func (t *tool) note(format string, args ...any) { fmt.Fprintf(t.Err, format+"\n", args...) }

// client returns the client for the selected profile. It is an error if there is no such login.
func (t *tool) client() (*client.Client, error) {
	if t.made != nil {
		return t.made, nil
	}
	p, err := t.signedIn()
	if err != nil {
		return nil, err
	}
	t.made, err = t.connect(p)
	return t.made, err
}

// connect creates the client for a login. A malformed address or key is a usage error.
func (t *tool) connect(p profile) (*client.Client, error) {
	c, err := client.New(t.config(p))
	if err != nil {
		return nil, usageError("%s.", withoutPrefix(err))
	}
	return c, nil
}

func (t *tool) config(p profile) client.Config {
	return client.Config{
		BaseURL: p.URL, APIKey: p.APIKey, UserAgent: "billet/" + t.Version.Version, Now: t.Now, Sleep: t.Sleep,
		OnRetry: func(r client.Retry) {
			why := "server unavailable"
			if errors.Is(r.Err, client.ErrRateLimitExceeded) {
				why = "rate limited"
			} else if _, is := errors.AsType[*client.Error](r.Err); !is {
				why = "server unreachable"
			}
			t.note("billet: %s; retrying in %s", why, duration(max(r.Wait.Round(time.Second), time.Second)))
		},
	}
}

// runFunc is the work of a command.
type runFunc func(ctx context.Context, c *client.Client, args []string) error

// withClient makes run, called with a client, the work of cmd.
func (t *tool) withClient(cmd *cobra.Command, run runFunc) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := t.client()
		if err != nil {
			return err
		}
		return run(cmd.Context(), c, args)
	}
	return cmd
}

// sleep waits for d or until the context ends.
func (t *tool) sleep(ctx context.Context, d time.Duration) error {
	if t.Sleep != nil {
		return t.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
