package mail_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/settings"
)

// world is an account with members and a mail server.
type world struct {
	*mail.Service
	t        *testing.T
	d        *db.DB
	clock    *clock.Simulated
	ids      *id.Maker
	accounts *account.Service
	settings *settings.Service
	events   *event.Service
	runner   *job.Runner
	server   *smtpServer
	log      *strings.Builder
	account  id.ID
	silent   *mail.Service // the same with a short time-out
}

func newWorld(t *testing.T, d *db.DB, c *clock.Simulated, offers ...string) *world {
	t.Helper()
	w := &world{t: t, d: d, clock: c, ids: id.NewMaker(c, rand.Reader), log: &strings.Builder{}}
	secrets, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.accounts = account.New(account.Config{
		DB: d, IDs: w.ids, Rand: rand.Reader, Clock: c, Real: time.Now, Secrets: secrets, CheapPasswords: true,
	})
	// The settings are never cached: each reading is an hour after the one before.
	var read atomic.Int64
	w.settings = settings.New(settings.Config{DB: d, Secrets: secrets, Real: func() time.Time {
		return dbtest.Start.Add(time.Duration(read.Add(1)) * time.Hour)
	}})
	jobs := job.NewQueue(w.ids)
	w.events = event.New(w.ids)
	w.server = newSMTPServer(t, offers...)
	w.Service = mail.New(mail.Config{
		DB: d, IDs: w.ids, Clock: c, Log: slog.New(slog.NewTextHandler(w.log, nil)), Settings: w.settings,
		Accounts: w.accounts, Jobs: jobs, Secrets: secrets, Chance: func() float64 { return 0.5 },
		PublicURL: &url.URL{Scheme: "https", Host: "gpu.example.com"}, Roots: w.server.pool,
	})
	w.events.OnEvents(w.EnqueueForEvents)
	w.silent = w.withTimeout(secrets, jobs)
	w.runner = job.NewRunner(job.Config{
		DB: d, Queue: jobs, Clock: c, Real: db.Time, Log: slog.New(slog.DiscardHandler), Workers: 1,
	})
	w.runner.Handle(mail.KindSend, w.Send)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		a, err := w.accounts.Create(ctx, tx, "Vision <lab>")
		w.account = a.ID
		return err
	})
	return w
}

func (w *world) withTimeout(secrets *secret.Box, jobs *job.Queue) *mail.Service {
	return mail.New(mail.Config{
		DB: w.d, IDs: w.ids, Clock: w.clock, Log: slog.New(slog.DiscardHandler), Settings: w.settings,
		Accounts: w.accounts, Jobs: jobs, Secrets: secrets, Chance: func() float64 { return 0.5 },
		Timeout: 500 * time.Millisecond,
	})
}

func (w *world) tx(f func(ctx context.Context, tx *db.Tx) error) {
	w.t.Helper()
	if err := w.d.InTx(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

// set sets the mail server up, and what the assignments say.
func (w *world) set(assignments ...string) {
	w.t.Helper()
	c, err := settings.Assign(append([]string{
		"mail.host=127.0.0.1", fmt.Sprint("mail.port=", w.server.port()), "mail.tls=none",
		"mail.fromAddress=no-reply@example.com",
	}, assignments...))
	if err != nil {
		w.t.Fatal(err)
	}
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.settings.Update(ctx, tx, c)
		return err
	})
}

func (w *world) user(role account.Role, email string) account.User {
	w.t.Helper()
	n, err := w.accounts.Prepare(w.t.Context(), account.UserRequest{Email: email, Password: "correct horse battery"})
	if err != nil {
		w.t.Fatal(err)
	}
	var u account.User
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		u, err = w.accounts.CreateUser(ctx, tx, n, w.account, role)
		return err
	})
	return u
}

func (w *world) enqueue(all ...mail.Message) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *db.Tx) error { return w.Enqueue(ctx, tx, all...) })
}

func (w *world) drain() {
	w.t.Helper()
	if err := w.runner.Drain(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	// With more mails than senders, some wait.
	waits := func(m mail.Mail) bool { return m.State == mail.Pending && m.Attempts == 0 }
	for slices.ContainsFunc(w.list(), waits) {
		w.clock.Advance(time.Second)
		if err := w.runner.Drain(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// list returns all mails, oldest first.
func (w *world) list() []mail.Mail {
	w.t.Helper()
	all, _, err := w.List(w.t.Context(), w.d, "", db.Page{Number: 1, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

func (w *world) only() mail.Mail {
	w.t.Helper()
	all := w.list()
	if len(all) != 1 {
		w.t.Fatalf("%d mails: %+v", len(all), all)
	}
	return all[0]
}

func reset(to string) mail.Message {
	return mail.Message{
		Kind: mail.PasswordReset, Cause: "req_1", To: to, Link: "https://gpu.example.com/reset#token-of-the-link",
		Data: map[string]string{"expiresAt": "tomorrow"},
	}
}

func TestService_Send(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		w.set(
			"installation.name=Example Cloud",
			"installation.supportAddress=help@example.com",
			"mail.replyTo=help@example.com",
		)
		w.enqueue(reset("ada@example.com"))
		var kept string
		if err := d.QueryRow(t.Context(), `SELECT data FROM mail`).Scan(&kept); err != nil ||
			strings.Contains(kept, "token-of-the-link") {
			t.Errorf("the link is not sealed: %q, %v", kept, err)
		}
		w.drain()
		mails, to := w.server.got()
		if len(mails) != 1 || to[0] != "TO:<ada@example.com>" {
			t.Fatalf("%q to %q", mails, to)
		}
		for _, want := range []string{
			"Subject: Set a new password\r\n", "From: \"Example Cloud\" " +
				"<no-reply@example.com>\r\n", "To: <ada@example.com>\r\n",
			"Reply-To: <help@example.com>\r\n", "Message-ID: <" + string(w.only().ID) + "@example.com>\r\n",
			"Auto-Submitted: auto-generated\r\n", "multipart/alternative", "token-of-the-link", "text/html",
		} {
			if !strings.Contains(mails[0], want) {
				t.Errorf("no %q in:\n%s", want, mails[0])
			}
		}
		m := w.only()
		if m.State != mail.Sent || m.Attempts != 1 || m.SentAt == nil {
			t.Errorf("%+v", m)
		}
		if err := d.QueryRow(t.Context(), `SELECT data FROM mail`).Scan(&kept); err != nil || kept != "" {
			t.Errorf("what was sent is kept: %q, %v", kept, err)
		}
		for _, mailID := range []id.ID{m.ID, "eml_none"} { // a job that runs again
			if next, err := w.Send(t.Context(), mailID); err != nil || next != job.Done() {
				t.Errorf("%s again: %v, %v", mailID, next, err)
			}
		}
		if mails, _ := w.server.got(); len(mails) != 1 {
			t.Errorf("%d mails, want that nothing is sent again", len(mails))
		}
	})
}

func TestAnyNameOfTheSender(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	w := newWorld(t, dbtest.SQLite(t, c), c)
	for i, name := range []string{`19" Racks`, `Foo\`, `A <b@c.example>, D`, "Zürich Räcks"} {
		w.set("mail.fromName=" + name)
		m := reset("ada@example.com")
		m.Cause = fmt.Sprint("req_", i)
		w.enqueue(m)
		w.drain()
		mails, _ := w.server.got()
		if len(mails) != i+1 {
			t.Fatalf("%s: %+v", name, w.list())
		}
		parsed, err := netmail.ReadMessage(strings.NewReader(mails[i]))
		if err != nil {
			t.Fatal(err)
		}
		from, err := parsed.Header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Name != name || from[0].Address != "no-reply@example.com" {
			t.Errorf("%s: %v, %v", name, from, err)
		}
	}
}

func TestOneMailForOneCause(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		w.set()
		for range 3 {
			w.enqueue(reset("ada@example.com"), reset("bob@example.com"))
			w.drain()
		}
		if mails, _ := w.server.got(); len(mails) != 2 {
			t.Errorf("%d mails were sent", len(mails))
		}
	})
}

// Many sign-ups take one turn of the jobs, not one for each mail.
func TestMailsWithoutAccountShareAnOwner(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	w := newWorld(t, dbtest.SQLite(t, c), c)
	w.set()
	w.enqueue(reset("ada@example.com"), reset("bob@example.com"))
	var owners string
	if err := w.d.QueryRow(t.Context(), `SELECT MIN(owner) || ' ' || MAX(owner) FROM job`).Scan(&owners); err != nil ||
		owners != "mail mail" {
		t.Errorf("the owners are %q, %v", owners, err)
	}
}

func TestRolledBackCauseSendsNothing(t *testing.T) {
	d, c := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)), clock.NewFrozen(dbtest.Start)
	w := newWorld(t, d, c)
	w.set()
	undone := fmt.Errorf("undone")
	err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		if err := w.Enqueue(ctx, tx, reset("ada@example.com")); err != nil {
			return err
		}
		return undone
	})
	w.drain()
	if mails, _ := w.server.got(); err != undone || len(mails) != 0 || len(w.list()) != 0 {
		t.Errorf("%d mails, %v", len(mails), err)
	}
}

// Without a mail server no mail waits for one, and what concerns security is in the log.
func TestWithoutServerNothingIsEnqueued(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	w := newWorld(t, dbtest.SQLite(t, c), c)
	w.user(account.Owner, "ada@example.com")
	w.enqueue(reset("ada@example.com"))
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		return w.events.Append(ctx, tx, failedDeployment(w))
	})
	if all := w.list(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	if log := w.log.String(); strings.Count(log, "an email was "+
		"not sent") != 1 || !strings.Contains(log, "password_reset") ||
		strings.Contains(log, "token-of-the-link") {
		t.Errorf("the log is %q", log)
	}
	w.set()
	w.drain()
	if mails, _ := w.server.got(); len(mails) != 0 {
		t.Errorf("old mails were sent: %q", mails)
	}
}

func TestAnswersOfTheServer(t *testing.T) {
	for name, c := range map[string]struct {
		command, answer string
		state           mail.State
		suppressed      bool
		step            string
	}{
		"unknown mailbox":      {"RCPT", "550 5.1.1 no such user", mail.Failed, true, "recipient"},
		"disabled mailbox":     {"RCPT", "550 5.2.1 disabled", mail.Failed, true, "recipient"},
		"domain without mail":  {"RCPT", "556 5.1.10 null MX", mail.Failed, true, "recipient"},
		"without enhanced":     {"RCPT", "553 no", mail.Pending, false, "recipient"},
		"not signed in":        {"RCPT", "550 authentication required", mail.Pending, false, "recipient"},
		"wrong greeting":       {"RCPT", "504 5.5.2 need fully-qualified hostname", mail.Pending, false, "recipient"},
		"sender, at RCPT":      {"RCPT", "550 5.1.8 Sender address rejected", mail.Pending, false, "recipient"},
		"similar code":         {"RCPT", "550 5.1.11 other", mail.Pending, false, "recipient"},
		"relaying refused":     {"RCPT", "550 5.7.1 relaying denied", mail.Pending, false, "recipient"},
		"full mailbox":         {"RCPT", "552 5.2.2 full", mail.Pending, false, "recipient"},
		"greylisting":          {"RCPT", "451 4.7.1 later", mail.Pending, false, "recipient"},
		"sender refused":       {"MAIL", "553 5.1.8 bad sender", mail.Pending, false, "sender"},
		"server busy":          {"greeting", "421 busy", mail.Pending, false, "reached"},
		"content refused":      {".", "554 5.6.0 spam", mail.Failed, false, "the email:"},
		"content, for now":     {".", "451 4.3.0 disk", mail.Pending, false, "the email:"},
		"data refused for now": {"DATA", "451 later", mail.Pending, false, "the email:"},
	} {
		t.Run(name, func(t *testing.T) {
			clk := clock.NewFrozen(dbtest.Start)
			w := newWorld(t, dbtest.SQLite(t, clk), clk)
			w.set()
			w.server.answer(c.command, c.answer)
			w.enqueue(reset("ada@example.com"))
			w.drain()
			if m := w.only(); m.State != c.state || m.Attempts != 1 || !strings.Contains(m.LastError, c.step) {
				t.Errorf("%+v", m)
			}
			w.server.answer(c.command, "")
			clk.Advance(time.Minute)
			w.drain()
			want := c.state
			if want == mail.Pending {
				want = mail.Sent
			}
			if m := w.only(); m.State != want {
				t.Errorf("a minute later: %+v", m)
			}
			again := reset("ada@example.com")
			again.Cause = "req_2"
			w.enqueue(again)
			w.drain()
			if got := w.list()[1].State; (got == mail.Suppressed) != c.suppressed {
				t.Errorf("the next mail is %s", got)
			}
			clk.Advance(31 * 24 * time.Hour)
			if _, err := w.Purge(t.Context(), mail.Fleet); err != nil {
				t.Fatal(err)
			}
			if left := w.list(); len(left) != 0 {
				t.Errorf("left after 31 days: %+v", left)
			}
			again.Cause = "req_3"
			w.enqueue(again)
			w.drain()
			if got := w.list()[0].State; got != mail.Sent {
				t.Errorf("the suppression has no end: %s", got)
			}
		})
	}
}

// Other settings may get another answer, so a change of them lifts what was suppressed before.
func TestChangeOfTheSettingsLiftsSuppressions(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		w.set()
		w.server.answer("RCPT", "550 5.1.1 no such user")
		next := func(cause string) mail.State {
			m := reset("ada@example.com")
			m.Cause = cause
			w.enqueue(m)
			w.drain()
			all := w.list()
			return all[slices.IndexFunc(all, func(m mail.Mail) bool { return m.Cause == cause })].State
		}
		refused := next("req_1")
		w.server.answer("RCPT", "")
		suppressed := next("req_2")
		w.set("mail.fromAddress=billet@example.com")
		if sent := next("req_3"); refused != mail.Failed || suppressed != mail.Suppressed || sent != mail.Sent {
			t.Errorf("%s, %s, then %s", refused, suppressed, sent)
		}
	})
}

// A mail is tried for a day, or as long as it is of use.
func TestMailIsGivenUpAtItsEnd(t *testing.T) {
	for name, expires := range map[string]time.Duration{"a day": 0, "an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			c := clock.NewFrozen(dbtest.Start)
			w := newWorld(t, dbtest.SQLite(t, c), c)
			w.set()
			w.server.answer("MAIL", "451 later")
			m := reset("ada@example.com")
			lasts := 24 * time.Hour
			if expires != 0 {
				m.ExpiresAt, lasts = c.Now().Add(expires), expires
			}
			w.enqueue(m)
			for range 25 {
				w.drain()
				c.Advance(lasts / 25)
			}
			if got := w.only(); got.State != mail.Pending || got.Attempts < 4 || got.Attempts > 15 {
				t.Errorf("before its end: %+v", got)
			}
			w.drain()
			if got := w.only(); got.State != mail.Failed {
				t.Errorf("at its end: %+v", got)
			}
		})
	}
}

func TestSignInAndEncryption(t *testing.T) {
	for name, c := range map[string]struct {
		tls     settings.TLSMode
		offers  []string
		implied bool
		untrust bool
		auth    string
		step    mail.Step // "" if it is sent
	}{
		"starttls":        {tls: settings.StartTLS, offers: []string{"STARTTLS", "AUTH PLAIN"}},
		"starttls, LOGIN": {tls: settings.StartTLS, offers: []string{"STARTTLS", "AUTH GSSAPI PLAIN"}},
		"tls":             {tls: settings.TLS, offers: []string{"AUTH PLAIN"}, implied: true},
		"in the clear":    {tls: settings.NoTLS, offers: []string{"AUTH PLAIN"}},
		"no STARTTLS":     {tls: settings.StartTLS, offers: []string{"AUTH PLAIN"}, step: mail.StepTLS},
		"unknown authority": {
			tls: settings.StartTLS, offers: []string{"STARTTLS", "AUTH PLAIN"}, untrust: true, step: mail.StepTLS,
		},
		"unknown authority, tls": {
			tls: settings.TLS, offers: []string{"AUTH PLAIN"}, implied: true, untrust: true, step: mail.StepTLS,
		},
		"wrong password": {
			tls: settings.NoTLS, offers: []string{"AUTH PLAIN"}, auth: "535 5.7.8 wrong", step: mail.StepSignIn,
		},
		"no mechanism": {tls: settings.NoTLS, offers: []string{"AUTH GSSAPI"}, step: mail.StepSignIn},
		"no sign-in":   {tls: settings.NoTLS, step: mail.StepSignIn},
	} {
		t.Run(name, func(t *testing.T) {
			clk := clock.NewFrozen(dbtest.Start)
			w := newWorld(t, dbtest.SQLite(t, clk), clk, c.offers...)
			w.server.implied = c.implied
			if c.untrust {
				w.server.certificate() // another one than the client trusts
			}
			word, user := "p", "u"
			w.set()
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.settings.Update(ctx, tx, settings.Change{
					Mail: settings.MailChange{User: &user, Password: &word, TLS: &c.tls},
				})
				return err
			})
			w.server.answer("AUTH", c.auth)
			r, err := w.Test(t.Context(), "ada@example.com")
			if err != nil {
				t.Fatal(err)
			}
			if c.step == "" && !r.OK || c.step != "" && (r.OK || r.Step == nil || *r.Step != c.step) {
				t.Errorf("%+v", r)
			}
			if mails, _ := w.server.got(); len(mails) != 0 != r.OK {
				t.Errorf("%d mails were sent", len(mails))
			}
		})
	}
}

// A server that stops answering, or answers a byte at a time, is given up as a whole; the mail is
// tried again.
func TestSilentServer(t *testing.T) {
	for command, step := range map[string]mail.Step{
		"greeting": mail.StepConnect, "EHLO": mail.StepConnect, "MAIL": mail.StepSender, "RCPT": mail.StepRecipient,
		"DATA": mail.StepContent, ".": mail.StepContent,
	} {
		for _, how := range []string{"hang", "drip"} {
			t.Run(how+" "+command, func(t *testing.T) {
				t.Parallel()
				c := clock.NewFrozen(dbtest.Start)
				w := newWorld(t, dbtest.SQLite(t, c), c)
				w.set()
				w.server.answer(command, how)
				r, err := w.silent.Test(t.Context(), "ada@example.com")
				if err != nil || r.OK || r.Step == nil || *r.Step != step ||
					!strings.HasSuffix(r.Message, "no answer within 500ms") {
					t.Errorf("%+v, %v", r, err)
				}
				w.enqueue(reset("ada@example.com"))
				if _, err := w.silent.Send(t.Context(), w.only().ID); err != nil {
					t.Fatal(err)
				}
				if m := w.only(); m.State != mail.Pending || m.Attempts != 1 {
					t.Errorf("%+v", m)
				}
			})
		}
	}
}

// While all senders are busy, a mail waits without an attempt, and is sent after the pause.
func TestMailWaitsForASender(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		w.set()
		w.server.answer("MAIL", "hang")
		for i := range 5 {
			m := reset(fmt.Sprintf("user%d@example.com", i))
			m.Cause = fmt.Sprint("req_", i)
			w.enqueue(m)
		}
		all := w.list()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var busy sync.WaitGroup
		for _, m := range all[:4] {
			busy.Go(func() {
				if _, err := w.Send(ctx, m.ID); !errors.Is(err, context.Canceled) {
					t.Errorf("a sender that is stopped: %v", err)
				}
			})
		}
		for range 4 {
			<-w.server.hangs
		}
		last := all[4].ID
		out, err := w.Send(t.Context(), last)
		// Half of the way from 5 to 30 seconds, since that is the chance here.
		if want := job.At(c.Now().Add(17500 * time.Millisecond)); err != nil || out != want {
			t.Errorf("got %+v, %v, want %+v", out, err, want)
		}
		attempts := func(of id.ID) (mail.State, int64) {
			t.Helper()
			for _, m := range w.list() {
				if m.ID == of {
					return m.State, int64(m.Attempts)
				}
			}
			return "", -1
		}
		if state, n := attempts(last); state != mail.Pending || n != 0 {
			t.Errorf("the mail that waits: %s after %d attempts", state, n)
		}
		stop()
		busy.Wait()
		w.server.answer("MAIL", "")
		if _, err := w.Send(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		if state, n := attempts(last); state != mail.Sent || n != 1 {
			t.Errorf("with a free sender: %s after %d attempts", state, n)
		}
	})
}

// failedDeployment is an event that causes mails.
func failedDeployment(w *world) event.Event {
	return event.Event{
		Account: w.account, Subject: "dep_1", Type: "deployment.failed",
		Data: map[string]any{"name": "train <1>", "status": "failed", "reason": "No capacity.\r\nBcc: eve@example.com"},
	}
}

func TestEventsCauseMails(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		w.set("installation.name=Example Cloud")
		for role, name := range map[account.Role]string{
			account.Owner: "owner", account.Admin: "admin", account.Member: "member", account.Viewer: "viewer",
			account.Billing: "billing",
		} {
			w.user(role, name+"@example.com")
		}
		off := w.user(account.Member, "off@example.com")
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			return w.accounts.SetMailOff(ctx, tx, w.account, off.ID, []string{"deployment_failed", "past_due"})
		})
		at := time.Date(2028, 3, 2, 1, 2, 3, 0, time.UTC)
		for _, x := range []struct {
			event event.Event
			to    []string
			says  []string
		}{
			{
				failedDeployment(w), []string{"admin", "member", "owner"},
				[]string{"train <1>", "train &lt;1&gt;", "Vision &lt;lab&gt;",
					"https://gpu.example.com/deployments/dep_1"},
			},
			{
				event.Event{Account: w.account, Subject: w.account, Type: "account.past_due", Data: map[string]any{
					"available": -money.Dollars(3), "since": at, "deploymentsEndAt": at.Add(time.Hour),
					"volumesDeletedAt": at.Add(48 * time.Hour),
				}},
				[]string{"admin", "billing", "owner"},
				[]string{"-$3.00", "March 2, 2028 at 02:02 UTC", "March 4, 2028 at " +
					"01:02 UTC", "https://gpu.example.com/wallet"},
			},
			{
				event.Event{
					Account: w.account, Subject: w.account, Type: "account.deployments_ended",
					Data: map[string]any{"deployments": 2},
				},
				[]string{"admin", "billing", "member", "off", "owner", "viewer"}, []string{"terminated: 2."},
			},
			{
				event.Event{
					Account: w.account, Subject: w.account, Type: "account.volumes_deleted", Data: map[string]any{},
				},
				[]string{"admin", "billing", "member", "off", "owner", "viewer"}, []string{"volumes were deleted"},
			},
			{
				event.Event{
					Account: w.account, Subject: "whk_1", Type: "webhook.disabled",
					Data: map[string]any{"description": "", "reason": "The endpoint answered 410 Gone."},
				},
				[]string{"admin", "member", "off", "owner"}, []string{"whk_1", "410 Gone"},
			},
			{
				event.Event{
					Account: w.account, Subject: w.account, Type: "account.service_credit", Data: map[string]any{
						"serviceCreditId": "svc_1", "amount": money.Micros(2_666_667),
						"description": "an hour", "note": "",
					},
				},
				[]string{"admin", "billing", "owner"}, []string{"$2.666667 was added to the balance"},
			},
			{
				event.Event{
					Account: w.account, Subject: w.account, Type: "account.credit_expiring", Data: map[string]any{
						"amount": money.Micros(1_234_500_400), "expiresAt": c.Now(), "note": "Welcome",
					},
				},
				[]string{"admin", "billing", "owner"}, []string{"$1,234.5004 of it is left"},
			},
			{
				event.Event{
					Account: w.account, Subject: w.account, Type: "account.payment_authentication_required",
					Data: map[string]any{
						"topUpId": "top_1", "confirmTopUpId": "top_2", "amount": 80 * money.USD,
					},
				},
				[]string{"admin", "billing", "owner"},
				[]string{"$80.00", "https://gpu.example.com/billing?topUp=top_2"},
			},
			{event.Event{Account: w.account, Subject: "dep_1", Type: "deployment.running"}, nil, nil},
		} {
			before, _ := w.server.got()
			w.tx(func(ctx context.Context, tx *db.Tx) error { return w.events.Append(ctx, tx, x.event) })
			w.drain()
			mails, recipients := w.server.got()
			var to []string
			for _, r := range recipients[len(before):] {
				to = append(to, strings.TrimSuffix(strings.TrimPrefix(r, "TO:<"), "@example.com>"))
			}
			slices.Sort(to)
			if !slices.Equal(to, x.to) {
				t.Errorf("%s: %v", x.event.Type, to)
			}
			for _, m := range mails[len(before):] {
				head, body, _ := strings.Cut(m, "\r\n\r\n")
				if strings.Contains(head, "eve@") || strings.Contains(head, "train") ||
					strings.Contains(head, "Vision") {
					t.Errorf("%s: text of users in the headers:\n%s", x.event.Type, head)
				}
				body = strings.ReplaceAll(strings.ReplaceAll(body, "=\r\n", ""), "=3D", "=")
				for _, want := range x.says {
					if !strings.Contains(body, want) {
						t.Errorf("%s: no %q in:\n%s", x.event.Type, want, body)
					}
				}
			}
		}
	})
}

// An invoice of a month that ended long ago is no news. A credit note is, whatever it corrects.
func TestOldInvoicesCauseNoMail(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c) // at the end of February 2028
		w.set()
		w.user(account.Owner, "owner@example.com")
		for _, k := range []struct {
			month, kind string
			mails       int
		}{
			{"2028-01", "invoice", 1}, {"2027-12", "invoice", 0}, {"2020-01", "invoice", 0},
			{"2020-01", "credit_note", 1},
		} {
			before, _ := w.server.got()
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				return w.events.Append(ctx, tx, event.Event{
					Account: w.account, Subject: "ivc_1", Type: "invoice.issued", Data: map[string]any{
						"type": k.kind, "number": "2028-000001", "month": k.month, "total": money.USD,
						"due": money.Micros(0),
					},
				})
			})
			w.drain()
			if after, _ := w.server.got(); len(after)-len(before) != k.mails {
				t.Errorf("%s of %s: %d mails, want %d", k.kind, k.month, len(after)-len(before), k.mails)
			}
		}
	})
}

// The texts use what the events have, whatever their values.
func TestEveryEventHasItsText(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	w := newWorld(t, dbtest.SQLite(t, c), c)
	w.set()
	w.user(account.Owner, "ada@example.com")
	for _, k := range event.Kinds {
		text, err := json.Marshal(k.Data)
		if err != nil {
			t.Fatal(err)
		}
		var data map[string]any
		if err := json.Unmarshal(text, &data); err != nil {
			t.Fatal(err)
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			return w.events.Append(ctx, tx, event.Event{
				Account: w.account, Subject: w.account, Type: string(k.Type), Data: data,
			})
		})
		w.drain()
	}
	unsent := func(m mail.Mail) bool { return m.State != mail.Sent }
	if all := w.list(); len(all) < 7 || slices.ContainsFunc(all, unsent) {
		t.Errorf("%d mails: %+v", len(all), all)
	}
}

// A bad hour does not bury a member's mailbox.
func TestKindsWithLimit(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	w := newWorld(t, dbtest.SQLite(t, c), c)
	w.set()
	w.user(account.Owner, "ada@example.com")
	fail := func(n int) {
		for range n {
			w.tx(func(ctx context.Context, tx *db.Tx) error { return w.events.Append(ctx, tx, failedDeployment(w)) })
		}
	}
	fail(30)
	if n := len(w.list()); n != 20 {
		t.Errorf("%d mails in an hour", n)
	}
	c.Advance(time.Hour)
	fail(1)
	if n := len(w.list()); n != 21 {
		t.Errorf("%d mails in the next one", n)
	}
}

// Every kind has a text for the data that its callers give, in both forms.
func TestEveryKindHasSwitchOrReason(t *testing.T) {
	t.Parallel()
	must := []mail.Kind{
		mail.NewSignIn, mail.PasswordChanged, mail.SecondFactorChanged, mail.PastDue, mail.ResourcesEnded,
		mail.AccountSuspended, mail.PaymentDisputed,
	}
	for _, s := range mail.Switches([]string{"past_due", "low_balance"}) {
		if s.CanSwitchOff == slices.Contains(must, s.Kind) {
			t.Errorf("%s: canSwitchOff is %v", s.Kind, s.CanSwitchOff)
		}
		if want := s.Kind != mail.LowBalance; s.Enabled != want {
			t.Errorf("%s: enabled is %v", s.Kind, s.Enabled)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	at := time.Date(2028, 3, 2, 1, 2, 3, 0, time.FixedZone("", 3600))
	for want, v := range map[string]any{
		"March 2, 2028 at 00:02 UTC": at, "$1,234.56": money.Micros(1_234_567_890), "-$0.01": money.Micros(-1),
		"-$1,000,000.01": -money.Dollars(1_000_000) - 1, "$999.99": money.Micros(999_999_999),
		"$0.00": money.Micros(1),
		"x":     "x", "3": 3, "": (*time.Time)(nil),
	} {
		if got := mail.Text(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}
