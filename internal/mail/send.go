package mail

import (
	"context"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/emailaddr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/settings"
)

// The jobs of this package. The subject of KindSend is the mail, that of KindPurge is Fleet.
const (
	KindSend  job.Kind = "mail-send"
	KindPurge job.Kind = "mail-purge"
	Fleet     id.ID    = "mails"
)

const (
	// senders is how many mails one process sends at once. Jobs share their workers with the rest
	// of the server.
	senders = 4
	// sendTimeout limits the dialogue with the mail server, testTimeout that of a test that an
	// operator waits for.
	sendTimeout, testTimeout = 30 * time.Second, 8 * time.Second
	// paceLeast and paceMost limit the pause after a run that found all senders busy. They differ,
	// so that mails which waited together do not return together.
	paceLeast, paceMost = 5 * time.Second, 30 * time.Second
	// recordTime limits how long recording an attempt may take when the server stops meanwhile.
	recordTime = 10 * time.Second
	// suppressedFor is how long an address without a mailbox gets no mail.
	suppressedFor = 30 * 24 * time.Hour
	// Kept is how long mails are listed after their cause.
	Kept = 30 * 24 * time.Hour
	// purgeEvery is how often old mails are deleted, purgeBatch how many at once.
	purgeEvery, purgeBatch = time.Hour, 500
)

// waits are the pauses between the attempts; the last one is repeated until the mail's time is
// over.
var waits = []time.Duration{
	10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
}

// Send sends a mail once. It is the handler of KindSend.
func (s *Service) Send(ctx context.Context, mailID id.ID) (job.Outcome, error) {
	m, found, err := find(ctx, s.cfg.DB, mailID)
	if err != nil || !found || m.State != Pending {
		return job.Done(), err
	}
	now := s.cfg.Clock.Now()
	if !now.Before(m.ExpiresAt) {
		return job.Done(), s.finish(ctx, m, Failed)
	}
	select {
	case s.sending <- struct{}{}:
		defer func() { <-s.sending }()
	default:
		pause := paceLeast + time.Duration(s.cfg.Chance()*float64(paceMost-paceLeast))
		return job.At(now.Add(pause)), nil
	}
	set, err := s.cfg.Settings.Current(ctx)
	if err != nil {
		return job.Outcome{}, err
	}
	suppressed, err := isSuppressed(ctx, s.cfg.DB, m.Recipient, set.Version, now)
	if err != nil {
		return job.Outcome{}, err
	}
	if suppressed {
		return job.Done(), s.finish(ctx, m, Suppressed)
	}
	if err := job.Holds(ctx); err != nil {
		return job.Outcome{}, err
	}
	sendErr := s.attempt(ctx, set, m, now)
	crashpoint.Reach(crashpoint.MailAfterCall)
	if sendErr != nil && ctx.Err() != nil { // the server stops, or another run has the mail: the result is unknown
		return job.Outcome{}, ctx.Err()
	}
	return s.record(ctx, m, set.Version, sendErr)
}

// attempt composes and sends the mail.
func (s *Service) attempt(ctx context.Context, set settings.Settings, m Mail, now time.Time) error {
	if !set.Mail.Configured { // the server was removed after the mail was enqueued
		return failedAt(StepConnect, errors.New("no mail server is set up"))
	}
	says, err := s.open(m)
	if err != nil {
		return err
	}
	c, err := compose(set, s.cfg.PublicURL, m.Kind, says.Link, says.Data)
	if err != nil {
		return err
	}
	return s.deliver(ctx, set, s.timeout(sendTimeout), m.ID, m.Recipient, c, now)
}

// timeout returns the configured time-out, or else the usual one.
func (s *Service) timeout(usual time.Duration) time.Duration {
	if s.cfg.Timeout > 0 {
		return s.cfg.Timeout
	}
	return usual
}

// deliver sends a composed mail.
func (s *Service) deliver(
	ctx context.Context,
	set settings.Settings,
	timeout time.Duration,
	mailID id.ID,
	to string,
	c content,
	now time.Time,
) error {
	password, err := s.cfg.Settings.Password(set)
	if err != nil {
		return failedAt(StepSignIn, err)
	}
	msg, err := message(set, mailID, to, c, now)
	if err != nil {
		return failedAt(StepRecipient, err)
	}
	return server{set.Mail, password, s.cfg.Roots}.send(ctx, timeout, msg, to)
}

// record writes the result of an attempt by that version of the settings. An answer is recorded
// also when the server stops.
func (s *Service) record(ctx context.Context, m Mail, version int64, sendErr error) (job.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	m.Attempts++
	if sendErr == nil {
		return job.Done(), s.finish(ctx, m, Sent)
	}
	at, is := errors.AsType[*stepError](sendErr)
	if !is { // ours: a text that cannot be composed, a database that does not answer
		return job.Outcome{}, sendErr
	}
	m.LastError = at.explain(s.timeout(sendTimeout))
	end := at.fate()
	s.cfg.Log.WarnContext(ctx, "an email was not sent", "mail", string(m.ID), "kind", string(m.Kind),
		"step", string(at.step), "attempt", m.Attempts, "error", m.LastError)
	if end == retry {
		next := s.again(m)
		return job.At(
				next,
			), s.cfg.DB.InTx(
				ctx,
				func(ctx context.Context, tx *db.Tx) error { return update(ctx, tx, m) },
			)
	}
	return job.Done(), s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if end == bounce {
			until := tx.Now.Add(suppressedFor)
			if err := suppress(ctx, tx, suppression{m.Recipient, m.LastError, version, until}); err != nil {
				return err
			}
		}
		return ended(ctx, tx, m, Failed)
	})
}

// again returns when a mail is tried again. The last attempt is at the end of its time.
func (s *Service) again(m Mail) time.Time {
	wait := waits[min(int(m.Attempts)-1, len(waits)-1)]
	wait += time.Duration((s.cfg.Chance() - 0.5) * 0.2 * float64(wait)) // spread retries that failed together
	at := s.cfg.Clock.Now().Add(wait)
	if at.After(m.ExpiresAt) {
		return m.ExpiresAt
	}
	return at
}

// finish ends a mail in that state.
func (s *Service) finish(ctx context.Context, m Mail, state State) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return ended(ctx, tx, m, state) })
}

// ended ends a mail and deletes what it says.
func ended(ctx context.Context, tx *db.Tx, m Mail, state State) error {
	m.State, m.sealed = state, ""
	if state == Sent {
		m.SentAt, m.LastError = &tx.Now, ""
	}
	return update(ctx, tx, m)
}

// TestResult is the result of a test of the mail server.
type TestResult struct {
	OK bool `json:"ok" doc:"Whether the mail server accepted the email."`
	// Step is nil if the mail was taken.
	Step    *Step  `json:"step" doc:"Step that failed; null if none did."`
	Message string `json:"message" doc:"What happened, and the server's answer if it gave one."`
}

// Test sends a test mail by the current settings and waits for the result, a few seconds at most.
// It returns INVALID_REQUEST for an invalid address and CONFLICT without a mail server. It must not
// be called inside a transaction.
func (s *Service) Test(ctx context.Context, to string) (TestResult, error) {
	if wrong := emailaddr.Check(to); wrong != "" {
		return TestResult{}, apierr.Invalid([]apierr.FieldError{{Field: "to", Message: wrong}})
	}
	set, err := s.cfg.Settings.Peek(ctx, s.cfg.DB)
	if err != nil {
		return TestResult{}, err
	}
	if !set.Mail.Configured {
		return TestResult{}, apierr.New(apierr.Conflict,
			"No mail server is set up. Set mail.host and mail.fromAddress first.")
	}
	c, err := composeTest(set, s.cfg.PublicURL)
	if err != nil {
		return TestResult{}, err
	}
	err = s.deliver(ctx, set, s.timeout(testTimeout), s.cfg.IDs.New(id.Mail), to, c, s.cfg.Clock.Now())
	at, is := errors.AsType[*stepError](err)
	switch {
	case err == nil:
		return TestResult{
			OK: true, Message: "The mail server accepted the message. Check that it arrives at " + to + ".",
		}, nil
	case !is:
		return TestResult{}, err
	}
	return TestResult{Step: &at.step, Message: at.explain(s.timeout(testTimeout))}, nil
}

// Purge deletes mails that are older than Kept and suppressions that are over, and repeats every
// hour. It is the handler of KindPurge.
func (s *Service) Purge(ctx context.Context, _ id.ID) (job.Outcome, error) {
	now := s.cfg.Clock.Now()
	for {
		var n int64
		err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			if err := unsuppress(ctx, tx, now); err != nil {
				return err
			}
			n, err = purge(ctx, tx, now.Add(-Kept), purgeBatch)
			return err
		})
		if err != nil {
			return job.Outcome{}, err
		}
		if n < purgeBatch {
			return job.At(now.Add(purgeEvery)), nil
		}
	}
}

// Forget deletes what is known of the mails to a deleted user. A mail that is still to be sent ends
// within a day.
func (s *Service) Forget(ctx context.Context, tx *db.Tx, address string) error {
	return forget(ctx, tx, address)
}
