package bmc

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func newSigner(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func line(key ssh.PublicKey) string { return string(ssh.MarshalAuthorizedKey(key)) }

// fakeConsole is a BMC's SSH that accepts one password, and repeats what is typed, in upper case.
func fakeConsole(t *testing.T, asks bool) (at ConsoleAddress, started chan string) {
	t.Helper()
	host, _ := newSigner(t)
	check := func(c ssh.ConnMetadata, password string) (*ssh.Permissions, error) {
		if c.User() == "tenant" && password == "secret" {
			return nil, nil
		}
		return nil, io.EOF
	}
	config := &ssh.ServerConfig{}
	if asks {
		config.KeyboardInteractiveCallback = func(
			c ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge,
		) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil || len(answers) != 1 {
				return nil, io.EOF
			}
			return check(c, answers[0])
		}
	} else {
		config.PasswordCallback = func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			return check(c, string(password))
		}
	}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	started = make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveConsole(c, config, started)
		}
	}()
	return ConsoleAddress{
		Kind: ConsoleOpenBMC, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: "tenant",
		Password: "secret", HostKey: line(host.PublicKey()),
	}, started
}

func serveConsole(c net.Conn, config *ssh.ServerConfig, started chan<- string) {
	_, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		_ = c.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	for asked := range channels {
		channel, requests, err := asked.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(true, nil)
				if r.Type == "shell" || r.Type == "exec" {
					started <- strings.TrimSpace(r.Type + " " + string(r.Payload[min(4, len(r.Payload)):]))
					go func() {
						b := make([]byte, 100)
						for {
							n, err := channel.Read(b)
							if err != nil {
								return
							}
							_, _ = io.WriteString(channel, strings.ToUpper(string(b[:n])))
						}
					}()
				}
			}
		}()
	}
}

// says reads so many bytes.
func says(t *testing.T, c io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("got %q, %v, want %q", b, err, want)
	}
}

func TestConsole(t *testing.T) {
	for kind, want := range map[ConsoleKind]string{
		ConsoleOpenBMC: "shell", ConsoleIDRAC: "exec console com2", ConsoleILO: "exec vsp",
	} {
		for _, asks := range []bool{false, true} {
			at, started := fakeConsole(t, asks)
			at.Kind = kind
			c, err := OpenConsole(t.Context(), at)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if got := <-started; got != want {
				t.Errorf("%s: the BMC was asked for %q, want %q", kind, got, want)
			}
			if _, err := io.WriteString(c, "hello"); err != nil {
				t.Error(err)
			}
			says(t, c, "HELLO")
			if err := c.Close(); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: a closed console has output", kind)
			}
		}
	}
}

func TestConsoleRefusesWhatIsNotTheBMC(t *testing.T) {
	at, _ := fakeConsole(t, false)
	other, _ := newSigner(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		change func(a *ConsoleAddress)
		kind   Kind
	}{
		"another host key": {
			t.Context(), func(a *ConsoleAddress) { a.HostKey = line(other.PublicKey()) }, KindUnauthorized,
		},
		"a host key of another type": {
			t.Context(), func(a *ConsoleAddress) { a.HostKey = rsaLine }, KindUnauthorized,
		},
		"no host key":      {t.Context(), func(a *ConsoleAddress) { a.HostKey = "" }, KindRejected},
		"another password": {t.Context(), func(a *ConsoleAddress) { a.Password = "x" }, KindUnauthorized},
		"off":              {t.Context(), func(a *ConsoleAddress) { a.Kind = ConsoleOff }, KindUnsupported},
		"another port":     {t.Context(), func(a *ConsoleAddress) { a.Port = 1 }, KindUnreachable},
		"too late":         {ended, func(*ConsoleAddress) {}, KindUnreachable},
	} {
		a := at
		c.change(&a)
		_, err := OpenConsole(c.ctx, a)
		if err == nil || KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %s", name, err, c.kind)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is in %v", name, err)
		}
	}
}

const rsaLine = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDC7D1sKFu2oQAvM7pTUcmYtw5yW0fDkQVPsbRBc5ey3uGHJQ5G1WdMzUE0Wk" +
	"8hQ4GfGYq9X5tUQ2oY2aDkqE8yM0u1Wc0HfUcdWlZ3W0o0mXwDk6VY0m9xQxkMZ5nJ1CdUOJ0x6F1kq2v8r9s7Qx0c2mJ9d3yq5hT1Lw2z" +
	"1uJZQQ=="

// What is typed must not bring a tenant to the BMC's own command line.
func TestTypedNeverLeavesTheConsole(t *testing.T) {
	for _, c := range []struct {
		kind       ConsoleKind
		typed, got []string
	}{
		{ConsoleOpenBMC, []string{"\x1c\x1b("}, []string{"\x1c\x1b("}},
		{ConsoleIDRAC, []string{"a\x1cb", "\x1c", "\x1b("}, []string{"ab", "\x1b("}},
		{ConsoleILO, []string{"a\x1b(b", "\x1c"}, []string{"a\x1bb", "\x1c"}},
		{ConsoleILO, []string{"\x1b", "(", "((", "x(", "\x1b[A"}, []string{"\x1b", "x(", "\x1b[A"}},
		{ConsoleILO, []string{"\x1b\x1b", "("}, []string{"\x1b\x1b"}},
	} {
		var got []string
		w := &typed{leave: consoles[c.kind].leave, to: writerFunc(func(b []byte) (int, error) {
			got = append(got, string(b))
			return len(b), nil
		})}
		for _, text := range c.typed {
			if n, err := io.WriteString(w, text); n != len(text) || err != nil {
				t.Errorf("%q: %d, %v", text, n, err)
			}
		}
		if strings.Join(got, "|") != strings.Join(c.got, "|") {
			t.Errorf("%s: of %q the BMC got %q, want %q", c.kind, c.typed, got, c.got)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// An OpenSSH server whose command stands in for the console is another project's end of it.
func TestConsoleOfOpenSSH(t *testing.T) {
	if _, err := exec.LookPath("/usr/sbin/sshd"); err != nil {
		t.Skip("/usr/sbin/sshd is missing; scripts/need.sh installs it")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, text []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	host, private := newSigner(t)
	mine, _ := newSigner(t)
	config := write("config", []byte("HostKey "+write("host", private)+"\nAuthorizedKeysFile "+
		write("keys", []byte(line(mine.PublicKey())))+"\nStrictModes no\nPidFile none\nUsePAM no\n"+
		"SetEnv HOME="+dir+"\n"+ // the shell reads no file of the user's
		"ForceCommand printf 'login: '; stty raw -echo; head -c 4 | tr a-z A-Z; echo ${SSH_ORIGINAL_COMMAND:-none}\n"))
	// In inetd mode a port is never free for another process.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go inetd(c, config)
		}
	}()
	a := ConsoleAddress{
		Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: me.Username, HostKey: line(host.PublicKey()),
		Timeout: patience,
	}
	for kind, command := range map[ConsoleKind]string{ConsoleOpenBMC: "none", ConsoleILO: "vsp"} {
		a.Kind = kind
		c, err := openConsole(t.Context(), a, ssh.PublicKeys(mine))
		if err != nil {
			t.Fatal(err)
		}
		// The user's shell may have something to say first.
		for seen := ""; !strings.HasSuffix(seen, "login: "); {
			b := make([]byte, 1)
			if _, err := io.ReadFull(c, b); err != nil {
				t.Fatalf("after %q: %v", seen, err)
			}
			seen += string(b)
		}
		if _, err := io.WriteString(c, "root"); err != nil {
			t.Fatal(err)
		}
		rest, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || strings.TrimSpace(rest) != "ROOT"+command {
			t.Errorf("%s: %q, %v", strconv.Quote(string(kind)), rest, err)
		}
		// The command has ended, and so has the console: there is no shell behind it.
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: %d, %v, want the end", kind, n, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// inetd serves one connection by sshd.
func inetd(c net.Conn, config string) {
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return
	}
	defer f.Close()
	cmd := exec.Command("/usr/sbin/sshd", "-i", "-e", "-f", config)
	cmd.Stdin, cmd.Stdout = f, f
	_ = cmd.Run()
}
