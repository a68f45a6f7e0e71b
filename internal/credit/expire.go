package credit

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

const (
	// returnTime is how long after its expiry money on hold and refunded hours are taken that
	// return to a credit: longer than a machine takes to start, or to fail in its first hour.
	returnTime = 48 * time.Hour
	// missingTime is how long after its expiry the rest of a credit is taken that could not be
	// taken then: longer than a dispute takes.
	missingTime = 180 * 24 * time.Hour
	// The shortest and the longest pause between two runs for a credit that has expired.
	minPause, maxPause = time.Hour, 24 * time.Hour
)

// Expire is the handler of KindExpire: it takes what is left of a credit out of the wallet, and
// later what returns to it.
func (s *Service) Expire(ctx context.Context, credit id.ID) (out job.Outcome, err error) {
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		out, err = s.expire(ctx, tx, credit)
		return err
	})
	return out, err
}

func (s *Service) expire(ctx context.Context, tx *db.Tx, credit id.ID) (job.Outcome, error) {
	r, now, err := s.lockCredit(ctx, tx, credit)
	if err != nil || r.ID == "" {
		return job.Done(), err
	}
	if tx.Now.Before(*r.ExpiresAt) {
		return job.At(*r.ExpiresAt), nil
	}
	first := r.closedAt == nil
	if first {
		r.closedAt = &tx.Now
	} else if tx.Now.Sub(*r.closedAt) > missingTime {
		return job.Done(), nil
	}
	taken := now.left[r.ID]
	after := now.now.without(r.ID, taken)
	if first || taken > 0 {
		if err := s.take(ctx, tx, r, taken, after); err != nil {
			return job.Outcome{}, err
		}
	}
	if pause, more := nextRun(tx.Now.Sub(*r.closedAt), after.get(r.ID)); more {
		return job.At(tx.Now.Add(pause)), nil
	}
	return job.Done(), nil
}

// take takes an amount of a credit that has expired out of the wallet, and puts the position after
// it.
func (s *Service) take(ctx context.Context, tx *db.Tx, r row, amount money.Micros, after position) error {
	// What was taken before makes the key unique: it only grows.
	key := fmt.Sprintf("credit-expired/%s/%d", r.ID, r.ExpiredAmount)
	r.ExpiredAmount += amount
	if err := updateClosed(ctx, tx, r); err != nil {
		return err
	}
	if err := putPosition(ctx, tx, r.account, after); err != nil || amount == 0 {
		return err
	}
	if _, err := s.cfg.Wallet.Credit(ctx, tx, wallet.Credit{
		Account: r.account, Type: wallet.TypeAdjustment, Amount: -amount, Description: "Expired credit: " + r.Note,
		Dedupe: key,
	}); err != nil {
		return err
	}
	return s.cfg.Events.Append(ctx, tx, event.Event{
		Account: r.account, Subject: r.ID, Type: "account.credit_expired",
		Data: map[string]any{"creditId": r.ID, "amount": amount, "note": r.Note},
	})
}

// nextRun reports whether more of a credit may return that expired some time ago, and the pause
// until the next run. The share is zero if nothing can return to it.
func nextRun(ago time.Duration, of share) (pause time.Duration, more bool) {
	pause = min(max(ago, minPause), maxPause)
	return pause, of.Credit != "" && (ago < returnTime || of.Left > 0 && ago < missingTime)
}

// Remind is the handler of KindRemind: it tells that a credit expires soon.
func (s *Service) Remind(ctx context.Context, credit id.ID) (job.Outcome, error) {
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, now, err := s.lockCredit(ctx, tx, credit)
		if err != nil || r.closedAt != nil || now.left[r.ID] == 0 {
			return err
		}
		return s.cfg.Events.Append(ctx, tx, event.Event{
			Account: r.account, Subject: r.ID, Type: "account.credit_expiring",
			Data: map[string]any{
				"creditId": r.ID, "amount": now.left[r.ID], "expiresAt": *r.ExpiresAt, "note": r.Note,
			},
		})
	})
	return job.Done(), err
}

// lockCredit locks the wallet of a credit and returns both; a zero row if there is no such credit.
// A credit changes only with the wallet locked, except for its account, which never changes.
func (s *Service) lockCredit(ctx context.Context, tx *db.Tx, credit id.ID) (row, state, error) {
	r, found, err := find(ctx, tx, credit)
	if err != nil || !found {
		return row{}, state{}, err
	}
	now, err := s.lock(ctx, tx, r.account)
	if err != nil {
		return row{}, state{}, err
	}
	r, _, err = find(ctx, tx, credit)
	return r, now, err
}
