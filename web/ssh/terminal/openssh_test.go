package terminal_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/web/ssh/terminal"
	"golang.org/x/crypto/ssh"
)

// sshd is a real OpenSSH server, in which the current user logs in.
type sshd struct {
	machine
	user, private string
	// sockets is where tmux has its sockets there.
	sockets string
}

// newSSHD starts an sshd with more lines of configuration. Its shells have an empty home: what the
// user's own start scripts do, and how long that takes, is no part of the test.
func newSSHD(t *testing.T, lines ...string) sshd {
	t.Helper()
	for _, program := range []string{"/usr/sbin/sshd", "tmux"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is missing; scripts/need.sh installs it", program)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sshd") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	private, public := generateKey(t)
	_, host, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(host, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(host)
	if err != nil {
		t.Fatal(err)
	}
	s := sshd{user: me.Username, private: private, sockets: dir}
	environment := []string{"HOME=" + dir, "TMUX_TMPDIR=" + dir}
	lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		more, is := strings.CutPrefix(line, "SetEnv ")
		if is {
			environment = append(environment, more)
		}
		return is
	})
	s.lines = []string{"x " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))}
	// The port is free when sshd is started; another process may take it until then.
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.address = l.Addr().String()
		_ = l.Close()
		_, port, _ := net.SplitHostPort(s.address)
		// The first line with a name counts.
		config := append(slices.Clone(lines), "SetEnv "+strings.Join(environment, " "),
			"Port "+port, "ListenAddress 127.0.0.1", "PidFile none", "UsePAM no", "StrictModes no",
			"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
			"HostKey "+write("host", string(pem.EncodeToMemory(block))),
			"AuthorizedKeysFile "+write("authorized", public+"\n"),
		)
		cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", write("config", strings.Join(config, "\n")+"\n"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		if s.answers() {
			return s
		}
	}
	t.Fatal("sshd did not start")
	return s
}

// answers waits until the server greets.
func (s sshd) answers() bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		greeting := make([]byte, 8)
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = c.Read(greeting)
		_ = c.Close()
		return err == nil && string(greeting) == "SSH-2.0-"
	}
	return false
}

// open opens a session, in the shell of that name where it has one. The connection is returned, so
// that it can break off.
func (s sshd) open(t *testing.T, h *recorder, keep string) (*terminal.Session, net.Conn) {
	t.Helper()
	conn := s.dial(t)
	c := h.config(s.private, "", s.lines)
	c.User, c.Keep = s.user, keep
	session, err := terminal.Open(conn, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = session.Close()
		if keep != "" {
			kill := exec.Command("tmux", "-L", keep, "kill-server")
			kill.Env = append(os.Environ(), "TMUX_TMPDIR="+s.sockets)
			_ = kill.Run()
		}
	})
	return session, conn
}

func (h *recorder) opened(t *testing.T) terminal.Status {
	t.Helper()
	last := h.reached[len(h.reached)-1]
	if last.Phase != terminal.PhaseOpen {
		t.Fatalf("last status = %+v, want phase open", last)
	}
	return last
}

func say(t *testing.T, s *terminal.Session, text string) {
	t.Helper()
	if _, err := s.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func ended(t *testing.T, s *terminal.Session) terminal.End {
	t.Helper()
	end := make(chan terminal.End, 1)
	go func() { end <- s.Wait() }()
	select {
	case how := <-end:
		return how
	case <-time.After(outputTimeout):
		t.Fatal("the session did not end")
		return terminal.End{}
	}
}

// A connection that breaks off leaves the shell as it was, and the next one gets it back with
// everything that it printed.
func TestSession_ContinuesKeptShell(t *testing.T) {
	t.Parallel()
	s := newSSHD(t)
	first := &recorder{}
	shell, conn := s.open(t, first, "billet-test1")
	if got := first.opened(t); !got.Kept || got.Resumed {
		t.Fatalf("first status = %+v, want kept and not resumed", got)
	}
	say(t, shell, "WHO=me; for i in $(seq 1 200); do echo line-$i-$((i*7)); done; echo done-$((6*7))\n")
	first.until(t, "done-42")
	say(t, shell, "echo inside [$TMUX]; tmux -L billet-inner new-session -d 'exit' && echo nested-$((5*5))\n")
	first.until(t, "nested-25")
	first.until(t, "inside []")
	_ = conn.Close()
	if end := ended(t, shell); end.Exited {
		t.Errorf("end = %+v of a broken connection, want no exit", end)
	}

	second := &recorder{}
	shell, _ = s.open(t, second, "billet-test1")
	if got := second.opened(t); !got.Kept || !got.Resumed {
		t.Fatalf("second status = %+v, want kept and resumed", got)
	}
	second.until(t, "line-1-7\r\n")
	second.until(t, "line-200-1400")
	say(t, shell, "echo it-is-$WHO\n")
	second.until(t, "it-is-me")

	// The same shell in another tab: the first one is told.
	third := &recorder{}
	other, _ := s.open(t, third, "billet-test1")
	if end := ended(t, shell); end.Exited || !strings.Contains(end.Message, "another tab") {
		t.Errorf("end = %+v of a shell that was taken over, want the reason", end)
	}
	say(t, other, "exit\n")
	if end := ended(t, other); !end.Exited || end.Status != 0 {
		t.Errorf("end = %+v after exit, want status 0", end)
	}
	fourth := &recorder{}
	s.open(t, fourth, "billet-test1")
	if got := fourth.opened(t); !got.Kept || got.Resumed {
		t.Errorf("status after exit = %+v, want a new shell", got)
	}
}

// Full-screen programs, colors and the size work in a kept shell as in a plain one.
func TestSession_KeptShellIsATerminal(t *testing.T) {
	t.Parallel()
	s, h := newSSHD(t), &recorder{}
	shell, _ := s.open(t, h, "billet-test2")
	// tmux may draw a line again, and ends it differently then.
	say(t, shell, "echo size-$(stty size | tr ' ' x) colors-$(tput colors) bytes-$(echo grüße | wc -c)-\n")
	h.until(t, "size-30x100 colors-256 bytes-8-")
	if err := shell.Resize(120, 40); err != nil {
		t.Fatal(err)
	}
	say(t, shell, `until [ "$(stty size)" = "40 120" ]; do sleep 0.1; done; echo resized-$((8*8))`+"\n")
	h.until(t, "resized-64")
}

func TestSession_PlainShell(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, keep string
		lines      []string
	}{
		{"without a name", "", nil},
		{"with a name that a shell could misread", "a'; touch /tmp/x; '", nil},
		{"without tmux", "billet-test3", []string{"SetEnv PATH=/nowhere"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, h := newSSHD(t, c.lines...), &recorder{}
			shell, _ := s.open(t, h, c.keep)
			if got := h.opened(t); got.Kept || got.Resumed {
				t.Fatalf("status = %+v, want a plain shell", got)
			}
			say(t, shell, "echo plain-$((9*9))\n")
			h.until(t, "plain-81")
			say(t, shell, "exit 4\n")
			if got, want := ended(t, shell), (terminal.End{Exited: true, Status: 4}); got != want {
				t.Errorf("end = %+v, want %+v", got, want)
			}
		})
	}
}

// freezing is a connection on which nothing arrives any more once it is frozen.
type freezing struct {
	net.Conn
	frozen chan struct{}
}

func (f freezing) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	select {
	case <-f.frozen:
		if err == nil {
			return f.Read(p)
		}
	default:
	}
	return n, err
}

func TestSession_EndsWithoutSignOfLife(t *testing.T) {
	t.Parallel()
	private, public := generateKey(t)
	m, h := newMachine(t, public), &recorder{}
	conn := freezing{m.dial(t), make(chan struct{})}
	c := h.config(private, "", m.lines)
	c.KeepAlive = 5 * time.Millisecond
	s, err := terminal.Open(conn, c)
	if err != nil {
		t.Fatal(err)
	}
	say(t, s, "still here")
	h.until(t, "still here")
	close(conn.frozen)
	if end := ended(t, s); end.Exited || !end.Lost || end.Message == "" {
		t.Errorf("end = %+v of a machine that answers nothing, want lost", end)
	}
}

func TestSession_EndsWhenUnused(t *testing.T) {
	t.Parallel()
	private, public := generateKey(t)
	m, h := newMachine(t, public), &recorder{}
	c := h.config(private, "", m.lines)
	// The signs of life are no use.
	c.KeepAlive, c.Idle = 5*time.Millisecond, 100*time.Millisecond
	s, err := terminal.Open(m.dial(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if end := ended(t, s); end.Exited || end.Lost || !strings.Contains(end.Message, "inactivity") {
		t.Errorf("end = %+v of an unused session, want the reason", end)
	}
}

// files opens the files of a real server.
func (s sshd) files(t *testing.T) *terminal.Files {
	t.Helper()
	session, _ := s.open(t, &recorder{}, "")
	files, err := session.Files()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*outputTimeout)
	t.Cleanup(cancel)
	return ctx
}

func put(t *testing.T, file, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func names(l terminal.Listing) string {
	var out []string
	for _, e := range l.Entries {
		out = append(out, fmt.Sprintf("%s:%s", e.Name, e.Kind))
	}
	return strings.Join(out, " ")
}
