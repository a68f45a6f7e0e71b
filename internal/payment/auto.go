package payment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
)

// The jobs of automatic top-ups. The subject of KindAutomatic is the account; KindSweep repeats for
// all accounts, with the subject Fleet.
const (
	KindAutomatic job.Kind = "auto-top-up"
	KindSweep     job.Kind = "auto-top-up-sweep"
)

const (
	sweepEvery = 15 * time.Minute
	// maxFailures is after how many failures in a row automatic top-ups stop.
	maxFailures = 3
	// pause is how long a failed automatic top-up is not repeated; it doubles with the next.
	pause = time.Hour
	// maxMonthly is the largest monthly limit.
	maxMonthly = 1_000_000 * money.USD
)

// AutoTopUp is when an account is topped up without its user.
type AutoTopUp struct {
	Enabled      bool         `json:"enabled" doc:"Whether it is on."`
	Threshold    money.Micros `json:"threshold" doc:"US dollars: below this available balance the account is topped up."`
	Amount       money.Micros `json:"amount" doc:"US dollars of each automatic top-up."`
	MonthlyLimit money.Micros `json:"monthlyLimit" doc:"Maximum US dollars of automatic top-ups in a month (UTC)."`
	// StoppedReason is nil while it is not stopped.
	StoppedReason *string        `json:"stoppedReason" doc:"Why automatic top-ups have stopped, such as a card that was declined; null if they have not. Set enabled to true to start them again."`
	Spent         money.Micros   `json:"usedThisMonth" doc:"US dollars of this month's automatic top-ups that have not failed."`
	Method        *PaymentMethod `json:"paymentMethod" doc:"Saved payment method that is charged, the newest one; null if there is none."`
}

// AutoTopUpRequest is what a user decides about automatic top-ups.
type AutoTopUpRequest struct {
	Enabled                         bool
	Threshold, Amount, MonthlyLimit money.Micros
}

func (q AutoTopUpRequest) check(l Limits) error {
	var errs []apierr.FieldError
	add := func(field, format string, args ...any) {
		errs = append(errs, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case q.Enabled:
		errs = append(errs, l.check("amount", q.Amount)...)
	case q.Amount < 0 || q.Amount > maxMonthly: // the limits may have changed: switching off always works
		add("amount", "must be from 0 to %s.", maxMonthly)
	}
	if q.Threshold < 0 || q.Threshold > maxMonthly {
		add("threshold", "must be from 0 to %s.", maxMonthly)
	}
	switch {
	case q.MonthlyLimit < 0 || q.MonthlyLimit > maxMonthly:
		add("monthlyLimit", "must be from 0 to %s.", maxMonthly)
	case q.Enabled && q.MonthlyLimit < q.Amount:
		add("monthlyLimit", "must be at least amount, %s.", q.Amount)
	}
	return apierr.Invalid(errs).OrNil()
}

// Automatic returns an account's automatic top-ups; off if nothing was ever set.
func (s *Service) Automatic(ctx context.Context, r db.Reader, account id.ID) (AutoTopUp, error) {
	a, _, err := findAuto(ctx, r, account)
	if err != nil {
		return AutoTopUp{}, err
	}
	out := AutoTopUp{Enabled: a.enabled, Threshold: a.threshold, Amount: a.amount, MonthlyLimit: a.monthlyLimit}
	if a.stopped != "" {
		out.StoppedReason = &a.stopped
	}
	if out.Spent, err = automaticSince(ctx, r, account, monthOf(s.cfg.Clock.Now())); err != nil {
		return out, err
	}
	methods, err := s.Methods(ctx, r, account)
	if err == nil && len(methods) > 0 {
		out.Method = &methods[0]
	}
	return out, err
}

func monthOf(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

// SetAutomatic changes an account's automatic top-ups. It returns INVALID_REQUEST, or CONFLICT to
// switch them on without a saved payment method.
func (s *Service) SetAutomatic(
	ctx context.Context, tx *db.Tx, account id.ID, by creator.Creator, q AutoTopUpRequest,
) (AutoTopUp, error) {
	offer, err := s.cfg.Offer(ctx, tx)
	if err != nil {
		return AutoTopUp{}, err
	}
	if err := q.check(offer.Limits); err != nil {
		return AutoTopUp{}, err
	}
	if q.Enabled {
		methods, err := methodsOf(ctx, tx, account)
		if err == nil && len(methods) == 0 {
			err = apierr.New(apierr.Conflict,
				"There is no saved payment method. Make a top-up first, and have its payment method saved.")
		}
		if err != nil {
			return AutoTopUp{}, err
		}
	}
	a := autoRow{
		account: account, enabled: q.Enabled, threshold: q.Threshold, amount: q.Amount, monthlyLimit: q.MonthlyLimit,
		updatedAt: tx.Now, notBefore: tx.Now, by: by,
	}
	if err := putAuto(ctx, tx, a); err != nil {
		return AutoTopUp{}, err
	}
	if err := s.mark(ctx, tx, a); err != nil {
		return AutoTopUp{}, err
	}
	if q.Enabled {
		if err := s.cfg.Jobs.Enqueue(ctx, tx, account, KindAutomatic, account, tx.Now); err != nil {
			return AutoTopUp{}, err
		}
	}
	return s.Automatic(ctx, tx, account)
}

// mark has the wallet tell of every change that leaves less than the threshold.
func (s *Service) mark(ctx context.Context, tx *db.Tx, a autoRow) error {
	if a.enabled && a.stopped == "" {
		return s.cfg.Wallet.SetLowMark(ctx, tx, a.account, &a.threshold)
	}
	return s.cfg.Wallet.SetLowMark(ctx, tx, a.account, nil)
}

// TopUpNow is the handler of KindAutomatic. It creates the account's automatic top-up if the
// available balance is below the threshold. Settle charges it.
func (s *Service) TopUpNow(ctx context.Context, account id.ID) (job.Outcome, error) {
	again := job.Done()
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		again = job.Done()
		suspended, err := enter(ctx, tx, account)
		if err != nil {
			return err
		}
		a, found, err := findAuto(ctx, tx, account)
		if err != nil || !found || !a.enabled || a.stopped != "" {
			return err
		}
		if tx.Now.Before(a.notBefore) {
			again = job.At(a.notBefore)
			return nil
		}
		w, err := s.cfg.Wallet.Get(ctx, tx, account)
		if err != nil || w.Available >= a.threshold {
			return err
		}
		return s.createAutomatic(ctx, tx, a, suspended)
	})
	return again, err
}

// enter locks the account and reports whether it is suspended.
func enter(ctx context.Context, tx *db.Tx, account id.ID) (suspended bool, err error) {
	err = accounts.Enter(ctx, tx, account)
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Code == apierr.AccountSuspended {
		return true, nil
	}
	return false, err
}

// createAutomatic creates the top-up unless one is pending, or the month has brought enough.
func (s *Service) createAutomatic(ctx context.Context, tx *db.Tx, a autoRow, suspended bool) error {
	n, err := pendingAutomatic(ctx, tx, a.account)
	if err != nil || n > 0 {
		return err
	}
	brought, err := automaticSince(ctx, tx, a.account, monthOf(tx.Now))
	if err != nil || brought+a.amount > a.monthlyLimit {
		return err
	}
	offer, err := s.cfg.Offer(ctx, tx)
	if err != nil {
		return err
	}
	methods, err := methodsOf(ctx, tx, a.account)
	if err != nil {
		return err
	}
	if len(methods) == 0 {
		return s.stop(ctx, tx, a.account, reasonNoMethod)
	}
	m := methods[0] // the newest that can be charged
	if i := slices.IndexFunc(methods, func(m methodRow) bool { return m.Processor == offer.Name }); i > 0 {
		m = methods[i]
	}
	if why := offer.obstacle(m.Processor, a.amount, suspended); why != "" {
		return s.stop(ctx, tx, a.account, why)
	}
	r := s.newRow(tx, a.account, m.Processor, a.amount, a.by)
	r.Automatic, r.method = true, m.ID
	if err := insert(ctx, tx, r); err != nil {
		return err
	}
	return s.cfg.Jobs.Enqueue(ctx, tx, a.account, KindSettle, r.ID, tx.Now)
}

const reasonNoMethod = "There is no saved payment method."

// obstacle returns why a saved method of the processor must not be charged; "" if it may.
func (o Offer) obstacle(processor string, amount money.Micros, suspended bool) string {
	switch {
	case suspended:
		return "The account is suspended."
	case o.Name == "":
		return "No payments are taken here."
	case o.Name != processor:
		return "Payments are no longer taken with the saved payment method. Save another one."
	case len(o.check("amount", amount)) > 0:
		return fmt.Sprintf("The amount of an automatic top-up must be from %s to %s.", o.Minimum, o.Maximum)
	}
	return ""
}

// lateTime is how long after its end an automatic top-up is still looked for, after a charge of
// which no answer came.
const lateTime = time.Hour

// charge charges the saved method of an automatic top-up. It is always the same attempt.
func (s *Service) charge(ctx context.Context, t row) error {
	m, found, err := findMethod(ctx, s.cfg.DB, t.method)
	if err != nil {
		return err
	}
	p, live, err := s.cfg.Processors(ctx, t.Processor)
	if err != nil {
		return err
	}
	if !found || m.removedAt != nil && t.tries == 0 { // never charged
		return s.change(ctx, t.ID, Payment{Status: PaymentFailed, Failure: &Failure{
			Code: "payment_method_removed", Message: "The saved payment method was removed.", Final: true,
		}}, rules{live: live})
	}
	begun, err := s.begin(ctx, t, m.removedAt != nil)
	if err != nil || begun == leave {
		return err
	}
	if err := job.Holds(ctx); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.AutoTopUpBeforeCall)
	within, cancel := context.WithTimeout(ctx, CallTime)
	defer cancel()
	paid, err := p.Charge(within, ChargeRequest{
		TopUp: t.ID, Account: t.Account, Attempt: 1, Customer: m.customer, Method: m.reference, Amount: t.Amount,
		Currency: Currency, FindOnly: begun == seek,
	})
	crashpoint.Reach(crashpoint.AutoTopUpAfterCall)
	switch {
	case begun == seek && errors.Is(err, ErrUnknown):
		if s.cfg.Clock.Now().Before(t.expiresAt.Add(lateTime)) {
			return nil // asked again: an earlier call may still be on its way
		}
		return s.expire(ctx, t)
	case errors.Is(err, ErrUnsupported):
		paid = Payment{Status: PaymentFailed, Failure: &Failure{
			Code: "unsupported", Message: "The saved payment method cannot be charged.", Final: true,
		}}
	case err != nil:
		return err
	}
	if err := s.setReference(ctx, t.ID, paid.Reference); err != nil {
		return err
	}
	return s.change(ctx, t.ID, paid, rules{live: live})
}

// step is what is done about a charge.
type step int

const (
	leave step = iota // nothing
	seek              // ask for what was charged
	take              // charge
)

// begin decides about a charge, and notes one that is tried: from then on its outcome may be
// unknown. A top-up that was never charged and must not be any longer ends here. One that may have
// been charged is only looked for then, and once its time is over.
func (s *Service) begin(ctx context.Context, t row, removed bool) (next step, err error) {
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		next = leave
		suspended, err := enter(ctx, tx, t.Account)
		if err != nil {
			return err
		}
		k, found, err := load(ctx, tx, t.ID)
		if err != nil || !found || k.topUp.Status != Pending || k.topUp.Reference != "" {
			return err
		}
		why, err := s.obstacle(ctx, tx, k.topUp, suspended)
		switch {
		case err != nil:
			return err
		case k.topUp.tries > 0 && (why != "" || removed || !tx.Now.Before(k.topUp.expiresAt)):
			next = seek
			return nil
		case why != "":
			err := s.changeIn(ctx, tx, k, Payment{Status: PaymentExpired, Failure: &Failure{
				Code: "canceled", Message: why,
			}}, rules{})
			if err != nil {
				return err
			}
			// Creates the one that fits the new settings, or says why it cannot.
			return s.cfg.Jobs.Enqueue(ctx, tx, t.Account, KindAutomatic, t.Account, tx.Now)
		}
		next = take
		k.topUp.tries++
		return update(ctx, tx, k.topUp)
	})
	return next, err
}

// obstacle returns why an automatic top-up must not be charged now; "" if it may.
func (s *Service) obstacle(ctx context.Context, tx *db.Tx, t row, suspended bool) (string, error) {
	a, found, err := findAuto(ctx, tx, t.Account)
	if err != nil || !found || !a.enabled {
		return "Automatic top-ups were switched off.", err
	}
	if a.stopped != "" {
		return a.stopped, nil
	}
	brought, err := automaticSince(ctx, tx, t.Account, monthOf(tx.Now))
	if err != nil {
		return "", err
	}
	if t.CreatedAt.Before(monthOf(tx.Now)) {
		brought += t.Amount
	}
	if t.Amount > a.amount || brought > a.monthlyLimit {
		return "The amount or the monthly limit of automatic top-ups was lowered.", nil
	}
	offer, err := s.cfg.Offer(ctx, tx)
	return offer.obstacle(t.Processor, t.Amount, suspended), err
}

func (s *Service) setReference(ctx context.Context, topUp id.ID, reference string) error {
	if reference == "" {
		return nil
	}
	return s.edit(ctx, topUp, func(t *row) { t.Reference = reference })
}

func (s *Service) edit(ctx context.Context, topUp id.ID, change func(*row)) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		t, found, err := find(ctx, tx, topUp)
		if err != nil || !found {
			return err
		}
		change(&t)
		return update(ctx, tx, t)
	})
}

const reasonConfirm = "The bank wants an automatic top-up to be confirmed. " +
	"Pay the pending top-up on its page: then automatic top-ups start again."

// askToConfirm creates a top-up with a page, on which the bank asks for the confirmation, in place
// of an automatic one, and returns its ID. Automatic top-ups wait for it: another charge would be
// refused, too.
func (s *Service) askToConfirm(ctx context.Context, tx *db.Tx, t row) (id.ID, error) {
	err := s.automaticFailed(ctx, tx, t.Account, &Failure{Message: reasonConfirm, Final: true})
	if err != nil {
		return "", err
	}
	r := s.newRow(tx, t.Account, t.Processor, t.Amount, t.CreatedBy)
	r.saveMethod, r.method = true, t.method
	if err := insert(ctx, tx, r); err != nil {
		return "", err
	}
	return r.ID, s.cfg.Jobs.Enqueue(ctx, tx, t.Account, KindSettle, r.ID, tx.Now)
}

// automaticSucceeded forgets failures, and has the balance checked again.
func (s *Service) automaticSucceeded(ctx context.Context, tx *db.Tx, account id.ID) error {
	a, found, err := findAuto(ctx, tx, account)
	if err != nil || !found {
		return err
	}
	a.failures, a.notBefore = 0, tx.Now
	if a.stopped == reasonConfirm {
		a.stopped = ""
	}
	if err := putAuto(ctx, tx, a); err != nil {
		return err
	}
	if err := s.mark(ctx, tx, a); err != nil {
		return err
	}
	return s.cfg.Jobs.Enqueue(ctx, tx, account, KindAutomatic, account, tx.Now)
}

// automaticFailed counts a failure. After a final one, or three in a row, automatic top-ups stop.
func (s *Service) automaticFailed(ctx context.Context, tx *db.Tx, account id.ID, f *Failure) error {
	a, found, err := findAuto(ctx, tx, account)
	if err != nil || !found {
		return err
	}
	a.failures++
	a.notBefore = tx.Now.Add(pause << min(a.failures-1, 4))
	if f != nil && f.Final {
		a.stopped = f.Message
	} else if a.failures >= maxFailures {
		a.stopped = fmt.Sprintf("The last %d automatic top-ups failed.", maxFailures)
	}
	if err := putAuto(ctx, tx, a); err != nil {
		return err
	}
	if a.stopped != "" {
		return s.mark(ctx, tx, a)
	}
	return s.cfg.Jobs.Enqueue(ctx, tx, account, KindAutomatic, account, a.notBefore)
}

// stop stops automatic top-ups until they are set again.
func (s *Service) stop(ctx context.Context, tx *db.Tx, account id.ID, reason string) error {
	a, found, err := findAuto(ctx, tx, account)
	if err != nil || !found || !a.enabled || a.stopped != "" {
		return err
	}
	a.stopped = reason
	if err := putAuto(ctx, tx, a); err != nil {
		return err
	}
	return s.mark(ctx, tx, a)
}

// CrossedLow enqueues the account's automatic top-up. The wallet calls it in the transaction that
// leaves less than the threshold.
func CrossedLow(jobs *job.Queue) func(ctx context.Context, tx *db.Tx, account id.ID) error {
	return func(ctx context.Context, tx *db.Tx, account id.ID) error {
		return jobs.Enqueue(ctx, tx, account, KindAutomatic, account, tx.Now)
	}
}

// sweepBatch is how many accounts the sweep reads at once.
const sweepBatch = 500

// Sweep is the handler of KindSweep. It finds accounts below their threshold that no change told
// of.
func (s *Service) Sweep(ctx context.Context, _ id.ID) (job.Outcome, error) {
	now := s.cfg.Clock.Now()
	for after := id.ID(""); ; {
		all, err := enabledAutos(ctx, s.cfg.DB, after, sweepBatch)
		if err != nil {
			return job.Outcome{}, err
		}
		if len(all) == 0 {
			return job.At(now.Add(sweepEvery)), nil
		}
		after = all[len(all)-1].account
		accounts := make([]id.ID, len(all))
		for i, a := range all {
			accounts[i] = a.account
		}
		wallets, err := s.cfg.Wallet.GetMany(ctx, s.cfg.DB, accounts)
		if err != nil {
			return job.Outcome{}, err
		}
		err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			for _, a := range all {
				if wallets[a.account].Available >= a.threshold {
					continue
				}
				if err := s.cfg.Jobs.Enqueue(ctx, tx, a.account, KindAutomatic, a.account, tx.Now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return job.Outcome{}, err
		}
	}
}
