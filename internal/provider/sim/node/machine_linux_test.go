package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// patience bounds every wait for a real process; it is only reached when a test fails.
const patience = time.Minute

var lastAddress atomic.Uint32

// freshAddress is a loopback address that no other test of this process uses.
func freshAddress() netip.Addr {
	n := lastAddress.Add(1)
	return netip.AddrFrom4([4]byte{127, 77, byte(os.Getpid()), byte(n)})
}

type login struct {
	signer gossh.Signer
	line   string
	file   string // private key
}

func newLogin(t *testing.T) login {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return login{signer, strings.TrimSpace(string(gossh.MarshalAuthorizedKey(signer.PublicKey()))), file}
}

func testSpec(t *testing.T, l login) Spec {
	return Spec{
		Dir:            filepath.Join(t.TempDir(), "machine"),
		Hostname:       "Train Run #1",
		Address:        freshAddress(),
		AuthorizedKeys: []string{l.line},
		GPUs:           GPUs{Model: "NVIDIA B200", Count: 2, MemoryMB: 183359},
		OS:             "Ubuntu 22.04",
	}
}

// started starts a machine that ends with the test.
func started(t *testing.T, spec Spec) Endpoint {
	t.Helper()
	ctx := within(t)
	endpoint, err := Start(ctx, spec)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(spec.Dir, logFile))
		t.Fatalf("start: %v\n%s", err, log)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(spec.Dir, logFile))
			t.Logf("machine.log: %s", log)
		}
		if err := Remove(ctx, spec.Dir); err != nil {
			t.Errorf("remove: %v", err)
		}
	})
	return endpoint
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func clientConfig(t *testing.T, e Endpoint, auth ...gossh.AuthMethod) *gossh.ClientConfig {
	t.Helper()
	key, _, _, _, err := gossh.ParseAuthorizedKey([]byte(e.HostKeys[0]))
	if err != nil {
		t.Fatal(err)
	}
	return &gossh.ClientConfig{
		User:              User,
		Auth:              auth,
		HostKeyCallback:   gossh.FixedHostKey(key),
		HostKeyAlgorithms: []string{key.Type()},
		Timeout:           patience,
	}
}

func connect(t *testing.T, e Endpoint, l login) *gossh.Client {
	t.Helper()
	c, err := gossh.Dial("tcp", e.Address.String(), clientConfig(t, e, gossh.PublicKeys(l.signer)))
	if err != nil {
		t.Fatalf("log in: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

type result struct {
	out, err string
	code     int
	signal   string
}

func run(t *testing.T, c *gossh.Client, command string, stdin ...string) result {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out, stderr bytes.Buffer
	s.Stdout, s.Stderr = &out, &stderr
	if len(stdin) > 0 {
		s.Stdin = strings.NewReader(strings.Join(stdin, ""))
	}
	timer := time.AfterFunc(patience, func() { c.Close() })
	defer timer.Stop()
	err = s.Run(command)
	r := result{out: out.String(), err: stderr.String()}
	if exit, is := errors.AsType[*gossh.ExitError](err); is {
		r.code, r.signal = exit.ExitStatus(), exit.Signal()
	} else if err != nil {
		t.Fatalf("%s: %v (%s)", command, err, r.err)
	}
	return r
}

// must runs a command that has to succeed and returns its output without the last line end.
func must(t *testing.T, c *gossh.Client, command string, stdin ...string) string {
	t.Helper()
	r := run(t, c, command, stdin...)
	if r.code != 0 || r.signal != "" {
		t.Fatalf("%s: exit %d %s\n%s%s", command, r.code, r.signal, r.out, r.err)
	}
	return strings.TrimSuffix(r.out, "\n")
}

func TestOnlyTheKeyGetsIn(t *testing.T) {
	t.Parallel()
	good, second, bad := newLogin(t), newLogin(t), newLogin(t)
	spec := testSpec(t, good)
	spec.AuthorizedKeys = append(spec.AuthorizedKeys, second.line+" laptop")
	e := started(t, spec)
	for _, l := range []login{good, second} {
		if got := must(t, connect(t, e, l), "id -u"); got != "0" {
			t.Errorf("id -u = %q", got)
		}
	}
	refused := map[string]*gossh.ClientConfig{
		"wrong key": clientConfig(t, e, gossh.PublicKeys(bad.signer)),
		"password":  clientConfig(t, e, gossh.Password("root")),
		"interactive": clientConfig(
			t,
			e,
			gossh.KeyboardInteractive(
				func(_, _ string, q []string, _ []bool) ([]string, error) { return make([]string, len(q)), nil },
			),
		),
		"nothing":    clientConfig(t, e),
		"wrong user": clientConfig(t, e, gossh.PublicKeys(good.signer)),
	}
	refused["wrong user"].User = "ubuntu"
	for name, config := range refused {
		if c, err := gossh.Dial("tcp", e.Address.String(), config); err == nil {
			c.Close()
			t.Errorf("%s: got in", name)
		}
	}
	if want := e.KnownHosts(); !strings.Contains(want, e.Address.Addr().String()) ||
		!strings.Contains(want, "ssh-ed25519 ") {
		t.Errorf("known_hosts line %q", want)
	}
}

func TestExec(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	c := connect(t, started(t, testSpec(t, l)), l)

	if r := run(t, c, "echo out; echo err >&2; exit 7"); r != (result{"out\n", "err\n", 7, ""}) {
		t.Errorf("streams and exit status: %+v", r)
	}
	if r := run(t, c, "kill -TERM $$"); r.signal != "TERM" {
		t.Errorf("killed: %+v", r)
	}
	big := strings.Repeat("0123456789abcdef", 1<<16)
	if got := must(t, c, "cat", big); got != big {
		t.Errorf("echo of %d bytes returned as %d", len(big), len(got))
	}
	if got := must(t, c, "hostname; pwd; echo $HOME $USER; whoami"); got != "train-run-1\n/root\n/root root\nroot" {
		t.Errorf("surroundings: %q", got)
	}
	if got := must(t, c, "env | sort | cut -d= -f1 | tr '\\n' ' '"); strings.Contains(got, "GOGC") ||
		strings.Contains(got, "GOMAXPROCS") {
		t.Errorf("environment: %s", got)
	}

	// A signal sent through the connection reaches the command, and its trap's exit status comes
	// back.
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Setenv("LD_PRELOAD", "/tmp/x.so"); err == nil {
		t.Error("LD_PRELOAD was accepted")
	}
	if err := s.Setenv("LC_TIME", "C"); err != nil {
		t.Errorf("LC_TIME: %v", err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	const program = `trap 'exit 5' USR1; echo ready $LC_TIME; while :; do read -t 0.1 x </dev/zero; done`
	if err := s.Start(program); err != nil {
		t.Fatal(err)
	}
	if line := readUntil(t, out, "ready"); !strings.Contains(line, "ready C") {
		t.Errorf("got %q", line)
	}
	if err := s.Signal(gossh.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	err = s.Wait()
	if exit, is := errors.AsType[*gossh.ExitError](err); !is || exit.ExitStatus() != 5 {
		t.Errorf("after SIGUSR1: %v", err)
	}
}

// readUntil reads until the text has been seen and the line it is in has ended.
func readUntil(t *testing.T, r io.Reader, text string) string {
	t.Helper()
	found := make(chan string, 1)
	var seen bytes.Buffer
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			seen.Write(b[:n])
			if _, after, ok := strings.Cut(seen.String(), text); ok && strings.Contains(after, "\n") || err != nil {
				found <- seen.String()
				return
			}
		}
	}()
	select {
	case s := <-found:
		if !strings.Contains(s, text) {
			t.Fatalf("want %q, got %q", text, s)
		}
		return s
	case <-time.After(patience):
		t.Fatalf("waited in vain for %q", text)
		return ""
	}
}

func TestShellOnATerminal(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	c := connect(t, started(t, testSpec(t, l)), l)
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.RequestPty("xterm-256color", 24, 80, gossh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	say := func(line string) {
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	say(`echo "size $(stty size) $TERM on $(tty)" | tr a-z A-Z`)
	greeting := readUntil(t, out, "SIZE 24 80 XTERM-256COLOR ON /DEV/PTS/")
	for _, want := range []string{"SIMULATED machine", "2 x NVIDIA B200", "Ubuntu 22.04"} {
		if !strings.Contains(greeting, want) {
			t.Errorf("greeting lacks %q: %q", want, greeting)
		}
	}
	if err := s.WindowChange(50, 132); err != nil {
		t.Fatal(err)
	}
	say(`echo "now $(stty size)" | tr a-z A-Z`)
	readUntil(t, out, "NOW 50 132")
	say(`sleep 1000`)
	say("\x03") // the terminal makes a signal of it
	say(`sleep 1000 & exit 3`)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	err = s.Wait()
	if exit, is := errors.AsType[*gossh.ExitError](err); !is || exit.ExitStatus() != 3 {
		t.Errorf("exit of the shell: %v", err)
	}
}

func TestForwarding(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	c := connect(t, started(t, testSpec(t, l)), l)

	// Remote: a port inside leads to us. Local: the same port is reached from outside through the
	// connection.
	inside, err := c.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			from, err := inside.Accept()
			if err != nil {
				return
			}
			go func() {
				b, _ := io.ReadAll(from)
				_, _ = from.Write(bytes.ToUpper(b))
				from.Close()
			}()
		}
	}()
	port := inside.Addr().(*net.TCPAddr).Port
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if got := must(t, c, "exec 3<>/dev/tcp/127.0.0.1/"+strconv.Itoa(port)+"; printf hi >&3; echo ok"); got != "ok" {
		t.Errorf("from inside: %q", got)
	}
	through, err := c.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(through, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := through.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(through); err != nil || string(b) != "HELLO" {
		t.Errorf("echo through both: %q, %v", b, err)
	}
	if err := inside.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := c.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("the port is still open after its forwarding was cancelled")
	}
}

func TestLimitsAndHangUp(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	e := started(t, testSpec(t, l))
	c := connect(t, e, l)
	for i := range maxChannels {
		if _, err := c.NewSession(); err != nil {
			t.Fatalf("session %d: %v", i+1, err)
		}
	}
	_, err := c.NewSession()
	if refused, is := errors.AsType[*gossh.OpenChannelError](err); !is || refused.Reason != gossh.ResourceShortage {
		t.Errorf("one session too many: %v", err)
	}
	c.Close()

	// A command whose client goes away is hung up.
	c = connect(t, e, l)
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("trap 'echo bye > /root/hung-up; exit' HUP; echo ready; while :; do read -t 0.1 x " +
		"</dev/zero; done"); err != nil {
		t.Fatal(err)
	}
	readUntil(t, out, "ready")
	c.Close()
	c = connect(t, e, l)
	eventually(t, "the command to be hung up", func() bool { return run(t, c, "grep bye /root/hung-up").code == 0 })
}
