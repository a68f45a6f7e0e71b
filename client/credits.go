package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// CreditState is what became of a credit.
type CreditState string

// The states of credits.
const (
	// CreditActive is a credit of which something is left.
	CreditActive CreditState = "active"
	// CreditUsed is a credit of which nothing is left.
	CreditUsed CreditState = "used"
	// CreditExpired is a credit of which something was left at its expiry.
	CreditExpired CreditState = "expired"
	// CreditPermanent is a credit that does not expire.
	CreditPermanent CreditState = "permanent"
)

// CreditSource is who gave a credit.
type CreditSource string

// The sources of credits.
const (
	CreditByOperator  CreditSource = "operator"
	CreditByPromoCode CreditSource = "promo_code"
	CreditBySignUp    CreditSource = "sign_up"
)

// Credit is money that was given to the account.
type Credit struct {
	// ID has the form crd_….
	ID     string `json:"id"`
	Amount Money  `json:"amount"`
	// Remaining is what is left; nil for a credit that does not expire, which is spent together
	// with money that was paid in.
	Remaining *Money `json:"remaining"`
	// ExpiredAmount was left at the expiry, and was taken out of the wallet.
	ExpiredAmount Money        `json:"expiredAmount"`
	State         CreditState  `json:"state"`
	Source        CreditSource `json:"source"`
	// Note is the text on the statement.
	Note string `json:"note"`
	// ExpiresAt is nil for never.
	ExpiresAt *time.Time `json:"expiresAt"`
	CreatedAt time.Time  `json:"createdAt"`
}

// CreditQuery filters credits. Zero values filter nothing.
type CreditQuery struct {
	Paging
	// State is the accepted state.
	State CreditState `query:"state"`
}

// Credits returns one page of credits, newest first.
func (s *WalletService) Credits(ctx context.Context, q CreditQuery, options ...CallOption) (*Page[Credit], error) {
	return list[Credit](ctx, s.c, request{path: "/wallet/credits", query: queryOf(q)}, options)
}

// RedeemPromoCode is a promo code to be redeemed.
type RedeemPromoCode struct {
	// Code is accepted in any case.
	Code string `json:"code"`
}

// Redeem redeems a promo code and returns the credit that it gives. It needs the scope
// wallet:write, which a key has only if it was created with it. The error is ErrNotFound if the
// account cannot redeem the code.
func (s *WalletService) Redeem(ctx context.Context, code string, options ...CallOption) (*Credit, error) {
	in := RedeemPromoCode{Code: code}
	return one[Credit](ctx, s.c, request{method: http.MethodPost, path: "/wallet/promo-codes", body: in}, options)
}

// AllCredits iterates over credits, newest first.
func (s *WalletService) AllCredits(
	ctx context.Context, q CreditQuery, options ...CallOption,
) iter.Seq2[Credit, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Credit], error) {
		q.Paging = at
		return s.Credits(ctx, q, options...)
	}, func(c Credit) string { return c.ID })
}
