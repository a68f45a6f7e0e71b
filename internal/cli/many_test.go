package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/cli"
	"github.com/billetcloud/billet/internal/version"
	"github.com/billetcloud/billet/test/servertest"
)

// shell runs billet in this process, with the default rate limits. Waiting moves the simulated
// clock.
type shell struct {
	t      *testing.T
	server *servertest.Server
	limits *rateLimits
	env    []string
}

func newShell(t *testing.T, credit string) *shell {
	s := servertest.Start(t, "--sim")
	_, key := s.Key(credit, "--read-limit", "100000", "--write-limit", "100000", "--deploy-limit", "100000")
	limits := newRateLimits(t, s.URL)
	return &shell{
		t:      t,
		server: s,
		limits: limits,
		env:    []string{"HOME=" + t.TempDir(), "BILLET_URL=" + limits.URL, "BILLET_API_KEY=" + key},
	}
}

// run runs billet and returns its output and its exit code.
func (s *shell) run(args ...string) (out, errors string, code int) {
	s.t.Helper()
	dir := s.t.TempDir()
	open := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = f.Close() })
		return f
	}
	stdin, stdout, stderr := open("in"), open("out"), open("err")
	code = cli.Main(
		s.t.Context(),
		cli.System{
			In:      stdin,
			Out:     stdout,
			Err:     stderr,
			Env:     s.env,
			Version: version.Info{Version: "test"},
			Sleep: func(ctx context.Context, d time.Duration) error {
				s.limits.advance(d)
				s.server.Advance(d.Round(time.Second).String())
				return ctx.Err()
			},
		},
		args,
	)
	read := func(f *os.File) string {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			s.t.Fatal(err)
		}
		return string(b)
	}
	return read(stdout), read(stderr), code
}

// upstream returns the number of machines at the simulated providers.
func (s *shell) upstream() int {
	return len(decoded[struct {
		Machines []json.RawMessage `json:"machines"`
	}](s.t, s.server.Run("sim", "status", "-o", "json")).Machines)
}

// publicKeyFile writes a public key and returns its path.
func publicKeyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "id_ed25519.pub")
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZwpBijBd19lrp1GO7KtPM2MVlY6axv+5hGmH8ABvX8 cli@example\n"
	if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func decoded[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s\n%s", err, text)
	}
	return v
}

// TestDeployHundredMachines deploys 100 machines with one command and the default rate limits: 5
// deploys, 20 writes and 60 reads a minute.
func TestDeployHundredMachines(t *testing.T) {
	t.Parallel()
	const machines = 100
	s := newShell(t, "5000")
	out, errs, code := s.run("deploy", "--gpus", "1", "--max-price", "5", "--ssh-public-key-file", publicKeyFile(t),
		"--name", "fleet", "--count", strconv.Itoa(machines), "--yes", "-o", "json")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	made := decoded[[]client.Deployment](t, out)
	if len(made) != machines {
		t.Fatalf("got %d deployments", len(made))
	}
	names := map[string]bool{}
	for _, d := range made {
		if d.Status != client.DeploymentRunning || d.SSHCommand == nil {
			t.Errorf("%s is %s", d.Name, d.Status)
		}
		names[d.Name] = true
	}
	if len(names) != machines || !names["fleet-001"] || !names["fleet-100"] {
		t.Errorf("got %d names: %v", len(names), names)
	}
	if s.limits.refused < machines/5-1 {
		t.Errorf("the rate limit rejected %d requests, want more", s.limits.refused)
	}
	if up := s.upstream(); up != machines {
		t.Errorf("got %d machines upstream", up)
	}
	// One command terminates all of them.
	ids, _, _ := s.run("ps", "-o", "id")
	args := []string{"terminate", "--yes", "--when", "earliest", "-o", "json"}
	for _, d := range made {
		args = append(args, d.ID)
	}
	if n := strings.Count(ids, "\n"); n != machines {
		t.Errorf("ps -o id printed %d lines", n)
	}
	if _, errs, code := s.run(args...); code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	s.server.Advance("30m")
	if up := s.upstream(); up != 0 {
		t.Errorf("got %d machines upstream after the end", up)
	}
}

// TestDeployManyWithInsufficientBalance checks that the deployments before the rejected one are
// listed with the error.
func TestDeployManyWithInsufficientBalance(t *testing.T) {
	t.Parallel()
	s := newShell(t, "60")
	out, errs, code := s.run("deploy", "--offer", "off_abc123", "--ssh-public-key-file", publicKeyFile(t), "--name",
		"some", "--count", "3", "--yes", "-o", "json")
	if code != 5 || !strings.Contains(errs, `"code":"INSUFFICIENT_BALANCE"`) {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	made := decoded[[]client.Deployment](t, out)
	if len(made) != 1 || made[0].Name != "some-1" {
		t.Errorf("%+v", made)
	}
}

// TestDeployNeverPaysMoreThanShown checks that the request limits the price to the one shown. With
// an idempotency key, whose request must stay the same, the limit is --max-price, which is shown as
// well.
func TestDeployNeverPaysMoreThanShown(t *testing.T) {
	t.Parallel()
	s := newShell(t, "500")
	key := publicKeyFile(t)
	for _, c := range []struct {
		more  []string
		shown string
	}{
		{nil, "  Price          %s/hr (locked while running)"},
		{[]string{"--max-price", "99"}, "  Price          %s/hr (locked while running)"},
		{
			[]string{"--max-price", "99", "--idempotency-key", "k"},
			"  Maximum        %s/hr, if the price rises before the deploy",
		},
	} {
		_, errs, code := s.run(
			append(
				[]string{"deploy", "--offer", "off_abc123", "--name", "m", "--ssh-public-key-file", key, "--no-wait"},
				c.more...)...)
		if code != 0 {
			t.Fatalf("%v: exit code %d\n%s", c.more, code, errs)
		}
		most := decoded[client.CreateDeployment](t, string(s.limits.deploys[len(s.limits.deploys)-1])).MaxHourlyPrice
		if most == nil || !strings.Contains(errs, fmt.Sprintf(c.shown, *most)) {
			t.Errorf("%v: the request limits the price to %v, but the output is\n%s", c.more, most, errs)
		}
	}
}
