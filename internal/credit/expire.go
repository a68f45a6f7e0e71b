package credit

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/wallet"
)

// Expire is the handler of KindExpire: it takes what is left of a credit out of the wallet.
func (s *Service) Expire(ctx context.Context, credit id.ID) (out job.Outcome, err error) {
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		out, err = s.expire(ctx, tx, credit)
		return err
	})
	return out, err
}

func (s *Service) expire(ctx context.Context, tx *db.Tx, credit id.ID) (job.Outcome, error) {
	r, now, err := s.lockOpen(ctx, tx, credit)
	if err != nil || r.ID == "" {
		return job.Done(), err
	}
	if tx.Now.Before(*r.ExpiresAt) {
		return job.At(*r.ExpiresAt), nil
	}
	r.closedAt, r.ExpiredAmount = &tx.Now, now.left[r.ID]
	if err := updateClosed(ctx, tx, r); err != nil {
		return job.Outcome{}, err
	}
	if err := putPosition(ctx, tx, r.account, now.now.without(r.ID)); err != nil {
		return job.Outcome{}, err
	}
	if r.ExpiredAmount == 0 {
		return job.Done(), nil
	}
	if _, err := s.cfg.Wallet.Credit(ctx, tx, wallet.Credit{
		Account: r.account, Type: wallet.TypeAdjustment, Amount: -r.ExpiredAmount,
		Description: "Expired credit: " + r.Note, Dedupe: "credit-expired/" + string(r.ID),
	}); err != nil {
		return job.Outcome{}, err
	}
	return job.Done(), s.cfg.Events.Append(ctx, tx, event.Event{
		Account: r.account, Subject: r.ID, Type: "account.credit_expired",
		Data: map[string]any{"creditId": r.ID, "amount": r.ExpiredAmount, "note": r.Note},
	})
}

// Remind is the handler of KindRemind: it tells that a credit expires soon.
func (s *Service) Remind(ctx context.Context, credit id.ID) (job.Outcome, error) {
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, now, err := s.lockOpen(ctx, tx, credit)
		if err != nil || r.ID == "" || now.left[r.ID] == 0 {
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

// lockOpen locks the wallet of a credit and returns both; a zero row if the credit has ended. A
// credit changes only with the wallet locked, except for its account, which never changes.
func (s *Service) lockOpen(ctx context.Context, tx *db.Tx, credit id.ID) (row, state, error) {
	r, found, err := find(ctx, tx, credit)
	if err != nil || !found {
		return row{}, state{}, err
	}
	now, err := s.lock(ctx, tx, r.account)
	if err != nil {
		return row{}, state{}, err
	}
	r, found, err = find(ctx, tx, credit)
	if err != nil || !found || r.closedAt != nil {
		return row{}, state{}, err
	}
	return r, now, nil
}
