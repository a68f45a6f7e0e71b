package credit

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// The jobs of a credit.
const (
	// KindExpire takes what is left of a credit when it expires.
	KindExpire job.Kind = "credit-expire"
	// KindRemind tells that a credit expires soon.
	KindRemind job.Kind = "credit-remind"
)

const (
	// MaxOpen is how many credits that expire an account can have at once. One that has expired
	// counts while something of it is left that could not be taken.
	MaxOpen = 100
	// RemindBefore is how long before its expiry a credit is told of.
	RemindBefore = 7 * 24 * time.Hour
	// MaxLife is how far ahead an expiry can be.
	MaxLife = 10 * 365 * 24 * time.Hour
)

// Source is who gave a credit.
type Source string

// The sources.
const (
	ByOperator  Source = "operator"
	ByPromoCode Source = "promo_code"
	BySignUp    Source = "sign_up"
)

// Enum lists every source.
func (Source) Enum() []Source { return []Source{ByOperator, ByPromoCode, BySignUp} }

// State is what became of a credit.
type State string

// The states.
const (
	Active    State = "active"
	Used      State = "used"
	Expired   State = "expired"
	Permanent State = "permanent"
)

// Enum lists every state.
func (State) Enum() []State { return []State{Active, Used, Expired, Permanent} }

// Credit is money that was given to an account.
type Credit struct {
	ID            id.ID         `json:"id" doc:"Id of the credit, crd_…."`
	Amount        money.Micros  `json:"amount" doc:"US dollars that were given."`
	Remaining     *money.Micros `json:"remaining" doc:"US dollars that are left; null for a credit that does not expire, which is spent together with money that was paid in."`
	ExpiredAmount money.Micros  `json:"expiredAmount" doc:"US dollars that were left at its expiry, or returned to it later, and were taken out of the wallet."`
	State         State         `json:"state" doc:"active: something is left; used: nothing is left; expired: something was taken at its expiry or later; permanent: it does not expire."`
	Source        Source        `json:"source" doc:"Who gave it: the operator, a promo code or the sign-up."`
	Note          string        `json:"note" doc:"Text on the statement."`
	ExpiresAt     *time.Time    `json:"expiresAt" doc:"When what is left expires; null for never."`
	CreatedAt     time.Time     `json:"createdAt" doc:"When it was given."`
}

// Config is what a Service needs. Every field is required.
type Config struct {
	DB     *db.DB
	IDs    *id.Maker
	Wallet *wallet.Ledger
	Events *event.Service
	Jobs   *job.Queue
}

// Service owns credits. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(c Config) *Service {
	if c.DB == nil || c.IDs == nil || c.Wallet == nil || c.Events == nil || c.Jobs == nil {
		panic("credit: New needs every field of its Config")
	}
	return &Service{c}
}

// Grant is a credit to be given.
type Grant struct {
	Account id.ID
	// Amount is above zero and at most wallet.MaxAmount.
	Amount money.Micros
	Source Source
	// Note is the text on the statement.
	Note string
	// ExpiresAt is nil for a credit that does not expire.
	ExpiresAt *time.Time
	// Reference is unique among all accounts and all money that comes in.
	Reference string
}

// CheckExpiry returns what is wrong with the expiry of a credit that is given now.
func CheckExpiry(field string, at *time.Time, now time.Time) []apierr.FieldError {
	if at == nil || at.After(now) && !at.After(now.Add(MaxLife)) {
		return nil
	}
	return []apierr.FieldError{{Field: field, Message: "must be in the future, and at most 10 years ahead."}}
}

// Give adds a credit to an account's wallet, once for each reference: if that was used before for
// the same, made is false and nothing changes. It returns INVALID_REQUEST, CONFLICT for a
// reference that was used for something else, and LIMIT_REACHED for more credits that expire than
// an account can have.
func (s *Service) Give(ctx context.Context, tx *db.Tx, g Grant) (c Credit, made bool, err error) {
	if err := apierr.Invalid(CheckExpiry("expiresAt", g.ExpiresAt, tx.Now)).OrNil(); err != nil {
		return Credit{}, false, err
	}
	var before state
	if g.ExpiresAt != nil {
		g.ExpiresAt = new(g.ExpiresAt.UTC().Truncate(time.Microsecond))
		if before, err = s.lock(ctx, tx, g.Account); err != nil {
			return Credit{}, false, err
		}
	}
	made, err = s.cfg.Wallet.Credit(ctx, tx, wallet.Credit{
		Account: g.Account, Type: wallet.TypeCredit, Amount: g.Amount, Description: g.Note, Dedupe: g.Reference,
	})
	if err != nil {
		return Credit{}, false, err
	}
	if !made {
		c, err = s.given(ctx, tx, g)
		return c, false, err
	}
	r := row{
		Credit: Credit{
			ID: s.cfg.IDs.New(id.Credit), Amount: g.Amount, Source: g.Source, Note: g.Note, ExpiresAt: g.ExpiresAt,
			CreatedAt: tx.Now,
		},
		account: g.Account, reference: g.Reference,
	}
	if err := insert(ctx, tx, r); err != nil {
		return Credit{}, false, err
	}
	if g.ExpiresAt == nil {
		return r.view(nil), true, nil
	}
	c, err = s.open(ctx, tx, r, before)
	return c, err == nil, err
}

// open adds a credit that expires to the account's position, and schedules its end.
func (s *Service) open(ctx context.Context, tx *db.Tx, r row, before state) (Credit, error) {
	if before.now.unspent() >= MaxOpen {
		return Credit{}, apierr.New(apierr.LimitReached,
			"An account can have %d credits that expire at once. Wait until one expires, or give a credit without "+
				"an expiry.", MaxOpen)
	}
	now := before.now.with(share{Credit: r.ID, ExpiresAt: *r.ExpiresAt, Left: r.Amount}, max(0, -before.available))
	if err := putPosition(ctx, tx, r.account, now); err != nil {
		return Credit{}, err
	}
	if err := s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindExpire, r.ID, *r.ExpiresAt); err != nil {
		return Credit{}, err
	}
	if at := r.ExpiresAt.Add(-RemindBefore); at.After(tx.Now) {
		if err := s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindRemind, r.ID, at); err != nil {
			return Credit{}, err
		}
	}
	return r.view(now.left(before.available + r.Amount)), nil
}

// given returns the credit that the reference was used for.
func (s *Service) given(ctx context.Context, tx *db.Tx, g Grant) (Credit, error) {
	first, found, err := findByReference(ctx, tx, g.Reference)
	if err != nil {
		return Credit{}, err
	}
	same := found && (first.ExpiresAt == nil) == (g.ExpiresAt == nil) &&
		(g.ExpiresAt == nil || first.ExpiresAt.Equal(*g.ExpiresAt))
	if !same {
		return Credit{}, apierr.New(apierr.Conflict,
			"This reference was used before, for a credit with another expiry. Use a new reference for a new credit.")
	}
	now, err := s.read(ctx, tx, g.Account)
	return first.view(now.left), err
}

// state is what follows from an account's position and wallet.
type state struct {
	available money.Micros
	now       position
	left      map[id.ID]money.Micros
}

// lock locks the account's wallet and returns the state, or wallet.ErrNoWallet.
func (s *Service) lock(ctx context.Context, tx *db.Tx, account id.ID) (state, error) {
	w, err := s.cfg.Wallet.Lock(ctx, tx, account)
	if err != nil {
		return state{}, err
	}
	p, found, err := findPosition(ctx, tx, account)
	if err != nil {
		return state{}, err
	}
	return s.from(ctx, tx, w, p, found)
}

// from brings a position to what the account has spent by now. Where there was none, nothing was
// paid by credits.
func (s *Service) from(ctx context.Context, r db.Reader, w wallet.Wallet, p position, found bool) (state, error) {
	spent, err := s.cfg.Wallet.Spent(ctx, r, w.Account)
	if err != nil {
		return state{}, err
	}
	if !found {
		p.spent = spent + w.Held
	}
	p = p.at(spent + w.Held)
	return state{w.Available, p, p.left(w.Available)}, nil
}

// read returns the state of an account; it reads no more than the position if there is none.
func (s *Service) read(ctx context.Context, r db.Reader, account id.ID) (state, error) {
	p, found, err := findPosition(ctx, r, account)
	if err != nil || !found {
		return state{}, err
	}
	w, err := s.cfg.Wallet.Get(ctx, r, account)
	if err != nil {
		return state{}, err
	}
	return s.from(ctx, r, w, p, true)
}

// view completes a credit with what is left of it.
func (r row) view(left map[id.ID]money.Micros) Credit {
	c := r.Credit
	if c.ExpiresAt == nil {
		c.State = Permanent
		return c
	}
	rest := left[c.ID]
	c.Remaining, c.State = &rest, Used
	switch {
	case c.ExpiredAmount > 0:
		c.State = Expired
	case r.closedAt == nil && rest > 0:
		c.State = Active
	}
	return c
}

// List returns a page of an account's credits, newest first: all, or those in a state. All calls
// with r must see one state of the database.
func (s *Service) List(
	ctx context.Context, r db.Reader, account id.ID, in State, p db.Page,
) ([]Credit, db.Listed, error) {
	now, err := s.read(ctx, r, account)
	if err != nil {
		return nil, db.Listed{}, err
	}
	rows, of, err := list(ctx, r, account, now.conditions(in), p)
	out := make([]Credit, len(rows))
	for i, row := range rows {
		out[i] = row.view(now.left)
	}
	return out, of, err
}

// conditions are those of the credits in a state. Whether an open credit is used follows from the
// account's position.
func (s state) conditions(in State) []db.Cond {
	var active, used []id.ID
	for _, share := range s.now.open() {
		if s.left[share.Credit] > 0 {
			active = append(active, share.Credit)
		} else {
			used = append(used, share.Credit)
		}
	}
	switch in {
	case Active:
		if len(active) == 0 {
			return []db.Cond{{Text: "1 = 0"}}
		}
		return []db.Cond{db.IsOneOf("id", active)}
	case Used:
		closed := db.Cond{Text: "expires_at IS NOT NULL AND closed_at IS NOT NULL AND expired_amount = 0"}
		if len(used) == 0 {
			return []db.Cond{closed}
		}
		open := db.IsOneOf("id", used)
		return []db.Cond{{Text: fmt.Sprintf("(%s OR %s)", closed.Text, open.Text), Args: open.Args}}
	case Expired:
		return []db.Cond{{Text: "expired_amount > 0"}}
	case Permanent:
		return []db.Cond{{Text: "expires_at IS NULL"}}
	}
	return nil
}

// Summary is what an account has of credits that expire.
type Summary struct {
	// Remaining is what is left of all that have not expired.
	Remaining money.Micros
	// NextExpiresAt is when the first of those expires of which something is left; nil for none.
	NextExpiresAt *time.Time
}

// Sum returns what is left of the account's credits that have not expired.
func (s *Service) Sum(ctx context.Context, r db.Reader, account id.ID) (out Summary, err error) {
	now, err := s.read(ctx, r, account)
	for _, share := range now.now.open() {
		left := now.left[share.Credit]
		out.Remaining += left
		if left > 0 && out.NextExpiresAt == nil {
			out.NextExpiresAt = new(share.ExpiresAt)
		}
	}
	return out, err
}

// Reserved returns what is left of credits that expire or have expired, which no payment can be
// refunded with, and what such credits have brought after a time. The caller has locked the wallet.
func (s *Service) Reserved(
	ctx context.Context, r db.Reader, account id.ID, after time.Time,
) (left, given money.Micros, err error) {
	now, err := s.read(ctx, r, account)
	if err != nil {
		return 0, 0, err
	}
	for _, l := range now.left {
		left += l
	}
	given, err = givenAfter(ctx, r, account, after)
	return left, given, err
}
