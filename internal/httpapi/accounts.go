package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/adjustment"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/wallet"
)

// operatorAccounts are all accounts, for the operator.
type operatorAccounts struct {
	db          *db.DB
	svc         *operator.Service
	adjustments *adjustment.Service
	// The rest is what the page of one account shows.
	accounts *account.Service
	audit    *audit.Service
	ledger   *wallet.Ledger
	site     site
}

func (h operatorAccounts) routes(r *rest.Router) {
	const all, one = OperatorBase + "/accounts", OperatorBase + "/accounts/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listAccounts", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "List accounts",
		Description: "With balance and running resources, newest first.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createAccount", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Status: http.StatusCreated, Summary: "Create an account",
		Description: "With `ownerEmail`, its owner is invited in the same change: by email if this server sends " +
			"emails, and with a link in the response, which is shown once.",
	}, h.create)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getAccount", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "Get an account",
	}, h.get)
	h.detailRoutes(r, one)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/credit", ID: "creditAccount", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(
			account.WriteOperator,
		), Summary: "Credit or debit an account",
		Description: "If the amount needs the approval of another operator, the response has `made` false and an " +
			"`adjustment` with the state pending: approve it with POST " + OperatorBase +
			"/adjustments/{id}/approve. A credit with `expiresAt` is spent before other money. What is left of it " +
			"then is taken out of the wallet. An account can have 100 of them at once.",
		Errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, h.credit)
	rest.Write(r, rest.Operation{
		Method: http.MethodPut, Path: one + "/markup", ID: "setMarkup", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Set an account's markup",
		Description: "It replaces every provider's markup in the prices that the account sees and pays, within a few " +
			"seconds. Existing deployments keep their price. A price rule that matches replaces it.",
	}, h.setMarkup)
	rest.Write(r, rest.Operation{
		Method: http.MethodPut, Path: one + "/trust", ID: "setTrusted", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Trust an account",
		Description: "A trusted account is offered what is for trusted tenants only, such as servers without a BMC, " +
			"whose tenant can lock you out. What an account has stays when it is no longer trusted.",
	}, h.setTrusted)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/suspend", ID: "suspendAccount", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator), Summary: "Suspend an account",
		Description: "New deployments, power-ons and new or larger volumes are refused with ACCOUNT_SUSPENDED and " +
			"the reason. The account can still read, terminate and pay, and its streams go on. With `terminate`, all " +
			"deployments end in the same change, or are scheduled to end when their minimum runtime is met. Volumes " +
			"are kept. Suspending it again can change the reason or end deployments.",
	}, h.suspend)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/resume", ID: "resumeAccount", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Resume an account",
		Description: "Ends the suspension. Terminations that were scheduled with it stay; the account can cancel them.",
	}, h.resume)
}

type accountPath struct {
	ID id.ID `path:"id" doc:"Id of the account, acc_…"`
}

type createAccount struct {
	Body struct {
		Name       string        `json:"name" minLength:"1" maxLength:"64" example:"Vision lab"`
		Credit     *money.Micros `json:"credit,omitempty" doc:"Initial credit in US dollars; none if omitted."`
		OwnerEmail string        `json:"ownerEmail,omitempty" maxLength:"254" example:"ada@example.com" doc:"Email address of the owner to invite; no one is invited if omitted."`
	}
}

type creditAccount struct {
	accountPath
	Body struct {
		Amount    money.Micros `json:"amount" doc:"US dollars to add; a negative amount is deducted."`
		Note      string       `json:"note,omitempty" maxLength:"200" example:"Wire transfer of 3 May" doc:"Description of the transaction, shown to the account."`
		Reference string       `json:"reference,omitempty" maxLength:"100" example:"wire-2028-0503-17" doc:"Your reference, such as an invoice number. A reference can be used once, among all accounts, which prevents duplicate credits."`
		Reason    string       `json:"reason,omitempty" maxLength:"500" example:"Outage of 3 May, agreed with Ada." doc:"Reason for the operator who approves it. Required if an approval is needed."`
		ExpiresAt *time.Time   `json:"expiresAt,omitempty" doc:"When what is left of the credit expires, at most 10 years ahead; never if omitted. Credits that expire are spent before other money."`
	}
}

type setMarkup struct {
	accountPath
	Body struct {
		Percent rest.SetOrNull[percent] `json:"percent" minimum:"0" maximum:"1000" doc:"Markup on the providers' own prices in percent, with at most two decimals; null means the default."`
	}
}

// operatorAccount is an account as the operator sees it.
type operatorAccount struct {
	operator.Account
	Suspension    *account.Suspension `json:"suspension" doc:"Since when and why it can start nothing new; null if it is not suspended."`
	MarkupPercent *percent            `json:"markupPercent" doc:"Its own markup on the providers' prices in percent; null means the default."`
	Trusted       bool                `json:"trusted" doc:"Whether it is offered what is for trusted tenants only."`
}

func accountOf(a operator.Account) operatorAccount {
	return operatorAccount{a, a.Suspension(), (*percent)(a.Markup), a.Trusted}
}

// createdAccount is a new account, with the invitation of its owner.
type createdAccount struct {
	operator.Account
	Suspension    *account.Suspension `json:"suspension" doc:"Since when and why it can start nothing new; null if it is not suspended."`
	MarkupPercent *percent            `json:"markupPercent" doc:"Its own markup on the providers' prices in percent; null means the default."`
	Trusted       bool                `json:"trusted" doc:"Whether it is offered what is for trusted tenants only."`
	Invitation    *newInvitation      `json:"invitation" doc:"Invitation of the owner; null if no one is invited."`
}

// credited is an account after a credit.
type credited struct {
	operator.Account
	Suspension    *account.Suspension `json:"suspension" doc:"Since when and why it can start nothing new; null if it is not suspended."`
	MarkupPercent *percent            `json:"markupPercent" doc:"Its own markup on the providers' prices in percent; null means the default."`
	Trusted       bool                `json:"trusted" doc:"Whether it is offered what is for trusted tenants only."`
	Made          bool                `json:"made" doc:"false if the balance was not changed: it waits for the approval of another operator, or the reference was used before."`
	// Adjustment is nil if a credit of which there is no record has the reference.
	Adjustment *adjustment.Adjustment `json:"adjustment" doc:"What was booked, or waits for the approval of another operator if its state is pending; null if it is not known."`
}

func (h operatorAccounts) list(
	ctx context.Context, _ *rest.Call, _ *rest.Paging, p db.Page,
) ([]operatorAccount, db.Listed, error) {
	var found []operator.Account
	var total db.Listed
	err := h.db.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		found, total, err = h.svc.Accounts(ctx, tx, p)
		return err
	})
	all := make([]operatorAccount, len(found))
	for i, a := range found {
		all[i] = accountOf(a)
	}
	return all, total, err
}

func (h operatorAccounts) create(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *createAccount,
) (createdAccount, error) {
	credit := money.Micros(0)
	if in.Body.Credit != nil {
		credit = *in.Body.Credit
	}
	a, err := h.adjustments.Open(ctx, tx, in.Body.Name, credit, adjusterOf(c))
	c.Created(a.ID)
	c.Change.Account = a.ID
	out := createdAccount{a, a.Suspension(), (*percent)(a.Markup), a.Trusted, nil}
	if err != nil || in.Body.OwnerEmail == "" {
		return out, err
	}
	i, err := h.invite(ctx, tx, c, a.ID, in.Body.OwnerEmail)
	out.Invitation = &i
	return out, inField("email", "ownerEmail", err)
}

func (h operatorAccounts) get(ctx context.Context, _ *rest.Call, in *accountPath) (operatorAccount, error) {
	var a operator.Account
	err := h.db.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		a, err = h.svc.Account(ctx, tx, in.ID)
		return err
	})
	return accountOf(a), err
}

func (h operatorAccounts) credit(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *creditAccount,
) (credited, error) {
	b := &in.Body
	did, err := h.adjustments.Adjust(ctx, tx, adjustment.Request{
		Account: in.ID, Amount: b.Amount, Note: b.Note, Reference: b.Reference, Reason: b.Reason,
		CreditExpiresAt: b.ExpiresAt,
	}, adjusterOf(c))
	c.Change.None = !did.Made && !did.Asked
	if did.Asked { // the account does not learn of what is not decided yet
		c.Change.Subject = did.Adjustment.ID
	} else {
		c.Change.Account = in.ID
	}
	a := did.Account
	return credited{a, a.Suspension(), (*percent)(a.Markup), a.Trusted, did.Made, did.Adjustment}, err
}

func (h operatorAccounts) setMarkup(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *setMarkup,
) (operatorAccount, error) {
	a, err := h.svc.SetMarkup(ctx, tx, in.ID, (*int64)(in.Body.Percent.Value))
	c.Change.Account = in.ID
	return accountOf(a), err
}

type setTrusted struct {
	accountPath
	Body struct {
		Trusted bool `json:"trusted" doc:"Whether it is offered what is for trusted tenants only."`
	}
}

func (h operatorAccounts) setTrusted(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *setTrusted,
) (operatorAccount, error) {
	a, err := h.svc.SetTrusted(ctx, tx, in.ID, in.Body.Trusted)
	c.Change.Account = in.ID
	return accountOf(a), err
}

type suspendAccount struct {
	accountPath
	Body struct {
		Reason    string               `json:"reason" minLength:"1" maxLength:"500" example:"Payment dispute 2028-114." doc:"Reason for the suspension, shown to the account."`
		Terminate operator.Termination `json:"terminate,omitempty" doc:"What happens to its deployments: never (they keep running), earliest (each ends when its minimum runtime is met) or now. never if omitted."`
	}
}

func (h operatorAccounts) suspend(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *suspendAccount,
) (operatorAccount, error) {
	terminate := cmp.Or(in.Body.Terminate, operator.TerminateNever)
	a, changed, err := h.svc.Suspend(ctx, tx, in.ID, in.Body.Reason, terminate)
	c.Change.Account, c.Change.None = in.ID, !changed
	return accountOf(a), err
}

func (h operatorAccounts) resume(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *accountPath,
) (operatorAccount, error) {
	a, changed, err := h.svc.Resume(ctx, tx, in.ID)
	c.Change.Account, c.Change.None = in.ID, !changed
	return accountOf(a), err
}
