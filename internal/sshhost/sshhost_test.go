package sshhost_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/sshhost"
)

// sshd starts a real OpenSSH server, in which the current user logs in with the returned address.
// Its shells have an empty home: what the user's start scripts do is no part of the test.
func sshd(t *testing.T) sshhost.Address {
	t.Helper()
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
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	host, own := newKey(t), newKey(t)
	hostFile, ownFile := write("host", host.Private), write("authorized", own.Public+"\n")
	for range 5 { // another process may take the port
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := l.Addr().String()
		_ = l.Close()
		_, port, _ := net.SplitHostPort(at)
		cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", write("config", strings.Join([]string{
			"Port " + port, "ListenAddress 127.0.0.1", "PidFile none", "UsePAM no", "StrictModes no",
			"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
			"HostKey " + hostFile, "AuthorizedKeysFile " + ownFile, "SetEnv HOME=" + dir,
		}, "\n")+"\n"))
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		listens := false
		for !listens && said.Scan() { // until it listens, or ends
			listens = strings.Contains(said.Text(), "Server listening")
		}
		go func() { _, _ = io.Copy(io.Discard, out) }()
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		if listens {
			return sshhost.Address{Address: at, User: me.Username, HostKey: host.Public, Key: []byte(own.Private)}
		}
	}
	t.Fatal("sshd did not start")
	return sshhost.Address{}
}

func newKey(t *testing.T) provider.HostKey {
	t.Helper()
	k, err := provider.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// boot has the program in place of the agent.
func boot(program string) rackagent.Boot {
	section := func(text string) *io.SectionReader {
		return io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
	}
	return rackagent.Boot{
		Kernel: section(strings.Repeat("k", 3<<20)), Initrd: section(strings.Repeat("i", 5<<20+1)),
		Program: []byte(program),
	}
}

var parameters = rackagent.Parameters{
	URL: "https://192.0.2.250:8444", Pin: strings.Repeat("cd", 32), Token: "token-of-the-only-job",
	MAC: "3c:ec:ef:00:00:01", Address: netip.MustParsePrefix("192.0.2.1/24"),
}

func kind(t *testing.T, err error) sshhost.Kind {
	t.Helper()
	e, is := errors.AsType[*sshhost.Error](err)
	if !is {
		t.Fatalf("%v is no *Error", err)
	}
	return e.Kind
}

// OpenSSH and a shell get the agent, and what it starts, whole; the token is in no file.
func TestOpenSSHStartsTheAgent(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("without root, sudo would be needed")
	}
	at, record := sshd(t), filepath.Join(t.TempDir(), "record")
	h, err := sshhost.Open(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	program := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = kexec ] || exit 9\ncat >%s\necho %s\necho \"$0\" >%s.name\n",
		record, rackagent.Loaded, record)
	if err := h.Start(t.Context(), boot(program), parameters); err != nil {
		t.Fatal(err)
	}
	got, err := os.Open(record)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	r := bufio.NewReader(got)
	l, err := rackagent.ReadLoad(r)
	if err != nil || l.Kernel != 3<<20 || strings.Contains(l.CommandLine, parameters.Token) {
		t.Fatalf("%+v, %v", l, err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || int64(len(rest)) != l.Kernel+l.Initrd || !strings.Contains(string(rest), parameters.Token) {
		t.Errorf("%d bytes of %+v, %v", len(rest), l, err)
	}
	name, err := os.ReadFile(record + ".name")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(strings.TrimSpace(string(name)))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy of the agent is left: %v", err)
	}
}

// What an agent that cannot be started says is shown to the operator.
func TestTheAgentCannotBeStarted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("without root, sudo would be needed")
	}
	at := sshd(t)
	for _, program := range []string{
		"#!/bin/sh\necho 'the kernel\trefuses' >&2\nexit 1\n", "not a program", "#!/bin/sh\nhead -c 99999 /dev/zero\n",
	} {
		h, err := sshhost.Open(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		err = h.Start(t.Context(), boot(program), parameters)
		if kind(t, err) != sshhost.KindFailed || len(err.Error()) > 500 ||
			strings.Contains(err.Error(), parameters.Token) {
			t.Errorf("%v", err)
		}
		h.Close()
	}
}

func TestOnlyThePinnedServerIsSignedInTo(t *testing.T) {
	at := sshd(t)
	other := at
	other.HostKey = newKey(t).Public
	if _, err := sshhost.Open(t.Context(), other); kind(t, err) != sshhost.KindRefused ||
		!strings.Contains(err.Error(), "another host key") || !sshhost.OtherHostKey(err) {
		t.Errorf("another host key: %v", err)
	}
	other.HostKey = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9" +
		"nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
	if _, err := sshhost.Open(t.Context(), other); kind(t, err) != sshhost.KindRefused {
		t.Errorf("a host key of another type: %v", err)
	}
	other = at
	other.Key = []byte(newKey(t).Private)
	if _, err := sshhost.Open(t.Context(), other); kind(t, err) != sshhost.KindRefused ||
		!strings.Contains(err.Error(), "does not accept") || sshhost.OtherHostKey(err) {
		t.Errorf("another key: %v", err)
	}
	for _, wrong := range []sshhost.Address{
		{Address: at.Address, User: at.User, HostKey: at.HostKey, Key: []byte("x")},
		{Address: at.Address, User: at.User, HostKey: "x", Key: at.Key},
	} {
		if _, err := sshhost.Open(t.Context(), wrong); kind(t, err) != sshhost.KindRefused {
			t.Errorf("%v", err)
		}
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := sshhost.Address{
		Address: l.Addr().String(), User: "root", HostKey: newKey(t).Public, Key: []byte(newKey(t).Private),
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("220 mail\r\n"))
			_ = c.Close()
		}
	}()
	if _, err := sshhost.Open(t.Context(), at); kind(t, err) != sshhost.KindUnreachable {
		t.Errorf("another service: %v", err)
	}
	_ = l.Close()
	if _, err := sshhost.Open(t.Context(), at); kind(t, err) != sshhost.KindUnreachable ||
		!strings.HasSuffix(err.Error(), at.Address+" does not answer: connect: connection refused") {
		t.Errorf("nothing: %v", err)
	}
	ended, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := sshhost.Open(ended, at); kind(t, err) != sshhost.KindUnreachable {
		t.Errorf("no time: %v", err)
	}
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		_ = d.InTx(t.Context(), func(ctx context.Context, _ *db.Tx) error {
			if _, err := sshhost.Open(ctx, at); err == nil || !strings.Contains(err.Error(), "transaction") {
				t.Errorf("in a transaction: %v", err)
			}
			return nil
		})
	})
}

// A server that prints without end is cut off, and one that ends the connection is unreachable.
func TestAServerThatMisbehaves(t *testing.T) {
	private := newKey(t)
	signer, err := ssh.ParsePrivateKey([]byte(private.Private))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		exec func(ssh.Channel)
		want sshhost.Kind
	}{
		"ends":  {func(c ssh.Channel) { _ = c.Close() }, sshhost.KindUnreachable},
		"talks": {func(c ssh.Channel) { fmt.Fprint(c, strings.Repeat("x", 1<<20)); exit(c) }, sshhost.KindFailed},
		"is Windows": {func(c ssh.Channel) {
			fmt.Fprint(c, "it is \x1b[31mWindows x86_64, not Linux x86_64;\nend\n")
			exit(c)
		}, sshhost.KindFailed},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go serve(l, signer, c.exec)
		h, err := sshhost.Open(t.Context(), sshhost.Address{
			Address: l.Addr().String(), User: "ops", HostKey: private.Public, Key: []byte(private.Private),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Check(t.Context()); kind(t, err) != c.want || strings.Contains(err.Error(), "\x1b") ||
			len(err.Error()) > 500 {
			t.Errorf("%s: %v", name, err)
		}
		h.Close()
		_ = l.Close()
	}
}

// A server that signs us in and then does not answer holds the caller only as long as that wants.
func TestAServerThatHangs(t *testing.T) {
	private := newKey(t)
	signer, err := ssh.ParsePrivateKey([]byte(private.Private))
	if err != nil {
		t.Fatal(err)
	}
	for name, use := range map[string]func(context.Context, *sshhost.Host) error{
		"check": func(ctx context.Context, h *sshhost.Host) error { return h.Check(ctx) },
		"start": func(ctx context.Context, h *sshhost.Host) error { return h.Start(ctx, boot("program"), parameters) },
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go serve(l, signer, func(ssh.Channel) { cancel() })
		signingIn, signedIn := context.WithCancel(t.Context())
		h, err := sshhost.Open(signingIn, sshhost.Address{
			Address: l.Addr().String(), User: "root", HostKey: private.Public, Key: []byte(private.Private),
		})
		signedIn()
		if err != nil {
			t.Fatal(err)
		}
		if err := use(ctx, h); ctx.Err() == nil || kind(t, err) != sshhost.KindUnreachable {
			t.Errorf("%s: %v", name, err)
		}
		h.Close()
		_ = l.Close()
	}
}

func exit(c ssh.Channel) {
	_, _ = c.SendRequest("exit-status", false, make([]byte, 4))
	_ = c.Close()
}

func serve(l net.Listener, key ssh.Signer, exec func(ssh.Channel)) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(key)
	_, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		s, requests, err := channel.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(true, nil)
				if r.Type == "exec" {
					go exec(s)
				}
			}
		}()
	}
}
