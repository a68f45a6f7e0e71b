package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/cli"
	"github.com/billetcloud/billet/internal/version"
	"github.com/billetcloud/billet/test/servertest"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZwpBijBd19lrp1GO7KtPM2MVlY6axv+5hGmH8ABvX8 clients@example"

// asCLI makes the test binary act as the command line.
const asCLI = "BILLET_TEST_AS_CLI"

func TestMain(m *testing.M) {
	if os.Getenv(asCLI) != "" {
		os.Exit(cli.Main(context.Background(), cli.System{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ(), Version: version.Info{Version: "test"},
		}, os.Args[1:]))
	}
	os.Exit(servertest.Run(m))
}

// tool returns the path of a program that npm has installed here.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := here(t, "node_modules", ".bin", name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("BILLET_TEST_REQUIRE_CLIENTS") != "" {
			t.Fatalf("%v; scripts/need.sh installs it", err)
		}
		t.Skip("scripts/need.sh installs what this needs")
	}
	return path
}

func here(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func document(t *testing.T) string { return here(t, "..", "..", "docs", "openapi.json") }

// run runs a program in dir and returns its standard output. It fails the test if the program
// fails.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, tail(out.String()), tail(errs.String()))
	}
	return out.String()
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// TestLinters runs the linters with all rules of their authors.
func TestLinters(t *testing.T) {
	t.Run("redocly", func(t *testing.T) {
		t.Parallel()
		bin := tool(t, "redocly")
		out := run(t, t.TempDir(), []string{"REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true"},
			bin, "lint", "--extends", "recommended", "--format", "json", document(t))
		var said struct {
			Totals *struct{ Errors, Warnings, Ignored int }
		}
		if err := json.Unmarshal([]byte(out[strings.IndexByte(out, '{'):]), &said); err != nil || said.Totals == nil {
			t.Fatalf("%v in %s", err, tail(out))
		}
		if said.Totals.Errors+said.Totals.Warnings+said.Totals.Ignored > 0 {
			t.Errorf("%s", tail(out))
		}
	})
	t.Run("spectral", func(t *testing.T) {
		t.Parallel()
		bin := tool(t, "spectral")
		rules := filepath.Join(t.TempDir(), "rules.yaml")
		if err := os.WriteFile(rules, []byte("extends: [\"spectral:oas\"]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, t.TempDir(), nil, bin, "lint", "--fail-severity", "hint", "-r", rules, document(t))
	})
}

// laterVersion is a server of a later version: it adds an unknown field to every object of every
// answer.
type laterVersion struct {
	server *servertest.Server
	added  atomic.Int64
}

// ServeHTTP passes requests on, and changes answers.
func (p *laterVersion) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := http.NewRequestWithContext(r.Context(), r.Method, p.server.URL+r.URL.RequestURI(), r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	q.Header, q.ContentLength = r.Header.Clone(), r.ContentLength
	q.Header.Del("Accept-Encoding")
	resp, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = resp.Body.Close() }()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(resp.StatusCode)
	switch media := resp.Header.Get("Content-Type"); {
	case strings.HasPrefix(media, "application/json"):
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(p.add(body))
	case strings.HasPrefix(media, "text/event-stream"):
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			line := lines.Bytes()
			if data, is := bytes.CutPrefix(line, []byte("data: ")); is {
				line = append([]byte("data: "), p.add(data)...)
			}
			_, _ = w.Write(append(bytes.Clone(line), '\n'))
			_ = http.NewResponseController(w).Flush()
		}
	default:
		_, _ = io.Copy(w, resp.Body)
	}
}

func (p *laterVersion) add(body []byte) []byte {
	var tree any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&tree) != nil {
		return body
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
			v["aLaterField"] = map[string]any{"nested": []any{1, "x", nil}}
			p.added.Add(1)
		}
	}
	walk(tree)
	body, err := json.Marshal(tree)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return body
}

// fixture is a real server behind a laterVersion, and what a client's program needs to call it.
type fixture struct {
	server *servertest.Server
	proxy  *laterVersion
	url    string
	key    string
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	s := servertest.Start(t, "--sim")
	_, key := s.Key("5000", "--read-limit", "1000", "--write-limit", "1000", "--deploy-limit", "1000")
	p := &laterVersion{server: s}
	front := httptest.NewServer(p)
	t.Cleanup(front.Close)
	return fixture{s, p, front.URL, key}
}

// rent runs a program that rents a machine. The program prints "queued" and the deployment's id
// when it has scheduled the termination; then the clock is advanced.
func (w fixture) rent(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), "BILLET_URL="+w.url, "BILLET_API_KEY="+w.key, "SSH_PUBLIC_KEY="+publicKey)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	id := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if queued, is := strings.CutPrefix(lines.Text(), "queued "); is {
			id = queued
			w.server.Advance("30m")
		}
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, tail(errs.String()))
	}
	if d := w.server.Call(w.key, "GET", "/deployments/"+id, nil); d.Data["status"] != "terminated" {
		t.Errorf("status of %s: got %v, want terminated", id, d.Data["status"])
	}
	if w.proxy.added.Load() < 50 {
		t.Errorf("got %d added fields, want at least 50", w.proxy.added.Load())
	}
}

// goClients generates the Go clients, and returns the directory of their programs. Compiling takes
// half a minute, so the programs are cached while the document, the generators and the compiler are
// unchanged.
func goClients(t *testing.T) string {
	t.Helper()
	sum := sha256.New()
	_, _ = io.WriteString(sum, runtime.Version())
	for _, name := range []string{
		document(t), "go/go.mod", "go/go.sum", "go/oapi.yaml", "go/ogen.yml", "go/oapi/main.go",
		"go/ogen/main.go",
	} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(name), len(b), b)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "billet-test")
	bin := filepath.Join(cache, fmt.Sprintf("clients-%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	dir := t.TempDir() // generated code does not belong in the source tree
	if err := os.CopyFS(dir, os.DirFS("go")); err != nil {
		t.Fatal(err)
	}
	run(
		t,
		dir,
		nil,
		"go",
		"build",
		"-o",
		"tools/",
		"github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen",
		"github.com/ogen-go/ogen/cmd/ogen",
	)
	if err := os.Mkdir(filepath.Join(dir, "oapi", "api"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "tools/oapi-codegen", "-config", "oapi.yaml", "-o", "oapi/api/api.go", document(t))
	run(t, dir, nil, "tools/ogen", "--config", "ogen.yml", "--target", "ogen/api", "--package", "api", document(t))
	run(t, dir, nil, "go", "build", "-ldflags=-s -w", "-o", "bin/", "./oapi", "./ogen")
	old, err := filepath.Glob(filepath.Join(cache, "clients-*"))
	if err == nil {
		err = os.MkdirAll(cache, 0o755)
	}
	if err == nil {
		err = os.CopyFS(bin+".new", os.DirFS(filepath.Join(dir, "bin")))
	}
	if err == nil {
		err = os.Rename(bin+".new", bin)
	}
	if err != nil { // without a cache
		return filepath.Join(dir, "bin")
	}
	for _, name := range old { // but not what a concurrent test has just created
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(name)
		}
	}
	return bin
}

// TestGeneratedClients generates, compiles and uses each client: quote, deploy, wait, terminate,
// wait. Answers have fields that the document lacks.
func TestGeneratedClients(t *testing.T) {
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		bin := goClients(t)
		for _, name := range []string{"oapi", "ogen"} {
			t.Run(name, func(t *testing.T) { newFixture(t).rent(t, bin, filepath.Join(bin, name)) })
		}
	})
	t.Run("typescript", func(t *testing.T) {
		t.Parallel()
		tool(t, "tsc")
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("ts")); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"node_modules", "package.json"} {
			if err := os.Symlink(here(t, name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		run(t, dir, nil, tool(t, "openapi-typescript"), document(t), "-o", "schema.d.ts")
		run(
			t,
			here(t),
			[]string{"DOCUMENT=" + document(t), "OUTPUT=" + filepath.Join(dir, "hey")},
			tool(t, "openapi-ts"),
			"-f",
			"hey.config.mjs",
		)
		run(t, dir, nil, tool(t, "tsc"), "-p", ".")
		for _, name := range []string{"fetch", "hey"} {
			t.Run(name, func(t *testing.T) { newFixture(t).rent(t, dir, "node", filepath.Join("out", name+".js")) })
		}
	})
}

// TestOwnClientsIgnoreNewFields does the same with the Go SDK and the command line.
func TestOwnClientsIgnoreNewFields(t *testing.T) {
	w := newFixture(t)
	c, err := client.New(client.Config{BaseURL: w.url, APIKey: w.key})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	key := publicKey
	quote, err := c.Quotes.Create(ctx, "off_abc123")
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Deployments.Create(
		ctx,
		client.CreateDeployment{
			Name:            "sdk",
			QuoteID:         quote.QuoteID,
			OperatingSystem: "Ubuntu 22.04",
			SSHPublicKey:    key,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Deployments.WaitForRunning(ctx, d.ID, nil); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	for _, args := range [][]string{
		{"offers"}, {"ps"}, {"show", "sdk"}, {"show", "sdk", "-o", "json"}, {"wallet"}, {"wallet", "statement"},
		{"events"},
		{"gpus"}, {"regions"}, {"usage"}, {"quote", "off_abc123"}, {"volumes"}, {"webhooks"}, {"whoami"},
		{"terminate", "sdk", "--when", "earliest", "--yes"},
	} {
		c := exec.CommandContext(ctx, os.Args[0], args...)
		c.Env = append(os.Environ(), asCLI+"=1", "BILLET_URL="+w.url, "BILLET_API_KEY="+w.key, "HOME="+home)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("billet %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
