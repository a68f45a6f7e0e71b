package racktest

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"
)

// ConsoleUser and ConsolePassword are accepted by Console.
const (
	ConsoleUser     = "console"
	ConsolePassword = "serial-secret"
)

// Console starts the SSH server of a serial console on 127.0.0.1, until the test ends. The console
// greets with "login: " and repeats what is typed.
func Console(t testing.TB) (port int64, hostKey string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, b []byte) (*ssh.Permissions, error) {
		if c.User() != ConsoleUser || string(b) != ConsolePassword {
			return nil, errors.New("refused")
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveConsole(c, config)
		}
	}()
	return int64(l.Addr().(*net.TCPAddr).Port), string(ssh.MarshalAuthorizedKey(signer.PublicKey()))
}

func serveConsole(c net.Conn, config *ssh.ServerConfig) {
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
			}
		}()
		go func() {
			_, _ = io.WriteString(channel, "login: ")
			_, _ = io.Copy(channel, channel)
		}()
	}
}
