package pastdue

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// The jobs that warn accounts of a low balance, both with the subject Fleet. KindWatch repeats
// every minute, and sees what changed: money, prices, what runs. It enqueues KindThreshold for the
// instant at which the next threshold is reached if nothing changes.
const (
	KindWatch     job.Kind = "low-balance"
	KindThreshold job.Kind = "low-balance-threshold"
	Fleet         id.ID    = "accounts"
)

// watchInterval is how often all accounts are checked.
const watchInterval = time.Minute

// LowBalance is what happens to an account whose balance is low, unless money is added.
type LowBalance struct {
	DeploymentsEndAt time.Time `json:"deploymentsEndAt" doc:"Time when all deployments are terminated, unless money is added before."`
	VolumesDeletedAt time.Time `json:"volumesDeletedAt" doc:"Time when all volumes are deleted, unless money is added before."`
}

// LowBalance returns the deadlines of an account whose money ends at dry, and nil while that is
// further away than the longest threshold.
func (t Terms) LowBalance(dry *time.Time, now time.Time) *LowBalance {
	if dry == nil || dry.Sub(now) > Thresholds[0] {
		return nil
	}
	return &LowBalance{dry.Add(t.Grace), dry.Add(t.KeepVolumes)}
}

// StartWatching enqueues KindWatch.
func (s *Service) StartWatching(ctx context.Context) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindWatch, Fleet, tx.Now)
	})
}

// Watch is the handler of KindWatch.
func (s *Service) Watch(ctx context.Context, _ id.ID) (job.Outcome, error) {
	next, now, err := s.warnAll(ctx)
	if err != nil {
		return job.Outcome{}, err
	}
	if next != nil {
		err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindThreshold, Fleet, *next)
		})
	}
	return job.At(now.Add(watchInterval)), err
}

// Threshold is the handler of KindThreshold.
func (s *Service) Threshold(ctx context.Context, _ id.ID) (job.Outcome, error) {
	next, _, err := s.warnAll(ctx)
	if err != nil || next == nil {
		return job.Done(), err
	}
	return job.At(*next), nil
}

// lowAccount is an account whose runway is short, or was.
type lowAccount struct {
	account id.ID
	wallet  wallet.Wallet
	hourly  money.Micros
	dry     *time.Time
	warning
}

// warnAll warns each account whose runway has reached a threshold, once for each, and forgets the
// thresholds of those whose runway is longer again. It returns when the next threshold is reached
// if nothing changes, and when it read. Two runs at once warn once: the rows are unique.
func (s *Service) warnAll(ctx context.Context) (next *time.Time, now time.Time, err error) {
	var all []lowAccount
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, next, all = tx.Now, nil, nil // a view may run twice
		found, err := s.runways(ctx, tx)
		if err != nil {
			return err
		}
		for _, a := range found {
			if a.next != nil && (next == nil || a.next.Before(*next)) {
				next = a.next
			}
			if len(a.add)+len(a.remove) > 0 {
				all = append(all, a)
			}
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		return next, now, err
	}
	return next, now, s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		added, err := changeWarnings(ctx, tx, all)
		if err != nil {
			return err
		}
		var events []event.Event
		for _, a := range all {
			if a.tell == 0 || !added[warned{a.account, hoursOf(a.tell)}] {
				continue
			}
			events = append(events, event.Event{
				Account: a.account, Subject: a.account, Type: "account.low_balance", Data: map[string]any{
					"thresholdHours": hoursOf(a.tell), "available": a.wallet.Available, "hourlyCost": a.hourly,
					"runsDryAt": *a.dry, "deploymentsEndAt": a.dry.Add(s.cfg.Terms.Grace),
					"volumesDeletedAt": a.dry.Add(s.cfg.Terms.KeepVolumes),
				},
			})
		}
		if len(events) == 0 {
			return nil
		}
		return s.cfg.Events.Append(ctx, tx, events...)
	})
}

// runways decides about all accounts that something runs on, and those that were warned.
func (s *Service) runways(ctx context.Context, tx *db.Tx) ([]lowAccount, error) {
	running, err := s.cfg.Meter.AllRunning(ctx, tx)
	if err != nil {
		return nil, err
	}
	before, err := allWarned(ctx, tx)
	if err != nil {
		return nil, err
	}
	accounts := make([]id.ID, 0, len(running))
	for account := range running {
		accounts = append(accounts, account)
	}
	wallets, err := s.cfg.Wallet.GetMany(ctx, tx, accounts)
	if err != nil {
		return nil, err
	}
	var out []lowAccount
	for account, meters := range running {
		a := lowAccount{account: account, wallet: wallets[account]}
		for _, m := range meters {
			a.hourly += m.HourlyPrice
		}
		a.dry = meter.RunsDryAt(a.wallet.Available, meters)
		a.warning = decideWarning(a.dry, a.wallet.Available < 0, before[account], tx.Now)
		out = append(out, a)
	}
	for account, warned := range before {
		if running[account] == nil {
			out = append(out, lowAccount{account: account, warning: decideWarning(nil, false, warned, tx.Now)})
		}
	}
	return out, nil
}

func hoursOf(d time.Duration) int64 { return int64(d / time.Hour) }
