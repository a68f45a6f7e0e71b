package mail

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/settings"
)

// State is the state of a mail.
type State string

// The states.
const (
	Pending    State = "pending"
	Sent       State = "sent"
	Failed     State = "failed"
	Suppressed State = "suppressed"
)

// Enum lists every state.
func (State) Enum() []State { return []State{Pending, Sent, Failed, Suppressed} }

// Mail is a mail of the outbox, without what it says.
type Mail struct {
	ID        id.ID      `json:"id" doc:"Id of the email, eml_…"`
	Kind      Kind       `json:"kind" doc:"What the email is about."`
	Cause     string     `json:"cause" doc:"Id of what caused it, such as an event."`
	Recipient string     `json:"recipient" doc:"Email address."`
	Account   id.ID      `json:"accountId" doc:"Id of the account that it concerns; empty if it concerns none."`
	State     State      `json:"state" doc:"pending: waiting to be sent. sent: accepted by the mail server. failed: given up. suppressed: not sent, because the address rejected an earlier email."`
	Attempts  int64      `json:"attempts" doc:"Number of attempts."`
	LastError string     `json:"lastError" doc:"Why the last attempt failed; empty if none did."`
	CreatedAt time.Time  `json:"createdAt" doc:"Time of its cause."`
	ExpiresAt time.Time  `json:"expiresAt" doc:"When sending is given up."`
	SentAt    *time.Time `json:"sentAt" doc:"When the mail server accepted it; null until then."`

	// sealed is what the mail says; "" once it is no longer pending.
	sealed string
}

// said is what a mail says.
type said struct {
	Link string            `json:"link,omitempty"`
	Data map[string]string `json:"data"`
}

// Message is a mail to be sent.
type Message struct {
	Kind Kind
	// Cause identifies what happened: one mail is sent for a cause, a recipient and a kind.
	Cause string
	// Account is the account that it concerns, or "".
	Account id.ID
	// To is an email address.
	To string
	// Data are the values of the kind's text; Text formats them.
	Data map[string]string
	// Link is the address of the button; "" for the page that belongs to the kind.
	Link string
	// ExpiresAt is when the mail is of no use anymore; a day from now if it is zero.
	ExpiresAt time.Time
}

// Config is what a Service needs. Every field is required, except those that say otherwise.
type Config struct {
	DB       *db.DB
	IDs      *id.Maker
	Clock    clock.Clock
	Log      *slog.Logger
	Settings *settings.Service
	Accounts *account.Service
	Jobs     *job.Queue
	Secrets  *secret.Box
	// Chance returns a number from 0 to 1, to spread retries.
	Chance func() float64
	// PublicURL is where links lead to; nil for mails without links.
	PublicURL *url.URL
	// Roots are the trusted certificate authorities; nil for the machine's.
	Roots *x509.CertPool
	// Timeout limits a dialogue with the mail server; half a minute, and 8 s for a test, if it is
	// 0.
	Timeout time.Duration
}

// Service enqueues and sends mails. It is safe for concurrent use.
type Service struct {
	cfg Config
	// sending has a token for each running sender.
	sending chan struct{}
}

// New returns a Service. It panics when a required field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.IDs == nil || cfg.Clock == nil || cfg.Log == nil || cfg.Settings == nil ||
		cfg.Accounts == nil || cfg.Jobs == nil || cfg.Secrets == nil || cfg.Chance == nil {
		panic("mail: New needs every required field of its Config")
	}
	return &Service{cfg: cfg, sending: make(chan struct{}, senders)}
}

// noAccount owns the jobs of all mails without an account, so that many of them share one turn.
const noAccount id.ID = "mail"

func purpose(mailID id.ID) string { return "mail/" + string(mailID) }

// Enqueue adds mails to the outbox, in the transaction that causes them. Without a mail server it
// adds none. A mail that was enqueued for the same cause, recipient and kind before is not
// repeated.
func (s *Service) Enqueue(ctx context.Context, tx *db.Tx, all ...Message) error {
	if len(all) == 0 {
		return nil
	}
	now, err := s.cfg.Settings.Peek(ctx, tx)
	if err != nil {
		return err
	}
	if !now.Mail.Configured {
		s.notSent(ctx, tx, all)
		return nil
	}
	for _, m := range all { // at most one for each member
		if err := s.enqueue(ctx, tx, m); err != nil {
			return err
		}
	}
	return nil
}

// notSent logs mails about security that are not sent.
func (s *Service) notSent(ctx context.Context, tx *db.Tx, all []Message) {
	var kinds []string
	for _, m := range all {
		if specOf(m.Kind).always && !slices.Contains(kinds, string(m.Kind)) {
			kinds = append(kinds, string(m.Kind))
		}
	}
	if len(kinds) == 0 {
		return
	}
	tx.AfterCommit(func() {
		s.cfg.Log.WarnContext(ctx, "an email was not sent, because no mail server is set up: see `billetd settings`",
			"kinds", strings.Join(kinds, " "), "cause", all[0].Cause)
	})
}

func (s *Service) enqueue(ctx context.Context, tx *db.Tx, m Message) error {
	sp := specOf(m.Kind)
	if sp.perHour > 0 {
		n, err := countSince(ctx, tx, m.To, m.Kind, tx.Now.Add(-time.Hour))
		if err != nil || n >= int64(sp.perHour) {
			return err
		}
	}
	row := Mail{
		ID: s.cfg.IDs.New(id.Mail), Kind: m.Kind, Cause: m.Cause, Recipient: m.To, Account: m.Account, State: Pending,
		CreatedAt: tx.Now, ExpiresAt: m.ExpiresAt,
	}
	if last := tx.Now.Add(lifetime); row.ExpiresAt.IsZero() || row.ExpiresAt.After(last) {
		row.ExpiresAt = last
	}
	text, err := json.Marshal(said{m.Link, m.Data})
	if err != nil {
		return err
	}
	row.sealed = s.cfg.Secrets.Seal(purpose(row.ID), text)
	added, err := insert(ctx, tx, row)
	if err != nil || !added {
		return err
	}
	owner := m.Account
	if owner == "" {
		owner = noAccount
	}
	return s.cfg.Jobs.Enqueue(ctx, tx, owner, KindSend, row.ID, tx.Now)
}

// EnqueueToMembers adds a mail to each member of the account whose role gets the kind and who has
// not switched it off. The account's name is added to the data.
func (s *Service) EnqueueToMembers(ctx context.Context, tx *db.Tx, m Message) error {
	now, err := s.cfg.Settings.Peek(ctx, tx)
	if err != nil {
		return err
	}
	if !now.Mail.Configured { // before anything is read
		s.notSent(ctx, tx, []Message{m})
		return nil
	}
	a, err := s.cfg.Accounts.Get(ctx, tx, m.Account)
	if err != nil {
		return err
	}
	data := map[string]string{"account": a.Name}
	for name, value := range m.Data {
		data[name] = value
	}
	m.Data = data
	sp := specOf(m.Kind)
	members, err := s.cfg.Accounts.MailRecipients(ctx, tx, m.Account, sp.roles)
	if err != nil {
		return err
	}
	for _, to := range members {
		if !sp.always && slices.Contains(to.Off, string(m.Kind)) {
			continue
		}
		m.To = to.Email
		if err := s.enqueue(ctx, tx, m); err != nil {
			return err
		}
	}
	return nil
}

// Configured reports whether mails are sent.
func (s *Service) Configured(ctx context.Context, r db.Reader) (bool, error) {
	now, err := s.cfg.Settings.Peek(ctx, r)
	return now.Mail.Configured, err
}

// List returns a page of all mails in that state, newest first; of every state for "".
func (s *Service) List(ctx context.Context, r db.Reader, state State, p db.Page) ([]Mail, db.Listed, error) {
	return list(ctx, r, state, p)
}

// open returns what a mail says.
func (s *Service) open(m Mail) (said, error) {
	text, err := s.cfg.Secrets.Open(purpose(m.ID), m.sealed)
	if err != nil {
		return said{}, errors.Join(errors.New("mail: the mail cannot be read"), err)
	}
	var out said
	return out, json.Unmarshal(text, &out)
}

// Sealed is the column with sealed texts.
var Sealed = []secret.Column{{
	Table: "mail", Column: "data", Key: "id", Purpose: func(mail string) string { return purpose(id.ID(mail)) },
}}
