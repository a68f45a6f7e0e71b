package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/test/mailtest"
	"github.com/billetcloud/billet/test/servertest"
)

// mailer is a server with a mail server, and a browser of its owner, who has signed in.
type mailer struct {
	*servertest.Server
	t       *testing.T
	mails   *mailtest.Server
	trust   string
	browser *browser
	owner   owner
}

func newMailer(t *testing.T, args ...string) *mailer {
	t.Helper()
	m := &mailer{t: t, mails: mailtest.Start(t)}
	m.trust = "SSL_CERT_FILE=" + m.mails.CAFile
	m.Server = servertest.Prepare(t, t.TempDir(), append(args, "--sim", "--public-url", "https://gpu.example.com")...)
	account := m.account()
	m.owner = createOwner(t, m.Server, account)
	m.RunWith(mailtest.Password+"\n", "settings", "set", "installation.name=Example Cloud", "mail.host=127.0.0.1",
		fmt.Sprint("mail.port=", m.mails.Port), "mail.user="+mailtest.User, "mail.fromAddress=no-reply@example.com",
		"--mail-password-stdin")
	m.start()
	m.browser = &browser{t: t, s: m.Server}
	m.browser.call(201, "POST", "/sessions", map[string]any{"email": m.owner.Email, "password": m.owner.Password})
	return m
}

func (m *mailer) account() string {
	account, _ := m.Key("0")
	return account
}

func (m *mailer) start(env ...string) {
	m.t.Helper()
	if !m.TryRestart(0, append(env, m.trust)...) {
		m.t.Fatalf("billetd ended before it answered:\n%s", m.Log())
	}
	if m.browser != nil {
		m.browser.s = m.Server
	}
}

func (m *mailer) test() map[string]any {
	m.t.Helper()
	a := m.Call("", "POST", "=/api/v1/operator/settings/mail-test", map[string]any{"to": "me@example.com"},
		"Cookie", m.browser.cookie, "Origin", m.URL)
	if a.Status != 200 {
		m.t.Fatalf("%d %s", a.Status, a.Body)
	}
	return a.Data
}

func TestMailsOverSMTP(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		m := newMailer(t, args...)
		seen := m.mails.Await(m.owner.Email, "New sign-in to your account")
		if !strings.Contains(seen.Text, "127.0.0.1") {
			t.Errorf("%+v", seen)
		}
		if r := m.test(); r["ok"] != true || r["step"] != nil {
			t.Errorf("%v", r)
		}
		m.mails.Await("me@example.com", "Test email")
		for stage, c := range map[string]struct {
			code int
			step string
		}{"Sender": {553, "sender"}, "Recipient": {550, "recipient"}, "Authentication": {535, "sign_in"}} {
			m.mails.Refuse(stage, c.code)
			if r := m.test(); r["ok"] != false || r["step"] != c.step {
				t.Errorf("%s: %v", stage, r)
			}
			m.mails.Refuse(stage, 0)
		}
		made := m.browser.call(201, "POST", "/invitations", map[string]any{
			"role": "member", "email": "eve@example.com",
		}).Data
		mail := m.mails.Await("eve@example.com", "You have been invited to an account")
		link := text(made, "url")
		if made["mailed"] != true || !strings.Contains(mail.Text, link) ||
			!strings.Contains(mail.HTML, `href="`+link+`"`) {
			t.Errorf("%v, and the mail says %s", made, mail.Text)
		}
		m.browser.call(200, "PUT", "/me/password", map[string]any{
			"currentPassword": m.owner.Password, "newPassword": "another horse battery staple",
		})
		m.mails.Await(m.owner.Email, "Your password was changed")
	})
}

// The server is killed right after the mail server has taken a mail, right before the job is
// finished, and right after the answer that promises a mail. Each acknowledged invitation is
// mailed, and a mail that comes twice is the same mail.
func TestCrashLosesNoMail(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		m := newMailer(t, args...)
		promised := map[string]bool{}
		kills := 0
		for round, step := range []string{
			crashpoint.MailAfterCall + ":1", crashpoint.MailAfterCall + ":3", crashpoint.JobBeforeFinish + ":4", "",
		} {
			m.Kill()
			if step == "" {
				m.start()
			} else if !m.TryRestart(0, crashpoint.Variable+"="+step, m.trust) {
				kills++ // a mail from before was sent so soon that the server was killed before it answered
				continue
			}
			m.browser.s = m.Server
			for i := range 6 {
				to := fmt.Sprintf("invited-%d-%d@example.com", round, i)
				invitation := map[string]any{"role": "member", "email": to}
				a, err := m.TryCall("", "POST", accountBase+"/invitations", invitation, "Cookie",
					m.browser.cookie, "Origin", m.URL)
				if err == nil && a.Status == 201 {
					promised[to] = true
				}
			}
			if step == "" {
				m.Kill() // whatever it does
			}
			<-m.Ended()
			kills++
		}
		m.start()
		if len(promised) < 6 { // the last round makes all of its own
			t.Errorf("only %d invitations were made", len(promised))
		}
		again := 0
		for to := range promised {
			m.mails.Await(to, "You have been invited to an account")
			all := m.mails.To(to)
			again += len(all) - 1
			for _, one := range all {
				if one.MessageID != all[0].MessageID {
					t.Errorf("%s got two mails for one cause: %+v", to, all)
				}
			}
		}
		// A kill repeats at most the mails that were under way: four at once.
		if again > 4*kills {
			t.Errorf("%d mails came again after %d kills", again, kills)
		}
		t.Logf("%d mails, %d kills, %d came again", len(promised), kills, again)
	})
}
