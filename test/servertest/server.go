package servertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/provider/sim/node"
)

// patience is how long a test waits for an expected event. No test sleeps that long.
const patience = time.Minute

// scratch is the directory in which the binary is built. Run creates and removes it.
var scratch string

// Run runs the tests of a package that starts servers, and then removes the binary that they built:
//
//	func TestMain(m *testing.M) { os.Exit(servertest.Run(m)) }
func Run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "billetd-test"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	return m.Run()
}

// Binary returns the path of billetd. It is built once per test program; BILLET_TEST_BINARY names
// an existing one.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("BILLET_TEST_BINARY"); path != "" {
		return path, nil
	}
	return compile("billetd")
})

// Client returns the path of billet, which is built once per test program.
func Client(t testing.TB) string {
	t.Helper()
	path, err := buildClient()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildClient = sync.OnceValues(func() (string, error) { return compile("billet") })

// compile builds one of the commands.
func compile(name string) (string, error) {
	if scratch == "" {
		return "", errors.New("this package's TestMain must call servertest.Run, which removes the binary")
	}
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(scratch, name)
	cmd := exec.Command("go", "build", "-o", path, "./cmd/"+name)
	cmd.Dir = filepath.Join(filepath.Dir(here), "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// Server is a running billetd.
type Server struct {
	// URL is its address, without a trailing slash.
	URL string
	// Dir is its data directory, Args its further arguments.
	Dir  string
	Args []string
	// Attributes are its process's; nil for the default.
	Attributes *syscall.SysProcAttr

	t      testing.TB
	binary string
	cmd    *exec.Cmd
	log    *safeBuffer
	ended  chan struct{}
	client *http.Client
}

// Engines runs f once for each engine, with the server's arguments for it.
func Engines(t *testing.T, f func(t *testing.T, args ...string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t) })
	t.Run("postgres", func(t *testing.T) { f(t, "--database-url", dbtest.PostgresURL(t)) })
}

// Start starts `billetd serve` on a new data directory with further arguments, and returns when it
// answers.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartIn(t, t.TempDir(), args...)
}

// StartIn is Start on an existing data directory.
func StartIn(t testing.TB, dir string, args ...string) *Server {
	t.Helper()
	s := Prepare(t, dir, args...)
	s.Restart()
	return s
}

// Prepare returns a server that is not started, so that commands can set it up; Restart starts it.
func Prepare(t testing.TB, dir string, args ...string) *Server {
	t.Helper()
	s := &Server{
		Dir:    dir,
		Args:   args,
		t:      t,
		binary: Binary(t),
		client: &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	t.Cleanup(func() {
		s.Kill()
		s.endMachines()
	})
	s.ended = make(chan struct{})
	close(s.ended)
	return s
}

// Switch makes the next start, and commands, use another build of billetd.
func (s *Server) Switch(binary string) { s.binary = binary }

// FreePort returns a port for a program that cannot choose one by itself. The system gives its
// sockets higher ones, so that none of them takes it meanwhile.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10_000 + rand.IntN(20_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Restart starts the ended server again on its data directory.
func (s *Server) Restart() {
	s.t.Helper()
	if !s.TryRestart(0) {
		s.t.Fatalf("billetd ended before it answered:\n%s", s.log)
	}
}

// TryRestart is Restart for a server that may end before it answers. It reports whether the server
// answers. Unless killAfter is 0, the server is killed that long after its start. env are further
// environment variables.
func (s *Server) TryRestart(killAfter time.Duration, env ...string) bool {
	s.t.Helper()
	s.cmd = exec.Command(
		s.binary,
		append(
			[]string{"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--data-dir", s.Dir},
			s.Args...)...)
	s.cmd.Env = append(append(os.Environ(), "NO_PROXY=127.0.0.1", "BILLET_SIM_UNISOLATED=true", "BILLET_MIGRATE=true"),
		env...)
	s.cmd.SysProcAttr = s.Attributes
	s.log = &safeBuffer{}
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan struct{})
	url := make(chan string, 1)
	go func(cmd *exec.Cmd, ended chan struct{}) {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if m := regexp.MustCompile(`^Billet serves at (https?://\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				url <- m[1]
			}
		}
		_ = cmd.Wait()
		close(ended)
	}(s.cmd, s.ended)
	if process := s.cmd.Process; killAfter > 0 {
		time.AfterFunc(killAfter, func() { _ = process.Kill() }) // has no effect on an ended process
	}
	select {
	case s.URL = <-url:
		return true
	case <-s.ended:
		return false
	case <-time.After(patience):
		s.Kill()
		s.t.Fatalf("billetd did not start in time:\n%s", s.log)
		return false
	}
}

// Stop stops the server with SIGTERM and waits for its end.
func (s *Server) Stop() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatalf("billetd did not stop in time:\n%s", s.log)
	}
}

// Kill kills the server with SIGKILL and waits for its end.
func (s *Server) Kill() {
	select {
	case <-s.ended:
	default:
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// Ended returns a channel that is closed when the server has ended for any reason.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Killed reports whether SIGKILL ended the server. It must have ended.
func (s *Server) Killed() bool {
	w, is := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return is && w.Signaled() && w.Signal() == syscall.SIGKILL
}

// PID returns the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log returns the server's log since its start.
func (s *Server) Log() string { return s.log.String() }

func (s *Server) endMachines() {
	// A cluster has node-1, node-2, …
	dirs, _ := filepath.Glob(filepath.Join(s.Dir, "sim", "machines", "*", "*", "node*"))
	for _, d := range dirs {
		if err := node.Stop(context.Background(), d); err != nil {
			s.t.Errorf("end the machine in %s: %v", d, err)
		}
	}
}

// Run runs a command of billetd on the server's data directory and returns its output.
func (s *Server) Run(args ...string) string {
	s.t.Helper()
	out, err := s.TryRun(args...)
	if err != nil {
		s.t.Fatalf("billetd %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// RunWith is Run with a standard input.
func (s *Server) RunWith(input string, args ...string) string {
	s.t.Helper()
	out, err := s.tryRun(input, args...)
	if err != nil {
		s.t.Fatalf("billetd %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TryRun is Run for a command that may fail; the output then includes its errors.
func (s *Server) TryRun(args ...string) (string, error) { return s.tryRun("", args...) }

func (s *Server) tryRun(input string, args ...string) (string, error) {
	all := append(append([]string{}, args...), "--data-dir", s.Dir)
	for i, a := range s.Args {
		if (a == "--database-url" || a == "--secret-key-command" && !slices.Contains(args, a)) && args[0] != "sim" {
			all = append(all, a, s.Args[i+1])
		}
	}
	cmd := exec.Command(s.binary, all...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String() + errs.String(), err
	}
	return out.String(), nil
}

// Key creates an account with a credit, and an API key for it with further arguments.
func (s *Server) Key(credit string, args ...string) (account, key string) {
	s.t.Helper()
	var a struct{ ID string }
	s.decode(s.Run("account", "create", "--name", "test", "--credit", credit, "-o", "json"), &a)
	return a.ID, s.KeyOf(a.ID, args...)
}

// KeyOf creates another API key for the account.
func (s *Server) KeyOf(account string, args ...string) string {
	s.t.Helper()
	var k struct{ Key string }
	s.decode(
		s.Run(append([]string{"key", "create", "--account", account, "--name", "test", "-o", "json"}, args...)...),
		&k,
	)
	return k.Key
}

// Advance advances the server's clock.
func (s *Server) Advance(by string) {
	s.t.Helper()
	s.Run("sim", "advance", by)
}

func (s *Server) decode(text string, into any) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		s.t.Fatalf("%v in %q", err, text)
	}
}

// Answer is a response of the API.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Data is the body's data if it is an object, List if it is an array, and Error its error.
	Data  map[string]any
	List  []any
	Error map[string]any
}

// Code returns the error's code, or "".
func (a Answer) Code() string {
	code, _ := a.Error["code"].(string)
	return code
}

// Call calls the API at a path below /api/v1/inventory, or at an absolute path after "=". A body
// that is neither a string nor bytes is sent as JSON. Headers are pairs of name and value.
func (s *Server) Call(key, method, path string, body any, headers ...string) Answer {
	s.t.Helper()
	a, err := s.TryCall(key, method, path, body, headers...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// TryCall is Call for goroutines, which cannot fail the test.
func (s *Server) TryCall(key, method, path string, body any, headers ...string) (Answer, error) {
	return s.call(context.Background(), key, method, path, body, headers...)
}

// CallWith is TryCall for a client that disconnects when the context ends.
func (s *Server) CallWith(
	ctx context.Context,
	key, method, path string,
	body any,
	headers ...string,
) (Answer, error) {
	return s.call(ctx, key, method, path, body, headers...)
}

func (s *Server) call(ctx context.Context, key, method, path string, body any, headers ...string) (Answer, error) {
	var sent io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		sent = strings.NewReader(b)
	case []byte:
		sent = bytes.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			return Answer{}, err
		}
		sent = bytes.NewReader(j)
	}
	target := s.URL + "/api/v1/inventory" + path
	if whole, is := strings.CutPrefix(path, "="); is {
		target = s.URL + whole
	}
	r, err := http.NewRequestWithContext(ctx, method, target, sent)
	if err != nil {
		return Answer{}, err
	}
	if sent != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := Answer{Status: resp.StatusCode, Header: resp.Header}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		return a, err
	}
	var envelope struct {
		Data  json.RawMessage
		Error map[string]any
	}
	if json.Unmarshal(a.Body, &envelope) == nil {
		a.Error = envelope.Error
		_ = json.Unmarshal(envelope.Data, &a.Data)
		_ = json.Unmarshal(envelope.Data, &a.List)
	}
	return a, nil
}

// Deploy deploys the specification's offer with a public key and returns the deployment's id.
func (s *Server) Deploy(key, name, publicKey string) string {
	s.t.Helper()
	a := s.Call(key, "POST", "/deployments", map[string]any{
		"provider": "voltage-park", "offerId": "off_abc123", "gpuType": "NVIDIA B200", "gpuCount": 8,
		"region":          "dallas-usa-5",
		"operatingSystem": "Ubuntu 22.04", "instanceType": "BARE_METAL", "ssh_public_key": publicKey, "name": name,
	})
	if a.Status != http.StatusCreated {
		s.t.Fatalf("deploy: %d %s", a.Status, a.Body)
	}
	return a.Data["id"].(string)
}

// Await long-polls until the deployment has the status, and returns it.
func (s *Server) Await(key, deployment, status string) map[string]any {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		a := s.Call(key, "GET", "/deployments/"+deployment+"?timeoutSeconds=10&waitFor="+status, nil)
		if a.Data["status"] == status {
			return a.Data
		}
		if a.Status != http.StatusOK || time.Now().After(deadline) {
			s.t.Fatalf("%s is not %s: %d %s\n%s", deployment, status, a.Status, a.Body, s.log)
		}
	}
}

// Running advances the clock until the deployment runs, and returns it.
func (s *Server) Running(key, deployment string) map[string]any {
	s.t.Helper()
	s.Advance("10s")
	return s.Await(key, deployment, "running")
}

// Use makes further calls with another client, such as one that trusts the server's certificate.
func (s *Server) Use(client *http.Client) { s.client = client }

// Until waits until the condition holds.
func (s *Server) Until(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !holds(); {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("waited in vain: %s\n%s", what, s.log)
		}
	}
}

// AwaitLog waits until the log has the text.
func (s *Server) AwaitLog(text string) {
	s.t.Helper()
	s.Until("the log has "+text, func() bool { return strings.Contains(s.Log(), text) })
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
