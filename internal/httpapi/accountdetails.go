package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/wallet"
)

// detailRoutes are what an operator sees of one account beside its money.
func (h operatorAccounts) detailRoutes(r *rest.Router, one string) {
	list := func(path, id, summary, description string) rest.Operation {
		return rest.Operation{
			Method: http.MethodGet, Path: one + path, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly,
			Scope: string(account.ReadOperator), Summary: summary, Description: description,
			Errors: []apierr.Code{apierr.NotFound},
		}
	}
	rest.List(r, list("/members", "listAccountMembers", "List an account's members",
		"In the order in which they joined."), h.members)
	rest.List(r, list("/api-keys", "listAccountApiKeys", "List an account's API keys",
		"Newest first, including revoked ones. Secrets are not stored."), h.keys)
	transactions := list("/transactions", "listAccountTransactions", "List an account's transactions", "Newest first.")
	entries := list("/audit", "listAccountAudit", "List an account's audit log entries", "Newest first.")
	transactions.MayLag, entries.MayLag = true, true
	rest.List(r, transactions, h.transactions)
	rest.List(r, entries, h.entries)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/invitations", ID: "inviteAccountOwner", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator), Status: http.StatusCreated,
		Summary: "Invite an owner of an account",
		Description: "The user gets the link by email if this server sends emails. It works once, for seven days. " +
			"Its owners see and revoke the invitation among theirs.",
		Errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, h.inviteOwner)
}

type accountList struct {
	rest.Paging
	accountPath
}

type accountAudit struct {
	auditQuery
	accountPath
}

type inviteOwner struct {
	accountPath
	Body struct {
		Email string `json:"email" minLength:"1" maxLength:"254" example:"ada@example.com" doc:"Email address of the owner. Only the user with this address can accept."`
	}
}

func (h operatorAccounts) members(
	ctx context.Context, _ *rest.Call, in *accountList, p db.Page,
) ([]account.MemberInfo, db.Listed, error) {
	if _, err := h.accounts.Get(ctx, h.db, in.ID); err != nil {
		return nil, db.Listed{}, err
	}
	return h.accounts.ListMembers(ctx, h.db, in.ID, p)
}

func (h operatorAccounts) keys(
	ctx context.Context, _ *rest.Call, in *accountList, p db.Page,
) ([]APIKey, db.Listed, error) {
	if _, err := h.accounts.Get(ctx, h.db, in.ID); err != nil {
		return nil, db.Listed{}, err
	}
	keys, of, err := h.accounts.ListKeys(ctx, h.db, in.ID, db.NameFilter{}, db.NewestFirst, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	all, err := withSpending(ctx, h.db, keys)
	return all, of, err
}

func (h operatorAccounts) transactions(
	ctx context.Context, _ *rest.Call, in *accountList, p db.Page,
) ([]wallet.Transaction, db.Listed, error) {
	if _, err := h.accounts.Get(ctx, h.db, in.ID); err != nil {
		return nil, db.Listed{}, err
	}
	return h.ledger.Transactions(ctx, h.db, in.ID, wallet.Filter{}, p)
}

func (h operatorAccounts) entries(
	ctx context.Context, _ *rest.Call, in *accountAudit, p db.Page,
) ([]audit.Entry, db.Listed, error) {
	if _, err := h.accounts.Get(ctx, h.db, in.ID); err != nil {
		return nil, db.Listed{}, err
	}
	return h.audit.List(ctx, h.db, in.ID, in.filter(), p)
}

func (h operatorAccounts) inviteOwner(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *inviteOwner,
) (newInvitation, error) {
	i, err := h.invite(ctx, tx, c, in.ID, in.Body.Email)
	c.Created(i.ID)
	c.Change.Account = in.ID
	return i, err
}

func (h operatorAccounts) invite(
	ctx context.Context, tx *db.Tx, c *rest.Call, of id.ID, email string,
) (newInvitation, error) {
	link := func(token string) string { return h.site.link(c, "/invite", token) }
	i, err := h.svc.InviteOwner(ctx, tx, of, email, link, h.site.mailable())
	return newInvitation(i), err
}

// inField returns an error about one field as one about another.
func inField(from, to string, err error) error {
	invalid, is := errors.AsType[*apierr.Error](err)
	if !is || len(invalid.Fields()) == 0 {
		return err
	}
	fields := slices.Clone(invalid.Fields())
	for i := range fields {
		if fields[i].Field == from {
			fields[i].Field = to
		}
	}
	return apierr.Invalid(fields)
}
