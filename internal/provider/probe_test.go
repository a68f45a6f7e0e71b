package provider_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

func TestDialSSH_RefusesPrivateAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	reached := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			_, _ = fmt.Fprint(c, "SSH-2.0-x\r\n")
			_ = c.Close()
		}
	}()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "10.255.255.1", "169.254.169.254"} {
		at := provider.Endpoint{Address: net.JoinHostPort(host, port)}
		if _, err := provider.ProbeSSH(t.Context(), at); !errors.Is(err, provider.ErrPrivateAddress) {
			t.Errorf("%s: %v", host, err)
		}
		if _, err := provider.DialSSH(t.Context(), at, net.Dialer{}); !errors.Is(err, provider.ErrPrivateAddress) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if len(reached) > 0 {
		t.Error("a private address was connected to")
	}
	if _, err := provider.ProbeSSH(
		t.Context(), provider.Endpoint{Address: "127.0.0.1:" + port, Private: true},
	); err != nil {
		t.Errorf("where it is allowed: %v", err)
	}
}

// OpenSSH is the judge: its server takes the key that we made, and ssh-keyscan sees the one that we
// see.
func TestNewHostKey_WorksWithOpenSSH(t *testing.T) {
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		t.Fatalf("openssh-server is not installed: %v", err)
	}
	key, err := provider.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	port := ""
	for port == "" { // below those that the system gives to sockets that ask for any
		some := strconv.Itoa(10_000 + rand.IntN(20_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+some); err == nil {
			_ = l.Close()
			port = some
		}
	}
	file := filepath.Join(t.TempDir(), "host_key")
	if err := os.WriteFile(file, []byte(key.Private), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		_ = os.MkdirAll("/run/sshd", 0o755) // where it locks itself up, which no service has made
	}
	server := exec.CommandContext(
		t.Context(), sshd, "-D", "-e", "-f", "/dev/null", "-h", file, "-p", port, "-o", "ListenAddress=127.0.0.1", "-o",
		"PidFile=none",
	)
	var said strings.Builder
	server.Stderr = &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	at := provider.Endpoint{Address: "127.0.0.1:" + port, Private: true, WantKey: true}
	shown := ""
	for ctx, cancel := context.WithTimeout(t.Context(), time.Minute); ; {
		defer cancel()
		if shown, err = provider.ProbeSSH(ctx, at); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil || shown != key.Public {
		t.Fatalf("shown %q, %v; given %q\n%s", shown, err, key.Public, said.String())
	}
	out, err := exec.CommandContext(t.Context(), "ssh-keyscan", "-t", "ed25519", "-p", port, "127.0.0.1").Output()
	if err != nil || !strings.Contains(string(out), key.Public) {
		t.Errorf("ssh-keyscan: %v\n%s", err, out)
	}
}
