package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/version"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// System is the world outside: where a command reads and writes, and what it knows of its place.
type System struct {
	// In, Out and Err are the standard streams.
	In, Out, Err *os.File
	// Env is the environment, as os.Environ gives it.
	Env []string
	// Version is what this program knows of itself.
	Version version.Info
	// Now tells the time; nil for time.Now.
	Now func() time.Time
	// Sleep waits so long, or until the context ends; nil for a real wait.
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

// Main runs billet with these arguments, without the program's name, and returns its exit code.
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
	if err := root.ExecuteContext(ctx); err != nil {
		return t.fail(ctx, err)
	}
	return exitOK
}

// env is a variable of the environment; empty where it is not set.
func (t *tool) env(name string) string {
	for i := len(t.Env) - 1; i >= 0; i-- { // the last one wins, as it does for programs that are started
		if v := t.Env[i]; len(v) > len(name) && v[len(name)] == '=' && v[:len(name)] == name {
			return v[len(name)+1:]
		}
	}
	return ""
}

// asks tells whether somebody is there who can answer.
func (t *tool) asks() bool { return terminal(t.In) && terminal(t.Err) }

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// note tells whoever watches, on standard error.
func (t *tool) note(format string, args ...any) { fmt.Fprintf(t.Err, format+"\n", args...) }

// client is the client for the profile that was chosen; an error where nobody is signed in.
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

// connect makes the client for a login; an address or a key that cannot be one is an error of who wrote it.
func (t *tool) connect(p profile) (*client.Client, error) {
	c, err := client.New(t.config(p))
	if err != nil {
		return nil, usage("%s.", strings.TrimPrefix(err.Error(), "client: "))
	}
	return c, nil
}

func (t *tool) config(p profile) client.Config {
	return client.Config{
		BaseURL: p.URL, APIKey: p.APIKey, UserAgent: "billet/" + t.Version.Version, Now: t.Now, Sleep: t.Sleep,
		OnRetry: func(r client.Retry) {
			why := "the server does not answer as it should"
			var e *client.Error
			if errors.Is(r.Err, client.ErrRateLimitExceeded) {
				why = "the limit of requests a minute is reached"
			} else if !errors.As(r.Err, &e) {
				why = "the server cannot be reached"
			}
			t.note("billet: %s; trying again in %s", why, max(r.Wait.Round(time.Second), time.Second))
		},
	}
}

// verb makes a command whose work is run with a client.
func (t *tool) verb(cmd *cobra.Command, run func(ctx context.Context, c *client.Client, args []string) error) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := t.client()
		if err != nil {
			return err
		}
		return run(cmd.Context(), c, args)
	}
	return cmd
}

// sleep waits so long, or until the context ends.
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
