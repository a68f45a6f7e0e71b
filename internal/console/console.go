package console

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// KindExpire is the job that ends a session whose server is gone. Its subject is the deployment.
const KindExpire job.Kind = "console-expire"

// Closed is the action of the audit entry of a session's end.
const Closed = "closeConsole"

const (
	// Lease is how long a session lasts that is not renewed.
	Lease = 30 * time.Second
	// renewAfter is how old the last renewal is when Renew writes another.
	renewAfter = 10 * time.Second
)

// Session is an open console.
type Session struct {
	ID         id.ID
	Deployment id.ID
	Account    id.ID
	// Actor, Address and RequestID are those of the request that opened it.
	Actor     audit.Actor
	Address   string
	RequestID id.ID

	openedAt, seenAt time.Time
}

// Config is what a Service needs. Every field is required.
type Config struct {
	DB    *db.DB
	IDs   *id.Maker
	Audit *audit.Service
	Jobs  *job.Queue
}

// Service keeps the sessions.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.IDs == nil || cfg.Audit == nil || cfg.Jobs == nil {
		panic("console: New needs every field of its Config")
	}
	return &Service{cfg}
}

// Begin begins a session, which it gives an ID. It returns CONFLICT if the deployment has another
// one, unless the new one takes its place.
func (s *Service) Begin(ctx context.Context, tx *db.Tx, n Session, takeOver bool) (Session, error) {
	other, found, err := find(ctx, tx, n.Deployment)
	if err != nil {
		return n, err
	}
	if found {
		switch alive := tx.Now.Before(other.seenAt.Add(Lease)); {
		case alive && !takeOver:
			return n, taken(other)
		case alive:
			err = s.end(ctx, tx, other, tx.Now, "taken over")
		default:
			err = s.end(ctx, tx, other, other.seenAt, lost)
		}
		if err != nil {
			return n, err
		}
	}
	n.ID, n.openedAt, n.seenAt = s.cfg.IDs.New(id.Console), tx.Now, tx.Now
	if added, err := add(ctx, tx, n); err != nil || !added { // another request was faster
		if err == nil {
			err = apierr.New(apierr.Conflict, "The console has just been opened elsewhere.")
		}
		return n, err
	}
	return n, s.cfg.Jobs.Enqueue(ctx, tx, n.Account, KindExpire, n.Deployment, tx.Now.Add(Lease))
}

// Free returns nil while no session of the deployment is alive, else CONFLICT. Another session may
// begin at any time: only Begin takes the console.
func (s *Service) Free(ctx context.Context, deployment id.ID) error {
	return s.cfg.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		other, found, err := find(ctx, tx, deployment)
		if err == nil && found && tx.Now.Before(other.seenAt.Add(Lease)) {
			err = taken(other)
		}
		return err
	})
}

// lost is how a session ends whose server is gone.
const lost = "its server stopped"

func taken(by Session) error {
	return apierr.New(apierr.Conflict, "The console is open already, by %s since %s. It can be taken over "+
		"(takeOver=true).", by.Actor.Name, by.openedAt.UTC().Format(time.RFC3339))
}

// Renew keeps a session. It reports false if the session has ended.
func (s *Service) Renew(ctx context.Context, n Session) (bool, error) {
	now, found, err := find(ctx, s.cfg.DB, n.Deployment)
	if err != nil || !found || now.ID != n.ID {
		return false, err
	}
	kept := true
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if tx.Now.Before(now.seenAt.Add(renewAfter)) {
			return nil
		}
		kept, err = renew(ctx, tx, n.ID, tx.Now)
		return err
	})
	return kept, err
}

// End ends a session, for a reason in a few words. One that has ended already stays as it is.
func (s *Service) End(ctx context.Context, n Session, reason string) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, found, err := find(ctx, tx, n.Deployment)
		if err != nil || !found || now.ID != n.ID {
			return err
		}
		return s.end(ctx, tx, now, tx.Now, reason)
	})
}

func (s *Service) end(ctx context.Context, tx *db.Tx, n Session, at time.Time, reason string) error {
	if ended, err := remove(ctx, tx, n.ID); err != nil || !ended {
		return err
	}
	return s.cfg.Audit.Append(ctx, tx, audit.Entry{
		Account: n.Account, Actor: n.Actor, Action: Closed, Subject: n.Deployment, Address: n.Address,
		RequestID: n.RequestID,
		Detail:    fmt.Sprintf("Open for %s; %s.", at.Sub(n.openedAt).Round(time.Second), clause(reason)),
	})
}

// clause is a sentence as a part of another one.
func clause(sentence string) string {
	first, size := utf8.DecodeRuneInString(sentence)
	if size == 0 {
		return ""
	}
	return string(unicode.ToLower(first)) + strings.TrimSuffix(sentence[size:], ".")
}

// Expire ends the session of a deployment if its server is gone. It is the handler of KindExpire.
func (s *Service) Expire(ctx context.Context, deployment id.ID) (again job.Outcome, err error) {
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, found, err := find(ctx, tx, deployment)
		switch {
		case err != nil:
			return err
		case !found:
			again = job.Done()
			return nil
		case tx.Now.Before(n.seenAt.Add(Lease)):
			again = job.At(n.seenAt.Add(Lease))
			return nil
		}
		again = job.Done()
		return s.end(ctx, tx, n, n.seenAt, lost)
	})
	return again, err
}
