package promo

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/emailaddr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/wallet"
)

const (
	// NewAccount is how long an account is new.
	NewAccount = 30 * 24 * time.Hour
	// MaxCreditDays is the most days that a credit can be spent.
	MaxCreditDays = 3650
	// maxRedemptions is the largest maximum of redemptions.
	maxRedemptions = 1_000_000
)

// Settings are what an operator sets of a promo code.
type Settings struct {
	Amount          money.Micros `json:"amount" doc:"US dollars of each credit."`
	MaxRedemptions  *int64       `json:"maxRedemptions" doc:"How often it can be redeemed in total; null for no limit."`
	ValidFrom       *time.Time   `json:"validFrom" doc:"From when it can be redeemed; null for at once."`
	ValidUntil      *time.Time   `json:"validUntil" doc:"Until when it can be redeemed; null for no end."`
	CreditDays      *int64       `json:"creditDays" doc:"Days after the redemption until the credit expires; null for never."`
	NewAccountsOnly bool         `json:"newAccountsOnly" doc:"Whether only accounts can redeem it that were created at most 30 days ago."`
	Enabled         bool         `json:"enabled" doc:"Whether it can be redeemed."`
}

// Code is a promo code.
type Code struct {
	ID   id.ID  `json:"id" doc:"Id of the promo code, prm_…."`
	Code string `json:"code" doc:"Code in upper case; tenants can enter it in any case."`
	Settings
	Redemptions int64     `json:"redemptions" doc:"How often it was redeemed."`
	CreatedAt   time.Time `json:"createdAt" doc:"When it was created."`
}

// Redemption is one use of a promo code.
type Redemption struct {
	promo     id.ID
	AccountID id.ID     `json:"accountId" doc:"Id of the account."`
	CreditID  id.ID     `json:"creditId" doc:"Id of its credit, crd_…."`
	CreatedAt time.Time `json:"createdAt" doc:"When it was redeemed."`
}

// Config is what a Service needs. Every field is required.
type Config struct {
	IDs      *id.Maker
	Accounts *accounts.Service
	Credits  *credit.Service
	Settings *settings.Service
}

// Service owns promo codes. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(c Config) *Service {
	if c.IDs == nil || c.Accounts == nil || c.Credits == nil || c.Settings == nil {
		panic("promo: New needs every field of its Config")
	}
	return &Service{c}
}

var (
	errNotFound = apierr.New(apierr.NotFound, "No promo code has this id. List them with GET /operator/promo-codes.")
	errInvalid  = apierr.New(apierr.NotFound,
		"This promo code is not valid for this account. Check its spelling, or ask who gave it to you.")
	form = regexp.MustCompile(`^[A-Z0-9][A-Z0-9_-]{3,39}$`)
)

// normal returns the form in which a code is stored and compared.
func normal(code string) string { return strings.ToUpper(strings.TrimSpace(code)) }

// check returns what is wrong with the settings. above is the amount above which a second operator
// approves credit, 0 for none: no code of one operator gives more, nor as often as it likes.
func (s Settings) check(above money.Micros) []apierr.FieldError {
	var faults []apierr.FieldError
	add := func(field, message string) {
		faults = append(faults, apierr.FieldError{Field: field, Message: message})
	}
	if s.Amount <= 0 || s.Amount > wallet.MaxAmount {
		add("amount", fmt.Sprintf("must be more than 0 and at most %s.", wallet.MaxAmount))
	}
	if above > 0 && s.Amount > above {
		add("amount", fmt.Sprintf("must be at most %s: more credit needs the approval of another operator, which "+
			"promo codes do not have.", above))
	}
	if above > 0 && s.MaxRedemptions == nil {
		add("maxRedemptions", fmt.Sprintf("is required while credit above %s needs the approval of another operator.",
			above))
	}
	if n := s.MaxRedemptions; n != nil && (*n < 1 || *n > maxRedemptions) {
		add("maxRedemptions", fmt.Sprintf("must be from 1 to %d, or null.", maxRedemptions))
	}
	if n := s.CreditDays; n != nil && (*n < 1 || *n > MaxCreditDays) {
		add("creditDays", fmt.Sprintf("must be from 1 to %d, or null.", MaxCreditDays))
	}
	if s.ValidFrom != nil && s.ValidUntil != nil && !s.ValidFrom.Before(*s.ValidUntil) {
		add("validUntil", "must be after validFrom.")
	}
	return faults
}

// approvalAbove returns the amount above which a second operator approves credit; 0 for none.
func (s *Service) approvalAbove(ctx context.Context, r db.Reader) (money.Micros, error) {
	set, err := s.cfg.Settings.Peek(ctx, r)
	return set.Wallet.ApprovalAbove, err
}

// Create creates a promo code; with "" as code, one of 60 random bits. It returns INVALID_REQUEST,
// or CONFLICT if the code exists.
func (s *Service) Create(ctx context.Context, tx *db.Tx, code string, set Settings) (Code, error) {
	above, err := s.approvalAbove(ctx, tx)
	if err != nil {
		return Code{}, err
	}
	c := Code{ID: s.cfg.IDs.New(id.PromoCode), Code: normal(code), Settings: set, CreatedAt: tx.Now}
	if code == "" {
		c.Code = rand.Text()[:12] // 5 bits each
	}
	faults := set.check(above)
	if !form.MatchString(c.Code) {
		faults = append(faults, apierr.FieldError{
			Field: "code",
			Message: "must have 4 to 40 letters from A to Z, digits, hyphens and underscores, and begin with a " +
				"letter or digit.",
		})
	}
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return Code{}, err
	}
	made, err := insert(ctx, tx, c)
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "A promo code with this text exists. Choose another one.")
	}
	return c, err
}

// Get returns a promo code, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, promo id.ID) (Code, error) {
	c, found, err := find(ctx, r, promo)
	if err == nil && !found {
		err = errNotFound
	}
	return c, err
}

// List returns a page of all promo codes, newest first.
func (s *Service) List(ctx context.Context, r db.Reader, p db.Page) ([]Code, db.Listed, error) {
	return list(ctx, r, p)
}

// Update changes a promo code by a function of its settings. It returns NOT_FOUND or
// INVALID_REQUEST. What was redeemed stays.
func (s *Service) Update(ctx context.Context, tx *db.Tx, promo id.ID, change func(*Settings)) (Code, error) {
	c, err := s.Get(ctx, tx, promo)
	if err != nil {
		return Code{}, err
	}
	above, err := s.approvalAbove(ctx, tx)
	if err != nil {
		return Code{}, err
	}
	change(&c.Settings)
	if !c.Enabled {
		above = 0 // whatever it says gives nothing
	}
	if err := apierr.Invalid(c.check(above)).OrNil(); err != nil {
		return Code{}, err
	}
	return c, update(ctx, tx, c)
}

// Delete deletes a promo code that no account has redeemed. It returns NOT_FOUND or CONFLICT.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, promo id.ID) (Code, error) {
	c, err := s.Get(ctx, tx, promo)
	if err != nil {
		return Code{}, err
	}
	deleted, err := remove(ctx, tx, promo)
	if err == nil && !deleted {
		err = apierr.New(apierr.Conflict, "This promo code was redeemed, so it is kept. Disable it instead.")
	}
	return c, err
}

// Redemptions returns a page of the redemptions of a promo code, newest first, or NOT_FOUND.
func (s *Service) Redemptions(
	ctx context.Context, r db.Reader, promo id.ID, p db.Page,
) ([]Redemption, db.Listed, error) {
	if _, err := s.Get(ctx, r, promo); err != nil {
		return nil, db.Listed{}, err
	}
	return listRedemptions(ctx, r, promo, p)
}

// usable reports whether an account that was created then can redeem the code now. A code that
// gives more than one operator may is not: the limit was lowered since. Whether it is used up is
// decided when the redemption is counted.
func (c Code) usable(now, accountCreatedAt time.Time, above money.Micros) bool {
	return c.Enabled && (above == 0 || c.Amount <= above && c.MaxRedemptions != nil) &&
		(c.ValidFrom == nil || !now.Before(*c.ValidFrom)) &&
		(c.ValidUntil == nil || now.Before(*c.ValidUntil)) &&
		(!c.NewAccountsOnly || now.Sub(accountCreatedAt) <= NewAccount)
}

// Redeem gives an account the credit of a promo code. It returns ACCOUNT_SUSPENDED, CONFLICT if the
// account, or another of an owner's mailbox, has redeemed the code before, LIMIT_REACHED as
// credit.Give does, and NOT_FOUND for any other code that the account cannot redeem.
func (s *Service) Redeem(ctx context.Context, tx *db.Tx, account id.ID, code string) (credit.Credit, error) {
	if err := accounts.Enter(ctx, tx, account); err != nil {
		return credit.Credit{}, err
	}
	c, found, err := findByCode(ctx, tx, normal(code))
	if err == nil && !found {
		err = errInvalid
	}
	if err != nil {
		return credit.Credit{}, err
	}
	if before, err := findRedemption(ctx, tx, c.ID, account); err != nil || before {
		if err == nil {
			err = apierr.New(apierr.Conflict, "This account has redeemed this promo code before.")
		}
		return credit.Credit{}, err
	}
	above, err := s.approvalAbove(ctx, tx)
	if err != nil {
		return credit.Credit{}, err
	}
	created, err := accountCreatedAt(ctx, tx, account)
	if err == nil && !c.usable(tx.Now, created, above) {
		err = errInvalid
	}
	if err != nil {
		return credit.Credit{}, err
	}
	counted, err := count(ctx, tx, c.ID)
	if err == nil && !counted {
		err = errInvalid
	}
	if err != nil {
		return credit.Credit{}, err
	}
	if err := s.claimMailboxes(ctx, tx, c.ID, account); err != nil {
		return credit.Credit{}, err
	}
	g := credit.Grant{
		Account: account, Amount: c.Amount, Source: credit.ByPromoCode, Note: "Promo code " + c.Code,
		Reference: "promo/" + string(c.ID) + "/" + string(account),
	}
	if c.CreditDays != nil {
		g.ExpiresAt = new(tx.Now.AddDate(0, 0, int(*c.CreditDays)))
	}
	given, _, err := s.cfg.Credits.Give(ctx, tx, g)
	if err != nil {
		return credit.Credit{}, err
	}
	return given, insertRedemption(ctx, tx, Redemption{
		promo: c.ID, AccountID: account, CreditID: given.ID, CreatedAt: tx.Now,
	})
}

// claimMailboxes notes that the mailboxes of the account's owners have redeemed the code. It
// returns CONFLICT if one of them had before.
func (s *Service) claimMailboxes(ctx context.Context, tx *db.Tx, promo, account id.ID) error {
	all, err := s.mailboxes(ctx, tx, account)
	if err != nil {
		return err
	}
	first, err := insertMailboxes(ctx, tx, promo, all)
	if err == nil && !first {
		err = apierr.New(apierr.Conflict,
			"Another account with your email address has redeemed this promo code before.")
	}
	return err
}

// mailboxes returns hashes of the mailboxes of the account's owners, because they are kept. An
// account that an operator created may have none.
func (s *Service) mailboxes(ctx context.Context, r db.Reader, account id.ID) ([]string, error) {
	owners, err := s.cfg.Accounts.MailRecipients(ctx, r, account, []accounts.Role{accounts.Owner})
	var all []string
	for _, o := range owners {
		sum := sha256.Sum256([]byte(emailaddr.Mailbox(o.Email)))
		all = append(all, hex.EncodeToString(sum[:]))
	}
	slices.Sort(all) // in one order, so that two redemptions do not wait for each other
	return slices.Compact(all), err
}
