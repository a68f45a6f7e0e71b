package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/promo"
	"github.com/billetcloud/billet/internal/rest"
)

// promoCodes are codes that give accounts credit.
type promoCodes struct {
	db       *db.DB
	log      *slog.Logger
	svc      *promo.Service
	accounts *account.Service
}

func (h promoCodes) routes(r *rest.Router) {
	const all, one = OperatorBase + "/promo-codes", OperatorBase + "/promo-codes/{id}"
	op := func(method, path, id, summary, description string) rest.Operation {
		scope := account.ReadOperator
		if method != http.MethodGet {
			scope = account.WriteOperator
		}
		return rest.Operation{
			Method: method, Path: path, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly, Scope: string(scope),
			Summary: summary, Description: description,
		}
	}
	rest.List(r, op(http.MethodGet, all, "listPromoCodes", "List promo codes", "Newest first."), h.list)
	create := op(http.MethodPost, all, "createPromoCode", "Create a promo code",
		"Each account and mailbox can redeem a code once. Without `code`, one is generated that cannot be guessed.")
	create.Status, create.Errors = http.StatusCreated, []apierr.Code{apierr.Conflict}
	rest.Write(r, create, h.create)
	rest.ReadVersioned(r, op(http.MethodGet, one, "getPromoCode", "Get a promo code", ""), h.get)
	rest.Write(r, op(http.MethodPatch, one, "updatePromoCode", "Update a promo code",
		"Credits that were given stay as they are."), h.update)
	remove := op(http.MethodDelete, one, "deletePromoCode", "Delete a promo code",
		"Returns the deleted code. One that was redeemed is kept: disable it.")
	remove.Errors = []apierr.Code{apierr.Conflict}
	rest.Write(r, remove, h.remove)
	rest.List(r, op(http.MethodGet, one+"/redemptions", "listPromoCodeRedemptions", "List redemptions of a promo code",
		"Newest first."), h.redemptions)
	redeem := rest.Operation{
		Method: http.MethodPost, Path: Base + "/wallet/promo-codes", ID: "redeemPromoCode", Tag: tagWallet,
		Scope: string(account.WriteWallet), Status: http.StatusCreated, Summary: "Redeem a promo code",
		Description: "Returns the credit. An account can redeem a code once. A code that the account cannot redeem " +
			"is NOT_FOUND, whatever the reason. After ten wrong codes within 15 minutes, further ones are refused.",
		Errors: []apierr.Code{
			apierr.NotFound, apierr.Conflict, apierr.AccountSuspended, apierr.LimitReached, apierr.RateLimitExceeded,
		},
	}
	rest.Write(r, redeem, h.redeem).Wrap(h.limitGuesses)
}

type promoCodePath struct {
	ID id.ID `path:"id" doc:"Id of the promo code, prm_…"`
}

type createPromoCode struct {
	Body struct {
		Code            string       `json:"code,omitempty" maxLength:"40" example:"WELCOME50" doc:"4 to 40 letters, digits, hyphens and underscores, in any case; generated if omitted."`
		Amount          money.Micros `json:"amount" example:"50" doc:"US dollars of each credit."`
		MaxRedemptions  *int64       `json:"maxRedemptions,omitempty" minimum:"1" maximum:"1000000" doc:"How often it can be redeemed in total; no limit if omitted."`
		ValidFrom       *time.Time   `json:"validFrom,omitempty" doc:"From when it can be redeemed; at once if omitted."`
		ValidUntil      *time.Time   `json:"validUntil,omitempty" doc:"Until when it can be redeemed; no end if omitted."`
		CreditDays      *int64       `json:"creditDays,omitempty" minimum:"1" maximum:"3650" doc:"Days after the redemption until the credit expires; never if omitted."`
		NewAccountsOnly bool         `json:"newAccountsOnly,omitempty" doc:"Whether only accounts can redeem it that were created at most 30 days ago."`
		Enabled         *bool        `json:"enabled,omitempty" doc:"Whether it can be redeemed; true if omitted."`
	}
}

type updatePromoCode struct {
	promoCodePath
	Body struct {
		Amount          *money.Micros             `json:"amount,omitempty" doc:"US dollars of each further credit."`
		MaxRedemptions  rest.SetOrNull[int64]     `json:"maxRedemptions,omitempty" doc:"How often it can be redeemed in total; null for no limit."`
		ValidFrom       rest.SetOrNull[time.Time] `json:"validFrom,omitempty" doc:"From when it can be redeemed; null for at once."`
		ValidUntil      rest.SetOrNull[time.Time] `json:"validUntil,omitempty" doc:"Until when it can be redeemed; null for no end."`
		CreditDays      rest.SetOrNull[int64]     `json:"creditDays,omitempty" doc:"Days after the redemption until the credit expires; null for never."`
		NewAccountsOnly *bool                     `json:"newAccountsOnly,omitempty" doc:"Whether only new accounts can redeem it."`
		Enabled         *bool                     `json:"enabled,omitempty" doc:"Whether it can be redeemed."`
	}
}

// Check refuses an update without a field.
func (in *updatePromoCode) Check() []apierr.FieldError {
	b := &in.Body
	return someField(b.Amount != nil || b.MaxRedemptions.Given || b.ValidFrom.Given || b.ValidUntil.Given ||
		b.CreditDays.Given || b.NewAccountsOnly != nil || b.Enabled != nil)
}

type promoRedemptions struct {
	promoCodePath
	rest.Paging
}

type redeemPromoCode struct {
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"60" example:"WELCOME50" doc:"Promo code, in any case."`
	}
}

func (h promoCodes) list(
	ctx context.Context, _ *rest.Call, _ *rest.Paging, p db.Page,
) ([]promo.Code, db.Listed, error) {
	return h.svc.List(ctx, h.db, p)
}

func (h promoCodes) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createPromoCode) (promo.Code, error) {
	b := &in.Body
	made, err := h.svc.Create(ctx, tx, b.Code, promo.Settings{
		Amount: b.Amount, MaxRedemptions: b.MaxRedemptions, ValidFrom: b.ValidFrom, ValidUntil: b.ValidUntil,
		CreditDays: b.CreditDays, NewAccountsOnly: b.NewAccountsOnly, Enabled: b.Enabled == nil || *b.Enabled,
	})
	c.Created(made.ID)
	return made, err
}

func (h promoCodes) get(
	ctx context.Context, r db.Reader, _ *rest.Call, in *promoCodePath,
) (promo.Code, error) {
	return h.svc.Get(ctx, r, in.ID)
}

func (h promoCodes) update(ctx context.Context, tx *db.Tx, _ *rest.Call, in *updatePromoCode) (promo.Code, error) {
	b := &in.Body
	return h.svc.Update(ctx, tx, in.ID, func(s *promo.Settings) {
		if b.Amount != nil {
			s.Amount = *b.Amount
		}
		if b.MaxRedemptions.Given {
			s.MaxRedemptions = b.MaxRedemptions.Value
		}
		if b.ValidFrom.Given {
			s.ValidFrom = b.ValidFrom.Value
		}
		if b.ValidUntil.Given {
			s.ValidUntil = b.ValidUntil.Value
		}
		if b.CreditDays.Given {
			s.CreditDays = b.CreditDays.Value
		}
		if b.NewAccountsOnly != nil {
			s.NewAccountsOnly = *b.NewAccountsOnly
		}
		if b.Enabled != nil {
			s.Enabled = *b.Enabled
		}
	})
}

func (h promoCodes) remove(ctx context.Context, tx *db.Tx, _ *rest.Call, in *promoCodePath) (promo.Code, error) {
	return h.svc.Delete(ctx, tx, in.ID)
}

func (h promoCodes) redemptions(
	ctx context.Context, _ *rest.Call, in *promoRedemptions, p db.Page,
) ([]promo.Redemption, db.Listed, error) {
	return h.svc.Redemptions(ctx, h.db, in.ID, p)
}

func (h promoCodes) redeem(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *redeemPromoCode,
) (credit.Credit, error) {
	given, err := h.svc.Redeem(ctx, tx, c.Caller.Account, in.Body.Code)
	c.Created(given.ID)
	return given, err
}

// limitGuesses counts each call as a guess of a promo code before it does anything else.
func (h promoCodes) limitGuesses(next rest.ServeFunc) rest.ServeFunc {
	return func(ctx context.Context, w http.ResponseWriter, c *rest.Call) (rest.Answer, error) {
		done, err := h.accounts.CountPromoCode(ctx, c.Caller.Account)
		if err != nil {
			return rest.Answer{}, err
		}
		a, err := next(ctx, w, c)
		f, refused := errors.AsType[*apierr.Error](err)
		wrong := refused && f.Code == apierr.NotFound || err == nil && a.Status == http.StatusNotFound
		if failed := done(wrong); failed != nil {
			h.log.WarnContext(ctx, "a right promo code was counted as a wrong one",
				slog.String("error", failed.Error()))
		}
		return a, err
	}
}
