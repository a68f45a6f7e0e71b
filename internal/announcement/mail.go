package announcement

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/mail"
)

// The jobs of this package. The subject of KindMail is the announcement, that of KindPurge is
// Fleet.
const (
	KindMail  job.Kind = "announcement-mail"
	KindPurge job.Kind = "announcement-purge"
	Fleet     id.ID    = "announcements"
)

const (
	// batch is for how many accounts mails are queued in one transaction.
	batch = 10
	// purgeEvery is how often old announcements are deleted.
	purgeEvery = time.Hour
)

// Deliver queues the mails of an announcement. It is the handler of KindMail. Each batch is one
// transaction with the place up to which mails are queued, so that a run that is repeated goes on
// from there; a member of several accounts gets one mail all the same.
func (s *Service) Deliver(ctx context.Context, of id.ID) (job.Outcome, error) {
	for {
		var next *time.Time
		var more bool
		err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			next, more = nil, false // the transaction may run twice
			a, found, err := find(ctx, tx, of)
			if err != nil || !found || !a.Mail || a.MailedAt != nil || !tx.Now.Before(a.EndsAt) {
				return err
			}
			if tx.Now.Before(a.StartsAt) {
				next = &a.StartsAt
				return nil
			}
			more, err = s.deliver(ctx, tx, a)
			return err
		})
		if err != nil || next == nil && !more {
			return job.Done(), err
		}
		if next != nil {
			return job.At(*next), nil
		}
	}
}

// deliver queues the mails of the next accounts, and reports whether there are more.
func (s *Service) deliver(ctx context.Context, tx *db.Tx, a Announcement) (more bool, err error) {
	accounts, err := s.audience(ctx, tx, a)
	if err != nil {
		return false, err
	}
	for _, to := range accounts {
		m := mail.Message{Kind: mail.Announcement, Cause: string(a.ID), Account: to, Data: map[string]string{
			"title": a.Title, "text": a.Text,
		}}
		if err := s.cfg.Mail.EnqueueToMembers(ctx, tx, m); err != nil {
			return false, err
		}
		a.mailed = to
	}
	if len(accounts) < batch {
		a.MailedAt = &tx.Now
	}
	return a.MailedAt == nil, put(ctx, tx, a)
}

// audience returns the next accounts that the announcement is for, in the order of their ids.
func (s *Service) audience(ctx context.Context, r db.Reader, a Announcement) ([]id.ID, error) {
	if a.Provider == "" {
		return s.cfg.Accounts.After(ctx, r, a.mailed, batch)
	}
	with, err := deployment.AccountsAt(ctx, r, a.Provider, a.Region, a.mailed, batch)
	accounts := make([]id.ID, len(with))
	for i, w := range with {
		accounts[i] = w.Account
	}
	return accounts, err
}

// Purge deletes announcements that ended long ago, and repeats every hour. It is the handler of
// KindPurge.
func (s *Service) Purge(ctx context.Context, _ id.ID) (job.Outcome, error) {
	var now time.Time
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now = tx.Now
		return purge(ctx, tx, now.Add(-Kept))
	})
	return job.At(now.Add(purgeEvery)), err
}
