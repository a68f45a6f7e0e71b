package wallet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Charge is one hour of a subject to be charged.
type Charge struct {
	Account, Subject id.ID
	// Hour counts from 0. Each hour of a subject is charged once.
	Hour int64
	// Amount is at least zero. HourlyPrice is the rate that it was computed from.
	Amount, HourlyPrice money.Micros
	// From and To are the charged interval.
	From, To    time.Time
	Description string
	Labels
}

// Charge takes the price of one hour out of a wallet, whether or not the money is available. The
// same change releases an open hold of the subject. If the hour was charged before, made is false
// and nothing changes. w is the wallet afterwards either way.
func (l *Ledger) Charge(ctx context.Context, tx *db.Tx, c Charge) (made bool, w Wallet, err error) {
	done, err := l.ChargeAll(ctx, tx, []Charge{c})
	if err != nil {
		return false, Wallet{}, err
	}
	if len(done) == 0 {
		w, err = selectWallet(ctx, tx, c.Account)
		return false, w, err
	}
	return true, done[0].Wallet, nil
}

// Charged is a charge that ChargeAll made.
type Charged struct {
	Charge
	// Transaction is the ID of the charge's transaction.
	Transaction id.ID
	// Wallet is the account's wallet after all charges of the call.
	Wallet Wallet
}

// ChargeAll is Charge for many hours at once, in fewer statements. It returns the charges that were
// made, in the order of its argument. Hours that were charged before, or are in the argument twice,
// are left out.
func (l *Ledger) ChargeAll(ctx context.Context, tx *db.Tx, charges []Charge) ([]Charged, error) {
	for _, c := range charges {
		if c.Account == "" || c.Subject == "" || c.Hour < 0 || c.Amount < 0 || c.Amount > MaxAmount ||
			c.HourlyPrice < 0 || !c.From.Before(c.To) {
			return nil, fmt.Errorf("wallet: a charge of %s for hour %d of %q is out of bounds", c.Amount, c.Hour,
				c.Subject)
		}
	}
	claimed, err := claimCharges(ctx, tx, sortedCharges(charges))
	if err != nil || len(claimed) == 0 {
		return nil, err
	}
	var subjects []id.ID
	made := make([]Charged, 0, len(claimed))
	for _, c := range charges {
		key := hourKey{c.Subject, c.Hour}
		if claimed[key] {
			delete(claimed, key)
			subjects, made = append(subjects, c.Subject), append(made, Charged{Charge: c})
		}
	}
	slices.Sort(subjects)
	holds, err := settleHolds(ctx, tx, slices.Compact(subjects))
	if err != nil {
		return nil, err
	}
	lines := make([]*line, 0, len(made)+len(holds))
	own := make([]*line, len(made)) // the line of each charge
	for i := range made {
		c := &made[i].Charge
		if h, open := holds[c.Subject]; open {
			delete(holds, c.Subject)
			lines = append(lines, h.release())
		}
		own[i] = &line{
			account: c.Account, kind: TypeCharge, amount: -c.Amount, description: c.Description, subject: c.Subject,
			hour: &c.Hour, from: &c.From, to: &c.To, hourlyPrice: &c.HourlyPrice, labels: c.Labels,
		}
		lines = append(lines, own[i])
	}
	wallets, err := l.post(ctx, tx, lines, anyAmount)
	if err != nil {
		return nil, err
	}
	days := make([]dayChange, len(made))
	for i, c := range made {
		days[i] = dayChange{c.Account, c.Subject, c.From, c.Provider, c.GPUType, c.Name, c.Amount}
	}
	if err := changeDays(ctx, tx, days); err != nil {
		return nil, err
	}
	for i := range made {
		made[i].Transaction, made[i].Wallet = own[i].id, wallets[made[i].Account]
	}
	return made, nil
}

// hourKey is what a charge is unique by.
type hourKey struct {
	subject id.ID
	hour    int64
}

// sortedCharges returns the charges in the order in which keys are claimed, so that two claims of
// the same keys cannot deadlock.
func sortedCharges(charges []Charge) []Charge {
	sorted := slices.Clone(charges)
	slices.SortFunc(sorted, func(a, b Charge) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Hour, b.Hour))
	})
	return sorted
}

// Paid is an hour that was charged.
type Paid struct {
	Hour                int64
	Amount, HourlyPrice money.Micros
	// Refunded is at most Amount.
	Refunded money.Micros
}

// Paid returns the subject's charged hours from hour from on, in order.
func (l *Ledger) Paid(ctx context.Context, r db.Reader, subject id.ID, from int64) ([]Paid, error) {
	return selectPaid(ctx, r, subject, from)
}

// PaidAll is Paid for several subjects, each from its hour on.
func (l *Ledger) PaidAll(ctx context.Context, r db.Reader, from map[id.ID]int64) (map[id.ID][]Paid, error) {
	return selectPaidAll(ctx, r, from)
}

// Refund is the unused part of a charged hour, to be refunded.
type Refund struct {
	Account, Subject id.ID
	Hour             int64
	// Amount is at least zero and at most the hour's charge.
	Amount, HourlyPrice money.Micros
	// From and To are the unused interval.
	From, To    time.Time
	Description string
	// Labels has the present name. The rest is left out: that of the hour's charge counts.
	Labels
}

// Refund refunds an hour, once: if the hour was refunded before, or Amount is zero, made is false
// and nothing changes. It returns an error for an hour that was not charged, and for more than was
// charged.
func (l *Ledger) Refund(ctx context.Context, tx *db.Tx, f Refund) (made bool, err error) {
	if f.Amount == 0 {
		return false, nil
	}
	if f.Amount < 0 || !f.From.Before(f.To) {
		return false, fmt.Errorf("wallet: a refund of %s for hour %d of %q is out of bounds", f.Amount, f.Hour,
			f.Subject)
	}
	of, region, claimed, err := claimRefund(ctx, tx, f)
	if err != nil || !claimed {
		return false, err
	}
	labels := Labels{Provider: of.provider, Region: region, GPUType: of.gpuType, Name: f.Name}
	_, err = l.post(ctx, tx, []*line{{
		account: f.Account, kind: TypeRefund, amount: f.Amount, description: f.Description, subject: f.Subject,
		hour: &f.Hour, from: &f.From, to: &f.To, hourlyPrice: &f.HourlyPrice, labels: labels,
	}}, anyAmount)
	if err == nil {
		err = changeDays(ctx, tx, []dayChange{of})
	}
	return err == nil, err
}

// Ends records that the subject stopped at an instant at which its hours from that one on were not
// over: whatever of them is not refunded is earned then.
func (l *Ledger) Ends(ctx context.Context, tx *db.Tx, subject id.ID, hour int64, at time.Time) error {
	return endHours(ctx, tx, subject, hour, at)
}
