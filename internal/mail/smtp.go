package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/settings"
	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Step is a step of a dialogue with a mail server.
type Step string

// The steps, in order.
const (
	StepConnect   Step = "connect"
	StepTLS       Step = "tls"
	StepSignIn    Step = "sign_in"
	StepSender    Step = "sender"
	StepRecipient Step = "recipient"
	StepContent   Step = "content"
)

// Enum lists every step.
func (Step) Enum() []Step {
	return []Step{StepConnect, StepTLS, StepSignIn, StepSender, StepRecipient, StepContent}
}

// stepError is where and why a mail was not taken.
type stepError struct {
	step Step
	// code and enhanced are the server's status, such as 550 and "5.1.1"; 0 and "" if it did not
	// answer.
	code     int
	enhanced string
	err      error
}

func (e *stepError) Error() string { return string(e.step) + ": " + e.err.Error() }

func (e *stepError) Unwrap() error { return e.err }

// enhancedCode begins the text of most answers.
var enhancedCode = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

func failedAt(step Step, err error) error {
	if err == nil {
		return nil
	}
	e := &stepError{step: step, err: err}
	if answer, is := errors.AsType[*textproto.Error](err); is {
		e.code, e.enhanced = answer.Code, enhancedCode.FindString(answer.Msg)
	}
	return e
}

// fate is what follows from a failed attempt.
type fate int

const (
	// retry tries the mail again until its time is over.
	retry fate = iota
	// drop gives up the mail: the server does not take what it says.
	drop
	// bounce gives up the mail and suppresses the address, which does not exist.
	bounce
)

// noMailbox are the enhanced codes that say that the address gets no mail from any sender: RFC 3463
// and, for 5.1.10, RFC 7505.
var noMailbox = []string{"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"}

// fate returns what follows. Only a code about the mailbox says something about the recipient.
// Servers often refuse a wrong sender, greeting or sign-in only once they know the recipient, and
// some without an enhanced code. These are faults of the settings, which the operator can correct
// while the mail waits.
func (e *stepError) fate() fate {
	final := e.code/100 == 5
	switch {
	case final && e.step == StepRecipient && slices.Contains(noMailbox, e.enhanced):
		return bounce
	case final && e.step == StepContent:
		return drop
	}
	return retry
}

// explain describes the failure in one line. Texts of servers are cut and cleaned.
func (e *stepError) explain(timeout time.Duration) string {
	what := map[Step]string{
		StepConnect:   "The mail server could not be reached",
		StepTLS:       "The connection could not be encrypted",
		StepSignIn:    "The mail server refused the user or password",
		StepSender:    "The mail server refused the sender",
		StepRecipient: "The mail server refused the recipient",
		StepContent:   "The mail server refused the email",
	}[e.step]
	why := e.err.Error()
	if t, is := errors.AsType[net.Error](e.err); is && t.Timeout() {
		why = "no answer within " + timeout.String()
	}
	text := []rune(apierr.Visible(what + ": " + why))
	return string(text[:min(len(text), 300)])
}

// server is a mail server with what it takes to send by it.
type server struct {
	settings.Mail
	password string
	// roots are the trusted certificate authorities; nil for the machine's.
	roots *x509.CertPool
}

var errNoTLS = errors.New("the server does not offer STARTTLS")

// send sends one mail on a connection of its own. The whole dialogue, and not only each step of it,
// ends within the time-out.
func (s server) send(ctx context.Context, timeout time.Duration, m *gomail.Msg, to string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := s.dialogue(ctx, m, to)
	if e, is := errors.AsType[*stepError](err); is && e.code == 0 && ctx.Err() != nil {
		e.err = ctx.Err() // whatever the broken connection looked like
	}
	return err
}

func (s server) dialogue(ctx context.Context, m *gomail.Msg, to string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.FormatInt(s.Port, 10)))
	if err != nil {
		return failedAt(StepConnect, err)
	}
	defer func() { _ = conn.Close() }()
	// The library's calls know no context: closing the connection ends them.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	c, err := s.open(ctx, conn)
	if err != nil {
		return err
	}
	if err := c.Mail("<" + s.FromAddress + ">"); err != nil {
		return failedAt(StepSender, err)
	}
	if err := c.Rcpt("<" + to + ">"); err != nil {
		return failedAt(StepRecipient, err)
	}
	w, err := c.Data()
	if err != nil {
		return failedAt(StepContent, err)
	}
	if _, err := m.WriteTo(w); err != nil {
		return failedAt(StepContent, err)
	}
	if err := w.Close(); err != nil {
		return failedAt(StepContent, err)
	}
	_ = c.Quit() // the mail is taken
	return nil
}

// open greets the server, encrypts the connection and signs in.
func (s server) open(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	config := &tls.Config{ServerName: s.Host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	if s.TLS == settings.TLS {
		encrypted := tls.Client(conn, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, failedAt(StepTLS, err)
		}
		conn = encrypted
	}
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return nil, failedAt(StepConnect, err)
	}
	if err := c.Hello(domainOf(s.FromAddress)); err != nil {
		return nil, failedAt(StepConnect, err)
	}
	if s.TLS == settings.StartTLS {
		if offered, _ := c.Extension("STARTTLS"); !offered {
			return nil, failedAt(StepTLS, errNoTLS)
		}
		if err := c.StartTLS(config); err != nil {
			return nil, failedAt(StepTLS, err)
		}
	}
	if s.User == "" {
		return c, nil
	}
	auth, err := s.auth(c)
	if err == nil {
		err = c.Auth(auth)
	}
	return c, failedAt(StepSignIn, err)
}

// auth returns the strongest mechanism that the server offers. The settings allow none in the clear
// except on this machine.
func (s server) auth(c *smtp.Client) (smtp.Auth, error) {
	_, list := c.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(list))
	for _, m := range offered {
		if m == "SCRAM-SHA-256" {
			return smtp.ScramSHA256Auth(s.User, s.password), nil
		}
	}
	for _, m := range offered {
		switch m {
		case "PLAIN":
			return smtp.PlainAuth("", s.User, s.password, s.Host, true), nil
		case "LOGIN":
			return smtp.LoginAuth(s.User, s.password, s.Host, true), nil
		case "CRAM-MD5":
			return smtp.CRAMMD5Auth(s.User, s.password), nil
		}
	}
	return nil, fmt.Errorf("the server offers no mechanism of SCRAM-SHA-256, PLAIN, LOGIN and CRAM-MD5; it "+
		"offers %q", list)
}
