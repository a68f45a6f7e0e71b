package mail_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// smtpServer is a mail server whose answers a test chooses.
type smtpServer struct {
	t    *testing.T
	l    net.Listener
	tls  *tls.Config
	pool *x509.CertPool

	mu      sync.Mutex
	answers map[string]string // by command, such as "RCPT": what is answered in place of success
	offers  []string          // extensions
	implied bool              // TLS from the start
	taken   []string          // mails
	to      []string          // their recipients
	conns   []net.Conn
	hangs   chan struct{} // a client waits for an answer that is "hang"
}

func newSMTPServer(t *testing.T, offers ...string) *smtpServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smtpServer{t: t, l: l, answers: map[string]string{}, offers: offers, hangs: make(chan struct{}, 100)}
	s.certificate()
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			served.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		served.Wait()
	})
	return s
}

func (s *smtpServer) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "smtp"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	s.pool = x509.NewCertPool()
	s.pool.AddCert(parsed)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (s *smtpServer) port() int { return s.l.Addr().(*net.TCPAddr).Port }

// answer chooses the answer to a command: "" for success, "hang" for none.
func (s *smtpServer) answer(command, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[command] = text
}

func (s *smtpServer) got() (mails, recipients []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.taken...), append([]string(nil), s.to...)
}

// take reads a mail to its end and keeps it, unless it is to be refused.
func (s *smtpServer) take(r *bufio.Reader, to string) {
	var text strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(line)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answers["."] == "" {
		s.taken, s.to = append(s.taken, text.String()), append(s.to, to)
	}
}

// serve answers one connection.
func (s *smtpServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	if s.implied {
		c = tls.Server(c, s.tls)
	}
	r := bufio.NewReader(c)
	reply := func(command, otherwise string) bool {
		s.mu.Lock()
		text := s.answers[command]
		s.mu.Unlock()
		switch text {
		case "hang":
			s.hangs <- struct{}{}
			_, _ = r.ReadByte() // until the client gives up
			return false
		case "drip": // no end of a line that goes on
			for {
				if _, err := c.Write([]byte("2")); err != nil {
					return false
				}
				time.Sleep(10 * time.Millisecond)
			}
		case "":
			text = otherwise
		}
		_, err := fmt.Fprint(c, text+"\r\n")
		return err == nil
	}
	if !reply("greeting", "220 ready") {
		return
	}
	to := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		command, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		open := true
		switch command = strings.ToUpper(command); command {
		case "EHLO":
			text := "250-hello"
			for _, o := range s.offers {
				text += "\r\n250-" + o
			}
			open = reply(command, text+"\r\n250 8BITMIME")
		case "STARTTLS":
			if open = reply(command, "220 go ahead"); open {
				c = tls.Server(c, s.tls)
				r = bufio.NewReader(c)
			}
		case "AUTH":
			open = reply(command, "235 welcome")
		case "RCPT":
			to = rest
			open = reply(command, "250 ok")
		case "DATA":
			if open = reply(command, "354 go ahead"); !open {
				break
			}
			s.take(r, to)
			open = reply(".", "250 taken")
		case "QUIT":
			reply(command, "221 bye")
			return
		default:
			open = reply(command, "250 ok")
		}
		if !open {
			return
		}
	}
}
